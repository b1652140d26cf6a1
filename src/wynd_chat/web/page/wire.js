// @ts-check
/**
 * The JSON face `chat.v1.json` and REST as typed values: the only module that knows field names.
 * Decides what is accepted from the server (what is malformed or unknown becomes null or `other`)
 * and how requests look. Knows no socket, no state and no DOM.
 */

/** @typedef {"human" | "guest" | "bot" | "system"} UserKind */
/** @typedef {"owner" | "op" | "member"} RoomRole */
/** @typedef {"public" | "private" | "dm"} RoomKind */
/** @typedef {"all" | "mentions" | "nothing" | "hidden"} Notify */
/** @typedef {{id: string, name: string, kind: UserKind, isAdmin: boolean}} User */
/** @typedef {{id: string, name: string, mime: string, size: number, w: number, h: number}} FileInfo */
/**
 * @typedef {object} Message
 * @property {"message"} type
 * @property {string} room
 * @property {number} seq
 * @property {number} at milliseconds UTC
 * @property {User} author
 * @property {"text" | "me" | "file" | "system"} kind
 * @property {string} text
 * @property {string[]} mentions ids of users
 * @property {FileInfo[]} files
 * @property {number | null} replyTo
 * @property {number | null} editedAt
 * @property {boolean} isDeleted
 * @property {boolean} isHidden by somebody whom I ignore: its text was kept from me
 * @property {string | null} cid only for one's own
 */
/** @typedef {{type: "topic", room: string, seq: number, at: number, by: User, topic: string}} Topic */
/** @typedef {{type: "joined", room: string, seq: number, at: number, user: User}} Joined */
/**
 * @typedef {{type: "left", room: string, seq: number, at: number, user: User,
 *   how: "leave" | "kick" | "ban", by: User | null, reason: string}} Left
 */
/**
 * @typedef {{type: "role", room: string, seq: number, at: number, user: User, role: RoomRole,
 *   by: User | null, silencedUntil: number | null}} Role `silencedUntil` 0: may speak again; null: not
 *   about silence
 */
/** @typedef {{type: "other", room: string, seq: number, at: number}} Other an event of a later version */
/** @typedef {Message | Topic | Joined | Left | Role | Other} RoomEvent */
/**
 * @typedef {object} Hello
 * @property {{name: string, version: string}} server
 * @property {string} epoch
 * @property {User | null} user
 * @property {boolean} guests
 * @property {string} lobby the room that everybody is in
 * @property {number} pingMs
 * @property {string[]} features
 * @property {{text: number, burst: number, perSecond: number, upload: number}} limits
 */
/** @typedef {{type: "presence", user: User, state: "online" | "away" | "offline", text: string}} Presence */
/** @typedef {{type: "tick", heads: Map<string, number>, online: Map<string, number>}} Tick */
/** @typedef {{type: "read", room: string, seq: number}} ReadElsewhere */
/**
 * @typedef {{type: "entered", room: string, kind: RoomKind, head: number, with: User | null}} Entered I am
 *   in a room from now on, and no durable event says so
 */
/** @typedef {{type: "exited", room: string}} Exited */
/** @typedef {Presence | Tick | ReadElsewhere | Entered | Exited} Ephemeral */
/**
 * @typedef {object} SyncedRoom
 * @property {string} room
 * @property {RoomKind} kind
 * @property {number} head
 * @property {number} read
 * @property {boolean} gap
 * @property {RoomEvent[]} events
 * @property {User | null} with the other side of a direct conversation
 * @property {string | null} error
 */
/** @typedef {{name: string, aliases: string[], syntax: string, summary: string, example: string, who: string}} CommandInfo */
/** @typedef {{re: string | number | null, body: Record<string, unknown>, error: WireError | null}} Reply */
/** @typedef {{messages: Message[], hasBefore: boolean, hasAfter: boolean, head: number}} Page */
/**
 * @typedef {object} MyRoom
 * @property {string} room
 * @property {RoomKind} kind
 * @property {string} topic
 * @property {number} head
 * @property {number} read
 * @property {number} unread
 * @property {number} mentions
 * @property {Notify} notify
 * @property {RoomRole} role
 * @property {User | null} with
 */
/** @typedef {{user: User, role: RoomRole, silencedUntil: number | null, state: "online" | "away" | "offline", text: string}} Member */
/** @typedef {{room: string, kind: RoomKind, topic: string, here: number, isMember: boolean, isLocked: boolean, slowS: number, hasKey: boolean}} RoomInfo */
/** @typedef {{id: string, kind: string, label: string, ip: string, agent: string, createdAt: number, seenAt: number, isCurrent: boolean}} Login */
/** @typedef {{code: string, message: string, retryAfter: number | null, isTemporary: boolean}} WireError */

export const SUBPROTOCOL = "chat.v1.json";
export const TEXT_CHARS_MAX = 8000;

