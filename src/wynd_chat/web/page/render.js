// @ts-check
/**
 * Builds nodes from the tree of `markup.js`. Whatever a message says, only text nodes and the few
 * elements named here come of it.
 */

import { copyText, element } from "./dom.js";
import { isJumbo, parse } from "./markup.js";

/** @typedef {import("./markup.js").Inline} Inline */
/** @typedef {import("./markup.js").Block} Block */
/**
 * @typedef {object} Context what a message refers to
 * @property {string} me the name of who reads
 * @property {(name: string) => boolean} isUser whether it is the name of somebody
 * @property {string} base the page's own address, for permalinks
 */

/**
 * Draw a message into an element.
 * @param {HTMLElement} into
 * @param {string} source
 * @param {Context} context
 */
export function renderMarkup(into, source, context) {
  if (isJumbo(source)) into.classList.add("jumbo");
  for (const block of parse(source)) into.append(drawBlock(block, context));
}

/** @param {Block} block @param {Context} context @returns {HTMLElement} */
function drawBlock(block, context) {
  switch (block.is) {
    case "fence":
      return drawFence(block);
    case "quote":
      return element("blockquote", { dir: "auto" }, ...drawAll(block.parts, context));
    case "list": {
      const items = block.items.map((parts) => element("li", {}, ...drawAll(parts, context)));
      return block.start === null ? element("ul", {}, ...items) : element("ol", { start: block.start }, ...items);
    }
    default:
      return element("p", { dir: "auto" }, ...drawAll(block.parts, context));
  }
}

/** @param {{language: string, text: string}} fence @returns {HTMLElement} */
function drawFence({ language, text }) {
  const copy = element("button", { type: "button", class: "copy-code", tabindex: "-1" }, "Copy");
  copy.addEventListener("click", async () => {
    copy.textContent = (await copyText(text)) ? "Copied" : "Not copied";
  });
  const code = element("code", { "data-language": language || null }, text);
  return element("div", { class: "fence", dir: "ltr" }, element("pre", { tabindex: "0" }, code), copy);
}

/** @param {Inline[]} parts @param {Context} context @returns {Node[]} */
function drawAll(parts, context) {
  return parts.map((part) => draw(part, context));
}

/** @param {Inline} part @param {Context} context @returns {Node} */
function draw(part, context) {
  switch (part.is) {
    case "text":
      return document.createTextNode(part.text);
    case "code":
      return element("code", {}, part.text);
    case "emoji":
      return element("span", { class: "emoji", title: `:${part.name}:` }, part.text);
    case "strong":
      return element("strong", {}, ...drawAll(part.parts, context));
    case "em":
      return element("em", {}, ...drawAll(part.parts, context));
    case "strike":
      return element("s", {}, ...drawAll(part.parts, context));
    case "spoiler":
      return drawSpoiler(drawAll(part.parts, context));
    case "room":
      return element("a", { class: "mention", href: `#/${encodeURIComponent(part.name)}`, tabindex: "-1" }, `#${part.name}`);
    case "user":
      return drawUser(part.name, context);
    default:
      return drawLink(part, context);
  }
}

/** @param {string} name @param {Context} context @returns {Node} */
function drawUser(name, { me, isUser }) {
  const isMe = name.toLowerCase() === me.toLowerCase();
  if (!isMe && !isUser(name)) return document.createTextNode(`@${name}`);
  return element("span", { class: isMe ? "mention of-me" : "mention", "data-user": name }, element("bdi", {}, `@${name}`));
}

/** @param {{href: string, text: string}} link @param {Context} context @returns {HTMLElement} */
function drawLink({ href, text }, { base }) {
  if (href.startsWith(`${base}#/`)) {
    const route = href.slice(base.length);
    const [, room = "", seq] = /^#\/([^/]+)(?:\/(\d+))?$/u.exec(route) ?? [];
    if (room !== "") {
      return element("a", { class: "mention", href: route, tabindex: "-1" }, `#${decoded(room)}${seq === undefined ? "" : ` › ${seq}`}`);
    }
  }
  // Directional controls could make an address look like another one.
  const shown = text.replace(/[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu, "");
  return element(
    "a",
    { href, target: "_blank", rel: "noopener noreferrer nofollow", tabindex: "-1", dir: "ltr" },
    shown,
  );
}

/** @param {Node[]} parts @returns {HTMLElement} */
function drawSpoiler(parts) {
  const content = element("span", { class: "spoiler-text" }, ...parts);
  const spoiler = element(
    "span",
    { class: "spoiler", role: "button", tabindex: "-1", "aria-label": "Spoiler, press to show" },
    content,
  );
  const reveal = () => {
    spoiler.classList.add("is-shown");
    for (const name of ["role", "aria-label", "tabindex"]) spoiler.removeAttribute(name);
  };
  spoiler.addEventListener("click", (event) => {
    if (!spoiler.classList.contains("is-shown")) event.preventDefault();
    reveal();
  });
  return spoiler;
}

/** @param {string} part of an address @returns {string} */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // not percent-encoded rightly: shown as it is
  }
}
