// @ts-check
/**
 * Draws one row of the log: messages, what happened in the room, days, the unread line, notes.
 * Decides how a row looks; which rows there are is `layout.js`, where they stand is `log.js`.
 */

import { element, icon } from "./dom.js";
import { clockTime, counted, dayName, fileSize, fullTime, initials, nameList, shortDate, tone } from "./format.js";
import { comings } from "./layout.js";
import { renderMarkup } from "./render.js";

/** @typedef {import("./layout.js").Row} Row */
/** @typedef {import("./wire.js").Message} Message */
/** @typedef {import("./wire.js").FileInfo} FileInfo */
/** @typedef {import("./outbox.js").Pending} Pending */
/**
 * @typedef {object} RowContext
 * @property {import("./wire.js").User} me
 * @property {import("./render.js").Context} markup
 * @property {() => number} now milliseconds UTC
 * @property {() => HTMLElement} start what stands above the first message
 * @property {(file: FileInfo) => string} fileHref
 * @property {(image: HTMLImageElement | HTMLVideoElement | HTMLAudioElement, file: FileInfo) => void} showFile sets its source
 */

const PREVIEW_W = 400;
const PREVIEW_H = 300;
const INLINE_IMAGES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);
const INLINE_VIDEOS = new Set(["video/mp4", "video/webm"]);
const INLINE_SOUNDS = new Set(["audio/mpeg", "audio/mp3", "audio/ogg", "audio/flac", "audio/wav", "audio/x-wav", "audio/mp4", "audio/x-m4a"]);

/**
 * Draw a row.
 * @param {Row} row
 * @param {RowContext} context
 * @returns {HTMLLIElement}
 */
export function drawRow(row, context) {
  switch (row.is) {
    case "message":
      return drawMessage(row.message, row.isFirst, context);
    case "pending":
      return drawPending(row.pending, row.isFirst, context);
    case "day":
      return element("li", { class: "day" }, element("span", {}, dayName(row.at, context.now())));
    case "line":
      return element("li", { class: "unread-line" }, element("span", {}, `${counted(row.count, "new message")}`));
    case "run":
      return event(describeRun(row.events), row.events.at(-1)?.at ?? 0, row.events.length === 1 ? row.events[0]?.seq : undefined);
    case "event":
      return event(describe(row.event), row.event.at, row.event.seq);
    case "note":
      return drawNote(row.note);
    default:
      return element("li", { class: "start" }, context.start());
  }
}

/** @param {Message} message @param {boolean} isFirst @param {RowContext} context @returns {HTMLLIElement} */
function drawMessage(message, isFirst, context) {
  const { author, at } = message;
  if (message.kind === "system") return drawSystem(message, context);
  const isMention = !message.isDeleted && message.mentions.includes(context.me.id) && author.id !== context.me.id;
  const row = frame({
    author,
    at,
    isFirst,
    isAction: message.kind === "me",
    classes: [isMention ? "is-mention" : "", author.id === context.me.id ? "is-mine" : ""],
    content: contentOf(message, context),
  });
  row.dataset["seq"] = String(message.seq);
  return row;
}

/** @param {Pending} pending @param {boolean} isFirst @param {RowContext} context @returns {HTMLLIElement} */
function drawPending(pending, isFirst, context) {
  const content = contentOf({ ...pending, isDeleted: false, editedAt: null }, context);
  const isFailed = pending.state === "failed";
  if (isFailed) {
    content.push(
      element(
        "div",
        { class: "failure", role: "alert" },
        icon("warning"),
        element("span", {}, `Not sent. ${pending.problem}`),
        action("Retry", "retry"),
        action("Delete", "trash"),
        action("Copy", "copy"),
      ),
    );
  } else if (pending.problem !== "") {
    content.push(element("div", { class: "delay" }, pending.problem));
  }
  const row = frame({
    author: context.me,
    at: pending.at,
    isFirst,
    isAction: pending.kind === "me",
    classes: ["is-mine", isFailed ? "is-failed" : "is-pending"],
    content,
  });
  row.dataset["cid"] = pending.cid;
  return row;
}

