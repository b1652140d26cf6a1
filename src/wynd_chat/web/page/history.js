// @ts-check
/**
 * What is loaded of one room: a stretch of events in the order of seq, without a hole that matters.
 * Pages of REST hold messages only, so seqs may skip; that nothing is missing follows from how the
 * pages join. Knows no network: pages and events are given to it.
 *
 * 1. `events` ascends by seq, each once.
 * 2. `hasBefore`: there are older messages than the first. `hasAfter`: there are newer ones than the
 *    last, so live events are not added until the stretch reaches the end again.
 */

/** @typedef {import("./wire.js").RoomEvent} RoomEvent */
/** @typedef {import("./wire.js").Page} Page */

const KEPT_MAX = 5000; // events in memory of one room; beyond it the far end is dropped
const KEPT = 3000;
const WAITING_MAX = 500; // live events kept while a page is loaded

export class History {
  /** @type {RoomEvent[]} */
  events = [];
  hasBefore = false;
  hasAfter = false;
  isLoaded = false;

  /** @returns {number} the seq of the first event, 0 where there is none */
  get first() {
    return this.events[0]?.seq ?? 0;
  }

  /** @returns {number} the seq of the last event, 0 where there is none */
  get last() {
    return this.events.at(-1)?.seq ?? 0;
  }

  /** Live events that could not be added, newest last: what joins a page that reaches the end. @type {RoomEvent[]} */
  #waiting = [];

  /** Forget everything. */
  clear() {
    this.events = [];
    this.#waiting = [];
    this.hasBefore = false;
    this.hasAfter = false;
    this.isLoaded = false;
  }

  /**
   * Begin again with a page; a live event that came meanwhile is kept.
   * @param {Page} page
   */
  reset(page) {
    this.events = [...page.messages];
    this.hasBefore = page.hasBefore;
    this.hasAfter = page.hasAfter;
    this.isLoaded = true;
    this.#join(page.head);
  }

  /**
   * Put an older page before the first event.
   * @param {Page} page
   */
  prepend(page) {
    const older = page.messages.filter(({ seq }) => this.events.length === 0 || seq < this.first);
    this.events = [...older, ...this.events];
    this.hasBefore = page.hasBefore;
  }

  /**
   * Put a newer page behind the last event.
   * @param {Page} page
   */
  append(page) {
    this.events.push(...page.messages.filter(({ seq }) => seq > this.last));
    this.hasAfter = page.hasAfter;
    this.#join(page.head);
  }

  /**
   * Add a live event; one that does not join what is loaded waits for a page that does.
   * @param {RoomEvent} event
   */
  add(event) {
    if (this.isLoaded && !this.hasAfter) {
      if (event.seq > this.last) this.events.push(event);
      return;
    }
    this.#waiting.push(event);
    if (this.#waiting.length > 2 * WAITING_MAX) this.#waiting = this.#waiting.slice(-WAITING_MAX);
  }

  /**
   * Add what waits above a page's head, if the stretch reaches the end.
   * @param {number} head
   */
  #join(head) {
    if (this.hasAfter) return;
    const newer = this.#waiting.filter(({ seq }) => seq > Math.max(head, this.last));
    if (newer.length > 0 && /** @type {RoomEvent} */ (newer[0]).seq > head + 1 && this.#waiting.length >= WAITING_MAX) {
      this.hasAfter = true; // so many came that some were forgotten: read on from here
      return;
    }
    this.events.push(...newer);
    this.#waiting = [];
  }

  /** Drop the oldest events beyond what is kept; only to be called while the end is shown. */
  dropOld() {
    if (this.events.length <= KEPT_MAX) return;
    this.events = this.events.slice(-KEPT);
    this.hasBefore = true;
  }

  /** @param {number} seq @returns {number} the index of the first event at or above a seq */
  indexFrom(seq) {
    let low = 0;
    let high = this.events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (/** @type {RoomEvent} */ (this.events[middle]).seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {number} seq @returns {RoomEvent | null} */
  find(seq) {
    const event = this.events[this.indexFrom(seq)];
    return event !== undefined && event.seq === seq ? event : null;
  }
}
