// Listeners by the name of what they listen to.

export class Events {
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
