// @ts-check
/**
 * What reaches people who are not looking: the title, notices of the desktop, a sound, and the
 * announcer for those who listen. Decides what is worth which.
 */

import { badge, counted } from "./format.js";
import { plainText } from "./markup.js";
import { effect } from "./vendor/preact.js";

/** @typedef {import("./store.js").RoomState} RoomState */
/** @typedef {import("./wire.js").Message} Message */

const ANNOUNCE_MS = 2000;
const ANNOUNCED_MAX = 3; // within ANNOUNCE_MS; beyond it only their number
const PREVIEW_CHARS = 140;

export class Notify {
  #store;
  #preferences;
  #announcer;
  /** @type {string[]} */
  #waiting = [];
  #isSaying = false;
  /** @type {AudioContext | null} */
  #audio = null;

  /**
   * @param {object} parts
   * @param {import("./store.js").Store} parts.store
   * @param {import("./preferences.js").Preferences} parts.preferences
   * @param {HTMLElement} parts.announcer a live region
   */
  constructor({ store, preferences, announcer }) {
    this.#store = store;
    this.#preferences = preferences;
    this.#announcer = announcer;
  }

  /** Keep the title up to date. */
  start() {
    effect(() => {
      const { rooms, room, server, stage } = this.#store;
      let mentions = 0;
      let hasUnread = false;
      for (const one of rooms.value.values()) {
        if (one.notify.value === "nothing" || one.notify.value === "hidden") continue;
        mentions += one.mentions.value;
        hasUnread ||= one.unread.value > 0;
      }
      const name = stage.value === "ready" && room.value !== null ? room.value.title : "";
      const parts = [name, server.value.name || "Chat"].filter((part) => part !== "");
      const mark = mentions > 0 ? `(${badge(mentions)}) ` : hasUnread ? "• " : "";
      document.title = mark + parts.join(" — ");
    });
  }

  /**
   * A message of somebody else came.
   * @param {Message} message
   * @param {RoomState} room
   * @param {() => void} open goes to the room
   */
  message(message, room, open) {
    const { open: current, me } = this.#store;
    const isWatched = document.visibilityState === "visible" && document.hasFocus();
    if (room.name === current.value) this.#announce(`${message.author.name}: ${said(message)}`);
    if (isWatched && room.name === current.value) return;
    const isForMe = room.kind.value === "dm" || message.mentions.includes(me.value?.id ?? "");
    const notify = room.notify.value;
    if (notify === "nothing" || notify === "hidden" || (!isForMe && notify === "mentions")) return;
    if (this.#preferences.sound.value === "on" && isForMe) this.#sound();
    if (this.#preferences.desktop.value === "on" && !isWatched) this.#show(message, room, open);
  }

  /** Ask to show notices; only to be called on a click. @returns {Promise<boolean>} */
  async ask() {
    if (typeof Notification === "undefined") return false;
    return (await Notification.requestPermission()) === "granted";
  }

  /** @param {Message} message @param {RoomState} room @param {() => void} open */
  #show(message, room, open) {
    if (typeof Notification === "undefined" || Notification.permission !== "granted") return;
    const title = room.kind.value === "dm" ? message.author.name : `${message.author.name} in ${room.title}`;
    const notice = new Notification(title, { body: said(message).slice(0, PREVIEW_CHARS), tag: room.name });
    notice.onclick = () => {
      window.focus();
      open();
      notice.close();
    };
  }

  #sound() {
    this.#audio ??= new AudioContext();
    const { currentTime, destination } = this.#audio;
    const tone = this.#audio.createOscillator();
    const volume = this.#audio.createGain();
    tone.frequency.setValueAtTime(660, currentTime);
    tone.frequency.setValueAtTime(880, currentTime + 0.09);
    volume.gain.setValueAtTime(0.06, currentTime);
    volume.gain.exponentialRampToValueAtTime(0.0001, currentTime + 0.28);
    tone.connect(volume).connect(destination);
    tone.start();
    tone.stop(currentTime + 0.3);
  }

  /** @param {string} text */
  #announce(text) {
    this.#waiting.push(text);
    if (this.#isSaying) return;
    this.#isSaying = true;
    this.#say();
    setTimeout(() => {
      this.#isSaying = false;
      if (this.#waiting.length > ANNOUNCED_MAX) this.#waiting = [counted(this.#waiting.length, "new message")];
      if (this.#waiting.length > 0) this.#say();
    }, ANNOUNCE_MS);
  }

  #say() {
    const lines = this.#waiting.map((text) => {
      const line = document.createElement("p");
      line.textContent = text;
      return line;
    });
    this.#waiting = [];
    this.#announcer.replaceChildren(...lines);
  }
}

/** @param {Message} message @returns {string} */
function said({ text, files }) {
  const words = plainText(text).replace(/\s+/gu, " ").trim();
  const attached = files.length === 0 ? "" : files.length === 1 ? `shared ${files[0]?.name}` : `shared ${files.length} files`;
  return [words, attached].filter((part) => part !== "").join(" — ");
}
