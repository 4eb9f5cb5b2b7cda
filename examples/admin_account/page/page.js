// Shows what is pushed to everybody, and lets an administrator push.

const KEPT = 100; // messages on the page
const element = (id) => document.getElementById(id);
const [login, push, log, state] = ["login", "push", "log", "state"].map(element);
const buttons = [login, push].map((form) => form.querySelector("button"));

let password = null; // kept while logged in: after a reconnect the server knows a stranger, to whom it is said again

const scheme = location.protocol === "https:" ? "wss" : "ws";
const client = new TidegateClient(`${scheme}://${location.hostname}:7272`, { ask: '{"type":"ping"}', silence: 30_000 });
const tell = (type, fields) => client.send(JSON.stringify({ type, ...fields }));

client.on("ready", () => {
  show("open", "Connected");
  if (password !== null) tell("login", { password });
  else login.querySelector("button").disabled = false;
});
client.on("close", () => {
  show("wait", "Reconnecting");
  for (const button of buttons) button.disabled = true;
});
client.on("message", (data) => {
  const message = JSON.parse(data);
  if (message.type === "message") add(message);
  if (message.type === "login") enter(true);
  if (message.type === "logout") enter(false);
  if (message.type === "pushed") pushed();
  if (message.type === "error") fail(message);
});

function show(kind, words) {
  state.dataset.kind = kind;
  state.textContent = words;
}

function add({ text, time }) {
  const item = document.createElement("li"), said = document.createElement("p"), when = document.createElement("time");
  said.textContent = text;
  when.dateTime = time;
  when.textContent = new Date(time).toLocaleTimeString([], { timeStyle: "short" });
  item.append(when, said);
  log.prepend(item);
  while (log.children.length > KEPT) log.lastChild.remove();
  element("empty").hidden = true;
}

// The administrator

function enter(isAdmin) {
  const isNew = push.hidden === isAdmin;
  login.hidden = isAdmin;
  push.hidden = !isAdmin;
  for (const form of [login, push]) problem(form, "");
  for (const button of buttons) button.disabled = false;
  if (!isAdmin) password = null;
  element("password").value = "";
  if (isNew) element(isAdmin ? "text" : "password").focus();
}

function pushed() {
  element("text").value = "";
  problem(push, "");
  buttons[1].disabled = false;
}

function fail({ about, message }) {
  if (about === "login") {
    enter(false);
    element("password").focus();
  }
  problem(about === "login" ? login : push, message);
  buttons[1].disabled = false;
}

function problem(form, words) {
  form.querySelector(".problem").textContent = words;
}

login.addEventListener("submit", (event) => {
  event.preventDefault();
  if (buttons[0].disabled) return;
  password = element("password").value;
  buttons[0].disabled = true; // until there is an answer
  tell("login", { password });
});

push.addEventListener("submit", (event) => {
  event.preventDefault();
  if (buttons[1].disabled || !element("text").value.trim()) return;
  buttons[1].disabled = true;
  tell("push", { text: element("text").value });
});

element("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  push.requestSubmit();
});

element("logout").addEventListener("click", () => {
  password = null;
  tell("logout");
});