/** @param {string} label @param {import("./dom.js").IconName} name @returns {HTMLButtonElement} */
function action(label, name) {
  return element("button", { type: "button", class: "small-button", "data-action": label.toLowerCase() }, icon(name), label);
}

/**
 * @param {object} parts
 * @param {import("./wire.js").User} parts.author
 * @param {number} parts.at
 * @param {boolean} parts.isFirst
 * @param {boolean} parts.isAction
 * @param {string[]} parts.classes
 * @param {HTMLElement[]} parts.content
 * @returns {HTMLLIElement}
 */
function frame({ author, at, isFirst, isAction, classes, content }) {
  const time = element("time", { datetime: new Date(at).toISOString(), title: fullTime(at) }, clockTime(at));
  const name = element("button", { type: "button", class: "author", tabindex: "-1", "data-user": author.name, "data-user-id": author.id }, element("bdi", {}, author.name));
  const article = element("article", { tabindex: "-1" });
  if (isFirst && !isAction) {
    const avatar = element("span", { class: `avatar tone-${tone(author.id || author.name)}`, "aria-hidden": "true" }, initials(author.name));
    article.append(avatar, element("header", {}, name, badgeOf(author.kind), time));
  } else if (isAction) {
    article.append(time, element("span", { class: "action-star", "aria-hidden": "true" }, "✦"), name);
  } else {
    article.append(element("span", { class: "visually-hidden" }, `${author.name}: `), time);
  }
  article.append(element("div", { class: "content" }, ...content));
  const names = ["message", isFirst ? "is-first" : "", isAction ? "is-action" : "", ...classes];
  return element("li", { class: names.filter((value) => value !== "").join(" ") }, article);
}

/** @param {string} kind @returns {HTMLElement | null} */
function badgeOf(kind) {
  return kind === "bot" ? element("span", { class: "kind-badge" }, kind) : null;
}

/**
 * @param {Pick<Message, "text" | "files" | "isDeleted" | "editedAt">} message
 * @param {RowContext} context
 * @returns {HTMLElement[]}
 */
function contentOf(message, context) {
  if (message.isDeleted) return [element("div", { class: "deleted" }, "This message was deleted.")];
  const parts = [];
  if (message.text !== "") {
    const text = element("div", { class: "text" });
    renderMarkup(text, message.text, context.markup);
    if (message.editedAt !== null) {
      text.append(element("span", { class: "edited", title: fullTime(message.editedAt) }, " (edited)"));
    }
    parts.push(text);
  }
  if (message.files.length > 0) {
    parts.push(element("div", { class: "files" }, ...message.files.map((file) => drawFile(file, context))));
  }
  return parts;
}

/** @param {FileInfo} file @param {RowContext} context @returns {HTMLElement} */
function drawFile(file, context) {
  if (INLINE_IMAGES.has(file.mime)) return drawImage(file, context);
  const isVideo = INLINE_VIDEOS.has(file.mime);
  if (isVideo || INLINE_SOUNDS.has(file.mime)) {
    const player = element(isVideo ? "video" : "audio", { controls: true, preload: "none", "aria-label": file.name });
    context.showFile(player, file);
    return element("div", { class: "player" }, player, fileCard(file, context));
  }
  return fileCard(file, context);
}

/** @param {FileInfo} file @param {RowContext} context @returns {HTMLElement} */
function drawImage(file, context) {
  const scale = Math.min(1, PREVIEW_W / (file.w || PREVIEW_W), PREVIEW_H / (file.h || PREVIEW_H));
  const image = element("img", {
    alt: file.name,
    decoding: "async",
    loading: "lazy",
    width: Math.max(1, Math.round((file.w || PREVIEW_W) * scale)),
    height: Math.max(1, Math.round((file.h || PREVIEW_H) * scale)),
  });
  image.addEventListener("error", () => image.closest(".picture")?.classList.add("is-broken"), { once: true });
  context.showFile(image, file);
  const label = `Open ${file.name}`;
  return element("button", { type: "button", class: "picture", "data-picture": file.id, "aria-label": label, tabindex: "-1" }, image);
}

