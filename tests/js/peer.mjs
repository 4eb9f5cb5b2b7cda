// Node as a test drives it: carries out the lines of JavaScript that come, and answers each with its value as JSON.

import { createInterface } from "node:readline";

import { TidegateClient } from "../../js/src/tidegate-client.js";
import { SmallWebSocket } from "./socket.mjs";

globalThis.TidegateClient = TidegateClient;
globalThis.WebSocketClass = globalThis.WebSocket ?? SmallWebSocket;

for await (const line of createInterface({ input: process.stdin })) {
  const value = await (0, eval)(JSON.parse(line));
  process.stdout.write(`${JSON.stringify(value ?? null)}\n`);
}
process.exit(0);
