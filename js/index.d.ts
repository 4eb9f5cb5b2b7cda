// Types of tidegate-client. All times are milliseconds.

/** A message that can be sent: text, or bytes. */
export type Data = string | ArrayBuffer | ArrayBufferView | Blob;

/** What a client is doing; "open" is connected and not bound yet, "waiting" is before the next attempt. */
export type State = "connecting" | "open" | "ready" | "waiting" | "closed";

/** What is needed of a WebSocket class: that of a browser, of Node 22, or one such as that of the package `ws`. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: any): void;
  close(code?: number): void;
}

export interface Options {
  /**
   * Tells the site which client id this page has now: called after every (re)connect with the id of the init message.
   * Messages wait until it resolves. If it rejects, takes longer than `bindTimeout`, or resolves with something whose
   * `ok` is false, as fetch does with an error page, it is called again after a pause. The signal is aborted when the
   * call has become useless. For a guest, who is not bound, resolve.
   */
  bind?: (clientId: string, how: { signal: AbortSignal }) => unknown;
  /** Finds the client id in a message; null if it is not the init message. `{"type":"init","client_id":"…"}` by default. */
  init?: (message: string) => string | null | undefined;
  /** The gateway's heartbeat, its `ping_data`: `{"type":"ping"}` by default. It is answered, not emitted. Null: none. */
  ping?: string | null;
  /** The answer to a heartbeat: `{"type":"pong"}` by default. Null: none. */
  pong?: string | null;
  /** A message that the server's code answers, with any message: sent to a server that is silent. Null, the default: none. */
  ask?: string | null;
  /** Without a message from the server after which it is doubted: 90,000 by default, 0 is never. */
  silence?: number;
  /** That a server has which is doubted, before the client connects anew: 10,000 by default. */
  patience?: number;
  /** Until a connection is open, and with a `bind` then again until its init message is there: 20,000 by default. */
  connectTimeout?: number;
  /** For one call of `bind`: 20,000 by default. */
  bindTimeout?: number;
  /** The shortest pause before the next attempt, and half the longest before the first: 500 by default. */
  minPause?: number;
  /** The longest pause, to which they grow by doubling: 30,000 by default. */
  maxPause?: number;
  /** Messages that may wait: 1000 by default. */
  queueMessages?: number;
  /** Bytes that may wait, and that may be on their way into a slow connection: 1,048,576 by default. */
  queueBytes?: number;
  /** Subprotocols to offer. */
  protocols?: string | string[];
  /** The WebSocket class to use where there is none, in Node before 22. */
  WebSocket?: new (url: string, protocols?: any) => WebSocketLike;
}

/** The end of a connection, or of an attempt to make one. */
export interface Close {
  /** As the server sent it; 1006 where it said nothing; 1000 after `close()`. */
  code: number;
  /** As the server sent it, or why the client gave the connection up. */
  reason: string;
  /** Whether there was a connection. */
  opened: boolean;
  /** Until the next attempt; null where there is none: after `close()`, and after 4401 where the URL is no function. */
  pause: number | null;
}

/** A message that was not taken. */
export interface Drop {
  data: Data;
  /** The queue was full, or the client is closed. */
  reason: "full" | "closed";
}

/** What listeners are called with. */
export interface Events {
  /** There is a connection. */
  open: [];
  /** The init message came: the id of this client, and the whole message. It is not emitted as "message". */
  init: [clientId: string, message: string];
  /** Bound, where there is a `bind`; messages leave at once, and those that waited have left. */
  ready: [];
  /** A message came: text as a string, binary as an ArrayBuffer. */
  message: [data: string | ArrayBuffer];
  /** A connection has ended, or an attempt has failed. */
  close: [close: Close];
  /** A call of `bind` or a function of yours failed, or a connection was given up: what the reason was. */
  error: [error: unknown];
  /** A message was not taken: `send` has given false, or `close()` threw it away. */
  drop: [drop: Drop];
}

/** A connection to a gateway that comes back. */
export class TidegateClient {
  /**
   * Connects at once.
   *
   * @param url of a gateway; a function is asked before each attempt, for a new token say, and may be async. Without one,
   * a connection whose token has expired (4401) is the last.
   * @throws TypeError on options that can't be right, and what WebSocket throws on a URL that is none.
   */
  constructor(url: string | URL | (() => string | URL | PromiseLike<string | URL>), options?: Options);
  /** What it is doing. */
  get state(): State;
  /** Its id at the gateway; null until the init message has come, and while there is no connection. */
  get clientId(): string | null;
  /** How many messages wait to be sent. */
  get queued(): number;
  /** How many messages were not taken, or thrown away by `close()`. */
  get dropped(): number;
  /** Listen; gives a function that ends it. */
  on<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): () => void;
  /** End what `on` began. */
  off<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): void;
  /**
   * Send a message now, or once there is a connection that is bound. It is handed to one connection only, and not sent
   * again if that one breaks.
   *
   * @returns false if it was dropped: the queue is full, or the client closed.
   * @throws TypeError on what is neither text nor bytes.
   */
  send(data: Data): boolean;
  /** End for good: what waits is dropped, and nothing is emitted after the "close" that this emits. */
  close(): void;
}