/** @param {FileInfo} file @param {RowContext} context @returns {HTMLElement} */
function fileCard(file, context) {
  return element(
    "a",
    { class: "file-card", href: context.fileHref(file), download: file.name, "data-file": file.id, tabindex: "-1" },
    icon("file"),
    element("span", { class: "file-name" }, element("bdi", {}, file.name)),
    element("span", { class: "file-size" }, fileSize(file.size)),
  );
}

/** @param {Message} message @param {RowContext} context @returns {HTMLLIElement} */
function drawSystem(message, context) {
  const text = element("div", { class: "text" });
  renderMarkup(text, message.text, context.markup);
  const article = element(
    "article",
    { tabindex: "-1" },
    icon("bell"),
    element("span", { class: "visually-hidden" }, "Server message: "),
    text,
    element("time", { datetime: new Date(message.at).toISOString(), title: fullTime(message.at) }, clockTime(message.at)),
  );
  const row = element("li", { class: "announcement" }, article);
  row.dataset["seq"] = String(message.seq);
  return row;
}

/** @param {import("./layout.js").Note} note @returns {HTMLLIElement} */
function drawNote(note) {
  const lines = note.lines.map((line) => element("p", { dir: "auto" }, line));
  const article = element(
    "article",
    { tabindex: "-1" },
    element("span", { class: "note-title" }, note.isError ? "That did not work" : "Only you see this"),
    element("div", { class: "note-lines" }, ...lines),
    element("button", { type: "button", class: "icon-button note-close", "aria-label": "Close this note", "data-note": note.id, tabindex: "-1" }, icon("close")),
  );
  return element("li", { class: note.isError ? "note is-error" : "note" }, article);
}

/** @param {(string | Node)[]} sentence @param {number} at @param {number} [seq] @returns {HTMLLIElement} */
function event(sentence, at, seq) {
  const time = element("time", { datetime: new Date(at).toISOString(), title: fullTime(at) }, clockTime(at));
  const row = element("li", { class: "event" }, element("article", { tabindex: "-1" }, element("span", {}, ...sentence), time));
  if (seq !== undefined) row.dataset["seq"] = String(seq);
  return row;
}

/** @param {string} name @returns {HTMLElement} */
function named(name) {
  return element("bdi", { class: "who" }, name);
}

/** @param {import("./layout.js").Coming[]} events @returns {(string | Node)[]} */
function describeRun(events) {
  const { joined, left } = comings(events);
  /** @type {(string | Node)[]} */
  const parts = [];
  if (joined.length > 0) parts.push(named(nameList(joined)), " joined");
  if (joined.length > 0 && left.length > 0) parts.push(", ");
  if (left.length > 0) parts.push(named(nameList(left)), " left");
  return parts;
}

/** @param {import("./wire.js").RoomEvent} event @returns {(string | Node)[]} */
function describe(event) {
  switch (event.type) {
    case "topic":
      return event.topic === ""
        ? [named(event.by.name), " cleared the topic"]
        : [named(event.by.name), " set the topic: ", element("bdi", {}, event.topic)];
    case "left":
      return describeLeft(event);
    case "role":
      return describeRole(event);
    default:
      return [];
  }
}

/** @param {import("./wire.js").Left} event @returns {(string | Node)[]} */
function describeLeft({ user, how, by, reason }) {
  const why = reason === "" ? [] : [" (", element("bdi", {}, reason), ")"];
  if (how === "leave") return [named(user.name), " left", ...why];
  const verb = how === "kick" ? " removed " : " banned ";
  return by === null
    ? [named(user.name), how === "kick" ? " was removed" : " was banned", ...why]
    : [named(by.name), verb, named(user.name), ...why];
}

/** @param {import("./wire.js").Role} event @returns {(string | Node)[]} */
function describeRole({ user, role, by, silencedUntil }) {
  const who = by === null ? ["The server"] : [named(by.name)];
  if (silencedUntil !== null && silencedUntil > 0) {
    return [...who, " silenced ", named(user.name), ` until ${shortDate(silencedUntil)}, ${clockTime(silencedUntil)}`];
  }
  if (silencedUntil === 0) return [...who, " let ", named(user.name), " speak again"];
  const what = role === "owner" ? "an owner" : role === "op" ? "an op" : "a member";
  return [...who, " made ", named(user.name), ` ${what}`];
}
