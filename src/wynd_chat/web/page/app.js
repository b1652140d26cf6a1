// @ts-check
/**
 * The whole page as one component: the gate, or what those see who are in (`shell.js`).
 * `Page` is what every view is given: state, use cases and the few handles that views lend each other.
 */

import { Gate, Loading } from "./accounts.js";
import { copyText, element, icon } from "./dom.js";
import { Toasts } from "./ui.js";
import { html, signal, useEffect, useState } from "./vendor/preact.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").RoomState} RoomState */
/** @typedef {import("./wire.js").User} User */
/** @typedef {import("./wire.js").FileInfo} FileInfo */
/**
 * @typedef {object} Parts
 * @property {Store} store
 * @property {import("./chat.js").Chat} chat
 * @property {import("./api.js").Api} api
 * @property {import("./connection.js").Connection} connection
 * @property {import("./outbox.js").Outbox} outbox
 * @property {import("./preferences.js").Preferences} preferences
 * @property {import("./notify.js").Notify} notify
 * @property {import("./uploads.js").Uploads} uploads
 * @property {import("./files.js").Files} files
 * @property {import("./connection.js").Clock} clock
 * @property {URL} base
 */

const SHELL_RETRY_MS = 1000;

/** @type {Promise<{Shell: unknown}> | null} */
let shell = null;

/** Load what those see who are in, once; asked for again after a failure. */
export function loadShell() {
  shell ??= import("./shell.js").catch((error) => {
    shell = null;
    throw error;
  });
  return shell;
}

export class Page {
  /** @param {Parts} parts */
  constructor(parts) {
    this.store = parts.store;
    this.chat = parts.chat;
    this.api = parts.api;
    this.connection = parts.connection;
    this.outbox = parts.outbox;
    this.preferences = parts.preferences;
    this.notify = parts.notify;
    this.uploads = parts.uploads;
    this.files = parts.files;
    this.clock = parts.clock;
    this.base = parts.base;
    /** What the gate shows: "name", "sign-in" or "register". */
    this.gate = signal("name");
    /** A code from an invitation that was followed. */
    this.invite = signal("");
    /** @type {{focus: () => void, insert: (words: string) => void, pick: () => void} | null} */
    this.composer = null;
    /** @type {import("./log.js").MessageLog | null} */
    this.log = null;
    this.#lendTools();
  }

  /** The message to go to once its room is shown: room and seq. @type {{room: string, seq: number} | null} */
  #target = null;

  /** Go to a room. @param {string} room */
  go(room) {
    const hash = `#/${encodeURIComponent(room)}`;
    if (location.hash === hash) void this.follow();
    else location.hash = hash;
  }

  /** Follow the address: `#/dev`, `#/dev/42`, or `#/-/sign-in`. */
  async follow() {
    const [first = "", second = "", third = ""] = location.hash.replace(/^#\/?/u, "").split("/").map(decoded);
    if (first === "-") {
      this.#followView(second, third);
      return;
    }
    if (first === "") {
      this.chat.openRoom(this.store.open.value || this.store.lobby);
      return;
    }
    const seq = Number(second);
    if (seq > 0) {
      this.#target = { room: first, seq };
      const room = this.store.find(first);
      if (room?.state.value === "ready") {
        await this.chat.loadAround(room, seq);
        room.touch();
      }
    }
    this.chat.openRoom(first, seq || 0);
  }

  /** @param {string} view @param {string} code */
  #followView(view, code) {
    if (view === "sign-in" || view === "register") {
      this.gate.value = view;
      this.invite.value = code;
      if (this.store.stage.value === "ready") this.store.dialog.value = { name: view };
    } else if (["join", "link", "claim"].includes(view)) {
      this.store.dialog.value = { name: view, about: { code } };
    } else if (view === "settings" || view === "account") {
      this.store.dialog.value = { name: view };
    }
    history.replaceState(null, "", `#/${encodeURIComponent(this.store.open.value)}`);
  }

