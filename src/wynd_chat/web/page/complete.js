// @ts-check
/**
 * Completion in the composer: what is being typed at the caret, and what it may become.
 * Pure functions over text and lists; the popup is drawn by `composer.js`.
 */

import { EMOJI } from "./emoji.js";

/** @typedef {{kind: "/" | "@" | "#" | ":", start: number, query: string}} Token */
/** @typedef {{insert: string, label: string, hint: string, mark: string}} Choice */
/**
 * @typedef {object} Sources
 * @property {readonly import("./wire.js").CommandInfo[]} commands those I may run
 * @property {readonly string[]} users
 * @property {readonly {name: string, topic: string}[]} rooms
 */

const CHOICES_MAX = 8;

/**
 * Find what could be completed at the caret.
 * @param {string} text
 * @param {number} caret
 * @returns {Token | null}
 */
export function tokenAt(text, caret) {
  const before = text.slice(0, caret);
  if (/^\/[a-z]*$/iu.test(before)) return { kind: "/", start: 0, query: before.slice(1).toLowerCase() };
  const found = /(?:^|[\s([{"'>*_~|])([@#:])([^\s@#:]*)$/u.exec(before.slice(-80));
  if (found === null) return null;
  const kind = /** @type {"@" | "#" | ":"} */ (found[1]);
  const query = (found[2] ?? "").toLowerCase();
  if (kind === ":" && (query.length < 2 || !/^[a-z0-9_+-]+$/u.test(query))) return null;
  return { kind, start: caret - query.length - 1, query };
}

/**
 * List what a token may become, best first.
 * @param {Token} token
 * @param {Sources} sources
 * @returns {Choice[]}
 */
export function choicesFor({ kind, query }, { commands, users, rooms }) {
  switch (kind) {
    case "/":
      return ranked(commands, query, ({ name, aliases }) => [name, ...aliases]).map(({ name, syntax, summary }) => ({
        insert: `/${name} `,
        label: syntax,
        hint: summary,
        mark: "",
      }));
    case "@":
      return ranked(users, query, (name) => [name]).map((name) => ({ insert: `@${name} `, label: name, hint: "", mark: "@" }));
    case "#":
      return ranked(rooms, query, ({ name }) => [name]).map(({ name, topic }) => ({ insert: `#${name} `, label: name, hint: topic, mark: "#" }));
    default:
      return ranked([...EMOJI], query, ([name]) => [name]).map(([name, emoji]) => ({ insert: `${emoji} `, label: `:${name}:`, hint: "", mark: emoji }));
  }
}

/**
 * @template T
 * @param {readonly T[]} entries
 * @param {string} query
 * @param {(entry: T) => string[]} words
 * @returns {T[]} those that begin with the query, then those that contain it
 */
function ranked(entries, query, words) {
  /** @param {T} entry @returns {number} */
  const rank = (entry) => {
    const at = words(entry).map((word) => word.toLowerCase().indexOf(query));
    if (at.some((index) => index === 0)) return 0;
    return at.some((index) => index > 0) ? 1 : 2;
  };
  return entries
    .map((entry) => ({ entry, rank: rank(entry) }))
    .filter(({ rank: place }) => place < 2)
    .sort((one, other) => one.rank - other.rank)
    .slice(0, CHOICES_MAX)
    .map(({ entry }) => entry);
}

/**
 * Put a choice in the place of a token.
 * @param {string} text
 * @param {number} caret
 * @param {Token} token
 * @param {Choice} choice
 * @returns {{text: string, caret: number}}
 */
export function complete(text, caret, token, choice) {
  const rest = text.slice(caret);
  const insert = rest.startsWith(" ") ? choice.insert.trimEnd() : choice.insert;
  return { text: text.slice(0, token.start) + insert + rest, caret: token.start + insert.length };
}

/**
 * Find the command whose arguments are being typed.
 * @param {string} text
 * @param {readonly import("./wire.js").CommandInfo[]} commands
 * @returns {import("./wire.js").CommandInfo | null}
 */
export function commandOf(text, commands) {
  const word = /^\/([a-z]+)\s/iu.exec(text)?.[1]?.toLowerCase();
  if (word === undefined) return null;
  return commands.find(({ name, aliases }) => name === word || aliases.includes(word)) ?? null;
}

const RANKS = new Map([["anyone", 0], ["named", 0], ["account", 1], ["op", 2], ["owner", 3], ["admin", 4]]);

/**
 * Tell whether I may run a command in a room.
 * @param {import("./wire.js").CommandInfo} command
 * @param {import("./wire.js").User | null} me
 * @param {import("./wire.js").RoomRole} role mine there
 * @returns {boolean}
 */
export function mayRun({ who }, me, role) {
  const wanted = RANKS.get(who) ?? 0;
  const mine = me?.isAdmin ? 4 : role === "owner" ? 3 : role === "op" ? 2 : me?.kind === "guest" ? 0 : 1;
  return mine >= wanted;
}
