// @ts-check
/**
 * Going somewhere by a few letters: rooms, conversations, people.
 */

import { Avatar, Dialog, Icon } from "./ui.js";
import { html, useEffect, useRef, useSignal } from "./vendor/preact.js";
import { ChatError } from "./wire.js";

/** @typedef {import("./app.js").Page} Page */
/** @typedef {{key: string, title: string, hint: string, kind: "room" | "user", id: string, unread: number, go: () => Promise<void> | void}} Target */

const SHOWN_MAX = 10;

/** @param {{page: Page, isPeople: boolean, onClose: () => void}} props */
export function Switcher({ page, isPeople, onClose }) {
  const { store } = page;
  const query = useSignal("");
  const chosen = useSignal(0);
  const problem = useSignal("");
  const list = useRef(/** @type {HTMLUListElement | null} */ (null));
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => input.current?.focus(), []);
  useEffect(() => {
    list.current?.children[chosen.value]?.scrollIntoView({ block: "nearest" });
  }, [chosen.value]);
  const targets = find(page, query.value.trim().toLowerCase().replace(/^[#@]/u, ""), isPeople);

  /** @param {Target | undefined} target */
  const choose = async (target) => {
    if (target === undefined) return;
    try {
      await target.go();
      onClose();
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      problem.value = error.message;
    }
  };
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (event.isComposing || targets.length === 0) return;
    if (event.key === "ArrowDown") chosen.value = (chosen.value + 1) % targets.length;
    else if (event.key === "ArrowUp") chosen.value = (chosen.value + targets.length - 1) % targets.length;
    else if (event.key === "Enter") void choose(targets[chosen.value]);
    else return;
    event.preventDefault();
  };
  const title = isPeople ? "Write to somebody" : "Go to…";
  return html`<${Dialog} title=${title} class="switcher" onClose=${onClose}>
    <input
      ref=${input}
      class="input"
      type="text"
      role="combobox"
      aria-label=${isPeople ? "A name" : "A room or a name"}
      aria-expanded="true"
      aria-controls="targets"
      aria-activedescendant=${targets.length > 0 ? `target-${chosen.value}` : null}
      placeholder=${isPeople ? "A name" : "A room or a name"}
      autocomplete="off"
      onInput=${(/** @type {InputEvent} */ event) => {
        query.value = /** @type {HTMLInputElement} */ (event.target).value;
        chosen.value = 0;
      }}
      onKeyDown=${pressed}
    />
    ${problem.value !== "" && html`<p class="error" role="alert">${problem.value}</p>`}
    ${targets.length === 0 && html`<p class="hint" role="status">${isPeople ? "Nobody of that name is known here." : "Nothing of that name."}</p>`}
    <ul id="targets" ref=${list} role="listbox" aria-label=${title}>
      ${targets.map(
        (target, index) => html`<li key=${target.key} id=${`target-${index}`} role="option" aria-selected=${index === chosen.value ? "true" : "false"} onClick=${() => void choose(target)}>
          ${target.kind === "user" ? html`<${Avatar} name=${target.title} id=${target.id} state=${store.presence.value.get(target.id)?.state ?? null} />` : html`<${Icon} name="hash" />`}
          <span class="choice-label"><bdi>${target.title}</bdi></span>
          <span class="choice-hint">${target.hint}</span>
          ${target.unread > 0 && html`<span class="unread-dot"></span>`}
        </li>`,
      )}
    </ul>
  </${Dialog}>`;
}

/** @param {Page} page @param {string} query @param {boolean} isPeople @returns {Target[]} */
function find(page, query, isPeople) {
  const { store, chat } = page;
  /** @type {Target[]} */
  const targets = [];
  const written = new Set();
  for (const room of store.sortedRooms.value) {
    const other = room.with.value;
    if (other !== null) written.add(other.id);
    if (isPeople && other === null) continue;
    targets.push({
      key: room.name,
      title: other === null ? room.name : other.name,
      hint: other === null ? room.topic.value : "direct message",
      kind: other === null ? "room" : "user",
      id: other?.id ?? "",
      unread: room.unread.value,
      go: () => page.go(room.name),
    });
  }
  for (const user of page.knownUsers()) {
    if (written.has(user.id) || user.id === store.me.value?.id) continue;
    targets.push({
      key: user.id,
      title: user.name,
      hint: user.kind === "human" ? "person" : user.kind,
      kind: "user",
      id: user.id,
      unread: 0,
      go: async () => {
        const from = store.room.value;
        if (from === null) return;
        const { room } = await chat.ask(from, `/msg @${user.name}`);
        if (room !== null) page.go(room);
      },
    });
  }
  const rank = (/** @type {Target} */ { title, unread }) => {
    const at = title.toLowerCase().indexOf(query);
    return at < 0 ? 9 : (at > 0 ? 2 : 0) + (unread > 0 ? 0 : 1);
  };
  return targets.filter((target) => rank(target) < 9).sort((one, other) => rank(one) - rank(other)).slice(0, SHOWN_MAX);
}
