// A WebSocket class for Node before 22, which has none: the least that the client needs (RFC 6455).

import { createHash, randomBytes } from "node:crypto";
import http from "node:http";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

export class SmallWebSocket {
  readyState = 0;
  bufferedAmount = 0;
  #connection = null;
  #read = Buffer.alloc(0);
  #end = [1006, ""];

  constructor(url) {
    const key = randomBytes(16).toString("base64");
    const accept = createHash("sha1").update(key + GUID).digest("base64");
    this.request = http.get(url.replace(/^ws/, "http"), {
      agent: false,
      headers: { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": 13 },
    });
    this.request.on("error", () => this.#over());
    this.request.on("response", (response) => response.destroy());
    this.request.on("upgrade", (response, connection, head) => {
      if (response.headers["sec-websocket-accept"] !== accept) return connection.destroy();
      this.#connection = connection;
      this.readyState = 1;
      connection.setNoDelay().on("error", () => {}).on("close", () => this.#over());
      this.onopen?.({});
      connection.on("data", (data) => this.#feed(data));
      this.#feed(head);
    });
  }

  send(data) {
    if (this.readyState !== 1) return;
    this.#frame(typeof data === "string" ? TEXT : BINARY, Buffer.from(data));
  }

  close(code = 1000) {
    if (this.readyState === 0) this.request.destroy();
    if (this.readyState === 1) this.#frame(CLOSE, Buffer.from([code >> 8, code & 255]));
    this.readyState = Math.max(this.readyState, 2);
  }

  #frame(kind, payload) {
    const { length } = payload;
    if (length > 65535) throw new Error("too long for this class");
    const head = length < 126 ? [0x80 | kind, 0x80 | length] : [0x80 | kind, 0xfe, length >> 8, length & 255];
    const mask = randomBytes(4);
    this.#connection.write(Buffer.from([...head, ...mask, ...payload.map((byte, index) => byte ^ mask[index % 4])]));
  }

  #feed(data) {
    this.#read = Buffer.concat([this.#read, data]);
    for (;;) {
      if (this.#read.length < 2) return;
      let length = this.#read[1], start = 2;
      if (length === 126) [length, start] = this.#read.length < 4 ? [Infinity, 4] : [this.#read.readUInt16BE(2), 4];
      if (length === 127) throw new Error("too long for this class");
      if (this.#read.length < start + length) return;
      const kind = this.#read[0] & 15, payload = this.#read.subarray(start, start + length);
      this.#read = this.#read.subarray(start + length);
      this.#take(kind, payload);
    }
  }

  #take(kind, payload) {
    if (kind === TEXT) this.onmessage?.({ data: payload.toString() });
    if (kind === BINARY) this.onmessage?.({ data: new Uint8Array(payload).buffer });
    if (kind === PING && this.readyState === 1) this.#frame(PONG, payload);
    if (kind !== CLOSE) return;
    if (payload.length >= 2) this.#end = [payload.readUInt16BE(), payload.subarray(2).toString()];
    this.close(1000);
    this.#connection.end();
  }

  #over() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onerror?.({});
    this.onclose?.({ code: this.#end[0], reason: this.#end[1] });
  }
}
