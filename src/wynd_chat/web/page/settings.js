// @ts-check
/**
 * Settings of this browser, and the map of the keys.
 */

import { Dialog } from "./ui.js";
import { html } from "./vendor/preact.js";

/** @typedef {import("./app.js").Page} Page */

/** @param {{page: Page, onClose: () => void}} props */
export function SettingsDialog({ page, onClose }) {
  const { preferences, store } = page;
  return html`<${Dialog} title="Settings" onClose=${onClose}>
    <${Choice} legend="Appearance" name="theme" chosen=${preferences.theme} choices=${[["auto", "As the system"], ["light", "Light"], ["dark", "Dark"]]} />
    <${Choice} legend="Messages" name="density" chosen=${preferences.density} choices=${[["comfortable", "Comfortable"], ["compact", "Compact"]]} />
    <section class="dialog-section">
      <h3>Notifications</h3>
      <label class="check"><input type="checkbox" checked=${preferences.sound.value === "on"} onChange=${() => (preferences.sound.value = preferences.sound.value === "on" ? "off" : "on")} /><span>Play a sound for mentions and direct messages</span></label>
      <button type="button" class="button" onClick=${() => (store.dialog.value = { name: "notifications", about: { room: store.open.value } })}>Notifications of this room</button>
    </section>
    <section class="dialog-section">
      <button type="button" class="button" onClick=${() => (store.dialog.value = { name: "keys" })}>Keyboard shortcuts</button>
      <p class="hint">wynd-chat ${store.server.value.version}. <a href="basic">The basic page</a> works in very old browsers.</p>
    </section>
  </${Dialog}>`;
}

/**
 * @param {{legend: string, name: string, chosen: import("./vendor/preact.js").Signal<string>, choices: [string, string][]}} props
 */
function Choice({ legend, name, chosen, choices }) {
  return html`<fieldset class="choice">
    <legend>${legend}</legend>
    ${choices.map(
      ([value, label]) => html`<label class="check" key=${value}>
        <input type="radio" name=${name} value=${value} checked=${chosen.value === value} onChange=${() => (chosen.value = value)} /><span>${label}</span>
      </label>`,
    )}
  </fieldset>`;
}

/** @type {readonly [string, readonly [string, string][]][]} */
export const KEYS = [
  ["Moving", [
    ["Ctrl K", "Go to a room or a person"],
    ["Alt ↑ ↓", "Previous or next room"],
    ["Alt Shift ↑ ↓", "Previous or next unread room"],
    ["Alt A", "First unread message"],
    ["F6", "Rooms, messages, composer, members"],
  ]],
  ["Reading", [
    ["↑ ↓ Home End", "From message to message"],
    ["Enter", "What can be done with a message"],
    ["Esc", "Close, then mark the room as read"],
    ["Shift Esc", "Mark every room as read"],
  ]],
  ["Writing", [
    ["Enter", "Send"],
    ["Shift Enter", "Break the line"],
    ["Ctrl Shift U", "Attach files"],
    ["/ @ # :", "Complete commands, people, rooms, emoji"],
  ]],
  ["Help", [["Ctrl /", "This list"]]],
];

/** @param {{onClose: () => void}} props */
export function KeysDialog({ onClose }) {
  return html`<${Dialog} title="Keyboard shortcuts" class="is-wide" onClose=${onClose}>
    <div class="keys">
      ${KEYS.map(
        ([title, keys]) => html`<section key=${title}>
          <h3>${title}</h3>
          <dl>
            ${keys.map(([combination, what]) => html`<div class="key-row"><dt>${combination.split(" ").map((key) => html`<kbd>${key}</kbd>`)}</dt><dd>${what}</dd></div>`)}
          </dl>
        </section>`,
      )}
    </div>
    <p class="hint">On a Mac, ⌘ does what Ctrl does.</p>
  </${Dialog}>`;
}