  /** @param {RoomState} room @returns {number} the message to centre, 0: none */
  takeTarget(room) {
    if (this.#target === null || this.#target.room !== room.name || room.history.find(this.#target.seq) === null) return 0;
    const { seq } = this.#target;
    this.#target = null;
    return seq;
  }

  closeMembers() {
    if (this.store.drawer.value === "members") this.store.drawer.value = "none";
    else this.preferences.membersPanel.value = "closed";
  }

  /** @param {RoomState} room @param {Iterable<File>} files */
  addFiles(room, files) {
    const problem = this.uploads.add(room.name, files);
    if (problem !== "") this.store.toast(problem, true);
    this.composer?.focus();
  }

  /** Names for completion: members of the room, those who wrote last first. @param {RoomState} room @returns {string[]} */
  names(room) {
    const members = [...(room.members.value?.values() ?? [])].map(({ user }) => user.name);
    const writers = room.history.events.slice(-200).reverse().flatMap((event) => (event.type === "message" ? [event.author.name] : []));
    return [...new Set([...writers, ...members])].filter((name) => name !== this.store.me.value?.name);
  }

  /** @returns {{name: string, topic: string}[]} */
  roomNames() {
    return this.store.sortedRooms.value.filter(({ kind }) => kind.value !== "dm").map(({ name, topic }) => ({ name, topic: topic.value }));
  }

  /** Users of the rooms whose members are loaded. @returns {User[]} */
  knownUsers() {
    /** @type {Map<string, User>} */
    const users = new Map();
    for (const room of this.store.rooms.value.values()) {
      for (const { user } of room.members.value?.values() ?? []) users.set(user.id, user);
    }
    return [...users.values()];
  }

  /** @param {RoomState} room @param {string} name @returns {boolean} */
  isUser(room, name) {
    const key = name.toLowerCase();
    if (key === this.store.me.peek()?.name.toLowerCase()) return true;
    for (const { user } of room.members.peek()?.values() ?? []) if (user.name.toLowerCase() === key) return true;
    return room.history.events.slice(-300).some((event) => event.type === "message" && event.author.name.toLowerCase() === key);
  }

  /** @param {User} user @param {MouseEvent} event */
  openUser(user, event) {
    const at = event.clientX > 0 ? { x: event.clientX, y: event.clientY } : null;
    this.store.dialog.value = { name: "user", about: { user, at } };
  }

  /** Clicks in the log: authors, mentions, pictures, files, and the buttons of a message. @param {MouseEvent} event */
  clicked = (event) => {
    const target = event.target instanceof Element ? event.target.closest("[data-user], [data-picture], [data-file], [data-action], [data-note]") : null;
    const room = this.store.room.value;
    if (!(target instanceof HTMLElement) || room === null) return;
    const { user, userId, picture, file, action, note } = target.dataset;
    const row = target.closest("li.message, li.note, li.event, li.announcement");
    if (note !== undefined) this.chat.closeNote(room, Number(note));
    else if (picture !== undefined) this.#openPicture(room, picture);
    else if (file !== undefined) void this.#download(event, room, file);
    else if (action !== undefined && row instanceof HTMLElement) void this.#act(action, row, room, event);
    else if (user !== undefined) {
      const found = this.#findUser(room, user, userId);
      if (found !== null) this.openUser(found, event);
    }
  };

  /** @param {RoomState} room @param {string} name @param {string | undefined} id @returns {User | null} */
  #findUser(room, name, id) {
    const members = [...(room.members.value?.values() ?? [])].map(({ user }) => user);
    const authors = room.history.events.flatMap((event) => (event.type === "message" ? [event.author] : []));
    return [...members, ...authors].find((user) => (id ? user.id === id : user.name.toLowerCase() === name.toLowerCase())) ?? null;
  }

