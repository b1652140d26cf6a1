// @ts-check
/**
 * One WebSocket to the chat that is kept up: back-off, heartbeat, requests and replies.
 * Decides when to connect again and when not to (close codes), and when a silent link is dead.
 * Knows nothing of rooms; clock, randomness and socket are passed in.
 *
 * 1. `phase` is `open` only between a hello and the end of the link.
 * 2. A request is answered once: by its reply, by `lost` when the link ends, or by `timeout`.
 * 3. The delay before a retry is drawn from [0, 0.5 s · 2^n], at most 30 s; n starts again after
 *    10 s of health. `retry_after=N` in a close reason is obeyed.
 * 4. After a code that forbids it, nothing connects until `start` is called again.
 */

import { ChatError, decodeFrame, SUBPROTOCOL } from "./wire.js";

/**
 * @typedef {object} Clock
 * @property {() => number} now milliseconds, monotonic
 * @property {(run: () => void, ms: number) => number} after
 * @property {(timer: number) => void} cancel
 */
/** @typedef {"connecting" | "open" | "waiting" | "stopped"} Phase */
/**
 * @typedef {object} LinkState
 * @property {Phase} phase
 * @property {number} lostAt when the link was lost (clock), 0 while it is open
 * @property {number} retryAt when it is tried again (clock), 0 where it is not waiting
 * @property {number} code close code of the last end, 0 before
 * @property {string} reason
 */
/**
 * @typedef {object} Listener
 * @property {(hello: import("./wire.js").Hello) => void} hello
 * @property {(event: import("./wire.js").RoomEvent) => void} event
 * @property {(ephemeral: import("./wire.js").Ephemeral) => void} ephemeral
 * @property {(state: LinkState) => void} state
 */

const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 30_000;
const HEALTHY_MS = 10_000;
const SILENCE_MS = 10_000; // beyond the server's ping interval
const REPLY_MS = 15_000;
const HANDSHAKE_MS = 15_000; // until the hello

/**
 * Say what to do after a close.
 * @param {number} code
 * @param {string} reason
 * @returns {{retry: boolean, waitMs: number | null}} `waitMs` null: back off
 */
export function afterClose(code, reason) {
  if (code === 1000 || code === 1002 || code === 1007 || code === 1009 || code === 4010 || code >= 4500) {
    return { retry: false, waitMs: null };
  }
  const told = /retry_after=(\d+(?:\.\d+)?)/.exec(reason);
  return { retry: true, waitMs: told === null ? null : Math.min(Number(told[1]) * 1000, 600_000) };
}

export class Connection {
  #url;
  #open;
  #clock;
  #random;
  /** @type {Listener} */
  #listener;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {LinkState} */
  #state = { phase: "stopped", lostAt: 0, retryAt: 0, code: 0, reason: "" };
  #attempt = 0;
  #openedAt = 0;
  #heardAt = 0;
  #pingMs = 25_000;
  #retryTimer = 0;
  #watchTimer = 0;
  #nextId = 1;
  /** @type {Map<number, {resolve: (body: Record<string, unknown>) => void, reject: (error: Error) => void, timer: number}>} */
  #waiting = new Map();

  /**
   * @param {object} parts
   * @param {string} parts.url
   * @param {(url: string, subprotocol: string) => WebSocket} parts.open
   * @param {Clock} parts.clock
   * @param {() => number} parts.random
   * @param {Listener} parts.listener
   */
  constructor({ url, open, clock, random, listener }) {
    this.#url = url;
    this.#open = open;
    this.#clock = clock;
    this.#random = random;
    this.#listener = listener;
  }

  /** The state of the link. */
  get state() {
    return this.#state;
  }

