// @ts-check
/**
 * From events to the rows of the log: days, the unread line, groups of one author, runs of joins.
 * A pure function: the same input gives the same rows, and a row's `look` changes when and only
 * when it has to be drawn anew. Knows no DOM.
 */

import { dayKey } from "./format.js";

/** @typedef {import("./wire.js").RoomEvent} RoomEvent */
/** @typedef {import("./wire.js").Message} Message */
/** @typedef {import("./wire.js").Joined | import("./wire.js").Left} Coming */
/** @typedef {import("./outbox.js").Pending} Pending */
/** @typedef {{id: number, at: number, afterSeq: number, lines: string[], isError: boolean}} Note */
/**
 * @typedef {{key: string, look: string} & (
 *   {is: "start"} | {is: "day", at: number} | {is: "line", count: number}
 *   | {is: "message", message: Message, isFirst: boolean}
 *   | {is: "run", events: Coming[]} | {is: "event", event: RoomEvent}
 *   | {is: "note", note: Note} | {is: "pending", pending: Pending, isFirst: boolean})} Row
 */

export const GROUP_MS = 5 * 60_000;

/**
 * @param {object} input
 * @param {readonly RoomEvent[]} input.events the window that is shown, ascending
 * @param {readonly Pending[]} input.pending one's own messages that are not confirmed; shown last
 * @param {readonly Note[]} input.notes what only this page shows
 * @param {number} input.line the unread line stands before the first foreign message above this seq;
 *   Infinity: none
 * @param {string} input.me
 * @param {boolean} input.isStart whether the window begins with the room's first message
 * @param {boolean} input.isEnd whether the window ends with the newest event
 * @returns {Row[]}
 */
export function layout({ events, pending, notes, line, me, isStart, isEnd }) {
  /** @type {Row[]} */
  const rows = [];
  const group = new Grouping();
  const firstSeq = events[0]?.seq ?? 0;
  const waitingNotes = notes.filter(({ afterSeq }) => isStart || afterSeq >= firstSeq);
  let isLineShown = false;
  if (isStart) rows.push({ key: "start", look: String(events.some(({ type }) => type === "message")), is: "start" });

  /** @param {number} below */
  const placeNotes = (below) => {
    let note = waitingNotes[0];
    while (note !== undefined && note.afterSeq < below) {
      rows.push({ key: `n:${note.id}`, look: "", is: "note", note });
      waitingNotes.shift();
      group.end();
      note = waitingNotes[0];
    }
  };

  for (const event of events) {
    if (event.type === "other" || (event.type === "message" && event.isHidden)) continue;
    placeNotes(event.seq);
    if (group.isNewDay(event.at)) rows.push({ key: `d:${dayKey(event.at)}`, look: "", is: "day", at: event.at });
    if (!isLineShown && event.seq > line && event.type === "message" && event.author.id !== me) {
      isLineShown = true;
      const count = events.filter((one) => one.seq > line && one.type === "message" && !one.isHidden && one.author.id !== me).length;
      rows.push({ key: "line", look: String(count), is: "line", count });
      group.end();
    }
    if (event.type === "message") {
      const isFirst = group.begins(event);
      const look = `${isFirst}${event.isDeleted}${event.editedAt ?? ""}`;
      rows.push({ key: `s:${event.seq}`, look, is: "message", message: event, isFirst });
      continue;
    }
    group.end();
    if (isComing(event)) addComing(rows, event);
    else rows.push({ key: `s:${event.seq}`, look: "", is: "event", event });
  }
  if (isEnd) {
    placeNotes(Number.POSITIVE_INFINITY);
    for (const message of pending) {
      if (group.isNewDay(message.at)) {
        rows.push({ key: `d:${dayKey(message.at)}`, look: "", is: "day", at: message.at });
      }
      const isFirst = group.beginsBy(me, message.at, message.kind === "me");
      const look = `${isFirst}${message.state}${message.problem}`;
      rows.push({ key: `c:${message.cid}`, look, is: "pending", pending: message, isFirst });
    }
  }
  return rows;
}

/** Whether a message continues the group of the one before it. */
class Grouping {
  #author = "";
  #at = 0;
  #day = "";

  /** @param {number} at @returns {boolean} */
  isNewDay(at) {
    const day = dayKey(at);
    if (day === this.#day) return false;
    this.#day = day;
    this.end();
    return true;
  }

  /** @param {Message} message @returns {boolean} */
  begins(message) {
    if (message.kind === "system") {
      this.end();
      return true;
    }
    // A deleted user has no id: such messages are grouped by the name they carry.
    return this.beginsBy(message.author.id || `\n${message.author.name}`, message.at, message.kind === "me");
  }

  /** @param {string} author @param {number} at @param {boolean} isAction @returns {boolean} */
  beginsBy(author, at, isAction) {
    const isFirst = isAction || author !== this.#author || at - this.#at > GROUP_MS;
    this.#author = isAction ? "" : author;
    this.#at = at;
    return isFirst;
  }

  end() {
    this.#author = "";
  }
}

/** @param {RoomEvent} event @returns {event is Coming} whether it may be part of a run */
function isComing(event) {
  return event.type === "joined" || (event.type === "left" && event.how === "leave" && event.reason === "");
}

/** @param {Row[]} rows @param {Coming} event */
function addComing(rows, event) {
  const last = rows.at(-1);
  if (last?.is === "run") {
    last.events.push(event);
    last.look = String(last.events.length);
  } else {
    rows.push({ key: `j:${event.seq}`, look: "1", is: "run", events: [event] });
  }
}

/**
 * Say who came and went in a run: each user once, by what holds at its end.
 * @param {readonly Coming[]} events
 * @returns {{joined: string[], left: string[]}}
 */
export function comings(events) {
  /** @type {Map<string, {name: string, first: string, last: string}>} */
  const users = new Map();
  for (const { user, type } of events) {
    const known = users.get(user.id);
    if (known === undefined) users.set(user.id, { name: user.name, first: type, last: type });
    else known.last = type;
  }
  const all = [...users.values()];
  return {
    joined: all.filter(({ last }) => last === "joined").map(({ name }) => name),
    left: all.filter(({ last }) => last === "left").map(({ name }) => name),
  };
}
