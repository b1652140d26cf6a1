// @ts-check
/**
 * What comes from the server, taken into the store: events of rooms in their order, and notices.
 * Decides what a live event changes and when something was missed. Knows no network: `hooks` ask
 * for a `sync`, open another room and load lists.
 */

import { RoomState } from "./store.js";
import { batch } from "./vendor/preact.js";

/** @typedef {import("./wire.js").RoomEvent} RoomEvent */
/**
 * @typedef {object} Hooks
 * @property {() => Promise<void>} sync something was missed
 * @property {(name: string) => void} openRoom the open room is gone
 * @property {() => Promise<void>} refreshRooms a new room came
 * @property {(room: RoomState) => Promise<void>} loadMembers
 */

export class Incoming {
  #store;
  #outbox;
  #clock;
  #hooks;
  #membersTimer = 0;
  /** @type {(message: import("./wire.js").Message, room: RoomState) => void} told of foreign live messages */
  onMessage = () => {};
  /** Whether the page is looked at; the page puts its own answer here. @type {() => boolean} */
  isWatched = () => true;

  /**
   * @param {object} parts
   * @param {import("./store.js").Store} parts.store
   * @param {import("./outbox.js").Outbox} parts.outbox
   * @param {import("./connection.js").Clock} parts.clock
   * @param {Hooks} parts.hooks
   */
  constructor({ store, outbox, clock, hooks }) {
    this.#store = store;
    this.#outbox = outbox;
    this.#clock = clock;
    this.#hooks = hooks;
  }

  /** @param {RoomEvent} event a live one */
  event(event) {
    const room = this.#store.find(event.room);
    if (room === undefined || event.seq > room.last + 1) {
      void this.#hooks.sync();
      return;
    }
    if (event.seq <= room.last) return;
    batch(() => this.take(room, event, true));
  }

  /** Take the next event of a room. @param {RoomState} room @param {RoomEvent} event @param {boolean} isLive */
  take(room, event, isLive) {
    if (event.seq <= room.last) return;
    const before = room.last;
    room.last = event.seq;
    room.history.add(event);
    if (event.type === "message") this.#takeMessage(room, event, before, isLive);
    else this.#takeChange(room, event);
    room.touch();
  }

