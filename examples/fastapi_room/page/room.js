// The room's page: logs in, has its connection bound, posts what is said, and shows what the site pushes.

const KEPT = 200; // messages on the page
const element = (id) => document.getElementById(id);
const [login, room, log, to, text] = ["login", "room", "log", "to", "text"].map(element);

let me = null; // { uid, name }
let client = null;
let ticket = ""; // comes with the connection's client id, and shows the site that it is ours
let due = null; // the timer of the next look at who is here

// The site

async function ask(path, body, signal) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, body === undefined ? { signal } : { ...post, signal });
  const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status === 401) enter(null); // the login has ended
  throw new Error(answer.detail ?? `The site answers ${response.status}.`);
}

/** Carry out what a form asks for, and say in it why not. */
function onSubmit(form, action) {
  const problem = form.querySelector(".problem"), button = form.querySelector("button");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    problem.textContent = "";
    await action().catch((error) => (problem.textContent = error.message));
    button.disabled = false;
  });
}

// The connection

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  client = new TidegateClient(`${scheme}://${location.hostname}:7272`, {
    bind: (client_id, { signal }) => ask("bind", { client_id, ticket }, signal),
  });
  show("wait", "Connecting");
  client.on("init", (client_id, message) => (ticket = JSON.parse(message).ticket));
  client.on("ready", () => show("open", "Connected"));
  client.on("message", (message) => receive(JSON.parse(message)));
  client.on("close", () => show("wait", "Reconnecting"));
  client.on("error", () => show("wait", "Reconnecting"));
}

function show(kind, words) {
  element("state").dataset.kind = kind;
  element("state").textContent = words;
}

function receive(message) {
  if (message.type === "say") add(message);
  if (message.type === "people") due ??= setTimeout(look, 50 + 300 * Math.random()); // not all pages at once
}

// Who is here

async function look() {
  due = null;
  const people = await ask("people").catch(() => null);
  if (!people || !me) return;
  element("people").replaceChildren(...people.map(({ uid, name }) => make("li", uid === me.uid ? `${name} (you)` : name)));
  const others = people.filter(({ uid }) => uid !== me.uid);
  const chosen = to.selectedOptions[0];
  const options = [option("", "Everyone"), ...others.map(({ uid, name }) => option(uid, name))];
  // What is meant for one who has left is not for everyone.
  if (chosen?.value && !others.some(({ uid }) => uid === chosen.value)) options.push(option(chosen.value, chosen.label));
  const value = to.value;
  to.replaceChildren(...options);
  to.value = value;
}

function option(value, label) {
  const made = make("option", label);
  made.value = value;
  return made;
}

// What is said

function add(message) {
  const item = make("li"), head = make("p", "", "soft"), time = make("time");
  time.dateTime = message.time;
  time.textContent = new Date(message.time).toLocaleTimeString([], { timeStyle: "short" });
  const between = message.to === null ? "" : message.uid === me.uid ? ` to ${nameOf(message.to)} alone` : " to you alone";
  head.append(make("b", message.uid === me.uid ? "You" : message.name), between, " ", time);
  item.append(head, make("p", message.text, "text"));
  item.classList.toggle("mine", message.uid === me.uid);
  item.classList.toggle("private", message.to !== null);
  log.append(item);
  while (log.children.length > KEPT) log.firstChild.remove();
  log.scrollTop = log.scrollHeight;
}

function nameOf(uid) {
  return [...to.options].find(({ value }) => value === uid)?.label ?? "one person";
}

function make(tag, words = "", kind = "") {
  const made = document.createElement(tag);
  made.textContent = words;
  made.className = kind;
  return made;
}

// Coming and going

function enter(user) {
  me = user;
  client?.close();
  client = null;
  login.hidden = user !== null;
  for (const part of [room, element("leave"), element("state")]) part.hidden = user === null;
  log.replaceChildren();
  element("people").replaceChildren();
  to.replaceChildren(option("", "Everyone"));
  (user ? text : element("name")).focus();
  if (user) connect();
}

onSubmit(login, async () => enter(await ask("login", { name: element("name").value })));

onSubmit(element("composer"), async () => {
  const said = text.value;
  if (!said.trim()) return;
  await ask("send", { text: said, to: to.value || null });
  if (text.value === said) text.value = "";
});

element("leave").addEventListener("click", async () => {
  await ask("logout", {}).catch(() => {});
  enter(null);
});

ask("me").then(enter, () => enter(null));