  /** Connect now, whatever the last close code said. */
  start() {
    if (this.#socket !== null) return;
    this.#clock.cancel(this.#retryTimer);
    this.#connect();
  }

  /** Connect at once if a retry is being waited for. */
  retryNow() {
    if (this.#state.phase === "waiting") this.start();
  }

  /** End the link for good. */
  stop() {
    this.#clock.cancel(this.#retryTimer);
    this.#drop(1000, "");
    this.#change({ phase: "stopped", retryAt: 0, code: 1000, reason: "" });
  }

  /** End the link and connect again at once, as somebody else perhaps. */
  restart() {
    this.#drop(1000, "");
    this.#attempt = 0;
    this.start();
  }

  /** Look whether the link is still alive; to be called when timers may have slept. */
  check() {
    if (this.#socket === null) return;
    const patience = this.#state.phase === "open" ? this.#pingMs + SILENCE_MS : HANDSHAKE_MS;
    if (this.#clock.now() - this.#heardAt >= patience) this.#lost(1006, "");
  }

  /**
   * Send a request.
   * @param {import("./wire.js").Request} message
   * @returns {Promise<Record<string, unknown>>} the reply's fields; rejects with a ChatError
   */
  request(message) {
    const socket = this.#socket;
    if (socket === null || this.#state.phase !== "open") {
      return Promise.reject(new ChatError("lost", "not connected", { isTemporary: true }));
    }
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(() => {
        this.#waiting.delete(id);
        reject(new ChatError("timeout", "the server did not answer", { isTemporary: true }));
      }, REPLY_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      socket.send(JSON.stringify({ id, ...message }));
    });
  }

  #connect() {
    const socket = this.#open(this.#url, SUBPROTOCOL);
    this.#socket = socket;
    this.#heardAt = this.#clock.now();
    this.#change({ phase: "connecting", retryAt: 0 });
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket && typeof data === "string") this.#heard(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.#socket) this.#lost(code, reason);
    };
    this.#watch();
  }

  /** @param {string} frame */
  #heard(frame) {
    this.#heardAt = this.#clock.now();
    const decoded = decodeFrame(frame);
    if (decoded === null) return;
    if (decoded.is === "hello") {
      this.#pingMs = decoded.hello.pingMs;
      this.#openedAt = this.#clock.now();
      this.#change({ phase: "open", lostAt: 0, retryAt: 0, code: 0, reason: "" });
      this.#listener.hello(decoded.hello);
    } else if (decoded.is === "reply") {
      this.#answer(decoded.reply);
    } else if (decoded.is === "event") {
      this.#listener.event(decoded.event);
    } else {
      this.#listener.ephemeral(decoded.ephemeral);
    }
  }

  /** @param {import("./wire.js").Reply} reply */
  #answer({ re, body, error }) {
    const waiting = typeof re === "number" ? this.#waiting.get(re) : undefined;
    if (waiting === undefined) return;
    this.#waiting.delete(/** @type {number} */ (re));
    this.#clock.cancel(waiting.timer);
    if (error === null) waiting.resolve(body);
    else waiting.reject(new ChatError(error.code, error.message, error));
  }

  /** @param {number} code @param {string} reason */
  #lost(code, reason) {
    const wasHealthy = this.#state.phase === "open" && this.#clock.now() - this.#openedAt >= HEALTHY_MS;
    this.#drop(1000, "");
    if (wasHealthy) this.#attempt = 0;
    const lostAt = this.#state.lostAt || this.#clock.now();
    const { retry, waitMs } = afterClose(code, reason);
    if (!retry) {
      this.#change({ phase: "stopped", lostAt, retryAt: 0, code, reason });
      return;
    }
    const ceiling = Math.min(BACKOFF_MIN_MS * 2 ** this.#attempt, BACKOFF_MAX_MS);
    const delay = waitMs ?? ceiling * this.#random();
    this.#attempt += 1;
    this.#retryTimer = this.#clock.after(() => this.#connect(), delay);
    this.#change({ phase: "waiting", lostAt, retryAt: this.#clock.now() + delay, code, reason });
  }

  /** @param {number} code @param {string} reason */
  #drop(code, reason) {
    const socket = this.#socket;
    this.#socket = null;
    this.#clock.cancel(this.#watchTimer);
    if (socket !== null) {
      socket.onmessage = null;
      socket.onclose = null;
      socket.close(code, reason);
    }
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject, timer } of waiting) {
      this.#clock.cancel(timer);
      reject(new ChatError("lost", "the connection was lost", { isTemporary: true }));
    }
  }

  #watch() {
    this.#clock.cancel(this.#watchTimer);
    this.#watchTimer = this.#clock.after(() => {
      this.check();
      if (this.#socket !== null) this.#watch();
    }, 1000);
  }

  /** @param {Partial<LinkState>} change */
  #change(change) {
    this.#state = { ...this.#state, ...change };
    this.#listener.state(this.#state);
  }
}
