import assert from "node:assert/strict";
import { test } from "node:test";

import { pauseAfter } from "../src/options.js";
import { TidegateClient } from "../src/tidegate-client.js";
import { FakeWebSocket, settled } from "./fakes.js";
import { clock, names, start } from "./support.js";

test("it connects at once, and tells what comes", () => {
  const { client, told } = start({ protocols: ["chat"] });
  assert.equal(client.state, "connecting");
  FakeWebSocket.last.open().say("hello");
  const bytes = new ArrayBuffer(2);
  FakeWebSocket.last.say(bytes);
  assert.deepEqual(told, [["open"], ["ready"], ["message", "hello"], ["message", bytes]]);
  assert.equal(client.state, "ready");
  assert.equal(FakeWebSocket.last.binaryType, "arraybuffer");
  assert.deepEqual(FakeWebSocket.last.protocols, ["chat"]);
});

test("it connects again after a pause when the connection ends", async () => {
  const { client, told } = start({ minPause: 100 });
  FakeWebSocket.last.open().end(1001, "restarting");
  assert.deepEqual(told.at(-1), ["close", { code: 1001, reason: "restarting", opened: true, pause: 100 }]);
  assert.equal(client.state, "waiting");
  await clock.pass(99);
  assert.equal(FakeWebSocket.made.length, 1);
  await clock.pass(1);
  FakeWebSocket.last.open();
  assert.equal(FakeWebSocket.made.length, 2);
  assert.equal(client.state, "ready");
});

test("pauses grow up to their bound while nobody answers", async () => {
  const { told } = start({ minPause: 100, maxPause: 1000 });
  const pauses = [];
  for (let attempt = 0; attempt < 7; attempt++) {
    FakeWebSocket.last.end();
    pauses.push(told.at(-1)[1].pause);
    assert.equal(told.at(-1)[1].opened, false);
    await clock.pass(pauses.at(-1));
  }
  assert.deepEqual(pauses, [100, 200, 400, 500, 500, 500, 500]);
});

test("pauses are drawn at random between their bounds", () => {
  const bounds = { minPause: 500, maxPause: 30_000 };
  for (const [chance, first, later, last] of [[0, 500, 4000, 15_000], [0.5, 750, 6000, 22_500], [1, 1000, 8000, 30_000]]) {
    Math.random = () => chance;
    assert.deepEqual([0, 3, 50].map((attempts) => pauseAfter(attempts, bounds)), [first, later, last]);
  }
  assert.equal(pauseAfter(5000, { minPause: 7, maxPause: 7 }), 7);
});

test("a server that takes connections only to close them is not tried in a tight circle", async () => {
  const { told } = start({ minPause: 100, maxPause: 10_000 });
  for (const pause of [100, 200, 400, 800]) {
    FakeWebSocket.last.open().end(1013);
    assert.equal(told.at(-1)[1].pause, pause);
    await clock.pass(pause);
  }
  FakeWebSocket.last.open();
  await clock.pass(2000);
  FakeWebSocket.last.end(1013);
  assert.equal(told.at(-1)[1].pause, 100); // it has worked for a while
});

test("a server that dies again and again is tried as soon each time", async () => {
  const { told } = start({ minPause: 100, maxPause: 10_000 });
  for (const code of [1006, 1001, 1012, 1006]) {
    FakeWebSocket.last.open().end(code);
    assert.equal(told.at(-1)[1].pause, 100);
    await clock.pass(100);
  }
});

test("an attempt that nobody answers is given up in time", async () => {
  const { told } = start({ connectTimeout: 3000, minPause: 100 }, "ws://gateway/ws?token=secret");
  await clock.pass(3000);
  assert.deepEqual(names(told), ["error", "close"]);
  assert.equal(told[0][1].message, "ws://gateway/ws: no connection to ws://gateway/ws within 3000 ms");
  FakeWebSocket.made[0].open(); // too late
  await clock.pass(100);
  assert.equal(FakeWebSocket.made.length, 2);
  assert.equal(told.length, 2);
});

test("an attempt may fail with an error alone, as in Node", async () => {
  const { told } = start({ minPause: 100 });
  FakeWebSocket.last.onerror({});
  assert.deepEqual(told, [["close", { code: 1006, reason: "", opened: false, pause: 100 }]]);
  await clock.pass(100);
  FakeWebSocket.last.open().onerror({});
  assert.equal(told.length, 3); // its close follows
});

test("a function gives the URL anew for each attempt, and may fail", async () => {
  const urls = ["ws://gateway/?1", () => { throw new Error("no token"); }, "nonsense", "ws://gateway/?2"];
  const { told } = start({ minPause: 100 }, () => {
    const url = urls.shift();
    return typeof url === "function" ? url() : url;
  });
  FakeWebSocket.last.end();
  await clock.pass(100 + 200 + 400);
  assert.deepEqual(FakeWebSocket.made.map((socket) => socket.url), ["ws://gateway/?1", "ws://gateway/?2"]);
  assert.deepEqual(names(told), ["close", "error", "close", "error", "close"]);
  assert.equal(told[1][1].message, "no token");
});

test("a function may take its time for the URL, to ask for a new token", async () => {
  const waiting = [];
  const { client, told } = start({ minPause: 100 }, () => new Promise((...how) => waiting.push(how)));
  assert.equal(client.state, "connecting");
  assert.equal(FakeWebSocket.made.length, 0);
  waiting[0][0](new URL("ws://gateway/?token=1"));
  await settled();
  FakeWebSocket.last.open().end(4401, "your token has expired");
  assert.deepEqual(told.at(-1), ["close", { code: 4401, reason: "your token has expired", opened: true, pause: 100 }]);
  await clock.pass(100);
  waiting[1][0]("ws://gateway/?token=2");
  await settled();
  FakeWebSocket.last.open();
  assert.equal(client.state, "ready");
  assert.deepEqual(FakeWebSocket.made.map((socket) => socket.url), ["ws://gateway/?token=1", "ws://gateway/?token=2"]);
});

