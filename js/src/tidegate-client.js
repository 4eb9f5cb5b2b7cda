// A connection to a gateway that comes back: what outlives its single connections, which are links.

import { Events } from "./events.js";
import { Link } from "./link.js";
import { pauseAfter, settle } from "./options.js";
import { checkData, Queue } from "./queue.js";

/** @import {Close, Data, Options, State} from "../index.d.ts" */
/** @import {End} from "./link.js" */
/** @typedef {string | URL} Url */

const EVENTS = /** @type {const} */ (["open", "init", "ready", "message", "close", "error", "drop"]);
const ENDS = [1001, 1006, 1012]; // of the server or the line, and not of its patience with this client (RFC 6455, 7.4)
const EXPIRED = 4401; // the gateway's word for a token whose time is over
const FLUSH_PAUSE = 50; // milliseconds between looks at a socket that had too much to send: it does not tell

export class TidegateClient {
  #events = new Events(EVENTS);
  #url;
  #settings;
  #queue;
  /** @type {Link | null} */
  #link = null;
  /** The URL that is waited for. @type {{ timer: ReturnType<typeof setTimeout> } | null} */
  #asked = null;
  #isClosed = false;
  #dropped = 0;
  #attempts = 0; // failed in a row
  #pause = 0; // before the present connection
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #flushing;

