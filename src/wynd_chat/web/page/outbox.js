// @ts-check
/**
 * Messages that were written and are not confirmed: kept over reloads, sent in order, each once.
 * Decides when one is sent, again, or given up; the server's `cid` makes a repeat harmless.
 * Knows no socket and no DOM: sending, storage and clock are passed in.
 *
 * 1. `pending` is in the order of writing; per user only the first that is not failed is sent.
 * 2. A message leaves only when it is confirmed (`confirm`) or deleted by its author.
 * 3. A temporary refusal is waited out; a permanent one, or 10 s without an answer, makes it failed.
 * 4. The announced rate of the server is never exceeded, so that nobody who types is refused.
 */

import { ChatError } from "./wire.js";

/**
 * @typedef {object} Pending
 * @property {string} cid
 * @property {string} room
 * @property {string} userId who wrote it; never sent as somebody else
 * @property {string} text
 * @property {"text" | "me"} kind
 * @property {import("./wire.js").FileInfo[]} files
 * @property {number} at milliseconds UTC
 * @property {"waiting" | "sending" | "sent" | "failed"} state
 * @property {string} problem what the author reads, "" where there is none
 */
/**
 * @typedef {object} OutboxStorage
 * @property {() => Promise<Pending[]>} load in the order of writing
 * @property {(pending: Pending) => Promise<void>} put
 * @property {(cid: string) => Promise<void>} drop
 */
/** @typedef {import("./vendor/preact.js").Signal<Pending[]>} PendingSignal */

export const CONFIRM_MS = 10_000;

export class Outbox {
  #pending;
  #send;
  #storage;
  #clock;
  #userId = "";
  #isOpen = false;
  #isSending = false;
  #tokens = 10;
  #tokensAt = 0;
  #rate = { burst: 10, perSecond: 2 };
  #timer = 0;
  /** Cids that were confirmed, for echoes that come before the acknowledgement. @type {Set<string>} */
  #confirmed = new Set();

  /**
   * @param {object} parts
   * @param {PendingSignal} parts.pending
   * @param {(pending: Pending) => Promise<{room: string, seq: number}>} parts.send
   * @param {OutboxStorage} parts.storage
   * @param {import("./connection.js").Clock} parts.clock
   */
  constructor({ pending, send, storage, clock }) {
    this.#pending = pending;
    this.#send = send;
    this.#storage = storage;
    this.#clock = clock;
  }

