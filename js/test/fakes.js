// Time, chance and WebSockets that tests move by hand.

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  performance: Object.getOwnPropertyDescriptor(globalThis, "performance"),
  random: Math.random,
};

/** Let everything happen that waits for no timer. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** The only time there is, from `install` to `restore`. */
export class Clock {
  now = 0;
  #timers = new Map();
  #last = 0;

  install() {
    globalThis.setTimeout = (call, delay) => {
      this.#timers.set(++this.#last, { at: this.now + delay, call });
      return this.#last;
    };
    globalThis.clearTimeout = (id) => void this.#timers.delete(id);
    Object.defineProperty(globalThis, "performance", { value: { now: () => this.now }, configurable: true });
    Math.random = () => 0;
    return this;
  }

  restore() {
    globalThis.setTimeout = real.setTimeout;
    globalThis.clearTimeout = real.clearTimeout;
    Object.defineProperty(globalThis, "performance", real.performance);
    Math.random = real.random;
  }

  /** How many timers run. */
  get running() {
    return this.#timers.size;
  }

  /** Let time pass. */
  async pass(milliseconds) {
    const end = this.now + milliseconds;
    for (;;) {
      await settled();
      const [id, next] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
      if (next === undefined || next.at > end) break;
      this.#timers.delete(id);
      this.now = Math.max(this.now, next.at);
      next.call();
    }
    this.now = end;
  }
}

/** A WebSocket whose other side is the test. */
export class FakeWebSocket {
  static made = [];
  readyState = 0;
  bufferedAmount = 0;
  sent = [];

  constructor(url, protocols) {
    if (!/^wss?:/.test(url)) throw new SyntaxError(`${url} is no URL of a WebSocket`);
    this.url = url;
    this.protocols = protocols;
    FakeWebSocket.made.push(this);
  }

  static get last() {
    return FakeWebSocket.made.at(-1);
  }

  send(data) {
    if (this.readyState === 0) throw new Error("InvalidStateError");
    if (this.readyState === 1) this.sent.push(data);
  }

  close(code) {
    this.closedWith ??= code;
    this.readyState = Math.max(this.readyState, 2);
  }

  // What the server does

  open() {
    this.readyState = 1;
    this.onopen?.({});
    return this;
  }

  say(data) {
    this.onmessage?.({ data });
    return this;
  }

  init(clientId) {
    return this.say(`{"type":"init","client_id":"${clientId}"}`);
  }

  end(code = 1006, reason = "") {
    this.readyState = 3;
    this.onerror?.({});
    this.onclose?.({ code, reason });
  }
}
