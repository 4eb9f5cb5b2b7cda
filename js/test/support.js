// A client whose time and sockets are the test's.

import { afterEach, beforeEach } from "node:test";

import { TidegateClient } from "../src/tidegate-client.js";
import { Clock, FakeWebSocket } from "./fakes.js";

const NAMES = ["open", "init", "ready", "message", "close", "error", "drop"];

/** @type {Clock} */
export let clock;
const clients = [];

beforeEach(() => {
  clock = new Clock().install();
  FakeWebSocket.made = [];
});

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  const { running } = clock;
  clock.restore();
  if (running) throw new Error(`${running} timers were left running`);
});

/** @returns a client, and all that it emits: `[name, ...args]`. */
export function start(options = {}, url = "ws://gateway/") {
  const client = new TidegateClient(url, { WebSocket: FakeWebSocket, ...options });
  const told = [];
  for (const name of NAMES) client.on(name, (...args) => told.push([name, ...args]));
  clients.push(client);
  return { client, told };
}

/** The names alone of what was emitted. */
export const names = (told) => told.map(([name]) => name);
