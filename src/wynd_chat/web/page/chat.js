// @ts-check
/**
 * The use cases of the page: becoming somebody, keeping up with the rooms, speaking, reading on.
 * Ties connection, REST, outbox and store together. Knows no DOM.
 *
 * 1. An event is taken when its seq follows the room's last (`incoming.js`); one beyond it makes us
 *    `sync`.
 * 2. `sync` is asked for after every hello, one at a time; what it cannot give whole is read again.
 * 3. The unread line stands still while I am in a room: it moves on leaving, Esc and sending.
 */

import { Incoming } from "./incoming.js";
import { RoomState } from "./store.js";
import { batch } from "./vendor/preact.js";
import { ChatError, decodeCommands, decodeResult, decodeSent, decodeSync, decodeUser, request, text as textOf } from "./wire.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./wire.js").User} User */
/** @typedef {import("./wire.js").Hello} Hello */

const PAGE = 50;
const REFRESHES_MAX = 3; // counts of unread messages that came too late, one after the other
const CHANGES_ROOMS = new Set(["join", "j", "leave", "part", "close", "msg", "dm", "tell", "w", "query", "r", "mute", "unmute", "topic", "invite"]);

export class Chat {
  #store;
  #connection;
  #api;
  #outbox;
  #preferences;
  #clock;
  #epoch = "";
  /** The rounds of `sync` that are under way. @type {Promise<void> | null} */
  #syncing = null;
  #isSyncWanted = false;
  #noteId = 0;
  /** The room whose address was asked for before it was known, and a message of it. */
  #wantedRoom = "";
  #wantedSeq = 0;

  /**
   * @param {object} parts
   * @param {Store} parts.store
   * @param {import("./connection.js").Connection} parts.connection
   * @param {import("./api.js").Api} parts.api
   * @param {import("./outbox.js").Outbox} parts.outbox
   * @param {import("./preferences.js").Preferences} parts.preferences
   * @param {import("./connection.js").Clock} parts.clock
   */
  constructor({ store, connection, api, outbox, preferences, clock }) {
    this.#store = store;
    this.#connection = connection;
    this.#api = api;
    this.#outbox = outbox;
    this.#preferences = preferences;
    this.#clock = clock;
    this.incoming = new Incoming({
      store,
      outbox,
      clock,
      hooks: {
        sync: () => this.sync(),
        openRoom: (name) => this.openRoom(name),
        refreshRooms: () => this.#refreshRooms(),
        loadMembers: (room) => this.loadMembers(room),
      },
    });
  }

  // Who I am

  /** The guest's token, where there is one. */
  get guestToken() {
    return this.#preferences.lasting.get("guest-token");
  }

