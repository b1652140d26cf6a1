// @ts-check
/**
 * The message log: a keyed list of DOM rows over a stretch of a room's history.
 * Decides which stretch is in the DOM, where it is scrolled to, and when more is loaded. What rows
 * there are comes from `layout.js`, how they look from `rows.js`; data comes through `source`.
 *
 * 1. At most WINDOW rows of events are in the DOM (+ one page while the window moves).
 * 2. While the reader follows the end, the end stays in view; otherwise what is read stays where it
 *    is, whatever is added above or below.
 * 3. Operations that move the window run one after the other (`#serially`).
 * 4. The sentinel at the top loads nothing until it has been off-screen once since the room opened.
 */

import { layout } from "./layout.js";
import { drawRow } from "./rows.js";

/** @typedef {import("./layout.js").Row} Row */
/** @typedef {{seq: number, offset: number}} Place the row at the top of the view, and its distance to it */
/**
 * @typedef {object} LogSource what the log shows; of one room
 * @property {string} room
 * @property {import("./history.js").History} history
 * @property {() => readonly import("./outbox.js").Pending[]} pending
 * @property {() => readonly import("./layout.js").Note[]} notes
 * @property {() => number} line the unread line stands above this seq; Infinity: none
 * @property {() => Promise<void>} loadOlder
 * @property {() => Promise<void>} loadNewer
 * @property {() => Promise<void>} loadNewest
 */
/**
 * @typedef {object} LogEvents what the log tells
 * @property {(fresh: number, isFar: boolean) => void} pill messages below that were not seen; far from the end
 * @property {(place: Place | null, isAtEnd: boolean) => void} moved the reader rests somewhere else
 * @property {(seq: number) => void} seen everything up to this seq was on screen
 * @property {(error: unknown) => void} failed something could not be loaded
 */

export const WINDOW = 300;
export const PAGE = 50;
const FOLLOW_PX = 100;
const MARGIN_PX = 600; // load before the reader gets there
const REST_MS = 150; // the reader's place is noted when scrolling rests
const FRAME_MS = 60; // at most so often under load

export class MessageLog {
  #scroller;
  #list;
  #top;
  #bottom;
  /** @type {import("./rows.js").RowContext} */
  #context;
  /** @type {LogEvents} */
  #events;
  /** @type {LogSource | null} */
  #source = null;
  /** @type {Map<string, {node: HTMLLIElement, look: string}>} */
  #rows = new Map();
  #from = 0; // the window over history.events
  #to = 0;
  #isFollowing = true;
  #isEndDrawn = true; // the newest event was in the window when it was drawn
  #isTopArmed = false;
  #fresh = 0;
  #seen = 0;
  #lastKnown = 0;
  #queue = Promise.resolve();
  #isDue = false;
  #drawnAt = 0;
  #generation = 0;
  #restTimer = 0;
  #wasFollowing = true;
  /** @type {HTMLElement | null} the article that Tab reaches */
  #current = null;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.scroller scrolls; holds the two sentinels around the list
   * @param {HTMLOListElement} parts.list
   * @param {import("./rows.js").RowContext} parts.context
   * @param {LogEvents} parts.events
   */
  constructor({ scroller, list, context, events }) {
    this.#scroller = scroller;
    this.#list = list;
    this.#context = context;
    this.#events = events;
    this.#top = /** @type {HTMLElement} */ (scroller.firstElementChild);
    this.#bottom = /** @type {HTMLElement} */ (scroller.lastElementChild);
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    list.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("focusin", (event) => this.#focused(event.target));
    this.#observer = new IntersectionObserver((entries) => this.#intersected(entries), {
      root: scroller,
      rootMargin: `${MARGIN_PX}px 0px`,
    });
    const resized = new ResizeObserver(() => {
      if (this.#isFollowing && this.#source !== null) this.#toEnd();
    });
    resized.observe(scroller);
    resized.observe(list);
  }

  #observer;

