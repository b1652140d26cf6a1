// @ts-check
/**
 * The right side: who is in the room, by presence and role.
 */

import { clockTime } from "./format.js";
import { Avatar, IconButton } from "./ui.js";
import { html, useSignal } from "./vendor/preact.js";

/** @typedef {import("./app.js").Page} Page */
/** @typedef {import("./store.js").RoomState} RoomState */
/** @typedef {import("./wire.js").Member} Member */

const SHOWN_MAX = 300; // beyond it only those who are here, then a number

/** @param {{page: Page, room: RoomState}} props */
export function Members({ page, room }) {
  const { store } = page;
  const filter = useSignal("");
  const members = [...(room.members.value?.values() ?? [])];
  const wanted = filter.value.toLowerCase();
  const found = members.filter(({ user }) => user.name.toLowerCase().includes(wanted)).sort(byName);
  /** @param {Member} member */
  const isHere = ({ user }) => (store.presence.value.get(user.id)?.state ?? "offline") !== "offline";
  const here = found.filter(isHere);
  const away = found.filter((member) => !isHere(member));
  return html`<aside class="members" data-region="members" aria-label="Members">
    <header class="members-header">
      <h2>Members</h2>
      <${IconButton} icon="close" label="Close the list of members" onClick=${() => page.closeMembers()} />
    </header>
    ${members.length > 20 &&
    html`<input class="input members-filter" type="search" aria-label="Find a member" placeholder="Find a member" onInput=${(/** @type {InputEvent} */ event) => (filter.value = /** @type {HTMLInputElement} */ (event.target).value)} />`}
    <div class="members-scroll">
      ${room.members.value === null
        ? html`<p class="loading" role="status">Loading…</p>`
        : html`
            <${MemberGroup} page=${page} room=${room} title="Here" members=${here} />
            <${MemberGroup} page=${page} room=${room} title="Not here" members=${away} />
          `}
    </div>
  </aside>`;
}

/** @param {Member} one @param {Member} other */
function byName(one, other) {
  return one.user.name.localeCompare(other.user.name, undefined, { sensitivity: "base" });
}

/** @param {{page: Page, room: RoomState, title: string, members: Member[]}} props */
function MemberGroup({ page, room, title, members }) {
  if (members.length === 0) return null;
  const { store } = page;
  return html`<section class="member-group">
    <h3>${title} — ${members.length}</h3>
    <ul>
      ${members.slice(0, SHOWN_MAX).map(({ user, role, silencedUntil }) => {
        const presence = store.presence.value.get(user.id);
        return html`<li key=${user.id}>
          <button
            type="button"
            class=${`member ${presence === undefined || presence.state === "offline" ? "is-offline" : ""}`}
            aria-haspopup="dialog"
            onClick=${(/** @type {MouseEvent} */ event) => page.openUser(user, event)}
          >
            <${Avatar} name=${user.name} id=${user.id} state=${presence?.state ?? "offline"} />
            <span class="member-text">
              <span class="member-name"><bdi>${user.name}</bdi>${user.id === store.me.value?.id && html` <span class="you">you</span>`}</span>
              ${presence?.state === "away" && html`<span class="member-away"><bdi>${presence.text || "away"}</bdi></span>`}
            </span>
            ${silencedUntil !== null && silencedUntil > Date.now() && html`<span class="role-badge is-silenced" title=${`Silenced until ${clockTime(silencedUntil)}`}>silenced</span>`}
            ${role !== "member" && room.kind.value !== "dm" && html`<span class="role-badge">${role}</span>`}
            ${(user.kind === "bot" || user.kind === "guest") && html`<span class="kind-badge">${user.kind}</span>`}
          </button>
        </li>`;
      })}
    </ul>
    ${members.length > SHOWN_MAX && html`<p class="hint">and ${members.length - SHOWN_MAX} more</p>`}
  </section>`;
}
