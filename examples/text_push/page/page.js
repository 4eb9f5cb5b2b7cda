const KEPT = 100; // pushes on the page
const element = (id) => document.getElementById(id);
let count = 0;

const client = new TidegateClient(`ws://${location.hostname}:7272`, { ask: '{"type":"ping"}' });

client.on("ready", () => show("ready", "Connected"));
client.on("close", ({ pause }) => show("waiting", `Connecting again in ${Math.ceil(pause / 1000)} s`));
client.on("message", (text) => {
  const message = JSON.parse(text);
  if (message.type === "push") add(message.content, new Date(message.time));
});

function show(state, text) {
  element("state").dataset.state = state;
  element("state").textContent = text;
}

function add(content, when) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  const said = document.createElement("span");
  time.dateTime = when.toISOString();
  time.textContent = when.toLocaleTimeString();
  said.textContent = content; // text, whatever it is
  item.append(time, said);
  const pushes = element("pushes");
  pushes.prepend(item);
  if (pushes.childElementCount > KEPT) pushes.lastElementChild.remove();
  element("count").textContent = `(${++count})`;
  element("empty").hidden = true;
}
