// What a client is made with: the defaults, and what can't be right. What each option means is in index.d.ts.

/** @import {Options} from "../index.d.ts" */

/** @typedef {Required<Omit<Options, "bind">> & Pick<Options, "bind">} Settings */

/** The longest time that setTimeout takes: a longer one would end at once. */
const LONGEST = 2 ** 31 - 1;

/** Defaults; times are milliseconds. */
export const DEFAULTS = Object.freeze({
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
export function settle(given) {
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
export function clientIdOf(text) {
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
export function pauseAfter(attempts, { minPause, maxPause }) {
  const most = Math.min(maxPause, minPause * 2 ** (attempts + 1));
  const least = Math.max(minPause, most / 2);
  return least + Math.random() * (most - least);
}
