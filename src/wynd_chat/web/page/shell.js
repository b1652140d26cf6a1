// @ts-check
/**
 * What those see who are in: three columns, and the dialog that is open above them. Loaded behind the
 * gate, with everything that shows messages.
 */

import { Conversation } from "./conversation.js";
import { Members } from "./members.js";
import { Sidebar } from "./rooms.js";
import { html, useEffect, useState } from "./vendor/preact.js";

/** @typedef {import("./app.js").Page} Page */

const IDLE_MS = 1500; // after the start, so that dialogs are there without a connection too

/** @param {{page: Page}} props */
export function Shell({ page }) {
  const { store, preferences } = page;
  const room = store.room.value;
  const drawer = store.drawer.value;
  const hasMembers = preferences.membersPanel.value === "open";
  /** @param {MouseEvent} event */
  const skip = (event) => {
    event.preventDefault();
    page.composer?.focus();
  };
  return html`
    <a class="skip-link" href="#composer" onClick=${skip}>Skip to the message box</a>
    <div class=${`shell ${hasMembers ? "has-members" : ""} drawer-${drawer}`}>
      <${Sidebar} page=${page} />
      <${Conversation} page=${page} />
      ${room !== null && html`<${Members} key=${room.name} page=${page} room=${room} />`}
      ${drawer !== "none" && html`<div class="scrim" onClick=${() => (store.drawer.value = "none")}></div>`}
    </div>
    <${LazyDialog} page=${page} />
  `;
}

/**
 * Dialogs are loaded when the first one is opened, or when the page has nothing else to do.
 * @param {{page: Page}} props
 */
function LazyDialog({ page }) {
  const [view, setView] = useState(/** @type {{Open: unknown} | null} */ (null));
  const isWanted = page.store.dialog.value !== null;
  useEffect(() => {
    if (view !== null) return;
    const load = () =>
      void import("./dialogs.js").then(
        ({ OpenDialog }) => setView({ Open: OpenDialog }),
        () => {
          if (page.store.dialog.peek() === null) return; // tried again when one is opened
          page.store.dialog.value = null;
          page.store.toast("This needs a connection.", true);
        },
      );
    if (isWanted) load();
    const timer = setTimeout(load, IDLE_MS);
    return () => clearTimeout(timer);
  }, [isWanted, view]);
  return view === null || !isWanted ? null : html`<${view.Open} page=${page} />`;
}
