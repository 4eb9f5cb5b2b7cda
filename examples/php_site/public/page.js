// Has the page's connection bound by bind.php, posts what is said to send.php, and shows what is pushed.

const KEPT = 200; // messages on the page
const { port, csrf, user } = document.body.dataset;
const element = (id) => document.getElementById(id);
let ticket = ""; // comes with the connection's client id, and shows the site that it is ours

async function post(path, body, signal) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (response.ok) return;
  const { message } = await response.json().catch(() => ({}));
  throw new Error(message ?? `The site answers ${response.status}.`);
}

const scheme = location.protocol === "https:" ? "wss" : "ws";
const client = new TidegateClient(`${scheme}://${location.hostname}:${port}`, {
  bind: (client_id, { signal }) => post("bind.php", { client_id, ticket }, signal),
  ask: '{"type":"ping"}',
});
client.on("init", (client_id, message) => (ticket = JSON.parse(message).ticket));
client.on("ready", () => show("ready", "Connected"));
client.on("error", (error) => show("waiting", error.message));
client.on("close", () => show("waiting", "Reconnecting"));
client.on("message", (text) => {
  const message = JSON.parse(text);
  if (message.type === "say") add(message);
});

function show(state, words) {
  element("state").dataset.state = state;
  element("state").textContent = words;
}

function add({ from, to, text, time }) {
  const when = make("time", new Date(time).toLocaleTimeString([], { timeStyle: "short" }));
  when.dateTime = time;
  const head = make("p");
  head.append(make("b", from === user ? "You" : from), to === null ? "" : ` to ${to === user ? "you" : to} alone`, " ", when);
  const item = make("li");
  item.append(head, make("p", text));
  const log = element("log");
  log.prepend(item);
  if (log.childElementCount > KEPT) log.lastElementChild.remove();
}

function make(tag, words = "") {
  const made = document.createElement(tag);
  made.textContent = words; // text, whatever it is
  return made;
}

element("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.target.querySelector("button"), said = element("text").value;
  if (button.disabled) return;
  button.disabled = true;
  element("problem").textContent = "";
  try {
    await post("send.php", { to: element("to").value.trim(), text: said });
    if (element("text").value === said) element("text").value = "";
  } catch (error) {
    element("problem").textContent = error.message;
  }
  button.disabled = false;
});