  /** @param {Hello} hello */
  async hello(hello) {
    const store = this.#store;
    batch(() => {
      store.server.value = hello.server;
      store.guests.value = hello.guests;
      store.lobby = hello.lobby;
      if (store.open.value === "") store.open.value = hello.lobby;
      store.limits.value = hello.limits;
    });
    if (this.#epoch !== "" && this.#epoch !== hello.epoch) this.#forgetHistory();
    this.#epoch = hello.epoch;
    let user = hello.user;
    const token = this.guestToken;
    if (user === null && token !== null) user = await this.#resume(token);
    else if (user !== null) this.#preferences.lasting.set("guest-token", null);
    if (this.#connection.state.phase !== "open") return;
    if (user === null) {
      store.reset();
      store.stage.value = "gate";
      return;
    }
    await this.#become(user);
  }

  /** @param {string} token @returns {Promise<User | null>} */
  async #resume(token) {
    try {
      return decodeUser((await this.#connection.request(request.auth(token))).user);
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      if (error.code === "unauthorized") this.#preferences.lasting.set("guest-token", null);
      return null;
    }
  }

  /**
   * Take a name as a guest; rejects with a ChatError.
   * @param {string} name
   */
  async takeName(name) {
    const body = await this.#connection.request(request.name(name));
    const token = textOf(body.token);
    if (token !== "") this.#preferences.lasting.set("guest-token", token);
    this.#preferences.lasting.set("last-name", name);
    const user = decodeUser(body.user);
    if (user !== null) await this.#become(user);
  }

  /** Rename myself; rejects with a ChatError. @param {string} name */
  async rename(name) {
    const user = decodeUser((await this.#connection.request(request.name(name))).user);
    if (user !== null) this.#store.me.value = user;
    this.#preferences.lasting.set("last-name", name);
  }

  /** The cookie changed: connect again as whoever it names. */
  becomeAccount() {
    this.#preferences.lasting.set("guest-token", null);
    this.#outbox.close();
    this.#store.reset();
    this.#store.stage.value = "loading";
    this.#connection.restart();
  }

  /** End this login. */
  async signOut() {
    if (this.#store.me.value?.kind !== "guest") await this.#api.signOut();
    this.becomeAccount();
  }

  /** @param {User} user */
  async #become(user) {
    const store = this.#store;
    if (store.me.value !== null && store.me.value.id !== user.id) store.reset();
    store.me.value = user;
    await this.#outbox.load(user.id);
    await this.sync();
    void this.#loadCommands();
  }

  async #loadCommands() {
    if (this.#store.commands.value.length > 0) return;
    const body = await this.#tried(this.#connection.request(request.commands()));
    if (body !== null) this.#store.commands.value = decodeCommands(body.commands);
  }

  // Keeping up

  /**
   * Ask for what was missed, then send what waits. Whoever asks while that is under way waits for
   * the round after it, which knows of what was done before the asking.
   * @returns {Promise<void>}
   */
  sync() {
    if (this.#syncing === null) {
      this.#syncing = this.#syncRounds().finally(() => (this.#syncing = null));
    } else {
      this.#isSyncWanted = true;
    }
    return this.#syncing;
  }

  async #syncRounds() {
    do {
      this.#isSyncWanted = false;
      await this.#syncOnce();
    } while (this.#isSyncWanted && this.#connection.state.phase === "open");
  }

  async #syncOnce() {
    const store = this.#store;
    const asked = new Map([...store.rooms.value.values()].map((room) => [room.name, room.last]));
    let body;
    try {
      body = await this.#connection.request(request.sync(this.#epoch, asked));
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      if (error.code === "rate_limited" || error.code === "internal" || error.code === "unavailable") {
        this.#clock.after(() => void this.sync(), (error.retryAfter ?? 2) * 1000);
      }
      return; // lost: the next hello asks again
    }
    const { epoch, rooms } = decodeSync(body);
    if (epoch !== this.#epoch) {
      this.#forgetHistory();
      this.#epoch = epoch;
    }
    const hadRooms = store.rooms.value.size > 0;
    batch(() => {
      for (const entry of rooms) this.#takeSynced(entry);
      store.stage.value = "ready";
    });
    await this.#refreshRooms();
    if (!hadRooms && this.#wantedRoom !== "") this.openRoom(this.#wantedRoom, this.#wantedSeq);
    this.#outbox.open(store.limits.value);
    this.#settlePending();
    const open = store.room.value;
    if (open !== null) void this.loadMembers(open);
  }

  /** @param {import("./wire.js").SyncedRoom} entry */
  #takeSynced(entry) {
    const store = this.#store;
    if (entry.error !== null) {
      store.removeRoom(entry.room);
      this.incoming.leaveLost(entry.room);
      return;
    }
    const known = store.find(entry.room);
    const room = known ?? new RoomState(entry.room, entry.kind);
    room.kind.value = entry.kind;
    if (entry.with !== null) room.with.value = entry.with;
    room.read = Math.max(room.read, entry.read);
    if (known === undefined) {
      room.last = entry.head;
      store.addRoom(room);
      return;
    }
    if (entry.gap) this.#takeGap(room, entry.head);
    else for (const event of entry.events) this.incoming.take(room, event, false);
    room.last = Math.max(room.last, entry.head);
  }

  /** @param {RoomState} room @param {number} head */
  #takeGap(room, head) {
    room.last = head;
    const { history } = room;
    if (!history.isLoaded) return;
    history.hasAfter = true;
    if (room === this.#store.room.value && room.place === null) void this.#tried(this.loadNewest(room));
  }

  /** Read unread counts, topics and settings of my rooms. */
  async #refreshRooms() {
    let isStale = true;
    for (let attempt = 0; isStale && attempt < REFRESHES_MAX; attempt += 1) {
      const mine = await this.#tried(this.#api.myRooms());
      if (mine === null) return;
      isStale = this.#takeMyRooms(mine);
    }
  }

  /** @param {import("./wire.js").MyRoom[]} mine @returns {boolean} whether more came meanwhile than was counted */
  #takeMyRooms(mine) {
    let isStale = false;
    batch(() => {
      for (const entry of mine) {
        const room = this.#store.find(entry.room);
        if (room === undefined) continue;
        room.topic.value = entry.topic;
        room.notify.value = entry.notify;
        room.role.value = entry.role;
        room.read = Math.max(room.read, entry.read);
        if (entry.with !== null) room.with.value = entry.with;
        if (entry.head < room.last) {
          isStale = true; // counted before what I have seen: what was added here stands until the next count
          continue;
        }
        room.countedTo = entry.head;
        if (!this.incoming.isReading(room)) {
          room.unread.value = entry.unread;
          room.mentions.value = room.kind.value === "dm" ? entry.unread : entry.mentions;
        }
      }
    });
    return isStale;
  }

  // Rooms

  /**
   * Go to a room that I am in; one that is not known yet is gone to after the next `sync`.
   * @param {string} name
   * @param {number} [seq] a message to show, where the room is not loaded yet
   */
  openRoom(name, seq = 0) {
    const store = this.#store;
    const room = store.find(name);
    this.#wantedSeq = seq;
    if (room === undefined) {
      this.#wantedRoom = name;
      if (store.rooms.value.size === 0) return;
      if (/^[a-z0-9]/u.test(name) && !name.startsWith("r_")) store.dialog.value = { name: "enter", about: { name } };
    }
    const next = room ?? store.find(store.lobby);
    if (next === undefined) return;
    const before = store.room.value;
    if (before !== null && before !== next) this.#leaveRoom(before);
    this.#wantedRoom = next.name;
    batch(() => {
      store.open.value = next.name;
      if (before !== next) store.drawer.value = "none"; // opened over the room that stays: left open
      if (before !== next || next.state.value === "empty") this.#enterRoom(next);
    });
  }

  /** @param {RoomState} room */
  #enterRoom(room) {
    if (room.unread.value > 0 && room.read < room.last) room.line = room.read;
    if (room.place === null) {
      room.unread.value = 0;
      room.mentions.value = 0;
    }
    if (room.state.value === "empty" || room.state.value === "failed") void this.#loadRoom(room);
    else if (room.history.hasAfter && room.place === null) void this.#tried(this.loadNewest(room));
    void this.loadMembers(room);
  }

  /** @param {RoomState} room */
  #leaveRoom(room) {
    room.line = Number.POSITIVE_INFINITY;
    if (room.seen > room.read) this.#markRead(room, room.seen);
  }

