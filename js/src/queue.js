// What waits to be sent: in order, and bounded in number and bytes.

/** @import {Data} from "../index.d.ts" */

const encoder = new TextEncoder();

export class Queue {
  /** @type {{data: Data, size: number}[]} */
  #items = [];
  #bytes = 0;
  #most;
  #mostBytes;

  /**
   * @param {number} messages that it takes at most.
   * @param {number} bytes that they have together at most.
   */
  constructor(messages, bytes) {
    this.#most = messages;
    this.#mostBytes = bytes;
  }

  get length() {
    return this.#items.length;
  }

  get bytes() {
    return this.#bytes;
  }

  /** @returns {Data | undefined} the oldest message. */
  get first() {
    return this.#items[0]?.data;
  }

  /**
   * @param {Data} data
   * @returns {boolean} false if there is no room for it.
   */
  add(data) {
    const size = sizeOf(data);
    if (this.#items.length >= this.#most || this.#bytes + size > this.#mostBytes) return false;
    this.#items.push({ data: copyOf(data), size });
    this.#bytes += size;
    return true;
  }

  /** Take the oldest message out. */
  shift() {
    this.#bytes -= this.#items.shift()?.size ?? 0;
  }

  /** @returns {Data[]} all messages, which are in it no more. */
  clear() {
    const items = this.#items;
    this.#items = [];
    this.#bytes = 0;
    return items.map((item) => item.data);
  }
}

/**
 * @param {unknown} data
 * @returns {asserts data is Data}
 * @throws {TypeError} if it is no message: a WebSocket would send "[object Object]".
 */
export function checkData(data) {
  if (typeof data === "string" || data instanceof ArrayBuffer || ArrayBuffer.isView(data) || data instanceof Blob) return;
  throw new TypeError("send takes text or bytes; make text of an object with JSON.stringify");
}

/** @param {Data} data */
function sizeOf(data) {
  if (typeof data === "string") return encoder.encode(data).length;
  return data instanceof Blob ? data.size : data.byteLength;
}

/**
 * Bytes as they are now, as WebSocket's own send takes them: the caller may change its buffer afterwards.
 *
 * @param {Data} data
 * @returns {Data}
 */
function copyOf(data) {
  if (data instanceof ArrayBuffer) return data.slice(0);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  return data;
}