  /** @param {RoomState} room @returns {FileInfo[]} */
  #filesOf(room) {
    return room.history.events.flatMap((event) => (event.type === "message" ? event.files : []));
  }

  /** @param {RoomState} room @param {string} id */
  #openPicture(room, id) {
    const files = this.#filesOf(room).filter(({ mime }) => mime.startsWith("image/"));
    this.store.dialog.value = { name: "picture", about: { files, first: Math.max(0, files.findIndex((file) => file.id === id)) } };
  }

  /** @param {MouseEvent} event @param {RoomState} room @param {string} id */
  async #download(event, room, id) {
    const file = this.#filesOf(room).find((one) => one.id === id);
    if (file !== undefined) await this.files.download(event, file);
  }

  /** @param {string} action @param {HTMLElement} row @param {RoomState} room @param {MouseEvent} event */
  async #act(action, row, room, event) {
    const seq = Number(row.dataset["seq"] ?? 0);
    const cid = row.dataset["cid"] ?? "";
    const found = seq > 0 ? room.history.find(seq) : null;
    const message = found?.type === "message" ? found : null;
    const pending = this.store.pending.value.find((one) => one.cid === cid);
    switch (action) {
      case "retry":
        this.outbox.retry(cid);
        break;
      case "delete":
        this.outbox.drop(cid);
        this.composer?.focus();
        break;
      case "copy":
        this.store.toast((await copyText(message?.text ?? pending?.text ?? "")) ? "Copied." : "The browser does not allow copying.");
        break;
      case "link":
        this.store.toast((await copyText(`${this.base.href}#/${encodeURIComponent(room.name)}/${seq}`)) ? "The link is on the clipboard." : "The browser does not allow copying.");
        break;
      case "user":
        if (message !== null) this.openUser(this.#findUser(room, message.author.name, message.author.id) ?? message.author, event);
        break;
      default:
    }
  }

  /** One set of buttons, lent to the message under the pointer or with the focus. */
  #lendTools() {
    /** @param {string} action @param {string} label @param {import("./dom.js").IconName} name */
    const button = (action, label, name) =>
      element("button", { type: "button", class: "icon-button", "data-action": action, "aria-label": label, title: label, tabindex: "-1" }, icon(name));
    const tools = element("div", { class: "tools", role: "toolbar", "aria-label": "Message" }, button("copy", "Copy text", "copy"), button("link", "Copy link", "link"), button("user", "More about the author", "more"));
    /** @param {Event} event */
    const lend = ({ target }) => {
      const row = target instanceof Element ? target.closest("li.message[data-seq]") : null;
      const article = row?.querySelector("article");
      if (article && tools.parentElement !== article) article.append(tools);
    };
    document.addEventListener("pointerover", lend, { passive: true });
    document.addEventListener("focusin", lend);
    document.addEventListener("keydown", (event) => this.#toolKey(event, tools));
  }

  /** Enter goes from a message to its buttons, the arrows along them, Esc back. @param {KeyboardEvent} event @param {HTMLElement} tools */
  #toolKey(event, tools) {
    const active = document.activeElement;
    const buttons = /** @type {HTMLElement[]} */ ([...tools.children]);
    if (active?.tagName === "ARTICLE" && event.key === "Enter" && tools.parentElement === active) buttons[0]?.focus();
    else if (active instanceof HTMLElement && tools.contains(active)) {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step !== undefined) buttons[(buttons.indexOf(active) + step + buttons.length) % buttons.length]?.focus();
      else if (event.key === "Escape") tools.closest("article")?.focus();
      else return;
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** @param {string} part @returns {string} */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param {{page: Page}} props */
export function App({ page }) {
  const { store, preferences } = page;
  const stage = store.stage.value;
  useEffect(() => {
    const root = document.documentElement;
    root.dataset["theme"] = preferences.theme.value;
    root.dataset["density"] = preferences.density.value;
  }, [preferences.theme.value, preferences.density.value]);
  return html`
    ${stage === "loading" ? html`<${Loading} page=${page} />` : stage === "gate" ? html`<${Gate} page=${page} />` : html`<${LazyShell} page=${page} />`}
    <${Toasts} toasts=${store.toasts.value} onDismiss=${(/** @type {number} */ id) => store.dismiss(id)} />
  `;
}

/**
 * The gate is there before the shell is loaded; that goes on behind it.
 * @param {{page: Page}} props
 */
function LazyShell({ page }) {
  const [view, setView] = useState(/** @type {{Shell: unknown} | null} */ (null));
  useEffect(() => {
    let timer = 0;
    const load = () =>
      void loadShell().then(
        ({ Shell }) => setView({ Shell }),
        () => (timer = setTimeout(load, SHELL_RETRY_MS)),
      );
    load();
    return () => clearTimeout(timer);
  }, []);
  return view === null ? html`<${Loading} page=${page} />` : html`<${view.Shell} page=${page} />`;
}
