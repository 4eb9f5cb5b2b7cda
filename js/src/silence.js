// Whether a server that says nothing is still there. It only thinks and sets timers, and knows no socket.

/** @import {Settings} from "./options.js" */

export class Silence {
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
