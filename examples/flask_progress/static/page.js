const TEXTS = {
  running: "Importing …",
  done: "All photos are imported.",
  failed: "The import has failed.",
};
const element = (id) => document.getElementById(id);
let latest = null; // what the page shows
let ticket = ""; // comes with the connection's client id, and shows the site that it is ours

draw(JSON.parse(element("job").dataset.progress));

const client = new TidegateClient(`ws://${location.hostname}:7272`, {
  ask: '{"type":"ping"}',
  bind: async (client_id, { signal }) => {
    const answer = await post("/bind", { client_id, ticket }, signal);
    const body = await answer.json();
    if (answer.ok) draw(body);
    if (answer.status === 401) {
      client.close();
      element("problem").textContent = body.error;
    }
    return answer;
  },
});
client.on("init", (_, message) => (ticket = JSON.parse(message).ticket));
client.on("ready", () => show("ready", "Connected"));
client.on("close", ({ pause }) =>
  show("waiting", pause === null ? "Not connected" : `Connecting again in ${Math.ceil(pause / 1000)} s`));
client.on("message", (text) => draw(JSON.parse(text)));

element("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  element("problem").textContent = "";
  try {
    const answer = await post("/jobs", { photos: element("photos").valueAsNumber });
    const body = await answer.json();
    if (answer.ok) draw(body);
    else element("problem").textContent = body.error;
  } catch {
    element("problem").textContent = "The site does not answer. Try again.";
  }
});

function post(path, fields, signal) {
  return fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(fields),
    signal,
  });
}

// The same news comes by several ways, by a push and in the site's answers: what is older than what is shown is left out.
function draw(progress) {
  if (!progress || (latest && !isNewer(progress, latest))) return;
  latest = progress;
  element("job").dataset.state = progress.state;
  element("what").textContent = TEXTS[progress.state];
  element("percent").textContent = progress.percent;
  element("bar").value = parseInt(progress.percent);
  document.querySelector("#start button").disabled = progress.state === "running";
}

function isNewer(progress, shown) {
  if (progress.job !== shown.job) return progress.job > shown.job;
  return shown.state === "running" && parseInt(progress.percent) >= parseInt(shown.percent);
}

function show(state, text) {
  element("state").dataset.state = state;
  element("state").textContent = text;
}
