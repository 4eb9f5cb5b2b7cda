import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { FakeWebSocket, settled } from "./fakes.js";
import { clock, names, start } from "./support.js";

const PING = '{"type":"ping"}', PONG = '{"type":"pong"}';
const TIMES = { silence: 1000, patience: 100, minPause: 10 };

/** What a browser has besides. */
function browser() {
  const window = new EventTarget(), document = new EventTarget();
  globalThis.addEventListener = window.addEventListener.bind(window);
  globalThis.removeEventListener = window.removeEventListener.bind(window);
  globalThis.document = document;
  document.visibilityState = "visible";
  return { tell: (name) => (name === "visibilitychange" ? document : window).dispatchEvent(new Event(name)), document };
}

afterEach(() => {
  delete globalThis.addEventListener;
  delete globalThis.removeEventListener;
  delete globalThis.document;
});

test("heartbeats are answered, bound or not, and not told", () => {
  const { told } = start({ bind: () => new Promise(() => {}) });
  FakeWebSocket.last.open().say(PING).init("c1").say(PING);
  assert.deepEqual(FakeWebSocket.last.sent, [PONG, PONG]);
  assert.deepEqual(names(told), ["open", "init"]);
});

test("heartbeats may be another text, or none", () => {
  const { told } = start({ ping: "2", pong: "3" });
  FakeWebSocket.last.open().say("2").say(PING);
  assert.deepEqual(FakeWebSocket.last.sent, ["3"]);
  assert.deepEqual(told.at(-1), ["message", PING]);
  start({ ping: null });
  FakeWebSocket.last.open().say(PING);
  start({ pong: null });
  FakeWebSocket.last.open().say(PING);
  assert.deepEqual(FakeWebSocket.made.slice(1).map((socket) => socket.sent), [[], []]);
});

test("a silent server is asked, and left when it does not answer", async () => {
  const { told } = start({ ...TIMES, ask: "are you there?" });
  const socket = FakeWebSocket.last.open();
  await clock.pass(999);
  assert.deepEqual(socket.sent, []);
  await clock.pass(1);
  assert.deepEqual(socket.sent, ["are you there?"]);
  await clock.pass(99);
  assert.deepEqual(names(told), ["open", "ready"]);
  await clock.pass(1);
  assert.deepEqual(told.slice(2).map(([name, { message, reason }]) => [name, message ?? reason]),
    [["error", "ws://gateway/: nothing came"], ["close", "nothing came"]]);
  assert.equal(socket.closedWith, 1000);
  await clock.pass(10);
  assert.equal(FakeWebSocket.made.length, 2);
});

test("a server that answers what it is asked stays, and the answer is not told", async () => {
  const { client, told } = start({ ...TIMES, ask: PING });
  const socket = FakeWebSocket.last.open();
  for (let time = 0; time < 5; time++) {
    await clock.pass(1050);
    client.send("still typing");
    socket.say(PONG);
  }
  assert.equal(socket.sent.filter((data) => data === PING).length, 5);
  assert.deepEqual(names(told), ["open", "ready"]);
});

test("a server that speaks is not asked", async () => {
  start({ ...TIMES, ask: PING });
  const socket = FakeWebSocket.last.open();
  for (let time = 0; time < 10; time++) {
    await clock.pass(900);
    socket.say("news");
  }
  assert.deepEqual(socket.sent, []);
});

test("a server whose heartbeats stop is left, without being asked", async () => {
  const { told } = start(TIMES);
  const socket = FakeWebSocket.last.open();
  for (let time = 0; time < 5; time++) {
    await clock.pass(900);
    socket.say(PING);
  }
  assert.deepEqual(names(told), ["open", "ready"]);
  await clock.pass(1100);
  assert.deepEqual(names(told), ["open", "ready", "error", "close"]);
});

test("heartbeats may stop while we talk, for a gateway asks only those who are silent", async () => {
  const { client, told } = start(TIMES);
  FakeWebSocket.last.open().say(PING);
  for (let time = 0; time < 10; time++) {
    await clock.pass(900);
    client.send("talking");
  }
  assert.deepEqual(names(told), ["open", "ready"]);
  await clock.pass(1100);
  assert.equal(told.at(-1)[0], "close");
});

test("a server that never spoke by itself and is asked nothing may be silent for ever", async () => {
  const { told } = start(TIMES);
  FakeWebSocket.last.open().say("news");
  await clock.pass(1e6);
  assert.deepEqual(names(told), ["open", "ready", "message"]);
});

test("silence may mean nothing at all", async () => {
  const { told } = start({ ...TIMES, silence: 0, ask: PING });
  FakeWebSocket.last.open();
  await clock.pass(1e6);
  assert.deepEqual(names(told), ["open", "ready"]);
  assert.deepEqual(FakeWebSocket.last.sent, []);
});

for (const event of ["online", "visibilitychange"]) {
  test(`${event} ends a pause`, async () => {
    const { tell } = browser();
    const { told } = start({ minPause: 1000 });
    for (let time = 0; time < 4; time++) {
      FakeWebSocket.last.end();
      await clock.pass(told.at(-1)[1].pause);
    }
    FakeWebSocket.last.end();
    tell(event);
    assert.equal(FakeWebSocket.made.length, 6);
    FakeWebSocket.last.end();
    assert.equal(told.at(-1)[1].pause, 1000); // as at the beginning
    await clock.pass(1000);
    assert.equal(FakeWebSocket.made.length, 7);
  });
}

test("a page that is hidden ends no pause", () => {
  const { tell, document } = browser();
  start();
  FakeWebSocket.last.end();
  document.visibilityState = "hidden";
  tell("visibilitychange");
  assert.equal(FakeWebSocket.made.length, 1);
});

test("online gives up an attempt that was made before", async () => {
  const { tell } = browser();
  const { client } = start();
  tell("online");
  assert.equal(FakeWebSocket.made.length, 2);
  FakeWebSocket.made[0].open();
  assert.equal(client.state, "connecting");
  FakeWebSocket.made[1].open();
  assert.equal(client.state, "ready");
});

test("online gives up a URL that was waited for before, and showing the page does not", async () => {
  const { tell } = browser();
  const waiting = [];
  start({}, () => new Promise((resolve) => waiting.push(resolve)));
  tell("visibilitychange");
  assert.equal(waiting.length, 1);
  tell("online");
  waiting[0]("ws://gateway/?old");
  waiting[1]("ws://gateway/?new");
  await settled();
  assert.deepEqual(FakeWebSocket.made.map((socket) => socket.url), ["ws://gateway/?new"]);
});

for (const event of ["online", "offline", "visibilitychange"]) {
  test(`${event} has a server asked at once that was silent for a moment`, async () => {
    const { tell } = browser();
    const { told } = start({ ...TIMES, ask: PING });
    const socket = FakeWebSocket.last.open();
    tell(event); // it has only just been heard of
    assert.deepEqual(socket.sent, []);
    await clock.pass(150);
    tell(event);
    tell(event);
    assert.deepEqual(socket.sent, [PING]);
    await clock.pass(100);
    assert.equal(told.at(-1)[0], "close");
  });
}

test("a client that is closed listens to the browser no more", () => {
  const { tell } = browser();
  const { client } = start();
  client.close();
  for (const event of ["online", "offline", "visibilitychange"]) tell(event);
  assert.equal(FakeWebSocket.made.length, 1);
});
