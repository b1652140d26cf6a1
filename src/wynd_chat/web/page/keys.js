// @ts-check
/**
 * Keys that work everywhere on the page. What a view does with its own keys stands there.
 */

/** @typedef {import("./app.js").Page} Page */

const REGIONS = ["rooms", "log", "composer", "members"];

/** @param {Page} page */
export function listenForKeys(page) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || page.store.stage.value !== "ready") return;
    const run = find(page, event);
    if (run === null) return;
    event.preventDefault();
    run();
  });
}

/** @param {Page} page @param {KeyboardEvent} event @returns {(() => void) | null} */
function find(page, event) {
  const { store, chat } = page;
  const { key, altKey: alt, shiftKey: shift } = event;
  const command = event.ctrlKey || event.metaKey;
  if (key === "Escape") {
    if (store.dialog.value !== null) return null; // its own
    if (shift) return () => chat.markAllRead();
    return () => escape(page);
  }
  if (store.dialog.value !== null) return null;
  if (command && !alt && key.toLowerCase() === "k") return () => (store.dialog.value = { name: "switcher" });
  if (command && key === "/") return () => (store.dialog.value = { name: "keys" });
  if (command && shift && key.toLowerCase() === "u") return () => page.composer?.pick();
  if (alt && !command && (key === "ArrowUp" || key === "ArrowDown")) {
    return () => walk(page, key === "ArrowDown" ? 1 : -1, shift);
  }
  if (alt && !command && (key.toLowerCase() === "a" || event.code === "KeyA")) return () => void page.log?.jumpToLine();
  if (key === "F6") return () => cycle(page, shift ? -1 : 1);
  return null;
}

/** Cancel, close, then mark as read. @param {Page} page */
function escape(page) {
  const { store, chat } = page;
  const room = store.room.value;
  if (store.drawer.value !== "none") store.drawer.value = "none";
  else if (room !== null) {
    chat.markRead(room);
    void page.log?.jumpToEnd();
    page.composer?.focus();
  }
}

/** @param {Page} page @param {number} step @param {boolean} isUnread */
function walk(page, step, isUnread) {
  const { store } = page;
  const all = store.sortedRooms.value;
  const rooms = [...all.filter(({ kind }) => kind.value !== "dm"), ...all.filter(({ kind }) => kind.value === "dm")];
  const from = rooms.findIndex(({ name }) => name === store.open.value);
  for (let count = 1; count <= rooms.length; count += 1) {
    const room = rooms[(from + step * count + rooms.length * count) % rooms.length];
    if (room !== undefined && (!isUnread || room.unread.value > 0)) {
      page.go(room.name);
      return;
    }
  }
}

/** @param {Page} page @param {number} step */
function cycle(page, step) {
  const regions = REGIONS.map((name) => document.querySelector(`[data-region="${name}"]`)).filter(
    (region) => region instanceof HTMLElement && region.getClientRects().length > 0,
  );
  const from = regions.findIndex((region) => region?.contains(document.activeElement));
  const next = regions[(from + step + regions.length) % regions.length];
  if (!(next instanceof HTMLElement)) return;
  if (next.dataset["region"] === "log") page.log?.focus();
  else if (next.dataset["region"] === "composer") page.composer?.focus();
  else {
    const first = next.querySelector('[aria-current="page"], .member, button, a');
    if (first instanceof HTMLElement) first.focus();
  }
}