/** A refusal by the server, or `lost`, `timeout` where no answer came; `message` is for the user. */
export class ChatError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{retryAfter?: number | null, isTemporary?: boolean}} [more]
   */
  constructor(code, message, { retryAfter = null, isTemporary = false } = {}) {
    super(message);
    this.name = "ChatError";
    this.code = code;
    /** Seconds until the same request may succeed. */
    this.retryAfter = retryAfter;
    this.isTemporary = isTemporary;
  }
}

/**
 * Read a frame.
 * @param {string} frame
 * @returns {{is: "hello", hello: Hello} | {is: "reply", reply: Reply} | {is: "event", event: RoomEvent}
 *   | {is: "ephemeral", ephemeral: Ephemeral} | null} null for what this version does not know
 */
export function decodeFrame(frame) {
  const value = object(JSON.parse(frame));
  if ("re" in value) return { is: "reply", reply: decodeReply(value) };
  if (value.type === "hello") return { is: "hello", hello: decodeHello(value) };
  const ephemeral = decodeEphemeral(value);
  if (ephemeral !== null) return { is: "ephemeral", ephemeral };
  const event = decodeEvent(value);
  return event === null ? null : { is: "event", event };
}

/**
 * @param {Record<string, unknown>} value
 * @returns {Hello}
 */
function decodeHello(value) {
  const server = object(value.server);
  const limits = object(value.limits);
  return {
    server: { name: text(server.name) || "wynd-chat", version: text(server.version) },
    epoch: text(value.epoch),
    user: decodeUser(value.user),
    guests: value.guests === true,
    lobby: text(value.lobby) || "lobby",
    pingMs: (number(value.ping) ?? 25) * 1000,
    features: list(value.features).map(text),
    limits: {
      text: number(limits.text) ?? TEXT_CHARS_MAX,
      burst: number(limits.burst) ?? 10,
      perSecond: number(limits.per_second) ?? 2,
      upload: number(limits.upload) ?? 26_214_400,
    },
  };
}

/**
 * @param {Record<string, unknown>} value
 * @returns {Reply}
 */
function decodeReply(value) {
  const re = typeof value.re === "string" || typeof value.re === "number" ? value.re : null;
  return { re, body: value, error: value.ok === true ? null : decodeError(object(value.error)) };
}

/**
 * @param {Record<string, unknown>} value
 * @returns {WireError}
 */
function decodeError(value) {
  return {
    code: text(value.code) || "internal",
    message: text(value.message) || text(value.detail) || text(value.title) || "that did not work",
    retryAfter: number(value.retry_after),
    isTemporary: value.temporary === true,
  };
}

/**
 * Read a user object; null where there is none.
 * @param {unknown} from
 * @returns {User | null}
 */
export function decodeUser(from) {
  const value = object(from);
  if (typeof value.name !== "string") return null;
  const kind = text(value.kind);
  return {
    id: text(value.id),
    name: value.name,
    kind: kind === "guest" || kind === "bot" || kind === "system" ? kind : "human",
    isAdmin: value.role === "admin",
  };
}

const NOBODY = Object.freeze({ id: "", name: "Deleted user", kind: /** @type {UserKind} */ ("human"), isAdmin: false });

/**
 * Read a durable event.
 * @param {unknown} from
 * @returns {RoomEvent | null} null where it is none
 */
export function decodeEvent(from) {
  const value = object(from);
  const seq = number(value.seq);
  if (seq === null || typeof value.room !== "string") return null;
  const head = { room: value.room, seq, at: time(value.at) ?? 0 };
  const user = decodeUser(value.user) ?? NOBODY;
  switch (value.type ?? "message") {
    case "message":
      return decodeMessage(value, head);
    case "topic":
      return { type: "topic", ...head, by: decodeUser(value.from) ?? NOBODY, topic: text(value.topic) };
    case "joined":
      return { type: "joined", ...head, user };
    case "left": {
      const how = value.how === "kick" || value.how === "ban" ? value.how : "leave";
      return { type: "left", ...head, user, how, by: decodeUser(value.by), reason: text(value.reason) };
    }
    case "role":
      return {
        type: "role",
        ...head,
        user,
        role: role(value.role),
        by: decodeUser(value.by),
        silencedUntil: "silenced_until" in value ? (time(value.silenced_until) ?? 0) : null,
      };
    default:
      return { type: "other", ...head };
  }
}

/**
 * @param {Record<string, unknown>} value
 * @param {{room: string, seq: number, at: number}} head
 * @returns {Message}
 */
