// @ts-check
/**
 * REST calls of the page: paths, bodies, credentials, and problem documents as ChatErrors.
 * Accounts are known by their cookie; a guest by the token of its name, which is given here.
 */

import {
  ChatError,
  decodeCommands,
  decodeLogins,
  decodeMembers,
  decodeMyRooms,
  decodePage,
  decodeProblem,
  decodeRoom,
  decodeUser,
  list,
  object,
  text,
} from "./wire.js";

const ANSWER_MS = 20_000;
const PAGES_MAX = 50; // of one list

export class Api {
  #base;
  #token;

  /**
   * @param {URL} base the page's own address, without its last part
   * @param {() => string | null} token the guest's token, or null
   */
  constructor(base, token) {
    this.#base = base;
    this.#token = token;
  }

  /** @param {string} room @param {{before?: number, after?: number, around?: number, limit?: number}} where */
  async messages(room, where) {
    const query = Object.entries({ limit: 50, ...where }).map(([key, value]) => `${key}=${value}`).join("&");
    return decodePage(await this.call("GET", `rooms/${encodeURIComponent(room)}/messages?${query}`));
  }

  async myRooms() {
    return decodeMyRooms(await this.call("GET", "users/me/rooms"));
  }

  /** @param {string} room */
  async room(room) {
    return decodeRoom(await this.call("GET", `rooms/${encodeURIComponent(room)}`));
  }

  /** Public rooms and my own. */
  async rooms() {
    /** @type {import("./wire.js").RoomInfo[]} */
    const rooms = [];
    await this.#pages("rooms", (page) => rooms.push(...list(page.rooms).map(decodeRoom)));
    return rooms;
  }

  /** @param {string} name @param {string} topic @param {boolean} isPrivate */
  async makeRoom(name, topic, isPrivate) {
    return decodeRoom(await this.call("POST", "rooms", { name, topic, private: isPrivate }));
  }

  /** @param {string} room @returns {Promise<string>} a link that lets others in */
  async inviteLink(room) {
    return text(object(await this.call("POST", `rooms/${encodeURIComponent(room)}/invites`)).link);
  }

  /** @param {string} room */
  async members(room) {
    /** @type {import("./wire.js").Member[]} */
    const members = [];
    await this.#pages(`rooms/${encodeURIComponent(room)}/members`, (page) => members.push(...decodeMembers(page)));
    return members;
  }

  /** Read a list page by page. @param {string} path @param {(page: Record<string, unknown>) => void} take */
  async #pages(path, take) {
    let cursor = "";
    for (let count = 0; count < PAGES_MAX; count += 1) {
      const query = cursor === "" ? "" : `?cursor=${encodeURIComponent(cursor)}`;
      const page = object(await this.call("GET", path + query));
      take(page);
      cursor = text(page.next_cursor);
      if (cursor === "") return;
    }
  }

  async commands() {
    return decodeCommands(object(await this.call("GET", "commands")).commands);
  }

  /** @param {string} name @param {string} password */
  async signIn(name, password) {
    return decodeUser(object(await this.call("POST", "sessions", { name, password })).user);
  }

  async signOut() {
    await this.call("DELETE", "sessions/current");
  }

  /** @param {string} name @param {string} password @param {string} invite */
  async register(name, password, invite) {
    const body = invite === "" ? { name, password } : { name, password, invite };
    return decodeUser(object(await this.call("POST", "users", body)).user);
  }

  /** @param {Record<string, unknown>} change */
  async changeMe(change) {
    return this.call("PATCH", "users/me", change);
  }

  /** @param {string} now @param {string} next */
  async changePassword(now, next) {
    await this.changeMe({ old_password: now, password: next });
  }

  /** @param {string} code @returns {Promise<import("./wire.js").User | null>} me, as administrator */
  async claim(code) {
    return decodeUser(object(await this.call("POST", `claim/${encodeURIComponent(code)}`)).user);
  }

  /** @param {string} code @returns {Promise<string>} the room */
  async useInvite(code) {
    return text(object(await this.call("POST", `join/${encodeURIComponent(code)}`)).room);
  }

  /** @param {string} code */
  async approveLink(code) {
    await this.call("POST", `link/${encodeURIComponent(code)}`);
  }

  /** @param {"sessions" | "tokens"} key */
  async logins(key) {
    return decodeLogins(await this.call("GET", key), key);
  }

  /** @param {"sessions" | "tokens"} key @param {string} id */
  async endLogin(key, id) {
    await this.call("DELETE", `${key}/${encodeURIComponent(id)}`);
  }

  /** @param {string} label @returns {Promise<string>} the token, which is shown this once */
  async newToken(label) {
    return text(object(await this.call("POST", "tokens", { label })).token);
  }

  /** @param {string} path below /api/v1/ */
  url(path) {
    return new URL(`api/v1/${path}`, this.#base).href;
  }

  /** The header fields that say who is asking. */
  credentials() {
    const token = this.#token();
    return token === null ? new Map() : new Map([["Authorization", `Bearer ${token}`]]);
  }

  /**
   * @param {string} method
   * @param {string} path below /api/v1/
   * @param {object} [body]
   * @returns {Promise<unknown>} the JSON of the answer; rejects with a ChatError
   */
  async call(method, path, body) {
    const headers = new Headers([...this.credentials(), ["Accept", "application/json"]]);
    if (body !== undefined) headers.set("Content-Type", "application/json");
    let answer;
    try {
      answer = await fetch(this.url(path), {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(ANSWER_MS),
        credentials: "same-origin",
      });
    } catch {
      throw new ChatError("lost", "the server cannot be reached", { isTemporary: true });
    }
    const value = await jsonOf(answer);
    if (!answer.ok) throw decodeProblem(value, answer.status);
    return value;
  }
}

/** @param {Response} answer @returns {Promise<unknown>} */
async function jsonOf(answer) {
  const type = answer.headers.get("Content-Type") ?? "";
  if (answer.status === 204 || !type.includes("json")) return null;
  try {
    return await answer.json();
  } catch {
    throw new ChatError("internal", "the server's answer was cut off", { isTemporary: true });
  }
}