  /**
   * Connects at once.
   *
   * @param {Url | (() => Url | PromiseLike<Url>)} url of a gateway; a function is asked before each attempt.
   * @param {Options} [options] see index.d.ts.
   * @throws {TypeError} on options that can't be right, and what WebSocket throws on a URL that is none.
   */
  constructor(url, options = {}) {
    this.#url = url;
    this.#settings = settle(options);
    this.#queue = new Queue(this.#settings.queueMessages, this.#settings.queueBytes);
    this.#connect();
    globalThis.addEventListener?.("online", this.#online);
    globalThis.addEventListener?.("offline", this.#look);
    globalThis.document?.addEventListener("visibilitychange", this.#shown);
  }

  /**
   * What it is doing.
   *
   * @returns {State} "connecting", "open" (not bound yet), "ready", "waiting" before it connects again, or "closed".
   */
  get state() {
    if (this.#isClosed) return "closed";
    if (this.#asked !== null) return "connecting";
    if (this.#link === null) return "waiting";
    if (this.#link.isReady) return "ready";
    return this.#link.isOpen ? "open" : "connecting";
  }

  /** Its id at the gateway; null until the init message has come, and while there is no connection. */
  get clientId() {
    return this.#link?.clientId ?? null;
  }

  /** How many messages wait to be sent. */
  get queued() {
    return this.#queue.length;
  }

  /** How many messages were not taken, or thrown away by `close`. */
  get dropped() {
    return this.#dropped;
  }

  /**
   * Listen.
   *
   * @param {string} event "open", "init", "ready", "message", "close", "error" or "drop"
   * @param {Function} listener
   * @returns {() => void} ends it.
   */
  on(event, listener) {
    return this.#events.on(event, listener);
  }

  /**
   * End what `on` began.
   *
   * @param {string} event
   * @param {Function} listener
   */
  off(event, listener) {
    this.#events.off(event, listener);
  }

  /**
   * Send a message now, or once there is a connection that is bound.
   *
   * A message is handed to one connection only: if that one breaks it may or may not have arrived, and is not sent again.
   *
   * @param {Data} data text, or bytes.
   * @returns {boolean} false if it was dropped, with an event: the queue is full, or the client closed.
   * @throws {TypeError} on anything else.
   */
  send(data) {
    checkData(data);
    if (this.#isClosed) return this.#drop(data, "closed");
    if (this.#queue.length === 0 && this.#link?.send(data)) return true;
    if (!this.#queue.add(data)) return this.#drop(data, "full");
    if (this.#link?.isReady) this.#flushSoon();
    return true;
  }

  /** End for good: what waits is dropped, and nothing is emitted after the "close" that this emits. */
  close() {
    if (!this.#isClosed) this.#finish({ code: 1000, reason: "", opened: this.#link?.isOpen ?? false, pause: null });
  }

  /** @param {Close} close */
  #finish(close) {
    this.#isClosed = true;
    this.#link?.end();
    this.#link = null;
    this.#askNoMore();
    clearTimeout(this.#retry);
    clearTimeout(this.#flushing);
    globalThis.removeEventListener?.("online", this.#online);
    globalThis.removeEventListener?.("offline", this.#look);
    globalThis.document?.removeEventListener("visibilitychange", this.#shown);
    for (const data of this.#queue.clear()) this.#drop(data, "closed");
    this.#tellClose(close);
  }

  // Connecting

  #connect() {
    const url = typeof this.#url === "function" ? this.#url() : this.#url;
    if (typeof url === "object" && "then" in url) this.#await(url);
    else this.#open(url);
  }

  /** @param {PromiseLike<Url>} promise */
  async #await(promise) {
    const { connectTimeout } = this.#settings;
    const late = new Error(`the function for the URL has not ended within ${connectTimeout} ms`);
    const asked = (this.#asked = { timer: setTimeout(() => this.#failed(late), connectTimeout) });
    try {
      const url = await promise;
      if (this.#asked === asked) this.#open(url); // else it was closed, given up, or begun anew meanwhile
    } catch (error) {
      if (this.#asked === asked) this.#failed(error);
    }
  }

  #askNoMore() {
    clearTimeout(this.#asked?.timer);
    this.#asked = null;
  }

  /** @param {Url} url */
  #open(url) {
    const link = new Link(String(url), this.#settings, {
      opened: () => this.#events.emit("open"),
      introduced: (clientId, message) => this.#events.emit("init", clientId, message),
      ready: () => this.#ready(),
      heard: (data) => this.#events.emit("message", data),
      failed: (error) => this.#events.emit("error", error),
      ended: (end) => this.#ended(end),
    });
    this.#askNoMore();
    this.#link = link;
  }

  #reconnect() {
    clearTimeout(this.#retry);
    this.#askNoMore();
    try {
      this.#connect();
    } catch (error) {
      this.#failed(error);
    }
  }

  /**
   * There is no connection to be made for now.
   *
   * @param {unknown} error
   */
  #failed(error) {
    this.#askNoMore();
    this.#events.emit("error", error);
    if (this.#isClosed) return;
    this.#ended({ code: 1006, reason: String(error), opened: false, wasReady: false, lived: 0 });
  }

  #ready() {
    clearTimeout(this.#flushing);
    this.#flush();
    this.#events.emit("ready");
  }

  /** @param {End} end */
  #ended({ code, reason, opened, wasReady, lived }) {
    this.#link = null;
    if (code === EXPIRED && typeof this.#url !== "function") {
      // The URL has no other token than the one whose time is over.
      this.#finish({ code, reason, opened, pause: null });
      return;
    }
    // To be taken only to be sent away is a failure too: it must not be tried in a tight circle.
    if ((wasReady && ENDS.includes(code)) || (opened && lived > this.#pause)) this.#attempts = 0;
    this.#pause = pauseAfter(this.#attempts, this.#settings);
    this.#attempts += 1;
    this.#retry = setTimeout(() => this.#reconnect(), this.#pause);
    this.#tellClose({ code, reason, opened, pause: this.#pause });
  }

  /** @param {Close} close */
  #tellClose(close) {
    this.#events.emit("close", close);
  }

  // What the browser tells

  #online = () => {
    if (this.#link?.isOpen) return this.#link.look();
    this.#link?.end(); // an attempt by the way that there was before
    this.#hurry();
  };

  #shown = () => {
    if (document.visibilityState !== "visible" || this.#asked !== null) return;
    if (this.#link === null) this.#hurry();
    else this.#link.look();
  };

  #look = () => this.#link?.look();

  #hurry() {
    this.#attempts = 0;
    this.#reconnect();
  }

  // What waits

  #flush() {
    this.#flushing = undefined;
    while (this.#queue.first !== undefined && this.#link?.send(this.#queue.first)) this.#queue.shift();
    if (this.#queue.length > 0) this.#flushSoon();
  }

  #flushSoon() {
    this.#flushing ??= setTimeout(() => this.#flush(), FLUSH_PAUSE);
  }

  /**
   * @param {Data} data
   * @param {"full" | "closed"} reason
   */
  #drop(data, reason) {
    this.#dropped += 1;
    this.#events.emit("drop", { data, reason });
    return false;
  }
}