  /** @param {RoomState} room */
  async #loadRoom(room) {
    room.state.value = "loading";
    const place = this.#wantedSeq > 0 ? null : this.#preferences.place(room.name);
    const around = this.#wantedSeq || (place?.seq ?? 0);
    this.#wantedSeq = 0;
    try {
      const where = around === 0 ? {} : { around };
      room.history.reset(await this.#api.messages(room.name, { ...where, limit: PAGE }));
      room.place = place;
      room.state.value = "ready";
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      room.state.value = "failed";
    }
    room.touch();
  }

  /** Try a room again that could not be loaded. @param {RoomState} room */
  reload(room) {
    return this.#loadRoom(room);
  }

  /** Read the newest page anew. @param {RoomState} room */
  async loadNewest(room) {
    const page = await this.#api.messages(room.name, { limit: PAGE });
    room.place = null;
    room.history.reset(page);
    room.last = Math.max(room.last, page.head);
    room.touch();
    this.#settlePending();
  }

  /** @param {RoomState} room */
  async loadOlder(room) {
    room.history.prepend(await this.#api.messages(room.name, { before: room.history.first || room.last + 1, limit: PAGE }));
  }

  /** @param {RoomState} room */
  async loadNewer(room) {
    const page = await this.#api.messages(room.name, { after: room.history.last, limit: PAGE });
    room.history.append(page);
    if (!page.hasAfter) {
      room.last = Math.max(room.last, page.head);
      this.#settlePending();
    }
  }

  /** Read what stands around a message. @param {RoomState} room @param {number} seq */
  async loadAround(room, seq) {
    if (room.history.find(seq) !== null) return;
    room.history.reset(await this.#api.messages(room.name, { around: seq, limit: PAGE }));
    room.state.value = "ready";
  }

  /** @param {RoomState} room */
  async loadMembers(room) {
    const members = await this.#tried(this.#api.members(room.name));
    if (members === null) return;
    const presence = new Map(this.#store.presence.value);
    for (const { user, state, text } of members) presence.set(user.id, { state, text });
    const me = this.#store.me.value;
    batch(() => {
      this.#store.presence.value = presence;
      room.members.value = new Map(members.map((member) => [member.user.id, member]));
      const mine = members.find(({ user }) => user.id === me?.id);
      if (mine !== undefined) room.role.value = mine.role;
    });
  }

  // Speaking and reading

  /**
   * Say something in a room.
   * @param {RoomState} room
   * @param {{text: string, kind?: "text" | "me", files?: import("./wire.js").FileInfo[]}} message
   */
  say(room, { text, kind = "text", files = [] }) {
    room.line = Number.POSITIVE_INFINITY;
    this.#outbox.add({ cid: this.#newCid(), room: room.name, text, kind, files, at: Date.now() });
    room.touch();
  }

  #newCid() {
    return crypto.getRandomValues(new Uint32Array(4)).reduce((cid, part) => cid + part.toString(36).padStart(7, "0"), Date.now().toString(36));
  }

  /** @param {import("./outbox.js").Pending} pending */
  async send(pending) {
    const { cid, room, text, kind, files } = pending;
    const body = await this.#connection.request(request.send({ cid, room, text, kind, files: files.map(({ id }) => id) }));
    const sent = decodeSent(body);
    this.#sent.set(cid, sent);
    this.#settleOne(cid, sent);
    return sent;
  }

  /** Where acknowledged messages are, until they were seen there. @type {Map<string, {room: string, seq: number}>} */
  #sent = new Map();

  /** @param {string} cid @param {{room: string, seq: number}} sent */
  #settleOne(cid, { room: name, seq }) {
    const room = this.#store.find(name);
    // An acknowledged message that is not above the room's last was shown already: its echo came
    // first, or a page held it.
    if (room === undefined || seq <= room.last) {
      this.#sent.delete(cid);
      this.#outbox.confirm(cid);
    }
  }

  #settlePending() {
    for (const [cid, sent] of this.#sent) this.#settleOne(cid, sent);
  }

  /**
   * Run a command line in a room; what it answers is shown to me only.
   * @param {RoomState} room
   * @param {string} line
   */
  async run(room, line) {
    const word = line.slice(1).split(/\s/u, 1)[0]?.toLowerCase() ?? "";
    try {
      const { lines, room: target } = decodeResult(await this.#connection.request(request.command(room.name, line)));
      if (CHANGES_ROOMS.has(word) || (target !== null && this.#store.find(target) === undefined)) await this.sync();
      if (["join", "j", "msg", "dm", "tell", "w", "query"].includes(word) && target !== null) this.openRoom(target);
      else if (lines.length > 0) this.note(room, lines);
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      const wait = error.retryAfter === null || error.code === "silenced" ? "" : ` Try again in ${Math.ceil(error.retryAfter)} s.`;
      this.note(room, [`${error.message.slice(0, 1).toUpperCase()}${error.message.slice(1)}${wait}`], true);
    }
  }

  /**
   * Run a command from a dialog.
   * @param {RoomState} room
   * @param {string} line
   * @returns {Promise<{lines: string[], room: string | null, result: Record<string, unknown>}>} rejects with a ChatError
   */
  async ask(room, line) {
    const result = decodeResult(await this.#connection.request(request.command(room.name, line)));
    await this.sync();
    return result;
  }

  /** @param {RoomState} room @param {string[]} lines @param {boolean} [isError] */
  note(room, lines, isError = false) {
    this.#noteId += 1;
    room.notes = [...room.notes.slice(-19), { id: this.#noteId, at: Date.now(), afterSeq: room.last, lines, isError }];
    room.touch();
  }

  /** @param {RoomState} room @param {number} id */
  closeNote(room, id) {
    room.notes = room.notes.filter((note) => note.id !== id);
    room.touch();
  }

  /** Everything up to here was on screen. @param {RoomState} room @param {number} seq */
  saw(room, seq) {
    room.seen = Math.max(room.seen, seq);
    room.unread.value = 0;
    room.mentions.value = 0;
  }

  /** Mark a room as read and take the unread line away. @param {RoomState} room */
  markRead(room) {
    room.line = Number.POSITIVE_INFINITY;
    room.unread.value = 0;
    room.mentions.value = 0;
    if (room.last > room.read) this.#markRead(room, room.last);
    room.touch();
  }

  /** Mark every room as read. */
  markAllRead() {
    for (const room of this.#store.rooms.value.values()) this.markRead(room);
  }

  /** @param {RoomState} room @param {number} seq */
  #markRead(room, seq) {
    room.read = Math.max(room.read, seq);
    void this.#tried(this.#connection.request(request.read(room.name, seq)));
  }

  #forgetHistory() {
    for (const room of this.#store.rooms.value.values()) {
      room.history.clear();
      room.last = 0;
      room.read = 0;
      room.seen = 0;
      room.countedTo = 0;
      room.line = Number.POSITIVE_INFINITY;
      room.state.value = "empty";
      room.place = null;
      this.#preferences.keepPlace(room.name, null);
    }
    const open = this.#store.room.value;
    if (open !== null) void this.#loadRoom(open);
  }

  /**
   * Wait for something whose failure the next `sync` repairs.
   * @template T
   * @param {Promise<T>} work
   * @returns {Promise<T | null>}
   */
  async #tried(work) {
    try {
      return await work;
    } catch (error) {
      if (error instanceof ChatError) return null;
      throw error;
    }
  }
}
