// @ts-check
/**
 * Files on their way into a message: checked, cleaned of what a camera noted, sent with progress.
 * Decides what is sent and as what; the composer shows it. A file is uploaded at once and attached
 * when the message is sent.
 */

import { fileSize } from "./format.js";
import { signal } from "./vendor/preact.js";
import { ChatError, decodeFile, decodeProblem } from "./wire.js";

/**
 * @typedef {object} Upload
 * @property {number} id
 * @property {string} room
 * @property {File} file
 * @property {string} preview an object URL of an image, or ""
 * @property {"cleaning" | "sending" | "done" | "failed"} state
 * @property {number} part 0 to 1
 * @property {string} problem
 * @property {boolean} isUnclean the picture's hidden data could not be removed
 * @property {import("./wire.js").FileInfo | null} info what the server calls it
 */

const CLEANED = new Set(["image/jpeg", "image/png", "image/webp", "image/avif"]);
const FILES_MAX = 10; // of one message
const AT_ONCE = 3;

export class Uploads {
  #api;
  #limit;
  #nextId = 1;
  /** @type {Map<number, XMLHttpRequest>} */
  #running = new Map();

  /**
   * @param {import("./api.js").Api} api
   * @param {() => number} limit bytes of one file
   */
  constructor(api, limit) {
    this.#api = api;
    this.#limit = limit;
    this.list = signal(/** @type {Upload[]} */ ([]));
  }

  /** @param {string} room @returns {Upload[]} */
  of(room) {
    return this.list.value.filter((upload) => upload.room === room);
  }

  /**
   * Take files for the next message of a room.
   * @param {string} room
   * @param {Iterable<File>} files
   * @returns {string} what was left out and why, or ""
   */
  add(room, files) {
    const places = FILES_MAX - this.of(room).length;
    const all = [...files];
    for (const file of all.slice(0, places)) this.#take(room, file);
    return all.length > places ? `A message takes at most ${FILES_MAX} files.` : "";
  }

  /** @param {string} room @param {File} file */
  #take(room, file) {
    const isTooLarge = file.size > this.#limit();
    const isImage = CLEANED.has(file.type) || file.type === "image/gif";
    /** @type {Upload} */
    const upload = {
      id: this.#nextId,
      room,
      file,
      preview: isImage && !isTooLarge ? URL.createObjectURL(file) : "",
      state: isTooLarge ? "failed" : "cleaning",
      part: 0,
      problem: isTooLarge ? `Larger than ${fileSize(this.#limit())}` : file.size === 0 ? "The file is empty" : "",
      isUnclean: false,
      info: null,
    };
    if (file.size === 0) upload.state = "failed";
    this.#nextId += 1;
    this.list.value = [...this.list.value, upload];
    this.#next();
  }

  /** @param {number} id */
  remove(id) {
    this.#running.get(id)?.abort();
    this.#running.delete(id);
    const gone = this.list.value.find((upload) => upload.id === id);
    if (gone !== undefined && gone.preview !== "") URL.revokeObjectURL(gone.preview);
    this.list.value = this.list.value.filter((upload) => upload.id !== id);
    this.#next();
  }

  /**
   * Try a failed one again.
   * @param {number} id
   * @param {boolean} [asItIs] send a picture with its hidden data
   */
  retry(id, asItIs = false) {
    this.#change(id, { state: "cleaning", problem: "", part: 0, isUnclean: asItIs });
    this.#next();
  }

  /**
   * Take what is ready out of a room's list, for a message.
   * @param {string} room
   * @returns {import("./wire.js").FileInfo[]}
   */
  takeDone(room) {
    const done = this.of(room).filter(({ state }) => state === "done");
    for (const { id } of done) this.remove(id);
    return done.flatMap(({ info }) => info ?? []);
  }

  /** @param {string} room @returns {boolean} */
  isBusy(room) {
    return this.of(room).some(({ state }) => state === "cleaning" || state === "sending");
  }

  #next() {
    const busy = this.list.peek().filter(({ state }) => state === "sending").length;
    const next = this.list.peek().find(({ state }) => state === "cleaning");
    if (next !== undefined && busy < AT_ONCE) void this.#run(next);
  }

  /** @param {Upload} upload */
  async #run(upload) {
    const { id, file, isUnclean } = upload;
    this.#change(id, { state: "sending" });
    this.#next();
    try {
      const clean = isUnclean || !CLEANED.has(file.type) ? file : await withoutHiddenData(file);
      if (!this.list.peek().some((other) => other.id === id)) return; // cancelled meanwhile
      const info = await this.#send(id, clean);
      this.#change(id, { state: "done", part: 1, info });
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      if (error.code === "cancelled") return;
      this.#change(id, { state: "failed", problem: error.message, isUnclean: error.code === "unclean" });
    } finally {
      this.#running.delete(id);
      this.#next();
    }
  }

  /** @param {number} id @param {File} file @returns {Promise<import("./wire.js").FileInfo>} */
  #send(id, file) {
    const sending = new XMLHttpRequest(); // fetch tells nothing of its progress upwards
    this.#running.set(id, sending);
    return new Promise((resolve, reject) => {
      sending.upload.onprogress = ({ loaded, total }) => this.#change(id, { part: total > 0 ? loaded / total : 0 });
      sending.onabort = () => reject(new ChatError("cancelled", "cancelled"));
      sending.onerror = () => reject(new ChatError("lost", "The connection was lost", { isTemporary: true }));
      sending.onload = () => {
        const answer = json(sending.responseText);
        if (sending.status >= 200 && sending.status < 300) {
          const info = decodeFile(answer);
          resolve({ ...info, name: info.name === "file" ? file.name : info.name, size: info.size || file.size, mime: info.mime });
        } else reject(decodeProblem(answer, sending.status));
      };
      sending.open("PUT", this.#api.url(`uploads/${encodeURIComponent(file.name || "file")}`));
      for (const [name, value] of this.#api.credentials()) sending.setRequestHeader(name, value);
      sending.setRequestHeader("Content-Type", file.type || "application/octet-stream");
      sending.send(file);
    });
  }

  /** @param {number} id @param {Partial<Upload>} change */
  #change(id, change) {
    this.list.value = this.list.value.map((upload) => (upload.id === id ? { ...upload, ...change } : upload));
  }
}

/** @param {string} text @returns {unknown} null where it is no JSON */
function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's page, for one
  }
}

/**
 * Draw a picture anew, which leaves behind where and with what it was taken.
 * @param {File} file
 * @returns {Promise<File>} rejects with `unclean` where the browser cannot
 */
async function withoutHiddenData(file) {
  const unclean = () => new ChatError("unclean", "Its hidden data (place, camera) could not be removed");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw unclean();
  }
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  bitmap.close();
  const type = file.type === "image/avif" ? "image/webp" : file.type;
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, 0.9));
  if (!(blob instanceof Blob) || blob.type !== type) throw unclean();
  const name = type === file.type ? file.name : file.name.replace(/\.avif$/iu, ".webp");
  return new File([blob], name, { type });
}
