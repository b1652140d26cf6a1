// @ts-check
/**
 * The middle of the page: the room's header, its log, the pill, the banner and the composer.
 * Puts the log's DOM class into the component tree and feeds it from the store.
 */

import { Composer } from "./composer.js";
import { copyText, element, icon } from "./dom.js";
import { duration, plainTime } from "./format.js";
import { MessageLog } from "./log.js";
import { plainText } from "./markup.js";
import { Empty, Icon, IconButton } from "./ui.js";
import { effect, html, useEffect, useLayoutEffect, useRef, useSignal } from "./vendor/preact.js";
import { ChatError } from "./wire.js";

/** @typedef {import("./app.js").Page} Page */
/** @typedef {import("./store.js").RoomState} RoomState */

/** @param {{page: Page}} props */
export function Conversation({ page }) {
  const { store } = page;
  const room = store.room.value;
  const isDragged = useSignal(false);
  if (room === null) return html`<main class="conversation"><${Skeleton} /></main>`;
  /** @param {DragEvent} event */
  const dragged = (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    isDragged.value = event.type === "dragenter" || event.type === "dragover";
  };
  /** @param {DragEvent} event */
  const left = (event) => {
    if (event.currentTarget instanceof Node && event.relatedTarget instanceof Node && event.currentTarget.contains(event.relatedTarget)) return;
    isDragged.value = false;
  };
  /** @param {DragEvent} event */
  const dropped = (event) => {
    isDragged.value = false;
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    page.addFiles(room, event.dataTransfer.files);
  };
  return html`<main
    class="conversation"
    id="conversation"
    aria-label=${room.title}
    onDragEnter=${dragged}
    onDragOver=${dragged}
    onDragLeave=${left}
    onDrop=${dropped}
  >
    <${Header} page=${page} room=${room} />
    <${Banner} page=${page} />
    <${LogView} page=${page} room=${room} />
    <${Composer} page=${page} room=${room} />
    ${isDragged.value && html`<div class="drop-target" aria-hidden="true"><${Icon} name="attach" />Drop files to share them in ${room.title}</div>`}
  </main>`;
}

/** @param {{page: Page, room: RoomState}} props */
function Header({ page, room }) {
  const { store, preferences } = page;
  const isDirect = room.kind.value === "dm";
  const state = isDirect ? store.presence.value.get(room.with.value?.id ?? "")?.state ?? "offline" : null;
  const topic = room.topic.value;
  const isMembersOpen = preferences.membersPanel.value === "open";
  const toggleMembers = () => {
    if (window.innerWidth < 1000) store.drawer.value = store.drawer.value === "members" ? "none" : "members";
    else preferences.membersPanel.value = isMembersOpen ? "closed" : "open";
  };
  const count = room.online.value ?? [...(room.members.value?.keys() ?? [])].filter((id) => (store.presence.value.get(id)?.state ?? "offline") !== "offline").length;
  return html`<header class="room-header">
    <${IconButton} icon="menu" label="Rooms" class="only-narrow" isExpanded=${store.drawer.value === "rooms"} onClick=${() => (store.drawer.value = "rooms")} />
    <div class="room-heading">
      <h1>
        ${isDirect
          ? html`<span class=${`presence is-${state}`} title=${state}></span>`
          : html`<${Icon} name=${room.kind.value === "private" ? "lock" : "hash"} />`}
        <bdi>${isDirect ? room.title : room.name}</bdi>
      </h1>
      ${topic !== "" && html`<p class="room-topic" title=${topic} dir="auto">${plainText(topic)}</p>`}
    </div>
    <div class="room-tools">
      <${IconButton}
        icon=${room.notify.value === "nothing" || room.notify.value === "hidden" ? "bellOff" : "bell"}
        label="Notifications of this room"
        onClick=${() => (store.dialog.value = { name: "notifications", about: { room: room.name } })}
      />
      ${!isDirect && html`<${IconButton} icon="settings" label="Room settings" onClick=${() => (store.dialog.value = { name: "room", about: { room: room.name } })} />`}
      <button type="button" class="icon-button people-button" aria-label=${`Members, ${count} here`} title="Members" aria-expanded=${window.innerWidth < 1000 ? store.drawer.value === "members" : isMembersOpen} onClick=${toggleMembers}>
        <${Icon} name="people" /><span class="people-count" aria-hidden="true">${count}</span>
      </button>
    </div>
  </header>`;
}

const BANNER_AFTER_MS = 5000;

