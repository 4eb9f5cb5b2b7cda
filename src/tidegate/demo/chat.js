// The demo's page: it logs in, shows what the cluster says, and comes back by itself.
"use strict";

const KEPT = 300;               // lines on the page
const SAME_MS = 180000;         // in which one person's messages stand under one name
const PING_MS = 20000;          // between signs of life; one that is not answered until the next means a dead line
const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 10000;
const TITLE = document.title;

const element = (id) => document.getElementById(id);
const [log, text, to, members] = ["log", "text", "to", "members"].map(element);

const here = new Map();         // client id → { name, item, option }
let wanted = null;              // { name, room }: where to be, while connected or not
let me = null;                  // { id, name, room }, once logged in
let socket = null;
let early = new Map();          // who came (their name) or left (null) before the list of those who are here was told
let unacknowledged = [];        // { content, target } of what was sent and has not come back
let last = null;                // the message that the next one may stand under
let pause = FIRST_PAUSE_MS, retry = 0, unanswered = false, unread = 0, hasMore = false;

// The connection

function connect() {
  clearTimeout(retry);
  drop();
  state("wait", wanted.known ? "Reconnecting" : "Connecting");
  const secure = location.protocol === "https:" ? "wss" : "ws";
  const mine = socket = new WebSocket(`${secure}://${location.hostname}:${document.body.dataset.port}`);
  mine.onopen = () => {
    unanswered = false;
    mine.send(JSON.stringify({ type: "login", client_name: wanted.name, room_id: wanted.room }));
  };
  mine.onmessage = (event) => {
    unanswered = false;
    receive(JSON.parse(event.data));
  };
  mine.onclose = lost;
}

function drop() {
  if (!socket) return;
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close();
  socket = null;
}

function lost() {
  drop();
  if (me) {
    me = null;
    note("Connection lost");
  }
  // What nobody has heard is not thrown away.
  if (unacknowledged.length) {
    text.value = [...unacknowledged.map((sent) => sent.content), text.value].filter(Boolean).join("\n");
    to.value = (unacknowledged.find((sent) => sent.target !== "all") ?? unacknowledged[0]).target;
    grow();
    unacknowledged = [];
  }
  early = new Map();
  composer();
  state("wait", "Reconnecting");
  clearTimeout(retry);
  retry = setTimeout(connect, pause * (0.5 + Math.random()));
  pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
}

function hurry() {
  if (wanted && !socket) connect();
}

setInterval(() => {
  if (!socket || socket.readyState !== WebSocket.OPEN) return;
  if (unanswered) return lost();
  unanswered = true;
  socket.send('{"type":"ping"}');
}, PING_MS);
addEventListener("online", hurry);

// What arrives

function receive(message) {
  if (message.type === "login") return message.client_list ? arrive(message) : come(message);
  if (message.type === "logout") return go(message);
  if (message.type === "say") return say(message);
  if (message.type === "error") return fail(message);
}

function arrive(message) {
  const again = wanted.known;
  me = { id: message.client_id, name: message.client_name, room: message.room_id };
  wanted = { name: me.name, room: me.room, known: true };
  pause = FIRST_PAUSE_MS;
  hasMore = message.has_more;
  const list = new Map([...Object.entries(message.client_list), ...early]);
  early = new Map();
  for (const id of [...here.keys()]) if (!list.get(id)) forget(id);
  for (const [id, name] of list) if (name) remember(id, name);
  show(true);
  state("open", "Connected");
  note(again ? "Connected again" : `You are in ${me.room} as ${me.name}`, message.time);
  composer();
  if (!again) text.focus();
}

function come({ client_id: id, client_name: name, time }) {
  if (!me) return early.set(id, name);
  if (!here.has(id)) note(`${name} came in`, time);
  remember(id, name);
}

function go({ from_client_id: id, time }) {
  if (!me) return early.set(id, null);
  const member = here.get(id);
  if (!member) return;
  forget(id);
  note(`${member.name} left`, time);
}

function fail({ message, client_id: id }) {
  if (!me) return refuse(message);
  unacknowledged.shift();
  problem(message);
  if (id) forget(id);
}

function refuse(message) {
  drop();
  leave();
  element("refused").textContent = message;
}

// Who is here

function remember(id, name) {
  if (here.has(id)) return;
  const item = document.createElement("li"), button = make("button"), option = make("option", name);
  button.type = "button";
  button.append(disc(name), make("span", name, "name"));
  if (id === me?.id) {
    button.disabled = true;
    button.append(make("small", "you"));
  } else {
    button.title = `${name}, ${id}`;
    button.addEventListener("click", () => choose(to.value === id ? "all" : id));
    option.value = id;
    to.append(option);
  }
  item.append(button);
  const after = [...members.children].find((other) => before(id, name, other));
  item.dataset.name = name;
  item.dataset.id = id;
  members.insertBefore(item, after ?? null);
  here.set(id, { name, item, option });
  count();
}

function before(id, name, other) {
  if (id === me?.id) return true;
  return other.dataset.id !== me?.id && name.localeCompare(other.dataset.name) < 0;
}

function forget(id) {
  const member = here.get(id);
  if (!member) return;
  here.delete(id);
  member.item.remove();
  // A private message must not go to everyone because its reader left while it was written.
  if (to.value === id) member.option.textContent = `${member.name} (left)`;
  else member.option.remove();
  count();
  composer();
}

function choose(id) {
  to.value = id;
  composer();
  people(false);
  text.focus();
}

function count() {
  const number = `${here.size}${hasMore ? "+" : ""}`;
  element("count").textContent = element("who-count").textContent = number;
}

// The lines

