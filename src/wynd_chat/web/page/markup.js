// @ts-check
/**
 * The few marks a message may carry, read into a tree, in time linear in the text.
 * Bold, italic, code, fenced code, quotes, lists, spoilers, emoji names, #room, @user and links to
 * http, https and mailto; everything else is text. No HTML, no images, no links with other faces.
 * Knows no DOM: `render.js` builds nodes from the tree.
 */

import { EMOJI } from "./emoji.js";

/**
 * @typedef {{is: "text", text: string} | {is: "code", text: string} | {is: "emoji", text: string, name: string}
 *   | {is: "link", href: string, text: string} | {is: "user", name: string} | {is: "room", name: string}
 *   | {is: "strong" | "em" | "spoiler" | "strike", parts: Inline[]}} Inline
 */
/**
 * @typedef {{is: "paragraph" | "quote", parts: Inline[]} | {is: "fence", language: string, text: string}
 *   | {is: "list", start: number | null, items: Inline[][]}} Block
 */

const FENCE = "```";
const LIST_ITEM = /^ {0,3}(?:([-*•])|(\d{1,9})[.)]) +(?=\S)/u;
const URL_START = /(?:https?:\/\/|mailto:)[^\s<>"`]+/iuy;
const ROOM = /#[a-z0-9][a-z0-9._-]{0,31}/iuy;
const USER = /@[^\s@#:/+,;!?()[\]{}<>"'`*|~]{1,32}/uy;
const EMOJI_NAME = /:([a-z0-9_+-]{1,32}):/uy;
const WORD = /[\p{L}\p{N}_]/u;
const MARKS = new Set(["*", "_", "~", "|"]);

/**
 * Read a message.
 * @param {string} source
 * @returns {Block[]}
 */
export function parse(source) {
  const lines = source.split("\n");
  /** @type {Block[]} */
  const blocks = [];
  /** @type {string[]} */
  let paragraph = [];
  let hasNoFence = false; // an opening fence without an end was seen: no later one has an end either
  const endParagraph = () => {
    if (paragraph.length > 0) blocks.push({ is: "paragraph", parts: parseInline(paragraph.join("\n")) });
    paragraph = [];
  };

  let index = 0;
  while (index < lines.length) {
    const line = lines[index] ?? "";
    if (line.startsWith(FENCE) && !line.slice(3).includes("`") && !hasNoFence) {
      const end = endOfFence(lines, index + 1);
      if (end > 0) {
        endParagraph();
        const language = line.slice(3).trim().slice(0, 20);
        blocks.push({ is: "fence", language, text: lines.slice(index + 1, end).join("\n") });
        index = end + 1;
        continue;
      }
      hasNoFence = true;
    }
    const taken = isQuote(line) ? takeQuote(lines, index, blocks, endParagraph) : takeList(lines, index, blocks, endParagraph);
    if (taken > 0) {
      index += taken;
      continue;
    }
    paragraph.push(line);
    index += 1;
  }
  endParagraph();
  return blocks;
}

/** @param {string[]} lines @param {number} from @returns {number} the closing line, -1 where there is none */
function endOfFence(lines, from) {
  for (let at = from; at < lines.length; at += 1) {
    if (lines[at]?.trimEnd() === FENCE) return at;
  }
  return -1;
}

/** @param {string} line @returns {boolean} */
function isQuote(line) {
  return line === ">" || line.startsWith("> ");
}

/**
 * @param {string[]} lines @param {number} from @param {Block[]} blocks @param {() => void} before
 * @returns {number} how many lines belong to the quote
 */
function takeQuote(lines, from, blocks, before) {
  const quoted = [];
  for (let at = from; at < lines.length && isQuote(lines[at] ?? ""); at += 1) quoted.push((lines[at] ?? "").slice(2));
  before();
  blocks.push({ is: "quote", parts: parseInline(quoted.join("\n")) });
  return quoted.length;
}

/**
 * @param {string[]} lines @param {number} from @param {Block[]} blocks @param {() => void} before
 * @returns {number} how many lines belong to the list, 0 where there is none
 */
function takeList(lines, from, blocks, before) {
  const first = LIST_ITEM.exec(lines[from] ?? "");
  if (first === null) return 0;
  const isOrdered = first[1] === undefined;
  /** @type {Inline[][]} */
  const items = [];
  for (let at = from; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const match = LIST_ITEM.exec(line);
    if (match === null || (match[1] === undefined) !== isOrdered) break;
    items.push(parseInline(line.slice(match[0].length)));
  }
  if (isOrdered && items.length === 1) return 0; // "2026. That was a year." is no list
  before();
  blocks.push({ is: "list", start: isOrdered ? Number(first[2]) : null, items });
  return items.length;
}

/**
 * Read what may stand within a line.
 * @param {string} source
 * @returns {Inline[]}
 */
export function parseInline(source) {
  return new Reader(source).read();
}

/** Reads one text from left to right; each kind of mark is open at most once, so depth is bounded. */
class Reader {
  #source;
  #at = 0;
  #plainFrom = 0;
  /** @type {{mark: string, parts: Inline[]}[]} the root, then what is open, outermost first */
  #open = [{ mark: "", parts: [] }];
  /** @type {Set<number>} lengths of back-tick runs that have no partner in the rest */
  #lonely = new Set();

  /** @param {string} source */
  constructor(source) {
    this.#source = source;
  }

  /** @returns {Inline[]} */
  read() {
    while (this.#at < this.#source.length) {
      if (!this.#special()) this.#at += 1;
    }
    this.#flush();
    while (this.#open.length > 1) this.#giveUp();
    return this.#top().parts;
  }

  #top() {
    return /** @type {{mark: string, parts: Inline[]}} */ (this.#open.at(-1));
  }

  /** @returns {boolean} whether something was read */
  #special() {
    const char = this.#source[this.#at] ?? "";
    switch (char) {
      case "\\":
        return this.#escape();
      case "`":
        return this.#code();
      case "#":
        return this.#afterSpace() && this.#take(ROOM, (found) => ({ is: "room", name: found.slice(1).toLowerCase() }));
      case "@":
        return this.#afterSpace() && this.#user();
      case ":":
        return this.#emoji();
      case "h":
      case "H":
      case "m":
      case "M":
        return !this.#isWord(this.#at - 1) && this.#link();
      default:
        return MARKS.has(char) && this.#mark(char);
    }
  }

  #escape() {
    const next = this.#source[this.#at + 1] ?? "";
    if (!/[\\`*_~|#@:>-]/u.test(next)) return false;
    this.#flush();
    this.#plainFrom = this.#at + 1;
    this.#at += 2;
    return true;
  }

  #code() {
    const { length } = /^`+/u.exec(this.#source.slice(this.#at, this.#at + 64))?.[0] ?? "";
    if (!this.#lonely.has(length)) {
      const fence = "`".repeat(length);
      let end = this.#source.indexOf(fence, this.#at + length);
      while (end >= 0 && (this.#source[end + length] === "`" || this.#source[end - 1] === "`")) {
        while (this.#source[end] === "`") end += 1;
        end = this.#source.indexOf(fence, end);
      }
      if (end > this.#at + length) {
        const inner = this.#source.slice(this.#at + length, end);
        const isPadded = inner.startsWith("`") || inner.startsWith(" `") || inner.endsWith("` ");
        this.#put({ is: "code", text: isPadded ? inner.trim() : inner }, end + length);
        return true;
      }
      this.#lonely.add(length);
    }
    this.#at += length;
    return true;
  }

  #user() {
    return this.#take(USER, (found) => {
      const name = found.slice(1).replace(/[.…-]+$/u, "");
      return name === "" ? null : { is: "user", name };
    });
  }

  #emoji() {
    return this.#take(EMOJI_NAME, (found) => {
      const name = found.slice(1, -1);
      const emoji = EMOJI.get(name);
      return emoji === undefined ? null : { is: "emoji", text: emoji, name };
    });
  }

  #link() {
    return this.#take(URL_START, (found) => {
      const shown = trimLink(found);
      const href = safeHref(shown);
      return href === null ? null : { is: "link", href, text: shown };
    });
  }

  /**
   * @param {RegExp} pattern sticky
   * @param {(found: string) => Inline | null} make
   * @returns {boolean}
   */
  #take(pattern, make) {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source)?.[0];
    const part = found === undefined ? null : make(found);
    if (part === null) return false;
    const length =
      part.is === "link" ? part.text.length
      : part.is === "user" ? part.name.length + 1
      : /** @type {string} */ (found).length;
    this.#put(part, this.#at + length);
    return true;
  }

  /** @param {string} char @returns {boolean} */
  #mark(char) {
    const isInnermost = this.#top().mark === char && this.#source[this.#at + 2] === char; // ends ***
    const isDouble = this.#source[this.#at + 1] === char && !isInnermost;
    const mark = isDouble ? char + char : char;
    if (mark === "|" || mark === "~") return false;
    const end = this.#at + mark.length;
    const isOpen = this.#open.findIndex((entry) => entry.mark === mark);
    if (isOpen > 0 && this.#canClose(mark, end)) {
      this.#close(isOpen, mark, end);
      return true;
    }
    if (isOpen < 0 && this.#canOpen(mark, end)) {
      this.#flush();
      this.#open.push({ mark, parts: [] });
      this.#at = end;
      this.#plainFrom = end;
      return true;
    }
    this.#at = end;
    return true;
  }

  /** @param {string} mark @param {number} end @returns {boolean} */
  #canOpen(mark, end) {
    const next = this.#source[end] ?? " ";
    if (/\s/u.test(next)) return false;
    return mark === "||" || !this.#isWord(this.#at - 1);
  }

  /** @param {string} mark @param {number} end @returns {boolean} */
  #canClose(mark, end) {
    const isEmpty = this.#plainFrom === this.#at && this.#top().parts.length === 0;
    if (isEmpty || /\s/u.test(this.#source[this.#at - 1] ?? " ")) return false;
    return mark === "||" || !this.#isWord(end);
  }

  /** @param {number} index in the stack @param {string} mark @param {number} end */
  #close(index, mark, end) {
    this.#flush();
    while (this.#open.length > index + 1) this.#giveUp();
    const { parts } = /** @type {{parts: Inline[]}} */ (this.#open.pop());
    const is = mark === "**" || mark === "__" ? "strong" : mark === "||" ? "spoiler" : mark === "~~" ? "strike" : "em";
    this.#top().parts.push({ is, parts });
    this.#at = end;
    this.#plainFrom = end;
  }

  /** Turn the innermost open mark back into text. */
  #giveUp() {
    const { mark, parts } = /** @type {{mark: string, parts: Inline[]}} */ (this.#open.pop());
    this.#top().parts.push({ is: "text", text: mark }, ...parts);
  }

  /** @param {Inline} part @param {number} end */
  #put(part, end) {
    this.#flush();
    this.#top().parts.push(part);
    this.#at = end;
    this.#plainFrom = end;
  }

  #flush() {
    if (this.#at > this.#plainFrom) {
      this.#top().parts.push({ is: "text", text: this.#source.slice(this.#plainFrom, this.#at) });
    }
    this.#plainFrom = this.#at;
  }

  /** @returns {boolean} */
  #afterSpace() {
    return this.#at === 0 || /[\s([{"'>*_~|]/u.test(this.#source[this.#at - 1] ?? "");
  }

  /** @param {number} index @returns {boolean} */
  #isWord(index) {
    return index >= 0 && WORD.test(this.#source[index] ?? "");
  }
}

