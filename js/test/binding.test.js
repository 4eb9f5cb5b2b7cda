import assert from "node:assert/strict";
import { test } from "node:test";

import { FakeWebSocket } from "./fakes.js";
import { clock, names, start } from "./support.js";

test("the init message is told with its id, and not as a message", () => {
  const { client, told } = start();
  const text = '{"type":"init", "client_id":"7f0000010b5400000001", "msg":"connect is success"}';
  FakeWebSocket.last.open().say(text);
  assert.deepEqual(told, [["open"], ["ready"], ["init", "7f0000010b5400000001", text]]);
  assert.equal(client.clientId, "7f0000010b5400000001");
  FakeWebSocket.last.init("another").say('{"type":"say","text":"\\"init\\""}').say('"init"').say('{"init"').say("null");
  assert.deepEqual(names(told.slice(3)), ["message", "message", "message", "message", "message"]);
  FakeWebSocket.last.end();
  assert.equal(client.clientId, null);
});

test("the init message may have another shape", () => {
  const init = (message) => {
    if (message === "bad") throw new Error("not mine");
    return message.startsWith("you are ") ? message.slice(8) : undefined;
  };
  const { client, told } = start({ init });
  FakeWebSocket.last.open().say("hello").say("bad").say("you are 7");
  assert.equal(client.clientId, "7");
  assert.deepEqual(names(told), ["open", "ready", "message", "error", "message", "init"]);
});

test("every connection is bound with its own id, and what waits leaves after that", async () => {
  const bound = [];
  const { client, told } = start({ bind: async (id) => void bound.push(id), minPause: 100 });
  for (const id of ["c1", "c2", "c3"]) {
    client.send(`for ${id}`);
    FakeWebSocket.last.open().init(id);
    assert.equal(client.state, "open");
    assert.deepEqual(FakeWebSocket.last.sent, []);
    await clock.pass(0);
    assert.equal(client.state, "ready");
    assert.deepEqual(FakeWebSocket.last.sent, [`for ${id}`]);
    FakeWebSocket.last.end();
    await clock.pass(400);
  }
  assert.deepEqual(bound, ["c1", "c2", "c3"]);
  assert.deepEqual(names(told).slice(0, 4), ["open", "init", "ready", "close"]);
});

test("a binding that fails is tried again after pauses", async () => {
  const answers = [
    () => { throw new Error("at once"); },
    () => Promise.reject(new Error("later")),
    () => ({ ok: false, status: 503, statusText: "Unavailable" }),
    () => ({ ok: true }),
  ];
  const calls = [];
  const bind = () => {
    calls.push(clock.now);
    return answers[calls.length - 1]();
  };
  const { client, told } = start({ bind, minPause: 100 });
  FakeWebSocket.last.open().init("c1");
  await clock.pass(10_000);
  assert.deepEqual(calls, [0, 100, 300, 700]);
  assert.deepEqual(told.flatMap(([name, error]) => (name === "error" ? [error.message] : [])),
    ["at once", "later", "bind was answered with 503 Unavailable"]);
  assert.equal(client.state, "ready");
});

test("a binding that does not end is given up in time and tried again", async () => {
  const signals = [];
  const bind = (id, { signal }) => {
    signals.push(signal);
    return signals.length === 1 ? new Promise(() => {}) : undefined;
  };
  const { client, told } = start({ bind, bindTimeout: 1000, minPause: 100 });
  FakeWebSocket.last.open().init("c1");
  await clock.pass(999);
  assert.equal(signals[0].aborted, false);
  await clock.pass(101);
  assert.deepEqual(signals.map((signal) => signal.aborted), [true, false]);
  assert.match(told.at(-2)[1].message, /bind has not ended within 1000 ms/);
  assert.equal(client.state, "ready");
});

test("a binding whose connection is gone is broken off, and means nothing for the next", async () => {
  const calls = [];
  const bind = (id, { signal }) => new Promise((resolve) => calls.push({ id, signal, resolve }));
  const { client, told } = start({ bind, minPause: 100 });
  FakeWebSocket.last.open().init("c1");
  await clock.pass(0);
  FakeWebSocket.last.end();
  assert.equal(calls[0].signal.aborted, true);
  await clock.pass(100);
  FakeWebSocket.last.open().init("c2");
  await clock.pass(0);
  calls[0].resolve();
  await clock.pass(0);
  assert.equal(client.state, "open");
  calls[1].resolve();
  await clock.pass(0);
  assert.equal(client.state, "ready");
  assert.deepEqual(names(told), ["open", "init", "close", "open", "init", "ready"]);
});

test("with a bind, a server that sends no init message is left in time", async () => {
  const { told } = start({ bind: () => {}, connectTimeout: 5000 });
  FakeWebSocket.last.open();
  await clock.pass(4999);
  assert.deepEqual(names(told), ["open"]);
  await clock.pass(1);
  assert.deepEqual(names(told), ["open", "error", "close"]);
  assert.match(told[1][1].message, /no init message, which a bind needs, within 5000 ms/);
});