/** Tells of a lost connection, once it has been lost for a while. @param {{page: Page}} props */
function Banner({ page }) {
  const { store, connection, clock } = page;
  const { phase, lostAt, retryAt, code } = store.link.value;
  const now = useSignal(clock.now());
  const isLost = phase !== "open" && lostAt > 0;
  useEffect(() => {
    if (!isLost) return;
    now.value = clock.now();
    const timer = setInterval(() => (now.value = clock.now()), 500);
    return () => clearInterval(timer);
  }, [isLost]);
  const waiting = store.pending.value.filter(({ state }) => state === "waiting").length;
  const kept = waiting === 0 ? "" : ` ${waiting} ${waiting === 1 ? "message" : "messages"} waiting.`;
  const isShown = isLost && (phase === "stopped" || now.value - lostAt >= BANNER_AFTER_MS);
  const seconds = Math.max(0, (retryAt - now.value) / 1000);
  const state = phase === "stopped" ? whyStopped(code) : phase === "connecting" ? "Reconnecting…" : `Reconnecting in ${duration(seconds)}.`;
  const again = phase === "stopped" ? "Connect again" : "Try now";
  return html`<div class="banner-place" role="status">
    ${isShown &&
    html`<div class=${phase === "stopped" ? "banner is-stopped" : "banner"}>
      <span class="banner-text">${state}${kept}${store.isLasting.value || waiting === 0 ? "" : " Keep this page open."}</span>
      ${phase !== "connecting" && html`<button type="button" class="link-button" onClick=${() => connection.start()}>${again}</button>`}
    </div>`}
  </div>`;
}

/** @param {number} code */
function whyStopped(code) {
  switch (code) {
    case 1000:
      return "You left the chat.";
    case 4010:
      return "Disconnected, because nobody was here.";
    case 4501:
      return "Your sign-in has ended.";
    case 4503:
      return "You were removed from this chat.";
    case 4509:
      return "You signed in somewhere else.";
    default:
      return "The connection was ended by the server.";
  }
}

/** @param {{page: Page, room: RoomState}} props */
function LogView({ page, room }) {
  const { store, chat, preferences } = page;
  const scroller = useRef(/** @type {HTMLDivElement | null} */ (null));
  const list = useRef(/** @type {HTMLOListElement | null} */ (null));
  const log = useRef(/** @type {MessageLog | null} */ (null));
  const fresh = useSignal(0);
  const isFar = useSignal(false);
  const current = useRef(room);
  current.current = room;

  useLayoutEffect(() => {
    if (scroller.current === null || list.current === null) return;
    log.current = new MessageLog({
      scroller: scroller.current,
      list: list.current,
      context: contextOf(page, () => current.current),
      events: {
        pill: (count, far) => {
          fresh.value = count;
          isFar.value = far;
        },
        moved: (place, isAtEnd) => {
          current.current.place = isAtEnd ? null : place;
          preferences.keepPlace(current.current.name, current.current.place);
        },
        seen: (seq) => chat.saw(current.current, seq),
        failed: (error) => {
          if (!(error instanceof ChatError)) throw error;
          store.toast(`Older messages could not be loaded: ${error.message}`, true);
        },
      },
    });
    page.log = log.current;
    return () => {
      page.log = null;
    };
  }, []);

  useLayoutEffect(() => {
    let isShown = false;
    return effect(() => {
      void room.revision.value;
      void store.pending.value;
      const isReady = room.state.value === "ready";
      if (isReady && !isShown) {
        isShown = true;
        log.current?.show(sourceOf(page, room), { place: room.place, target: page.takeTarget(room) });
      } else if (isReady) {
        const target = page.takeTarget(room);
        if (target > 0) log.current?.show(sourceOf(page, room), { target });
        else log.current?.changed();
      } else {
        isShown = false;
        log.current?.clear();
      }
    });
  }, [room]);

  useEffect(() => {
    log.current?.redraw();
  }, [preferences.density.value, store.me.value?.name]);

  const state = room.state.value;
  return html`<div class="log" data-region="log">
    <div class="scroller" ref=${scroller} role="log" aria-live="off" aria-label=${`Messages in ${room.title}`}>
      <div class="sentinel" aria-hidden="true"></div>
      <ol class="messages" ref=${list} onClick=${page.clicked} onCopy=${copied}></ol>
      <div class="sentinel" aria-hidden="true"></div>
    </div>
    ${(state === "loading" || state === "empty") && html`<${Skeleton} />`}
    ${state === "failed" &&
    html`<${Empty} icon="warning" title="The messages could not be loaded">
      <p>The server did not answer. They are still there.</p>
      <button type="button" class="button is-primary" onClick=${() => chat.reload(room)}>Try again</button>
    </${Empty}>`}
    ${(fresh.value > 0 || isFar.value) &&
    html`<button type="button" class=${fresh.value > 0 ? "pill is-fresh" : "pill"} onClick=${() => void log.current?.jumpToEnd()}>
      <${Icon} name="down" />${fresh.value > 0 ? `${fresh.value > 99 ? "99+" : fresh.value} new` : "Latest"}
    </button>`}
  </div>`;
}

/** @param {Page} page @param {RoomState} room @returns {import("./log.js").LogSource} */
function sourceOf(page, room) {
  const { chat, store } = page;
  return {
    room: room.name,
    history: room.history,
    pending: () => store.pending.peek().filter((pending) => pending.room === room.name),
    notes: () => room.notes,
    line: () => room.line,
    loadOlder: () => chat.loadOlder(room),
    loadNewer: () => chat.loadNewer(room),
    loadNewest: () => chat.loadNewest(room),
  };
}

