// @ts-check
/**
 * Where uploaded files are, and how they get into the page. An account's cookie goes with every
 * request; a guest's token has to be sent by hand, so a guest's files come as blobs.
 */

import { element } from "./dom.js";

/** @typedef {import("./wire.js").FileInfo} FileInfo */
/** @typedef {HTMLImageElement | HTMLVideoElement | HTMLAudioElement} Player */

const KEPT_MAX = 100; // blobs in memory; the one unused longest goes

export class Files {
  #base;
  #credentials;
  /** @type {Map<string, Promise<string>>} object URLs by file id */
  #blobs = new Map();

  /** @param {URL} base @param {() => Map<string, string>} credentials */
  constructor(base, credentials) {
    this.#base = base;
    this.#credentials = credentials;
  }

  /** @param {FileInfo} file @returns {string} */
  href = (file) => new URL(`files/${encodeURIComponent(file.id)}/${encodeURIComponent(file.name)}`, this.#base).href;

  /** Give a player or picture its source. @param {Player} player @param {FileInfo} file */
  show = (player, file) => {
    if (this.#credentials().size === 0) {
      player.src = this.href(file);
      return;
    }
    if (player instanceof HTMLImageElement) void this.#fill(player, file);
    else player.addEventListener("play", () => void this.#fill(player, file), { once: true });
  };

  /** Save a file; only needed where a link cannot do it. @param {MouseEvent} event @param {FileInfo} file */
  download = async (event, file) => {
    if (this.#credentials().size === 0) return; // the link does it
    event.preventDefault();
    const link = element("a", { download: file.name });
    link.href = await this.#blob(file);
    link.click();
  };

  /** @param {Player} player @param {FileInfo} file */
  async #fill(player, file) {
    player.src = await this.#blob(file);
    if (!(player instanceof HTMLImageElement)) await player.play();
  }

  /** @param {FileInfo} file @returns {Promise<string>} an object URL */
  #blob(file) {
    const known = this.#blobs.get(file.id) ?? this.#load(file);
    this.#blobs.delete(file.id);
    this.#blobs.set(file.id, known);
    if (this.#blobs.size > KEPT_MAX) this.#drop(/** @type {string} */ (this.#blobs.keys().next().value));
    return known;
  }

  /** @param {FileInfo} file @returns {Promise<string>} */
  async #load(file) {
    const answer = await fetch(this.href(file), { headers: [...this.#credentials()] });
    if (!answer.ok) {
      this.#blobs.delete(file.id);
      return "about:invalid"; // the picture shows that it is not there
    }
    return URL.createObjectURL(await answer.blob());
  }

  /** @param {string} id */
  #drop(id) {
    const gone = this.#blobs.get(id);
    this.#blobs.delete(id);
    void gone?.then((url) => URL.revokeObjectURL(url));
  }
}
