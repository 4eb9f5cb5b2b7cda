// One connection, from the attempt to its end: init, binding, heartbeat. What outlives it is the client's.

import { pauseAfter } from "./options.js";
import { Silence } from "./silence.js";

/** @import {Data} from "../index.d.ts" */
/** @import {Settings} from "./options.js" */

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

export class Link {
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