/** @param {Page} page @param {() => RoomState} room @returns {import("./rows.js").RowContext} */
function contextOf(page, room) {
  const nobody = { id: "", name: "", kind: /** @type {const} */ ("guest"), isAdmin: false };
  return {
    get me() {
      return page.store.me.peek() ?? nobody;
    },
    markup: {
      get me() {
        return page.store.me.peek()?.name ?? "";
      },
      isUser: (name) => page.isUser(room(), name),
      base: page.base.href,
    },
    now: () => Date.now(),
    start: () => drawStart(page, room()),
    fileHref: page.files.href,
    showFile: page.files.show,
  };
}

/** What stands above the first message: where I am, and how others get here. @param {Page} page @param {RoomState} room @returns {HTMLElement} */
function drawStart(page, room) {
  const isDirect = room.kind.peek() === "dm";
  const title = element("h2", {}, isDirect ? element("bdi", {}, room.title) : `Welcome to #${room.name}`);
  const words = isDirect
    ? "This is the beginning of your conversation. Only you two can read it."
    : room.name === page.store.lobby
      ? "Everybody is here. This is the beginning of what was said."
      : "This is the beginning of this room.";
  const box = element("div", { class: "start-box" }, element("span", { class: "start-icon" }, icon(isDirect ? "at" : "hash")), title, element("p", {}, words));
  if (isDirect || room.history.events.some(({ type }) => type === "message")) return box;
  const link = `${page.base.href}#/${room.name}`;
  const socket = page.base.href.replace(/^http/u, "ws");
  const qr = element("div", { class: "qr" });
  void import("./qr.js").then(({ qrMatrix }) => qr.append(drawQr(qrMatrix(link)) ?? ""));
  box.append(
    element(
      "div",
      { class: "ways" },
      qr,
      element(
        "dl",
        {},
        ...way("Share this link", link),
        ...way("In a terminal", `npx wscat -c ${socket}ws`),
        ...way("From a script", `curl -H 'Authorization: Bearer TOKEN' -H 'Content-Type: text/plain' -d 'hello' ${page.base.href}api/v1/rooms/${room.name}/messages`),
      ),
    ),
  );
  return box;
}

/** @param {string} name @param {string} value @returns {HTMLElement[]} */
function way(name, value) {
  const copy = element("button", { type: "button", class: "icon-button", "aria-label": `Copy: ${name}`, title: "Copy" }, icon("copy"));
  copy.addEventListener("click", async () => {
    if (await copyText(value)) copy.replaceChildren(icon("check"));
  });
  return [element("dt", {}, name), element("dd", {}, element("code", { dir: "ltr" }, value), copy)];
}

/** @param {boolean[][] | null} matrix @returns {SVGSVGElement | null} */
function drawQr(matrix) {
  if (matrix === null) return null;
  const size = matrix.length;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `-3 -3 ${size + 6} ${size + 6}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "QR code of the link");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const dots = matrix.flatMap((line, y) => line.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])));
  path.setAttribute("d", dots.join(""));
  svg.append(path);
  return svg;
}

/** Copy several messages as `[12:01] <Alice> text`. @param {ClipboardEvent} event */
function copied(event) {
  const selection = document.getSelection();
  const list = event.currentTarget;
  if (selection === null || selection.isCollapsed || !(list instanceof HTMLElement)) return;
  const rows = [...list.querySelectorAll("li.message")].filter((row) => selection.containsNode(row, true));
  if (rows.length < 2) return; // a part of one message is copied as it stands
  const lines = rows.map((row) => {
    const time = plainTime(Date.parse(row.querySelector("time")?.dateTime ?? ""));
    const author = authorOf(row);
    const text = /** @type {HTMLElement | null} */ (row.querySelector(".text"))?.innerText.trim() ?? "";
    const files = [...row.querySelectorAll("img[alt], .file-name")].map((file) => file.getAttribute("alt") ?? file.textContent ?? "");
    return `[${time}] <${author}> ${[text, ...files].filter((part) => part !== "").join(" ")}`;
  });
  event.clipboardData?.setData("text/plain", lines.join("\n"));
  event.preventDefault();
}

/** @param {Element} row @returns {string} */
function authorOf(row) {
  for (let one = /** @type {Element | null} */ (row); one !== null; one = one.previousElementSibling) {
    const author = one.querySelector(".author");
    if (author !== null) return author.textContent ?? "";
  }
  return "";
}

function Skeleton() {
  return html`<div class="skeleton" role="status" aria-label="Loading">
    ${[62, 84, 45, 71, 90, 38, 66].map((width) => html`<div class="skeleton-row"><span class="skeleton-avatar"></span><span class="skeleton-lines"><i class=${`w-${Math.round(width / 10)}`}></i><i class=${`w-${Math.round(width / 14)}`}></i></span></div>`)}
  </div>`;
}