function decodeMessage(value, head) {
  const kind = value.kind === "me" || value.kind === "file" || value.kind === "system" ? value.kind : "text";
  return {
    type: "message",
    ...head,
    author: decodeUser(value.from) ?? NOBODY,
    kind,
    text: text(value.text),
    mentions: list(value.mentions).map(text),
    files: list(value.files).map(decodeFile),
    replyTo: number(value.reply_to),
    editedAt: time(value.edited_at),
    isDeleted: value.deleted === true,
    isHidden: value.hidden === true,
    cid: typeof value.cid === "string" ? value.cid : null,
  };
}

/**
 * Read a file of a message, or what an upload was answered with.
 * @param {unknown} from
 * @returns {FileInfo}
 */
export function decodeFile(from) {
  const value = object(from);
  return {
    id: text(value.id),
    name: text(value.name) || "file",
    mime: text(value.mime) || "application/octet-stream",
    size: number(value.size) ?? 0,
    w: number(value.w) ?? 0,
    h: number(value.h) ?? 0,
  };
}

/**
 * @param {Record<string, unknown>} value
 * @returns {Ephemeral | null}
 */
function decodeEphemeral(value) {
  if (value.type === "presence") {
    const user = decodeUser(value.user);
    if (user === null) return null;
    return { type: "presence", user, state: presenceState(value.state), text: text(value.text) };
  }
  if (value.type === "tick") return { type: "tick", heads: numbers(value.heads), online: numbers(value.online) };
  if (typeof value.room !== "string" || value.seq === undefined === (value.type === "read")) return null;
  switch (value.type) {
    case "read":
      return { type: "read", room: value.room, seq: number(value.seq) ?? 0 };
    case "entered": {
      const head = number(value.head) ?? 0;
      return { type: "entered", room: value.room, kind: roomKind(value.kind), head, with: decodeUser(value.with) };
    }
    case "exited":
      return { type: "exited", room: value.room };
    default:
      return null;
  }
}

/**
 * Read the rooms of a `sync` reply.
 * @param {Record<string, unknown>} body
 * @returns {{epoch: string, rooms: SyncedRoom[]}}
 */
export function decodeSync(body) {
  const rooms = list(body.rooms).map((from) => {
    const value = object(from);
    return {
      room: text(value.room),
      kind: roomKind(value.kind),
      head: number(value.head) ?? 0,
      read: number(value.read) ?? 0,
      gap: value.gap === true,
      events: list(value.events).flatMap((event) => decodeEvent(event) ?? []),
      with: decodeUser(value.with),
      error: typeof value.error === "string" ? value.error : null,
    };
  });
  return { epoch: text(body.epoch), rooms };
}

/**
 * Read what a `send` was acknowledged with.
 * @param {Record<string, unknown>} body
 * @returns {{room: string, seq: number, at: number}}
 */
export function decodeSent(body) {
  return { room: text(body.room), seq: number(body.seq) ?? 0, at: time(body.at) ?? 0 };
}

/**
 * Read what a command was answered with.
 * @param {Record<string, unknown>} body
 * @returns {{lines: string[], room: string | null, result: Record<string, unknown>}}
 */
export function decodeResult(body) {
  const result = object(body.result);
  return {
    lines: list(body.lines).map(text),
    room: typeof result.room === "string" ? result.room : null,
    result,
  };
}

/**
 * Read the command registry.
 * @param {unknown} from
 * @returns {CommandInfo[]}
 */
export function decodeCommands(from) {
  return list(from).map((entry) => {
    const value = object(entry);
    const name = text(value.name);
    const args = list(value.args).map((argument) => {
      const { name: word, required } = object(argument);
      return required === true ? text(word).toUpperCase() : `[${text(word).toUpperCase()}]`;
    });
    return {
      name,
      aliases: list(value.aliases).map(text),
      syntax: text(value.syntax) || [`/${name}`, ...args].join(" "),
      summary: text(value.summary),
      example: text(value.example),
      who: text(value.who),
    };
  });
}

/** @typedef {Record<string, unknown> & {type: string}} Request */

export const request = Object.freeze({
  /** @param {string} token @returns {Request} */
  auth: (token) => ({ type: "auth", token }),
  /** @param {string} name @returns {Request} */
  name: (name) => ({ type: "name", name }),
  /** @param {string} epoch @param {Map<string, number>} rooms @returns {Request} */
  sync: (epoch, rooms) => ({ type: "sync", epoch, rooms: Object.fromEntries(rooms), limit: 200 }),
  /**
   * @param {{room: string, cid: string, text: string, kind: "text" | "me", files: string[]}} message
   * @returns {Request}
   */
  send: ({ room, cid, text, kind, files }) => ({ type: "send", room, cid, text, kind, files }),
  /** @param {string} room @param {number} seq @returns {Request} */
  read: (room, seq) => ({ type: "read", room, seq }),
  /** @param {string} room @param {string} line @returns {Request} */
  command: (room, line) => ({ type: "command", room, text: line }),
  /** @returns {Request} */
  commands: () => ({ type: "commands" }),
});

