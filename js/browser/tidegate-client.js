// tidegate-client 0.1.0, for a <script> tag. MIT licence. Made by build.js: change the modules in src/ instead.
(() => {
"use strict";

// Listeners by the name of what they listen to.

class Events {
  /** @type {Map<string, Set<Function>>} */
  #listeners;

  /** @param {readonly string[]} names of all events that there are. */
  constructor(names) {
    this.#listeners = new Map(names.map((name) => [name, new Set()]));
  }

  /**
   * @param {string} name
   * @param {Function} listener
   * @returns {() => void} ends it.
   */
  on(name, listener) {
    const listeners = this.#of(name);
    if (typeof listener !== "function") throw new TypeError(`a listener of ${name} has to be a function`);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /**
   * @param {string} name
   * @param {Function} listener
   */
  off(name, listener) {
    this.#of(name).delete(listener);
  }

  /**
   * Call the listeners, each whatever another does: what one throws is reported as if nobody had caught it.
   *
   * @param {string} name
   * @param {unknown[]} args
   */
  emit(name, ...args) {
    for (const listener of [...this.#of(name)]) {
      try {
        listener(...args);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** @param {string} name */
  #of(name) {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) {
      throw new TypeError(`there is no event ${JSON.stringify(name)}, only ${[...this.#listeners.keys()].join(", ")}`);
    }
    return listeners;
  }
}

// What a client is made with: the defaults, and what can't be right. What each option means is in index.d.ts.

/** @typedef {Required<Omit<Options, "bind">> & Pick<Options, "bind">} Settings */

/** The longest time that setTimeout takes: a longer one would end at once. */
const LONGEST = 2 ** 31 - 1;

/** Defaults; times are milliseconds. */
const DEFAULTS = Object.freeze({
  WebSocket: undefined,
  protocols: [],
  bind: undefined,
  init: clientIdOf,
  ping: '{"type":"ping"}',
  pong: '{"type":"pong"}',
  ask: null,
  silence: 90_000, // a gateway asks at least every one and a half of its ping_interval, whose default is 25 s
  patience: 10_000,
  connectTimeout: 20_000,
  bindTimeout: 20_000,
  minPause: 500,
  maxPause: 30_000,
  queueMessages: 1000,
  queueBytes: 1_048_576,
});

/** Smallest values. A pause of nothing would be an endless loop where there is no server. */
const SMALLEST = {
  silence: 0, patience: 1, connectTimeout: 1, bindTimeout: 1, minPause: 1, maxPause: 1, queueMessages: 0, queueBytes: 0,
};

/**
 * All options with their values.
 *
 * @param {Options} given
 * @returns {Settings}
 * @throws {TypeError} on an option that there is not, or a value that can't be used.
 */
function settle(given) {
  for (const name of Object.keys(given)) {
    if (!(name in DEFAULTS)) throw new TypeError(`tidegate-client has no option ${JSON.stringify(name)}`);
  }
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const settings = /** @type {Settings} */ ({ ...DEFAULTS, WebSocket: globalThis.WebSocket, ...set });
  if (typeof settings.WebSocket !== "function") {
    throw new TypeError("there is no WebSocket here: pass a class as {WebSocket}, or use Node 22 or newer");
  }
  for (const name of /** @type {const} */ (["bind", "init"])) {
    if (settings[name] !== undefined && typeof settings[name] !== "function") {
      throw new TypeError(`${name} has to be a function`);
    }
  }
  for (const name of /** @type {const} */ (["ping", "pong", "ask"])) {
    if (settings[name] !== null && typeof settings[name] !== "string") {
      throw new TypeError(`${name} has to be the text of a message, or null`);
    }
  }
  for (const [name, smallest] of Object.entries(SMALLEST)) {
    const value = settings[/** @type {keyof typeof SMALLEST} */ (name)];
    if (!(typeof value === "number" && value >= smallest && value <= LONGEST)) {
      throw new TypeError(`${name} has to be a number from ${smallest} to ${LONGEST}, not ${value}`);
    }
  }
  if (settings.maxPause < settings.minPause) throw new TypeError("maxPause is less than minPause");
  return settings;
}

/**
 * The client id in a message such as `{"type":"init","client_id":"7f0000010b5400000001"}`.
 *
 * @param {string} text
 * @returns {string | null} null if it is another message.
 */
function clientIdOf(text) {
  if (!text.includes('"init"')) return null; // most messages, without the cost of parsing them
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  return message?.type === "init" && typeof message.client_id === "string" ? message.client_id : null;
}

/**
 * Milliseconds until the next attempt: at random, so that a gateway that comes back is not met by all its clients at
 * once, from a range that doubles with each attempt: `minPause` to twice that at first, half of `maxPause` to `maxPause`
 * in the end.
 *
 * @param {number} attempts that have failed in a row before.
 * @param {Pick<Settings, "minPause" | "maxPause">} settings
 */
function pauseAfter(attempts, { minPause, maxPause }) {
  const most = Math.min(maxPause, minPause * 2 ** (attempts + 1));
  const least = Math.max(minPause, most / 2);
  return least + Math.random() * (most - least);
}

// What waits to be sent: in order, and bounded in number and bytes.

const encoder = new TextEncoder();

class Queue {
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
function checkData(data) {
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

// Whether a server that says nothing is still there. It only thinks and sets timers, and knows no socket.

class Silence {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #settings;
  #ask;
  #lost;
  #heard = performance.now();
  #said = this.#heard;
  #isPinged = false;
  #isDoubtful = false;

  /**
   * @param {Settings} settings
   * @param {() => void} ask sends the message that the server answers.
   * @param {() => void} lost is called when the server is not there any more.
   */
  constructor(settings, ask, lost) {
    this.#settings = settings;
    this.#ask = ask;
    this.#lost = lost;
    this.#wait();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** Something came. */
  heard() {
    this.#heard = performance.now();
    if (!this.#isDoubtful) return;
    this.#isDoubtful = false;
    this.#wait();
  }

  /** A heartbeat came as a message: this server is one that speaks by itself. */
  pinged() {
    this.#isPinged = true;
  }

  /** Something was sent. */
  said() {
    this.#said = performance.now();
  }

  /** Look now: the machine slept, or its network changed. */
  look() {
    if (this.#settings.silence === 0 || this.#isDoubtful) return;
    const isLongAgo = performance.now() - this.#heard >= this.#settings.patience;
    if (this.#settings.ask !== null && isLongAgo) this.#doubt();
    else this.#wait();
  }

  #wait() {
    clearTimeout(this.#timer);
    const { silence, ask } = this.#settings;
    if (silence === 0) return;
    // A gateway does not ask clients that it hears from, so that its silence then means nothing.
    const since = ask === null ? Math.max(this.#heard, this.#said) : this.#heard;
    const left = since + silence - performance.now();
    if (left > 0) this.#timer = setTimeout(() => this.#wait(), Math.ceil(left));
    else this.#doubt();
  }

  /** Give it a last chance. Messages that came while the machine slept are read in that time too. */
  #doubt() {
    clearTimeout(this.#timer);
    const { silence, patience, ask } = this.#settings;
    if (ask === null && !this.#isPinged) {
      // WebSocket's own pings are not shown to scripts: a server that is asked nothing may rightly say nothing.
      this.#timer = setTimeout(() => this.#wait(), silence);
      return;
    }
    this.#isDoubtful = true;
    if (ask !== null) this.#ask();
    this.#timer = setTimeout(() => this.#lost(), patience);
  }
}

// One connection, from the attempt to its end: init, binding, heartbeat. What outlives it is the client's.

/**
 * What a link tells. After `ended`, or once it was told to end, it tells nothing more.
 *
 * @typedef {object} Owner
 * @property {() => void} opened
 * @property {(clientId: string, message: string) => void} introduced the init message came.
 * @property {() => void} ready it takes messages.
 * @property {(data: string | ArrayBuffer | Blob) => void} heard
 * @property {(error: unknown) => void} failed
 * @property {(end: End) => void} ended
 */

/**
 * @typedef {object} End
 * @property {number} code
 * @property {string} reason
 * @property {boolean} opened
 * @property {boolean} wasReady
 * @property {number} lived milliseconds since it was opened.
 */

const OPEN = 1; // WebSocket.OPEN, which not every class has
const LOST = 1006; // what browsers say when a connection ends without a word (RFC 6455 section 7.1.5)

class Link {
  /** @type {string | null} */
  clientId = null;
  isOpen = false;
  isReady = false;
  #isOver = false;
  #openedAt = 0;
  #url;
  #settings;
  #owner;
  #socket;
  /** Until something of the start must have happened. @type {ReturnType<typeof setTimeout> | undefined} */
  #limit;
  /** @type {AbortController | undefined} */
  #binding;
  /** @type {Silence | undefined} */
  #silence;

  /**
   * @param {string} url
   * @param {Settings} settings
   * @param {Owner} owner
   * @throws what the WebSocket class throws, on a URL that is none.
   */
  constructor(url, settings, owner) {
    this.#url = url.replace(/[?#].*$/s, ""); // in errors, which may be logged: a query may hold a token
    this.#settings = settings;
    this.#owner = owner;
    this.#socket = new settings.WebSocket(url, settings.protocols);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => this.#opened();
    this.#socket.onmessage = (event) => this.#received(event.data);
    this.#socket.onclose = (event) => this.#closed(event.code, event.reason);
    this.#socket.onerror = () => this.#failed();
    this.#expect(`no connection to ${this.#url}`, settings.connectTimeout);
  }

  /**
   * Hand a message to the socket.
   *
   * @param {Data} data
   * @returns {boolean} false if it takes none now: not bound yet, breaking, or with too much that has not left yet.
   */
  send(data) {
    if (!this.isReady || this.#socket.bufferedAmount > this.#settings.queueBytes) return false;
    return this.#hand(data);
  }

  /** Look whether the server is there. */
  look() {
    this.#silence?.look();
  }

  /** End it. Not waiting for the other side, which may be gone. */
  end() {
    this.#isOver = true;
    clearTimeout(this.#limit);
    this.#silence?.stop();
    this.#binding?.abort();
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.onerror = () => {}; // the class of `ws` throws what nobody listens to
    this.#socket.close(1000);
  }

  // The start

  #opened() {
    this.isOpen = true;
    this.#openedAt = performance.now();
    clearTimeout(this.#limit);
    this.#silence = new Silence(this.#settings, () => this.#hand(this.#settings.ask), () => this.#lost("nothing came"));
    if (this.#settings.bind) this.#expect("no init message, which a bind needs,", this.#settings.connectTimeout);
    this.#owner.opened();
    if (!this.#settings.bind) this.#becomeReady();
  }

  /**
   * @param {string} clientId
   * @param {string} message
   */
  #introduced(clientId, message) {
    this.clientId = clientId;
    if (this.#settings.bind) clearTimeout(this.#limit);
    this.#owner.introduced(clientId, message);
    if (this.#settings.bind && !this.#isOver) this.#bind(this.#settings.bind, clientId, 0);
  }

  /**
   * @param {NonNullable<Settings["bind"]>} bind
   * @param {string} clientId
   * @param {number} attempts that have failed
   */
  async #bind(bind, clientId, attempts) {
    const binding = new AbortController();
    this.#binding = binding;
    try {
      await this.#inTime(async () => bind(clientId, { signal: binding.signal }));
    } catch (error) {
      binding.abort();
      if (this.#isOver) return;
      const pause = pauseAfter(attempts, this.#settings);
      this.#limit = setTimeout(() => this.#bind(bind, clientId, attempts + 1), pause);
      this.#owner.failed(error);
      return;
    }
    if (!this.#isOver) this.#becomeReady();
  }

  /** @param {() => Promise<unknown>} call */
  #inTime(call) {
    const { bindTimeout } = this.#settings;
    return new Promise((resolve, reject) => {
      this.#limit = setTimeout(() => reject(new Error(`bind has not ended within ${bindTimeout} ms`)), bindTimeout);
      call().then(checkAnswer).then(resolve, reject);
    }).finally(() => clearTimeout(this.#limit));
  }

  #becomeReady() {
    if (this.#isOver) return;
    this.isReady = true;
    this.#owner.ready();
  }

  // What comes and goes

  /** @param {string | ArrayBuffer | Blob} data */
  #received(data) {
    const { ping, pong, ask } = this.#settings;
    this.#silence?.heard();
    if (data === ping) {
      this.#silence?.pinged();
      if (pong !== null) this.#hand(pong);
      return;
    }
    if (data === pong && ask !== null) return; // the answer to what we have asked
    const clientId = typeof data === "string" && this.clientId === null ? this.#clientIdOf(data) : null;
    if (clientId !== null) this.#introduced(clientId, /** @type {string} */ (data));
    else if (!this.#isOver) this.#owner.heard(data);
  }

  /** @param {string} message */
  #clientIdOf(message) {
    try {
      return this.#settings.init(message) ?? null;
    } catch (error) {
      this.#owner.failed(error);
      return null;
    }
  }

  /** @param {Data | null} data */
  #hand(data) {
    // A socket that is closing would swallow it without a word.
    if (this.#isOver || data === null || this.#socket.readyState !== OPEN) return false;
    this.#socket.send(data);
    this.#silence?.said();
    return true;
  }

  // The end

  /**
   * @param {string} what did not happen
   * @param {number} time within which it should have
   */
  #expect(what, time) {
    this.#limit = setTimeout(() => this.#lost(`${what} within ${time} ms`), time);
  }

  /**
   * The connection can't be used, whatever its socket believes.
   *
   * @param {string} why
   */
  #lost(why) {
    this.#owner.failed(new Error(`${this.#url}: ${why}`));
    if (!this.#isOver) this.#closed(LOST, why);
  }

  /** An error, which says nothing. A close follows, but not in Node's own class where an attempt has failed. */
  #failed() {
    if (!this.isOpen) this.#closed(LOST, "");
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    const opened = this.isOpen, wasReady = this.isReady;
    this.end();
    this.isOpen = this.isReady = false;
    this.#owner.ended({ code, reason, opened, wasReady, lived: opened ? performance.now() - this.#openedAt : 0 });
  }
}

/**
 * fetch resolves with answers that say no, too.
 *
 * @param {any} answer
 */
function checkAnswer(answer) {
  if (answer?.ok === false) throw new Error(`bind was answered with ${answer.status} ${answer.statusText ?? ""}`.trim());
}

// A connection to a gateway that comes back: what outlives its single connections, which are links.

/** @typedef {string | URL} Url */

const EVENTS = /** @type {const} */ (["open", "init", "ready", "message", "close", "error", "drop"]);
const ENDS = [1001, 1006, 1012]; // of the server or the line, and not of its patience with this client (RFC 6455, 7.4)
const EXPIRED = 4401; // the gateway's word for a token whose time is over
const FLUSH_PAUSE = 50; // milliseconds between looks at a socket that had too much to send: it does not tell

class TidegateClient {
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

globalThis.TidegateClient = TidegateClient;
})();