  /** Where the reader is, null at the end. @returns {Place | null} */
  get place() {
    if (this.#isFollowing) return null;
    const top = this.#scroller.scrollTop;
    for (const node of this.#nodes()) {
      const seq = Number(node.dataset["seq"] ?? 0);
      if (seq > 0 && node.offsetTop + node.offsetHeight > top) return { seq, offset: node.offsetTop - top };
    }
    return null;
  }

  /** Whether the newest row is in view. */
  get isAtEnd() {
    return this.#isFollowing;
  }

  /**
   * Show a room.
   * @param {LogSource} source
   * @param {{place?: Place | null, target?: number}} [where] a place to return to, or a message to centre
   */
  show(source, { place = null, target = 0 } = {}) {
    this.#generation += 1;
    this.#source = source;
    this.#rows.clear();
    this.#list.replaceChildren();
    this.#current = null;
    this.#isTopArmed = false;
    this.#fresh = 0;
    this.#seen = 0;
    this.#lastKnown = source.history.last;
    this.#isFollowing = place === null && target === 0;
    this.#wasFollowing = true;
    clearTimeout(this.#restTimer);
    this.#windowAtEnd();
    if (place !== null || target > 0) this.#windowAround(target || /** @type {Place} */ (place).seq);
    this.#draw();
    const settle = () => {
      if (target > 0) this.#centre(target);
      else if (place !== null) this.#return(place);
    };
    settle();
    if (this.#isFollowing) this.#toLineOrEnd();
    this.#observe();
    this.#measure();
    const top = this.#scroller.scrollTop;
    void this.#serially(async () => {
      if (place === null && target === 0) return this.#fill();
      // What was loaded may have been too little to scroll there; unless the reader went on, go again.
      const hasStayed = this.#scroller.scrollTop === top;
      await this.#growDown();
      await this.#fill();
      if (hasStayed) settle();
      this.#measure();
    });
  }

  /** Show nothing. */
  clear() {
    this.#generation += 1;
    this.#source = null;
    this.#rows.clear();
    this.#list.replaceChildren();
    this.#current = null;
    this.#events.pill(0, false);
  }

  /** Something changed: draw within the next frame. */
  changed() {
    if (this.#isDue || this.#source === null) return;
    this.#isDue = true;
    const draw = () => {
      this.#isDue = false;
      this.#drawnAt = performance.now();
      this.#take();
    };
    const wait = Math.max(0, FRAME_MS - (performance.now() - this.#drawnAt));
    if (document.hidden || wait > 0) setTimeout(draw, document.hidden ? 250 : wait);
    else requestAnimationFrame(draw);
  }

  /** Go to the newest message, loading it if need be. @returns {Promise<void>} */
  jumpToEnd() {
    return this.#serially(async () => {
      const source = this.#source;
      if (source === null) return;
      if (source.history.hasAfter) await source.loadNewest();
      if (source !== this.#source) return;
      this.#isFollowing = true;
      this.#draw();
      this.#measure();
    });
  }

  /** Scroll to the unread line. @returns {boolean} whether there is one */
  jumpToLine() {
    const line = this.#rows.get("line")?.node;
    if (line === undefined) return false;
    this.#scroller.scrollTop = line.offsetTop - 80;
    return true;
  }

  /** Centre a message that is in the window, and mark it. @param {number} seq */
  highlight(seq) {
    this.#isFollowing = false;
    this.#windowAround(seq);
    this.#draw();
    this.#centre(seq);
  }

  /** Draw every row again: times, names or settings changed. */
  redraw() {
    for (const row of this.#rows.values()) row.look = "\n";
    this.changed();
  }

  /** Move the keyboard into the log. @returns {boolean} whether there is a row */
  focus() {
    const articles = this.#articles();
    const isElsewhere = !this.#isFollowing && this.#current?.isConnected;
    const target = isElsewhere ? this.#current : articles.at(-1);
    target?.focus();
    return target !== undefined && target !== null;
  }

  // What is new

  #take() {
    const source = this.#source;
    if (source === null) return;
    const { history } = source;
    const news = history.events.slice(history.indexFrom(this.#lastKnown + 1));
    this.#lastKnown = Math.max(this.#lastKnown, history.last);
    if (this.#isFollowing) {
      history.dropOld();
    } else {
      const me = this.#context.me.id;
      this.#fresh += news.filter((event) => event.type === "message" && event.author.id !== me).length;
      this.#to = Math.min(this.#to, history.events.length);
      if (this.#to - this.#from < WINDOW && !history.hasAfter) this.#to = Math.min(history.events.length, this.#from + WINDOW);
    }
    this.#draw();
    this.#measure();
  }

  // The window

  #windowAtEnd() {
    const length = this.#source?.history.events.length ?? 0;
    this.#to = length;
    // Grows as messages come and is cut by a page at once, so that not every message moves it.
    const size = length - this.#from;
    if (this.#from > length || size > WINDOW + 20) this.#from = Math.max(0, length - WINDOW + PAGE);
  }

  /** @param {number} seq */
  #windowAround(seq) {
    const { history } = /** @type {LogSource} */ (this.#source);
    const middle = history.indexFrom(seq);
    this.#from = Math.max(0, Math.min(middle - WINDOW / 2, history.events.length - WINDOW));
    this.#to = Math.min(history.events.length, this.#from + WINDOW);
  }

  /** @returns {Promise<boolean>} whether there was more */
  async #growUp() {
    const source = this.#source;
    if (source === null) return false;
    const { history } = source;
    if (this.#from === 0 && history.hasBefore) {
      const first = history.first;
      await source.loadOlder();
      if (source !== this.#source) return false;
      const came = history.indexFrom(first);
      this.#from += came;
      this.#to += came;
    }
    if (this.#from === 0) {
      this.#draw();
      return false;
    }
    this.#from = Math.max(0, this.#from - PAGE);
    if (this.#to - this.#from > WINDOW) {
      this.#to = this.#from + WINDOW;
      this.#isFollowing = false;
    }
    this.#draw();
    return true;
  }

  /** @returns {Promise<boolean>} */
  async #growDown() {
    const source = this.#source;
    if (source === null) return false;
    const { history } = source;
    if (this.#to >= history.events.length && history.hasAfter) {
      await source.loadNewer();
      if (source !== this.#source) return false;
    }
    if (this.#to >= history.events.length) return false;
    this.#to = Math.min(history.events.length, this.#to + PAGE);
    this.#from = Math.max(this.#from, this.#to - WINDOW);
    this.#draw();
    return true;
  }

  /** Load until the view is filled. */
  async #fill() {
    const generation = this.#generation;
    while (generation === this.#generation && this.#source !== null) {
      const wanted = this.#scroller.clientHeight + 2 * MARGIN_PX;
      if (this.#scroller.scrollHeight >= wanted || !(await this.#growUp())) return;
    }
  }

  /** @param {() => Promise<unknown>} work @returns {Promise<void>} */
  #serially(work) {
    const done = this.#queue.then(work).then(
      () => undefined,
      (error) => this.#events.failed(error),
    );
    this.#queue = done.catch(() => undefined); // told to whoever waits for `done`; the next one goes on
    return done;
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #intersected(entries) {
    for (const { target, isIntersecting } of entries) {
      if (target === this.#top) {
        if (!isIntersecting) this.#isTopArmed = true;
        else if (this.#isTopArmed) void this.#serially(() => this.#again(this.#growUp()));
      } else if (isIntersecting && !this.#showsEnd()) {
        void this.#serially(() => this.#again(this.#growDown()));
      }
    }
  }

  /** @param {Promise<boolean>} growing */
  async #again(growing) {
    if (!(await growing)) return;
    this.#measure();
    this.#observe(); // the observer tells changes only: ask anew whether the sentinel is still near
  }

  #observe() {
    this.#observer.disconnect();
    this.#observer.observe(this.#top);
    this.#observer.observe(this.#bottom);
  }

  /** @returns {boolean} whether the newest event is in the window */
  #showsEnd() {
    const history = this.#source?.history;
    return history === undefined || (this.#to >= history.events.length && !history.hasAfter);
  }

  // Drawing

  #draw() {
    const source = this.#source;
    if (source === null) return;
    const { history } = source;
    if (this.#isFollowing) this.#windowAtEnd();
    this.#isEndDrawn = this.#showsEnd();
    const rows = layout({
      events: history.events.slice(this.#from, this.#to),
      pending: source.pending(),
      notes: source.notes(),
      line: source.line(),
      me: this.#context.me.id,
      isStart: this.#from === 0 && !history.hasBefore && history.isLoaded,
      isEnd: this.#isEndDrawn,
    });
    const anchors = this.#isFollowing ? [] : this.#anchors();
    this.#reconcile(rows);
    const anchor = anchors.find(({ node }) => node.isConnected);
    if (anchor !== undefined) {
      const moved = anchor.node.offsetTop - anchor.top;
      if (moved !== 0) this.#scroller.scrollTop += moved;
    }
    if (this.#isFollowing) this.#toEnd();
  }

  /** @param {readonly Row[]} rows */
  #reconcile(rows) {
    const wanted = new Set(rows.map(({ key }) => key));
    for (const [key, { node }] of this.#rows) {
      if (!wanted.has(key)) {
        node.remove();
        this.#rows.delete(key);
      }
    }
    let next = /** @type {Element | null} */ (this.#list.firstElementChild);
    for (const row of rows) {
      const known = this.#rows.get(row.key);
      if (known !== undefined && known.look === row.look) {
        if (known.node === next) next = next.nextElementSibling;
        else this.#list.insertBefore(known.node, next);
        continue;
      }
      const node = drawRow(row, this.#context);
      this.#rows.set(row.key, { node, look: row.look });
      if (known === undefined) {
        this.#list.insertBefore(node, next);
        continue;
      }
      const hadFocus = known.node.contains(document.activeElement);
      if (known.node === next) next = next.nextElementSibling;
      known.node.replaceWith(node);
      if (hadFocus) node.querySelector("article")?.focus({ preventScroll: true });
    }
    if (this.#current === null || !this.#current.isConnected) this.#makeCurrent(this.#articles().at(-1) ?? null);
  }

  /** @returns {{node: HTMLElement, top: number}[]} rows in view, which should stay where they are */
  #anchors() {
    const top = this.#scroller.scrollTop;
    const bottom = top + this.#scroller.clientHeight;
    const anchors = [];
    for (const node of this.#nodes()) {
      if (node.offsetTop > bottom) break;
      if (node.offsetTop + node.offsetHeight > top) anchors.push({ node, top: node.offsetTop });
    }
    return anchors;
  }

  /** @returns {HTMLElement[]} */
  #nodes() {
    return /** @type {HTMLElement[]} */ ([...this.#list.children]);
  }

  // Scrolling

  #toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  #toLineOrEnd() {
    const line = this.#rows.get("line")?.node;
    this.#toEnd();
    if (line === undefined || line.offsetTop - 80 >= this.#scroller.scrollTop) return;
    this.#isFollowing = false;
    this.#scroller.scrollTop = line.offsetTop - 80;
  }

  /** @param {Place} place */
  #return({ seq, offset }) {
    const node = this.#rows.get(`s:${seq}`)?.node ?? this.#nodes().find((row) => Number(row.dataset["seq"] ?? 0) >= seq);
    if (node !== undefined) this.#scroller.scrollTop = node.offsetTop - offset;
  }

  /** @param {number} seq */
  #centre(seq) {
    const node = this.#rows.get(`s:${seq}`)?.node;
    if (node === undefined) return;
    this.#scroller.scrollTop = node.offsetTop - (this.#scroller.clientHeight - node.offsetHeight) / 2;
    node.classList.add("is-target");
    node.addEventListener("animationend", () => node.classList.remove("is-target"), { once: true });
    const article = node.querySelector("article");
    if (article !== null) this.#makeCurrent(article);
  }

  #scrolled() {
    this.#measure();
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => this.#events.moved(this.place, this.#isFollowing), REST_MS);
  }

  /** Look where the reader is, and tell what follows from it. */
  #measure() {
    if (this.#source === null) return;
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const distance = scrollHeight - scrollTop - clientHeight;
    // By what is drawn: events that came since the last frame must not look like a reader gone away.
    this.#isFollowing = distance <= FOLLOW_PX && this.#isEndDrawn;
    if (this.#isFollowing) this.#fresh = 0;
    if (this.#isFollowing !== this.#wasFollowing) {
      this.#wasFollowing = this.#isFollowing;
      this.#events.moved(this.place, this.#isFollowing);
    }
    this.#events.pill(this.#fresh, !this.#isFollowing && (distance > clientHeight || !this.#isEndDrawn));
    const last = this.#source.history.last;
    if (this.#isFollowing && last > this.#seen && !document.hidden) {
      this.#seen = last;
      this.#events.seen(last);
    }
  }

  // Keyboard: one row can be reached with Tab, the others with the arrows

  /** @returns {HTMLElement[]} */
  #articles() {
    return [...this.#list.querySelectorAll("article")];
  }

  /** @param {EventTarget | null} target */
  #focused(target) {
    const article = target instanceof Element ? target.closest("article") : null;
    if (article instanceof HTMLElement) this.#makeCurrent(article);
  }

  /** @param {HTMLElement | null} article */
  #makeCurrent(article) {
    this.#current?.setAttribute("tabindex", "-1");
    this.#current = article;
    article?.setAttribute("tabindex", "0");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const article = event.target;
    if (!(article instanceof HTMLElement) || article.tagName !== "ARTICLE" || event.altKey || event.ctrlKey || event.metaKey) return;
    const articles = this.#articles();
    const index = articles.indexOf(article);
    const to = { ArrowUp: index - 1, ArrowDown: index + 1, Home: 0, End: articles.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (event.key === "End" && !this.#showsEnd()) {
      void this.jumpToEnd().then(() => this.#articles().at(-1)?.focus());
      return;
    }
    const next = articles[to];
    if (next !== undefined) {
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "nearest" });
    }
  }
}