/**
 * Cut what belongs to the sentence, not to the link.
 * @param {string} found
 * @returns {string}
 */
function trimLink(found) {
  let end = found.length;
  let opened = 0;
  let closed = 0;
  for (const char of found) {
    if (char === "(") opened += 1;
    if (char === ")") closed += 1;
  }
  while (end > 0) {
    const last = found[end - 1] ?? "";
    if (last === ")" && closed > opened) closed -= 1;
    else if (!/[.,;:!?'*_~|\]}…。、，！？」』）]/u.test(last)) break;
    end -= 1;
  }
  return found.slice(0, end);
}

/**
 * Return the address of a link that is safe to follow.
 * @param {string} shown
 * @returns {string | null}
 */
export function safeHref(shown) {
  let url;
  try {
    url = new URL(shown);
  } catch {
    return null; // not an address, so it stays text
  }
  const isWeb = (url.protocol === "http:" || url.protocol === "https:") && url.hostname !== "";
  return isWeb || (url.protocol === "mailto:" && url.pathname.includes("@")) ? url.href : null;
}

/**
 * Tell whether a text is nothing but a few emoji, which are shown large.
 * @param {string} source
 * @returns {boolean}
 */
export function isJumbo(source) {
  const parts = source.length > 60 ? [] : parseInline(source);
  const joined = parts.map((part) => ("text" in part && part.is !== "code" ? part.text : "x")).join("");
  return /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|\u200D|\uFE0F|\s)+$/u.test(joined)
    && [...joined.matchAll(/\p{Extended_Pictographic}|\p{Regional_Indicator}/gu)].length <= 8;
}

/**
 * Return the words of a message without its marks, for announcements and notices.
 * @param {string} source
 * @returns {string}
 */
export function plainText(source) {
  /** @param {Inline[]} parts @returns {string} */
  const flat = (parts) =>
    parts
      .map((part) => {
        if (part.is === "user") return `@${part.name}`;
        if (part.is === "room") return `#${part.name}`;
        if (part.is === "spoiler") return "(spoiler)";
        return "parts" in part ? flat(part.parts) : part.text;
      })
      .join("");
  return parse(source)
    .map((block) => {
      if (block.is === "fence") return block.text;
      return block.is === "list" ? block.items.map(flat).join("\n") : flat(block.parts);
    })
    .join("\n");
}
