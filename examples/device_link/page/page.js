// The page of devices: shows what the cluster says of each, and asks it to switch them.

const ANSWER_MS = 4000; // in which a device that was told to switch says that it has
const element = (id) => document.getElementById(id);
const cards = new Map(); // id → { item, heading, presence, button, heard, device, at, timer }

const scheme = location.protocol === "https:" ? "wss" : "ws";
const client = new TidegateClient(`${scheme}://${location.hostname}:7272`, { ask: '{"type":"ping"}', silence: 30_000 });

client.on("open", () => forget());
client.on("ready", () => show("ready", "Connected"));
client.on("close", () => show("waiting", "Reconnecting"));
client.on("message", (text) => {
  const message = JSON.parse(text);
  if (message.type === "devices") {
    message.devices.forEach(update);
    element("empty").hidden = cards.size > 0;
  }
  if (message.type === "device") update(message.device);
  if (message.type === "error") complain(message.message);
});

function show(state, words) {
  element("state").dataset.state = state;
  element("state").textContent = words;
  element("devices").inert = state !== "ready"; // what it shows may have changed by now
}

/** After a connect everything is told anew, whatever was known. */
function forget() {
  for (const card of cards.values()) card.device = null;
}

function update(device) {
  const card = cards.get(device.id) ?? add(device.id);
  if (card.device && card.device.version >= device.version) return; // an older message that took longer
  if (!device.online || device.on !== card.device?.on) settle(card);
  card.device = device;
  card.at = performance.now() - device.ago * 1000;
  card.item.dataset.presence = card.presence.textContent = device.online ? "online" : "offline";
  card.button.setAttribute("aria-checked", device.on);
  tick(card);
}

function add(id) {
  const item = element("card").content.cloneNode(true).firstElementChild;
  const [heading, presence, button, heard] = item.children;
  const card = { item, heading, presence, button, heard, device: null, at: 0, timer: 0 };
  heading.textContent = id;
  heading.id = `device-${id}`;
  button.setAttribute("aria-labelledby", heading.id);
  button.addEventListener("click", () => toggle(id, card));
  cards.set(id, card);
  const next = [...cards.keys()].sort().find((other) => other > id && cards.get(other).item.isConnected);
  element("devices").insertBefore(item, next ? cards.get(next).item : null);
  element("empty").hidden = true;
  return card;
}

function toggle(id, card) {
  complain("");
  if (card.timer) return; // it has not answered yet
  client.send(JSON.stringify({ type: "switch", device: id, on: !card.device.on }));
  if (!card.device.online) return; // the answer says so
  card.item.setAttribute("aria-busy", "true");
  card.timer = setTimeout(() => {
    settle(card);
    complain(`${id} has not answered.`);
  }, ANSWER_MS);
}

function settle(card) {
  clearTimeout(card.timer);
  card.timer = 0;
  card.item.removeAttribute("aria-busy");
}

function complain(words) {
  element("problem").textContent = words;
}

function tick(card) {
  const seconds = Math.round((performance.now() - card.at) / 1000);
  const words = seconds < 2 ? "just now" : seconds < 120 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
  card.heard.textContent = `heard ${words}`;
}

setInterval(() => cards.forEach((card) => card.device && tick(card)), 1000);
