// @ts-check
/**
 * The left side: rooms and direct conversations with what is unread in them, and who I am.
 */

import { badge, counted } from "./format.js";
import { Avatar, Icon, IconButton } from "./ui.js";
import { html } from "./vendor/preact.js";

/** @typedef {import("./app.js").Page} Page */
/** @typedef {import("./store.js").RoomState} RoomState */

/** @param {{page: Page}} props */
export function Sidebar({ page }) {
  const { store } = page;
  const rooms = store.sortedRooms.value.filter((room) => room.notify.value !== "hidden" || room.name === store.open.value);
  const direct = rooms.filter((room) => room.kind.value === "dm");
  const shared = rooms.filter((room) => room.kind.value !== "dm");
  const me = store.me.value;
  const kind = me?.kind === "guest" ? "Guest" : me?.isAdmin ? "Administrator" : "Account";
  return html`<nav class="sidebar" data-region="rooms" aria-label="Rooms">
    <header class="sidebar-header">
      <span class="server-name"><bdi>${store.server.value.name || "Chat"}</bdi></span>
      <${IconButton} icon="search" label="Go to… (Ctrl+K)" onClick=${() => (store.dialog.value = { name: "switcher" })} />
      <${IconButton} icon="close" label="Close the list of rooms" class="only-narrow" onClick=${() => (store.drawer.value = "none")} />
    </header>
    <div class="sidebar-scroll">
      <${Group} title="Rooms" add="Browse or create a room" onAdd=${() => (store.dialog.value = { name: "browse" })}>
        ${shared.map((room) => html`<${RoomLink} key=${room.name} page=${page} room=${room} />`)}
      </${Group}>
      <${Group} title="Direct messages" add="Write to somebody" onAdd=${() => (store.dialog.value = { name: "switcher", about: { people: true } })}>
        ${direct.length === 0
          ? html`<li class="group-empty">Nobody yet</li>`
          : direct.map((room) => html`<${RoomLink} key=${room.name} page=${page} room=${room} />`)}
      </${Group}>
    </div>
    ${me !== null &&
    html`<footer class="sidebar-footer">
      <button type="button" class="me-button" title="Your account" onClick=${() => (store.dialog.value = { name: "account" })}>
        <${Avatar} name=${me.name} id=${me.id} state=${store.link.value.phase === "open" ? (store.presence.value.get(me.id)?.state === "away" ? "away" : "online") : "offline"} />
        <span class="me-text"><span class="me-name"><bdi>${me.name}</bdi></span>${" "}<span class="me-kind">${kind}</span></span>
      </button>
      <${IconButton} icon="settings" label="Settings" onClick=${() => (store.dialog.value = { name: "settings" })} />
    </footer>`}
  </nav>`;
}

/** @param {{title: string, add: string, onAdd: () => void, children?: import("./vendor/preact.js").Child}} props */
function Group({ title, add, onAdd, children }) {
  return html`<section class="group">
    <div class="group-header">
      <h2>${title}</h2>
      <${IconButton} icon="plus" label=${add} onClick=${onAdd} />
    </div>
    <ul>
      ${children}
    </ul>
  </section>`;
}

/** @param {{page: Page, room: RoomState}} props */
function RoomLink({ page, room }) {
  const { store } = page;
  const isOpen = store.open.value === room.name;
  const unread = room.unread.value;
  const mentions = room.mentions.value;
  const isDirect = room.kind.value === "dm";
  const other = room.with.value;
  const isQuiet = room.notify.value === "nothing";
  const label = [room.title, unread > 0 ? counted(unread, "unread message") : "", mentions > 0 && !isDirect ? counted(mentions, "mention") : ""];
  return html`<li>
    <a
      class=${`room-link ${isOpen ? "is-open" : ""} ${unread > 0 && !isQuiet ? "is-unread" : ""} ${isQuiet ? "is-quiet" : ""}`}
      href=${`#/${encodeURIComponent(room.name)}`}
      aria-current=${isOpen ? "page" : null}
      aria-label=${label.filter((part) => part !== "").join(", ")}
      onClick=${() => {
        store.drawer.value = "none";
      }}
    >
      ${isDirect
        ? html`<${Avatar} name=${other?.name ?? "?"} id=${other?.id ?? ""} state=${store.presence.value.get(other?.id ?? "")?.state ?? "offline"} />`
        : html`<${Icon} name=${room.kind.value === "private" ? "lock" : "hash"} />`}
      <span class="room-name"><bdi>${isDirect ? room.title : room.name}</bdi></span>
      ${mentions > 0 && html`<span class="badge">${badge(mentions)}</span>`}
      ${mentions === 0 && unread > 0 && !isOpen && !isQuiet && html`<span class="unread-dot"></span>`}
    </a>
  </li>`;
}