test("a function that fails later, gives no URL or never ends is asked again after a pause", async () => {
  const answers = [Promise.reject(new Error("no session")), Promise.resolve("nonsense"), new Promise(() => {})];
  const { client, told } = start({ minPause: 100, connectTimeout: 3000 }, () => answers.shift() ?? "ws://gateway/");
  await clock.pass(100 + 200 + 3000);
  assert.deepEqual(names(told), ["error", "close", "error", "close", "error", "close"]);
  assert.equal(told[0][1].message, "no session");
  assert.match(told[2][1].message, /nonsense/);
  assert.equal(told[4][1].message, "the function for the URL has not ended within 3000 ms");
  assert.equal(client.state, "waiting");
  await clock.pass(400);
  FakeWebSocket.last.open();
  assert.equal(client.state, "ready");
});

test("a client that is closed while it waits for its URL does not connect any more", async () => {
  for (const end of [() => "ws://gateway/", () => Promise.reject(new Error("late"))]) {
    let answer;
    const { client, told } = start({}, () => new Promise((resolve) => (answer = resolve)));
    client.close();
    answer(end());
    await settled();
    assert.equal(client.state, "closed");
    assert.deepEqual(names(told), ["close"]);
  }
  assert.equal(FakeWebSocket.made.length, 0);
});

test("an expired token in a URL that stays the same is not shown again", async () => {
  const { client, told } = start({ minPause: 100 });
  client.send("waits for ready");
  FakeWebSocket.last.open();
  FakeWebSocket.last.end(4401, "your token has expired");
  assert.equal(client.state, "closed");
  assert.deepEqual(told.at(-1), ["close", { code: 4401, reason: "your token has expired", opened: true, pause: null }]);
  await clock.pass(100_000);
  assert.equal(FakeWebSocket.made.length, 1);
  assert.equal(client.send("too late"), false);
});

test("close is final", async () => {
  const { client, told } = start();
  FakeWebSocket.last.open();
  client.close();
  client.close();
  assert.deepEqual(told.at(-1), ["close", { code: 1000, reason: "", opened: true, pause: null }]);
  assert.equal(FakeWebSocket.last.closedWith, 1000);
  FakeWebSocket.last.say("late");
  FakeWebSocket.last.end();
  await clock.pass(1e6);
  assert.deepEqual(names(told), ["open", "ready", "close"]);
  assert.equal(FakeWebSocket.made.length, 1);
  assert.equal(client.state, "closed");
  assert.equal(clock.running, 0);
});

for (const event of ["open", "init", "message", "close", "error"]) {
  test(`a listener of ${event} may close the client`, async () => {
    const { client, told } = start({ bind: () => Promise.reject(new Error("no")), minPause: 100 });
    client.on(event, () => client.close());
    FakeWebSocket.last.open().init("c1").say("hello");
    await clock.pass(50);
    FakeWebSocket.last.end();
    await clock.pass(1e6);
    assert.equal(client.state, "closed");
    assert.equal(told.at(-1)[0], "close");
    assert.equal(told.at(-1)[1].pause, null);
    assert.equal(FakeWebSocket.made.length, 1);
  });
}

test("a listener that throws keeps nobody from hearing", async () => {
  const { client, told } = start();
  const thrown = [];
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.once("uncaughtException", (error) => thrown.push(error.message));
  const heard = [];
  client.on("message", () => { throw new Error("oh"); });
  client.on("message", (data) => heard.push(data));
  FakeWebSocket.last.open().say("hello");
  await clock.pass(0);
  for (const listener of listeners) process.on("uncaughtException", listener);
  assert.deepEqual(heard, ["hello"]);
  assert.deepEqual(thrown, ["oh"]);
  assert.deepEqual(names(told), ["open", "ready", "message"]);
});

test("whoever listens no more hears nothing", () => {
  const { client } = start();
  const heard = [];
  const listener = (data) => heard.push(data);
  const end = client.on("message", listener);
  FakeWebSocket.last.open().say("one");
  end();
  client.on("message", listener);
  client.off("message", listener);
  FakeWebSocket.last.say("two");
  assert.deepEqual(heard, ["one"]);
  assert.throws(() => client.on("mesage", listener), /no event "mesage", only open, init/);
  assert.throws(() => client.on("message"), TypeError);
});

test("options that can't be right are errors that say which", () => {
  const made = (options, url = "ws://gateway/") => () => new TidegateClient(url, { WebSocket: FakeWebSocket, ...options });
  assert.throws(made({ minPauze: 1 }), /no option "minPauze"/);
  assert.throws(made({ minPause: 0 }), /minPause has to be a number from 1/);
  assert.throws(made({ silence: Infinity }), /silence has to be/);
  assert.throws(made({ queueBytes: NaN }), /queueBytes has to be/);
  assert.throws(made({ minPause: 10, maxPause: 5 }), /maxPause is less than minPause/);
  assert.throws(made({ bind: "/bind" }), /bind has to be a function/);
  assert.throws(made({ ping: 1 }), /ping has to be the text/);
  assert.throws(made({}, "nonsense"), SyntaxError);
  assert.throws(made({ WebSocket: null }), /no WebSocket here/);
  assert.equal(FakeWebSocket.made.length, 0);
  assert.equal(clock.running, 0);
});
