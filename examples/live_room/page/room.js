const KEPT = 200; // lines on the page
const KNOWN = 100; // ids, more than a history has
const FLYING = 10; // over the picture at a time
const WELCOME_MS = 10_000; // until it must have come
const element = (id) => document.getElementById(id);
const [log, text, send] = [element("log"), element("text"), document.querySelector("#composer button")];

const room = new URLSearchParams(location.search).get("room") ?? "1";
const mine = new Set(); // the userIds that this page has had: one for each connection
const shown = new Set(); // ids of the last messages
let client, name = "", wasHere = false, highest = 0, flown = 0, late = 0;
let early = null; // what comes before the welcome, with which the past comes; null: it has come

function enter() {
  client = new TidegateClient(`ws://${location.hostname}:7272`); // it answers the gateway's heartbeats by itself
  client.on("ready", () => {
    early = [];
    client.send(JSON.stringify({ type: "join", roomId: room, userName: name, again: wasHere }));
    late = setTimeout(again, WELCOME_MS); // a worker that dies may take our joining with it
  });
  client.on("message", (message) => receive(JSON.parse(message)));
  client.on("close", ({ pause }) => {
    clearTimeout(late);
    show("wait", pause === null ? "Connecting" : "Reconnecting");
  });
}

function again() {
  client.close();
  enter();
}

function receive(message) {
  if (early !== null && message.type !== "welcome" && message.type !== "error") return void early.push(message);
  switch (message.type) {
    case "welcome": return welcome(message);
    case "join": return join(message);
    case "say": return say(message, true);
    case "online": return watching(message);
    case "error": return fail(message.msg);
  }
}

function welcome({ userId, userName, pv, online, history }) {
  mine.add(userId);
  wasHere = true;
  clearTimeout(late);
  name = element("name").value = userName;
  remember(userName);
  watching({ online, isCounting: pv !== null });
  visits(pv);
  for (const message of history) say(message, false);
  const waiting = early;
  early = null;
  waiting.forEach(receive);
  show("open", "Connected");
  problem("");
}

function join({ userName, msg, joinTime, pv }) {
  visits(pv);
  add("note", userName, msg, joinTime);
}

function say({ id, userId, userName, content, commentTime }, isNew) {
  if (shown.has(id)) return; // it came by itself and is in the history, or was here before the connection broke
  if (id) shown.add(id);
  if (shown.size > KNOWN) shown.delete(shown.values().next().value);
  add(mine.has(userId) ? "mine" : "", userName, content, commentTime);
  if (isNew) fly(content);
}

function add(kind, userName, words, when) {
  const follow = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  const item = make("li", "", kind), time = make("time", when.slice(11, 16));
  time.title = when; // the server's time
  item.style.setProperty("--hue", hue(userName));
  item.append(time, " ", make("b", userName), " ", make("span", words, "content"));
  log.append(item);
  if (log.childElementCount > KEPT) log.firstElementChild.remove();
  if (follow || kind === "mine") log.scrollTop = log.scrollHeight;
}

function fly(content) {
  const flying = element("flying"), words = make("span", content);
  if (flying.childElementCount >= FLYING) return;
  words.style.setProperty("--lane", flown++ % 4);
  words.addEventListener("animationend", () => words.remove());
  flying.append(words);
}

function watching({ online, isCounting }) {
  element("online").textContent = online;
  element("counting").hidden = isCounting;
  if (!isCounting) forgetVisits(); // as that Redis may have done, too
}

function visits(pv) {
  if (pv === null) return forgetVisits();
  highest = Math.max(highest, pv); // of two who come at the same time the later may be told first
  element("pv").textContent = highest;
}

function forgetVisits() {
  highest = 0;
  element("pv").textContent = "–";
}

function fail(words) {
  problem(words);
  if (early === null) return;
  client.close(); // this room does not take us in, and would not next time
  show("closed", "Not in a room");
}

function make(tag, words, kind = "") {
  const made = document.createElement(tag);
  made.textContent = words; // never markup
  made.className = kind;
  return made;
}

function hue(userName) {
  let sum = 0;
  for (const char of userName) sum = (sum * 31 + char.codePointAt(0)) % 3600;
  return (sum * 47) % 360;
}

function show(state, words) {
  element("state").dataset.state = state;
  element("state").textContent = words;
  send.disabled = state !== "open"; // what is written stays until there is somebody to hear it
}

function problem(words) {
  element("problem").textContent = words;
}

function remember(userName) {
  try {
    sessionStorage.setItem("userName", userName);
  } catch { /* then a reload makes a new guest of them */ }
}

element("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!text.value.trim()) return;
  problem("");
  client.send(JSON.stringify({ type: "say", roomId: room, content: text.value }));
  text.value = "";
});

element("naming").addEventListener("submit", (event) => {
  event.preventDefault();
  name = element("name").value;
  again();
  text.focus();
});

element("room").textContent = room;
document.title = `Tide cam, room ${room}`;
try {
  name = sessionStorage.getItem("userName") ?? "";
} catch { /* as above */ }
enter();