  /**
   * Bring back what a user wrote before.
   * @param {string} userId
   */
  async load(userId) {
    if (userId === this.#userId) return;
    this.#userId = userId;
    const kept = (await this.#storage.load()).filter((pending) => pending.userId === userId);
    const known = new Set(this.#pending.value.map(({ cid }) => cid));
    const mine = this.#pending.value.filter((pending) => pending.userId === userId);
    const back = kept.filter(({ cid }) => !known.has(cid));
    this.#pending.value = [...back.map((pending) => waiting(pending)), ...mine];
  }

  /**
   * Send from now on, at most at this rate; to be called after every `sync`.
   * @param {{burst: number, perSecond: number}} rate
   */
  open(rate) {
    if (!this.#isOpen) {
      // Half of the burst is left for what the server still counts from before.
      this.#tokens = Math.max(1, Math.floor(rate.burst / 2));
      this.#tokensAt = this.#clock.now();
    }
    this.#rate = rate;
    this.#isOpen = true;
    void this.#flush();
  }

  /** Keep everything back until `open`. */
  close() {
    this.#isOpen = false;
    this.#clock.cancel(this.#timer);
    this.#pending.value = this.#pending.value.map((pending) =>
      pending.state === "sending" || pending.state === "sent" ? waiting(pending) : pending,
    );
  }

  /**
   * Take a message.
   * @param {Omit<Pending, "state" | "problem" | "userId">} message
   */
  add(message) {
    const pending = waiting({ ...message, userId: this.#userId, state: "waiting", problem: "" });
    this.#pending.value = [...this.#pending.value, pending];
    void this.#storage.put(pending);
    void this.#flush();
  }

  /**
   * A message was seen in its room: it is sent.
   * @param {string} cid
   */
  confirm(cid) {
    this.#confirmed.add(cid);
    if (this.#confirmed.size > 1000) this.#confirmed.delete(/** @type {string} */ (this.#confirmed.keys().next().value));
    this.drop(cid);
  }

  /**
   * Forget a message.
   * @param {string} cid
   */
  drop(cid) {
    const left = this.#pending.value.filter((pending) => pending.cid !== cid);
    if (left.length === this.#pending.value.length) return;
    this.#pending.value = left;
    void this.#storage.drop(cid);
  }

  /**
   * Try a failed message once more.
   * @param {string} cid
   */
  retry(cid) {
    this.#change(cid, { state: "waiting", problem: "" });
    void this.#flush();
  }

  async #flush() {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      for (let next = this.#next(); next !== null; next = this.#next()) {
        if (!this.#takeToken() || !(await this.#sendOne(next))) break;
      }
    } finally {
      this.#isSending = false;
    }
  }

  /** @returns {Pending | null} */
  #next() {
    if (!this.#isOpen) return null;
    return this.#pending.value.find(({ state, userId }) => state === "waiting" && userId === this.#userId) ?? null;
  }

  /**
   * @param {Pending} pending
   * @returns {Promise<boolean>} whether the next one may follow now
   */
  async #sendOne(pending) {
    const { cid } = pending;
    this.#change(cid, { state: "sending", problem: "" });
    /** @type {number | undefined} */
    let timer;
    const late = new Promise((_, reject) => {
      timer = this.#clock.after(() => reject(new ChatError("timeout", "no answer from the server")), CONFIRM_MS);
    });
    try {
      await Promise.race([this.#send(pending), late]);
      if (this.#confirmed.has(cid)) this.drop(cid);
      else this.#change(cid, { state: "sent" });
      return true;
    } catch (error) {
      return this.#refused(cid, error);
    } finally {
      if (timer !== undefined) this.#clock.cancel(timer);
    }
  }

  /** @param {string} cid @param {unknown} error @returns {boolean} */
  #refused(cid, error) {
    if (!(error instanceof ChatError)) throw error;
    if (error.code === "lost") {
      this.#change(cid, { state: "waiting" });
      return false;
    }
    const isWorthWaiting = error.isTemporary && error.code !== "timeout" && error.code !== "not_online" && (error.retryAfter ?? 0) <= 60;
    if (isWorthWaiting) {
      const seconds = error.retryAfter ?? 2;
      this.#change(cid, { state: "waiting", problem: error.code === "rate_limited" ? `${error.message}. Sending soon.` : "" });
      this.#later(seconds * 1000 + 50);
      return false;
    }
    this.#change(cid, { state: "failed", problem: sentence(error.message) });
    return true;
  }

  #takeToken() {
    const now = this.#clock.now();
    const { burst, perSecond } = this.#rate;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#tokensAt) / 1000) * perSecond);
    this.#tokensAt = now;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return true;
    }
    this.#later(((1 - this.#tokens) / perSecond) * 1000 + 10);
    return false;
  }

  /** @param {number} ms */
  #later(ms) {
    this.#clock.cancel(this.#timer);
    this.#timer = this.#clock.after(() => void this.#flush(), ms);
  }

  /** @param {string} cid @param {Partial<Pending>} change */
  #change(cid, change) {
    this.#pending.value = this.#pending.value.map((pending) => {
      if (pending.cid !== cid) return pending;
      const changed = { ...pending, ...change };
      if (changed.state === "failed") void this.#storage.put(changed);
      return changed;
    });
  }
}

/** @param {Pending} pending @returns {Pending} */
function waiting(pending) {
  return pending.state === "failed" ? pending : { ...pending, state: "waiting" };
}

/** @param {string} message @returns {string} with a capital and a full stop */
function sentence(message) {
  const text = message.slice(0, 1).toUpperCase() + message.slice(1);
  return /[.!?)]$/u.test(text) ? text : `${text}.`;
}

/**
 * Keep an outbox in IndexedDB; in memory where the browser offers none (private windows).
 * @param {IDBFactory | undefined} factory
 * @returns {OutboxStorage & {isLasting: () => Promise<boolean>}}
 */
export function outboxStorage(factory) {
  const opened = factory === undefined ? Promise.resolve(null) : openDatabase(factory);
  /** @type {Map<string, Pending>} */
  const memory = new Map();

  /** @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest} work */
  const run = async (mode, work) => {
    const database = await opened;
    return database === null ? undefined : answer(work(database.transaction("outbox", mode).objectStore("outbox")));
  };
  return {
    isLasting: async () => (await opened) !== null,
    load: async () => {
      const kept = /** @type {Pending[] | undefined} */ (await run("readonly", (store) => store.getAll()));
      return (kept ?? [...memory.values()]).sort((one, other) => one.at - other.at || (one.cid < other.cid ? -1 : 1));
    },
    put: async (pending) => {
      memory.set(pending.cid, pending);
      await run("readwrite", (store) => store.put(pending));
    },
    drop: async (cid) => {
      memory.delete(cid);
      await run("readwrite", (store) => store.delete(cid));
    },
  };
}

/** @param {IDBFactory} factory @returns {Promise<IDBDatabase | null>} */
function openDatabase(factory) {
  return new Promise((resolve) => {
    let opening;
    try {
      opening = factory.open("wynd-chat", 1);
    } catch {
      resolve(null); // storage is off for this page
      return;
    }
    opening.onupgradeneeded = () => opening.result.createObjectStore("outbox", { keyPath: "cid" });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => resolve(null);
  });
}

/** @param {IDBRequest} asked @returns {Promise<unknown>} */
function answer(asked) {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}
