// @ts-check
/**
 * The page's state: who I am, the rooms, who is here, what is shown. Components read the signals;
 * only `chat.js` and the outbox change them. Knows no network and no DOM.
 */

import { computed, signal } from "./vendor/preact.js";
import { History } from "./history.js";

/** @typedef {import("./wire.js").User} User */
/** @typedef {import("./wire.js").Member} Member */
/** @typedef {import("./wire.js").RoomKind} RoomKind */
/** @typedef {import("./wire.js").Notify} Notify */
/** @typedef {import("./wire.js").RoomRole} RoomRole */
/** @typedef {import("./layout.js").Note} Note */
/** @typedef {{state: "online" | "away" | "offline", text: string}} Presence */
/** @typedef {{id: number, text: string, isError: boolean}} Toast */
/** @template T @typedef {import("./vendor/preact.js").Signal<T>} Signal */
/**
 * @typedef {object} Dialog what is open above the page
 * @property {string} name
 * @property {Record<string, unknown>} [about]
 */

/** A room that I am in. */
export class RoomState {
  /** @param {string} name @param {RoomKind} kind */
  constructor(name, kind) {
    /** The name, or the id of a direct conversation. */
    this.name = name;
    this.kind = signal(kind);
    this.with = signal(/** @type {User | null} */ (null));
    this.topic = signal("");
    this.unread = signal(0);
    this.mentions = signal(0);
    this.notify = signal(/** @type {Notify} */ ("all"));
    this.role = signal(/** @type {RoomRole} */ ("member"));
    this.members = signal(/** @type {Map<string, Member> | null} */ (null));
    /** How many are online, where the server counts instead of naming. */
    this.online = signal(/** @type {number | null} */ (null));
    /** Raised when history, notes or the unread line changed. */
    this.revision = signal(0);
    this.state = signal(/** @type {"empty" | "loading" | "ready" | "failed"} */ ("empty"));
    this.history = new History();
    /** @type {Note[]} */
    this.notes = [];
    /** The seq up to which events were taken. */
    this.last = 0;
    /** The seq up to which the server counted `unread`. */
    this.countedTo = 0;
    /** My read marker on the server. */
    this.read = 0;
    /** Where the unread line stands while I am in the room; Infinity: nowhere. */
    this.line = Number.POSITIVE_INFINITY;
    /** The seq up to which I saw everything. */
    this.seen = 0;
    /** Where I am in its log while I do not follow the end. @type {import("./log.js").Place | null} */
    this.place = null;
  }

  /** What people call it. */
  get title() {
    const other = this.with.value;
    if (this.kind.value !== "dm") return `#${this.name}`;
    return other === null ? "Direct conversation" : other.name;
  }

  /** Tell the log that something changed. */
  touch() {
    this.revision.value += 1;
  }
}

export class Store {
  constructor() {
    this.server = signal({ name: "", version: "" });
    this.guests = signal(true);
    /** The room that everybody is in. */
    this.lobby = "lobby";
    this.limits = signal({ text: 8000, burst: 10, perSecond: 2, upload: 26_214_400 });
    /** `loading` until the first hello, `gate` while there is no name, `ready` in the chat. */
    this.stage = signal(/** @type {"loading" | "gate" | "ready"} */ ("loading"));
    this.me = signal(/** @type {User | null} */ (null));
    this.link = signal(
      /** @type {import("./connection.js").LinkState} */ ({ phase: "connecting", lostAt: 0, retryAt: 0, code: 0, reason: "" }),
    );
    this.rooms = signal(/** @type {ReadonlyMap<string, RoomState>} */ (new Map()));
    /** The name of the open room. */
    this.open = signal("");
    this.presence = signal(/** @type {ReadonlyMap<string, Presence>} */ (new Map()));
    this.pending = signal(/** @type {import("./outbox.js").Pending[]} */ ([]));
    this.commands = signal(/** @type {import("./wire.js").CommandInfo[]} */ ([]));
    this.toasts = signal(/** @type {Toast[]} */ ([]));
    this.dialog = signal(/** @type {Dialog | null} */ (null));
    this.drawer = signal(/** @type {"none" | "rooms" | "members"} */ ("none"));
    this.isLasting = signal(true);

    this.room = computed(() => this.rooms.value.get(this.open.value) ?? null);
    /** The lobby first, then by name. */
    this.sortedRooms = computed(() => [...this.rooms.value.values()].sort((one, other) => this.#order(one, other)));
  }

  /** @param {string} name @returns {RoomState | undefined} */
  find(name) {
    return this.rooms.peek().get(name);
  }

  /** @param {RoomState} room */
  addRoom(room) {
    this.rooms.value = new Map([...this.rooms.peek(), [room.name, room]]);
  }

  /** @param {string} name */
  removeRoom(name) {
    const rooms = new Map(this.rooms.peek());
    rooms.delete(name);
    this.rooms.value = rooms;
  }

  /** Forget everything about the user who was here. */
  reset() {
    this.me.value = null;
    this.rooms.value = new Map();
    this.presence.value = new Map();
    this.pending.value = [];
    this.dialog.value = null;
    this.drawer.value = "none";
  }

  /** @param {RoomState} one @param {RoomState} other @returns {number} */
  #order(one, other) {
    if (one.name === this.lobby || other.name === this.lobby) return one.name === this.lobby ? -1 : 1;
    return one.title.localeCompare(other.title, undefined, { sensitivity: "base", numeric: true });
  }

  #toastId = 0;

  /**
   * Tell the user something in passing.
   * @param {string} text
   * @param {boolean} [isError]
   */
  toast(text, isError = false) {
    this.#toastId += 1;
    this.toasts.value = [...this.toasts.peek().slice(-2), { id: this.#toastId, text, isError }];
  }

  /** @param {number} id */
  dismiss(id) {
    this.toasts.value = this.toasts.peek().filter((toast) => toast.id !== id);
  }
}