function say({ from_client_id: id, from_client_name: name, to_client_id: target, to_client_name: reader, content, time }) {
  const mine = id === me?.id, isPrivate = target !== "all";
  if (mine) unacknowledged.shift();
  const at = Date.parse(time), kind = `${id} ${target}`;
  const item = document.createElement("li"), bubble = make("div", "", "bubble"), from = make("p", "", "from");
  item.className = `message${mine ? " mine" : ""}${isPrivate ? " private" : ""}`;
  if (last && last.kind === kind && at - last.at < SAME_MS) item.classList.add("same");
  item.style.setProperty("--hue", hue(name));
  from.append(make("b", mine ? "You" : name));
  if (isPrivate) from.append(make("span", mine ? ` only to ${reader}` : " only to you", "only"));
  const body = make("div", content, "text");
  body.dir = "auto";
  bubble.append(body, clock(time));
  const whole = make("div", "", "content");
  whole.append(from, bubble);
  item.append(disc(name), whole);
  add(item, mine);
  last = { kind, at };
  if (!mine && document.hidden) title(unread + 1);
}

function note(words, time = new Date().toISOString()) {
  const item = document.createElement("li");
  item.className = "note";
  item.append(make("span", words), clock(time));
  last = null;
  add(item, false);
}

function add(item, follow) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  log.append(item);
  if (log.childElementCount > KEPT) {
    log.firstElementChild.remove();
    log.firstElementChild.classList.remove("same");
  }
  if (atEnd || follow) log.scrollTop = log.scrollHeight;
  else element("latest").hidden = false;
}

function make(tag, words = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = words;
  if (className) made.className = className;
  return made;
}

function clock(time) {
  const when = new Date(time), made = document.createElement("time");
  made.dateTime = time;
  made.title = when.toLocaleString();
  made.textContent = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return made;
}

function disc(name) {
  const words = name.split(" ").filter(Boolean);
  const made = make("span", words.slice(0, 2).map((word) => [...word][0]).join("").toUpperCase(), "disc");
  made.setAttribute("aria-hidden", "true");
  made.style.setProperty("--hue", hue(name));
  return made;
}

function hue(name) {
  let sum = 0;
  for (const char of name) sum = (sum * 31 + char.codePointAt(0)) % 3600;
  return (sum * 47) % 360;
}

function title(number) {
  unread = number;
  document.title = `${number ? `(${number}) ` : ""}${wanted?.known ? `${wanted.room} · ` : ""}${TITLE}`;
}

// What the person does

function state(kind, words) {
  element("state").dataset.state = kind;
  element("state").textContent = words;
}

function problem(words) {
  element("problem").textContent = words;
  element("problem").hidden = !words;
}

function composer() {
  const isPrivate = to.value !== "all", left = isPrivate && !here.has(to.value);
  element("composer").classList.toggle("private", isPrivate);
  element("secret").hidden = !isPrivate;
  element("composer").querySelector("button").disabled = !me || left;
  text.placeholder = !me ? "Waiting for the connection" : isPrivate ? `Say something to ${to.selectedOptions[0]?.textContent ?? "them"}` : "Say something";
  problem(left ? "That one has left. Choose whom to tell it instead." : "");
  for (const item of members.children) item.firstElementChild.setAttribute("aria-pressed", item.dataset.id === to.value);
}

function grow() {
  text.style.height = "";
  text.style.height = `${text.scrollHeight + 2}px`;
}

function send() {
  const content = text.value.trim();
  if (!content || element("composer").querySelector("button").disabled) return;
  socket.send(JSON.stringify({ type: "say", to_client_id: to.value, content }));
  unacknowledged.push({ content, target: to.value });
  text.value = "";
  grow();
  problem("");
}

function show(inRoom) {
  element("welcome").hidden = inRoom;
  for (const id of ["chat", "who", "leave"]) element(id).hidden = !inRoom;
  element("room-name").textContent = inRoom ? me.room : "";
  history.replaceState(null, "", inRoom ? `#${encodeURIComponent(me.room)}` : location.pathname);
  title(0);
}

function leave() {
  clearTimeout(retry);
  drop();
  wanted = me = last = null;
  unacknowledged = [];
  log.replaceChildren();
  to.value = "all";
  for (const id of [...here.keys()]) forget(id);
  for (const option of [...to.options].slice(1)) option.remove();
  composer();
  people(false);
  state("idle", "");
  show(false);
  element("name").focus();
}

function people(open) {
  element("people").classList.toggle("open", open);
  element("who").setAttribute("aria-expanded", open);
}

element("login").addEventListener("submit", (event) => {
  event.preventDefault();
  element("refused").textContent = "";
  pause = FIRST_PAUSE_MS;
  wanted = { name: element("name").value, room: element("room").value };
  try {
    sessionStorage.setItem("name", wanted.name);
  } catch { /* then the name is typed again after a reload */ }
  connect();
});
element("composer").addEventListener("submit", (event) => { event.preventDefault(); send(); });
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
text.addEventListener("input", grow);
to.addEventListener("change", () => {
  for (const option of [...to.options].slice(1)) if (!here.has(option.value)) option.remove();
  composer();
});
element("leave").addEventListener("click", leave);
element("who").addEventListener("click", () => people(element("who").getAttribute("aria-expanded") !== "true"));
addEventListener("keydown", (event) => { if (event.key === "Escape") people(false); });
log.addEventListener("scroll", () => {
  if (log.scrollHeight - log.scrollTop - log.clientHeight < 80) element("latest").hidden = true;
});
element("latest").addEventListener("click", () => { log.scrollTop = log.scrollHeight; });
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  title(0);
  hurry();
});

try {
  element("name").value = sessionStorage.getItem("name") ?? "";
  element("room").value = decodeURIComponent(location.hash.slice(1)) || "lobby";
} catch { /* then they are as the page has them */ }