/**
 * Read a page of messages (REST).
 * @param {unknown} from
 * @returns {Page}
 */
export function decodePage(from) {
  const value = object(from);
  return {
    messages: list(value.messages).flatMap((entry) => {
      const event = decodeEvent(entry);
      return event !== null && event.type === "message" ? [event] : [];
    }),
    hasBefore: value.has_before === true,
    hasAfter: value.has_after === true,
    head: number(value.head) ?? 0,
  };
}

/**
 * Read one's own rooms (REST).
 * @param {unknown} from
 * @returns {MyRoom[]}
 */
export function decodeMyRooms(from) {
  return list(object(from).rooms).map((entry) => {
    const value = object(entry);
    const notify = value.notify;
    return {
      room: text(value.room) || text(value.name),
      kind: roomKind(value.kind),
      topic: text(value.topic),
      head: number(value.head) ?? 0,
      read: number(value.read) ?? 0,
      unread: number(value.unread) ?? 0,
      mentions: number(value.mentions) ?? 0,
      notify: notify === "mentions" || notify === "nothing" || notify === "hidden" ? notify : "all",
      role: role(value.role),
      with: decodeUser(value.with),
    };
  });
}

/**
 * Read a room, or a list of them (REST).
 * @param {unknown} from
 * @returns {RoomInfo}
 */
export function decodeRoom(from) {
  const value = object(from);
  return {
    room: text(value.room) || text(value.name),
    kind: roomKind(value.kind),
    topic: text(value.topic),
    here: number(value.here) ?? 0,
    isMember: value.member === true,
    isLocked: value.locked === true,
    slowS: number(value.slow_s) ?? 0,
    hasKey: value.key === true,
  };
}

/**
 * Read a page of members (REST).
 * @param {unknown} from
 * @returns {Member[]}
 */
export function decodeMembers(from) {
  return list(object(from).members).flatMap((entry) => {
    const row = object(entry);
    const user = decodeUser(row.user ?? row);
    if (user === null) return [];
    const state = row.online !== true ? "offline" : typeof row.away === "string" ? "away" : "online";
    return [{ user, role: role(row.role), silencedUntil: time(row.silenced_until), state: presenceState(state), text: text(row.away) }];
  });
}

/**
 * Read one's logins or tokens (REST).
 * @param {unknown} from
 * @param {"sessions" | "tokens"} key
 * @returns {Login[]}
 */
export function decodeLogins(from, key) {
  return list(object(from)[key]).map((entry) => {
    const value = object(entry);
    return {
      id: text(value.id),
      kind: text(value.kind),
      label: text(value.label),
      ip: text(value.ip),
      agent: text(value.user_agent),
      createdAt: time(value.created_at) ?? 0,
      seenAt: time(value.last_seen_at) ?? 0,
      isCurrent: value.current === true,
    };
  });
}

/**
 * Make an error of a REST answer (RFC 9457).
 * @param {unknown} from the JSON body, where there was one
 * @param {number} status
 * @returns {ChatError}
 */
export function decodeProblem(from, status) {
  const value = object(from);
  const problem = decodeError(value);
  if (value.code === undefined) problem.code = status === 413 ? "too_large" : status === 401 ? "unauthorized" : "internal";
  if (value.detail === undefined && value.title === undefined) problem.message = `the server answered ${status}`;
  return new ChatError(problem.code, problem.message, {
    retryAfter: problem.retryAfter,
    isTemporary: status === 429 || status >= 500,
  });
}

/** @param {unknown} value @returns {Record<string, unknown>} */
export function object(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? /** @type {Record<string, unknown>} */ (value)
    : {};
}

/** @param {unknown} value @returns {unknown[]} */
export function list(value) {
  return Array.isArray(value) ? value : [];
}

/** @param {unknown} value @returns {string} */
export function text(value) {
  return typeof value === "string" ? value : "";
}

/** @param {unknown} value @returns {number | null} */
function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** @param {unknown} value RFC 3339, or milliseconds @returns {number | null} */
function time(value) {
  if (typeof value === "number") return value;
  const at = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? null : at;
}

/** @param {unknown} value @returns {Map<string, number>} */
function numbers(value) {
  return new Map(
    Object.entries(object(value)).flatMap(([key, entry]) => {
      const count = number(entry);
      return count === null ? [] : [/** @type {[string, number]} */ ([key, count])];
    }),
  );
}

/** @param {unknown} value @returns {RoomRole} */
function role(value) {
  return value === "owner" || value === "op" ? value : "member";
}

/** @param {unknown} value @returns {RoomKind} */
function roomKind(value) {
  return value === "private" || value === "dm" ? value : "public";
}

/** @param {unknown} value @returns {"online" | "away" | "offline"} */
function presenceState(value) {
  return value === "online" || value === "away" ? value : "offline";
}