  /** @param {RoomState} room @param {import("./wire.js").Message} message @param {number} before @param {boolean} isLive */
  #takeMessage(room, message, before, isLive) {
    const isMine = message.author.id === this.#store.me.value?.id;
    if (message.cid !== null) this.#outbox.confirm(message.cid);
    if (isMine) {
      room.read = Math.max(room.read, message.seq);
      room.unread.value = 0;
      room.mentions.value = 0;
      if (message.seq > room.line) room.line = Number.POSITIVE_INFINITY;
      return;
    }
    const isReading = this.isReading(room);
    if (!isReading && message.seq > room.countedTo && message.kind !== "system") {
      room.unread.value += 1;
      if (room.kind.value === "dm" || message.mentions.includes(this.#store.me.value?.id ?? "")) room.mentions.value += 1;
    }
    if (room === this.#store.room.value && !isReading && room.line === Number.POSITIVE_INFINITY) room.line = before;
    if (isLive) this.onMessage(message, room);
  }

  /** @param {RoomState} room @param {RoomEvent} event */
  #takeChange(room, event) {
    const members = room.members.value;
    switch (event.type) {
      case "topic":
        room.topic.value = event.topic;
        break;
      case "joined":
        if (members !== null) {
          const member = { user: event.user, role: /** @type {const} */ ("member"), silencedUntil: null, state: /** @type {const} */ ("online"), text: "" };
          room.members.value = new Map([...members, [event.user.id, member]]);
        }
        break;
      case "left":
        if (event.user.id === this.#store.me.value?.id) this.#wasRemoved(room, event);
        else if (members !== null) {
          room.members.value = new Map([...members].filter(([id]) => id !== event.user.id));
        }
        break;
      case "role": {
        const isMe = event.user.id === this.#store.me.value?.id;
        if (isMe && event.silencedUntil === null) room.role.value = event.role;
        const member = members?.get(event.user.id);
        if (members !== null && member !== undefined) {
          const silencedUntil = event.silencedUntil === null ? member.silencedUntil : event.silencedUntil || null;
          room.members.value = new Map([...members, [event.user.id, { ...member, role: event.role, silencedUntil }]]);
        }
        break;
      }
      default:
    }
  }

  /** @param {RoomState} room @param {import("./wire.js").Left} event */
  #wasRemoved(room, event) {
    this.#store.removeRoom(room.name);
    this.leaveLost(room.name);
    if (event.how === "leave") return;
    const by = event.by === null ? "" : ` by ${event.by.name}`;
    const why = event.reason === "" ? "" : `: ${event.reason}`;
    this.#store.toast(`You were ${event.how === "ban" ? "banned from" : "removed from"} ${room.title}${by}${why}`, true);
  }

  /** A room is gone: show another. @param {string} name */
  leaveLost(name) {
    if (this.#store.open.value === name) this.#hooks.openRoom(this.#store.lobby);
  }

  /** @param {import("./wire.js").Ephemeral} ephemeral */
  ephemeral(ephemeral) {
    switch (ephemeral.type) {
      case "presence":
        this.#takePresence(ephemeral);
        break;
      case "tick":
        this.#takeTick(ephemeral);
        break;
      case "read":
        this.#takeRead(ephemeral.room, ephemeral.seq);
        break;
      case "entered":
        this.#takeEntered(ephemeral);
        break;
      default:
        this.#store.removeRoom(ephemeral.room);
        this.leaveLost(ephemeral.room);
    }
  }

  /** @param {import("./wire.js").Presence} presence */
  #takePresence({ user, state, text }) {
    const store = this.#store;
    const me = store.me.value;
    if (me !== null && me.id === user.id && me.name !== user.name) store.me.value = { ...me, name: user.name };
    store.presence.value = new Map([...store.presence.value, [user.id, { state, text }]]);
    const room = store.room.value;
    if (room?.with.value?.id === user.id && room.with.value.name !== user.name) room.with.value = user;
    const members = room?.members.value ?? null;
    if (room === null || members === null) return;
    const member = members.get(user.id);
    if (member !== undefined) {
      if (member.user.name !== user.name) room.members.value = new Map([...members, [user.id, { ...member, user: { ...member.user, name: user.name } }]]);
    } else if (room.name === this.#store.lobby && state !== "offline") {
      const newcomer = { user, role: /** @type {const} */ ("member"), silencedUntil: null, state, text };
      room.members.value = new Map([...members, [user.id, newcomer]]);
    } else if (state !== "offline") {
      // Somebody new, perhaps in this room: a guest's joining is no event.
      this.#clock.cancel(this.#membersTimer);
      this.#membersTimer = this.#clock.after(() => void this.#hooks.loadMembers(room), 1000);
    }
  }

  /** @param {import("./wire.js").Tick} tick */
  #takeTick({ heads, online }) {
    let isBehind = false;
    for (const [name, head] of heads) {
      const room = this.#store.find(name);
      if (room === undefined || head > room.last) isBehind = true;
    }
    for (const room of this.#store.rooms.value.values()) room.online.value = online.get(room.name) ?? null;
    if (isBehind) void this.#hooks.sync();
  }

  /** @param {string} name @param {number} seq */
  #takeRead(name, seq) {
    const room = this.#store.find(name);
    if (room === undefined) return;
    room.read = Math.max(room.read, seq);
    if (room.read >= room.last) {
      room.unread.value = 0;
      room.mentions.value = 0;
    }
  }

  /** @param {import("./wire.js").Entered} entered */
  #takeEntered({ room: name, kind, head, with: other }) {
    let room = this.#store.find(name);
    if (room === undefined) {
      room = new RoomState(name, kind);
      room.last = head;
      room.with.value = other;
      this.#store.addRoom(room);
      void this.#hooks.refreshRooms();
    }
  }

  /** @param {RoomState} room @returns {boolean} whether I see what comes there */
  isReading(room) {
    return room === this.#store.room.value && room.place === null && this.isWatched();
  }
}
