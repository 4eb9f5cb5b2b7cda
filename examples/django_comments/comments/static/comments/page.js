// The page's connection: bound to whoever is logged in, it counts and shows the comments that come.

const SHOWN = 50; // comments on the page
const element = (id) => document.getElementById(id);
const user = document.body.dataset.user; // "" for a guest
const scheme = location.protocol === "https:" ? "wss" : "ws";

const client = new TidegateClient(`${scheme}://${location.hostname}:7272`, {
  bind: (client_id, { signal }) => post("/bind/", { client_id }, signal),
  ask: '{"type":"ping"}',
});

client.on("ready", () => {
  state("ready", user ? "Live" : "Connected as a guest");
  refresh(); // what came while nobody was connected
});
client.on("close", ({ pause }) => {
  state("wait", pause === null ? "Closed" : `Again in ${Math.ceil(pause / 1000)} s`);
});
client.on("message", (text) => {
  const message = JSON.parse(text);
  if (message.type === "comment" && add(message.comment)) count(unseen + 1);
  if (message.type === "seen") see(message.last);
});

// The cookie's token is the present one also after a login in another tab, which a form's is not.
function post(path, fields, signal) {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";
  return fetch(path, { method: "POST", headers: { "X-CSRFToken": token }, body: new URLSearchParams(fields), signal });
}

function state(kind, words) {
  element("state").dataset.state = kind;
  element("state").textContent = words;
}

// The comments

const items = new Map(); // of those on the page: id → <li>
let unseen = 0;
let sights = 0; // how often something was seen, here or in another tab

async function refresh() {
  if (!user) return;
  const before = sights;
  const answer = await fetch("/comments/").catch(() => null); // the next "ready" asks again
  if (answer?.status === 401) return location.reload(); // logged out in another tab
  if (!answer?.ok) return;
  const { comments, unseen: known } = await answer.json();
  if (sights !== before) return refresh(); // the answer may be older than that
  const last = comments[0]?.id ?? 0;
  for (const comment of comments.reverse()) add(comment);
  count(known + [...items.keys()].filter((id) => id > last).length); // pushed while the answer was on its way
}

function add({ id, author, text, created, is_seen }) {
  items.get(id)?.classList.toggle("new", !is_seen);
  if (items.has(id)) return false;
  const item = element("comment").content.cloneNode(true).firstElementChild;
  item.querySelector("b").textContent = author;
  item.querySelector("time").dateTime = created;
  item.querySelector("time").textContent = new Date(created).toLocaleString();
  item.querySelector(".text").textContent = text;
  item.classList.toggle("new", !is_seen);
  items.set(id, item);
  const newer = [...items.keys()].sort((one, other) => other - one);
  element("comments").insertBefore(item, items.get(newer[newer.indexOf(id) + 1]) ?? null);
  for (const old of newer.slice(SHOWN)) {
    items.get(old).remove();
    items.delete(old);
  }
  element("none").hidden = true;
  return true;
}

function see(last) {
  sights += 1;
  for (const [id, item] of items) if (id <= last) item.classList.remove("new");
  count([...items.values()].filter((item) => item.classList.contains("new")).length);
}

function count(number) {
  unseen = number;
  element("counter").textContent = `${number} new`;
  element("counter").hidden = element("seen").disabled = number === 0;
  document.title = number ? `(${number}) Comments` : "Comments";
}

element("seen")?.addEventListener("click", async () => {
  const last = Math.max(0, ...items.keys());
  const answer = await post("/seen/", { last }).catch(() => null);
  if (answer?.ok) see(last); // the other tabs are told
  else state("wait", "Not saved");
});

if (user) refresh();
