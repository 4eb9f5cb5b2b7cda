import assert from "node:assert/strict";
import { test } from "node:test";

import { FakeWebSocket } from "./fakes.js";
import { clock, names, start } from "./support.js";

test("what is sent offline waits, in order, and leaves once", async () => {
  const { client } = start({ minPause: 100 });
  const bytes = new Uint8Array([1, 2, 3]);
  assert.equal(client.send("one"), true);
  assert.equal(client.send(bytes.subarray(1)), true);
  assert.equal(client.send(""), true);
  bytes.fill(9); // what was sent is what it was then
  assert.equal(client.queued, 3);
  const socket = FakeWebSocket.last.open();
  assert.deepEqual(socket.sent, ["one", new Uint8Array([2, 3]), ""]);
  assert.equal(client.queued, 0);
  client.send("two");
  socket.end();
  client.send("three");
  await clock.pass(100);
  FakeWebSocket.last.open();
  assert.deepEqual(FakeWebSocket.last.sent, ["three"]);
  assert.equal(socket.sent.length, 4);
});

test("what is sent to a connection that is breaking waits for the next", async () => {
  const { client } = start({ minPause: 100 });
  const socket = FakeWebSocket.last.open();
  socket.readyState = 2;
  client.send("kept");
  await clock.pass(1000);
  socket.end();
  await clock.pass(100);
  FakeWebSocket.last.open();
  assert.deepEqual(socket.sent, []);
  assert.deepEqual(FakeWebSocket.last.sent, ["kept"]);
});

test("listeners' own messages keep the order", async () => {
  const { client } = start({ bind: async () => {} });
  client.on("open", () => client.send("at open"));
  client.on("ready", () => client.send("at ready"));
  client.send("before");
  FakeWebSocket.last.open().init("c1");
  await clock.pass(0);
  assert.deepEqual(FakeWebSocket.last.sent, ["before", "at open", "at ready"]);
});

test("a full queue takes no more, and says so", () => {
  const { client, told } = start({ queueMessages: 2 });
  assert.deepEqual([client.send("one"), client.send("two"), client.send("three")], [true, true, false]);
  assert.deepEqual(told, [["drop", { data: "three", reason: "full" }]]);
  assert.equal(client.dropped, 1);
  FakeWebSocket.last.open();
  assert.deepEqual(FakeWebSocket.last.sent, ["one", "two"]);
});

test("a queue counts bytes, not characters", () => {
  const { client } = start({ queueBytes: 9 });
  assert.equal(client.send("漢漢"), true);
  assert.equal(client.send("漢!"), false);
  assert.equal(client.send(new ArrayBuffer(2)), true);
  assert.equal(client.send(new Blob(["ab"])), false);
  assert.equal(client.send("c"), true);
  assert.equal(client.queued, 3);
});

test("a slow connection is not given more than it may hold, and gets the rest in time", async () => {
  const { client } = start({ queueBytes: 10, queueMessages: 2 });
  const socket = FakeWebSocket.last.open();
  client.send("one");
  socket.bufferedAmount = 11;
  assert.deepEqual([client.send("two"), client.send("three"), client.send("four")], [true, true, false]);
  await clock.pass(200);
  assert.deepEqual(socket.sent, ["one"]);
  socket.bufferedAmount = 0;
  client.send("five"); // not before those that wait
  await clock.pass(50);
  assert.deepEqual(socket.sent, ["one", "two", "three"]);
});

test("what waits when the client is closed is dropped, and told", () => {
  const { client, told } = start();
  client.send("one");
  client.close();
  assert.equal(client.send("two"), false);
  assert.deepEqual(told.filter(([name]) => name === "drop").map(([, { data, reason }]) => [data, reason]),
    [["one", "closed"], ["two", "closed"]]);
  assert.equal(client.dropped, 2);
  assert.equal(client.queued, 0);
});

test("what is no message is an error at the call", () => {
  const { client, told } = start();
  for (const data of [{}, [], 7, null, undefined, true]) assert.throws(() => client.send(data), /JSON.stringify/);
  assert.deepEqual(names(told), []);
});
