// @ts-check
/**
 * What this browser remembers: theme, density, notifications, drafts, places, the guest's token.
 * Everything is a string under one prefix; a browser that refuses storage remembers until it closes.
 */

import { effect, signal } from "./vendor/preact.js";

/** @typedef {"auto" | "light" | "dark"} Theme */
/** @typedef {"comfortable" | "compact"} Density */

/** Strings by key; `localStorage` or `sessionStorage`, or memory where they are closed. */
export class Memory {
  #area;
  #prefix;
  /** @type {Map<string, string>} */
  #fallback = new Map();

  /** @param {Storage | null} area @param {string} prefix */
  constructor(area, prefix) {
    this.#area = area;
    this.#prefix = prefix;
  }

  /** @param {string} key @returns {string | null} */
  get(key) {
    const kept = this.#fallback.get(key);
    if (kept !== undefined) return kept;
    try {
      return this.#area?.getItem(this.#prefix + key) ?? null;
    } catch {
      return null; // closed by the browser's settings
    }
  }

  /** @param {string} key @param {string | null} value null removes it */
  set(key, value) {
    try {
      if (value === null) this.#area?.removeItem(this.#prefix + key);
      else this.#area?.setItem(this.#prefix + key, value);
      if (this.#area !== null || value === null) {
        this.#fallback.delete(key);
        return;
      }
    } catch {
      // Closed or full: kept in memory below.
    }
    if (value === null) this.#fallback.delete(key);
    else this.#fallback.set(key, value);
  }

  /**
   * A signal that is remembered.
   * @template {string} T
   * @param {string} key @param {readonly T[]} choices the first is the default
   * @returns {import("./vendor/preact.js").Signal<T>}
   */
  choice(key, choices) {
    const kept = this.get(key);
    const chosen = signal(choices.find((choice) => choice === kept) ?? /** @type {T} */ (choices[0]));
    effect(() => this.set(key, chosen.value === choices[0] ? null : chosen.value));
    return chosen;
  }
}

export class Preferences {
  /** @param {Memory} lasting kept for good @param {Memory} session kept while the tab is open */
  constructor(lasting, session) {
    this.lasting = lasting;
    this.session = session;
    this.theme = lasting.choice("theme", /** @type {const} */ (["auto", "light", "dark"]));
    this.density = lasting.choice("density", /** @type {const} */ (["comfortable", "compact"]));
    this.desktop = lasting.choice("desktop", /** @type {const} */ (["off", "on"]));
    this.sound = lasting.choice("sound", /** @type {const} */ (["off", "on"]));
    this.membersPanel = lasting.choice("members", /** @type {const} */ (["open", "closed"]));
  }

  /** @param {string} userId @param {string} room @returns {string} */
  draft(userId, room) {
    return this.lasting.get(`draft:${userId}:${room}`) ?? "";
  }

  /** @param {string} userId @param {string} room @param {string} text */
  keepDraft(userId, room, text) {
    this.lasting.set(`draft:${userId}:${room}`, text === "" ? null : text);
  }

  /** @param {string} room @returns {import("./log.js").Place | null} */
  place(room) {
    const [seq = 0, offset = 0] = (this.session.get(`place:${room}`) ?? "").split(" ").map(Number);
    return seq > 0 && Number.isFinite(offset) ? { seq, offset } : null;
  }

  /** @param {string} room @param {import("./log.js").Place | null} place */
  keepPlace(room, place) {
    this.session.set(`place:${room}`, place === null ? null : `${place.seq} ${Math.round(place.offset)}`);
  }
}
