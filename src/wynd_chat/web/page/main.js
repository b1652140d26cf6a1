// @ts-check
/**
 * The composition root: makes every part, gives it what it needs, and starts. The only module that
 * does something when it is loaded.
 */

import { Api } from "./api.js";
import { App, loadShell, Page } from "./app.js";
import { Chat } from "./chat.js";
import { Connection } from "./connection.js";
import { element } from "./dom.js";
import { Files } from "./files.js";
import { listenForKeys } from "./keys.js";
import { Notify } from "./notify.js";
import { Outbox, outboxStorage } from "./outbox.js";
import { Memory, Preferences } from "./preferences.js";
import { Store } from "./store.js";
import { Uploads } from "./uploads.js";
import { h, render } from "./vendor/preact.js";

const FLAP_MS = 5_000; // the page was hidden for a moment only
const STALE_MS = 60_000; // hidden for so long that timers may have slept

const base = new URL(".", document.baseURI);
base.hash = "";
base.search = "";

/** @type {import("./connection.js").Clock} */
const clock = {
  now: () => performance.now(),
  after: (run, ms) => window.setTimeout(run, ms),
  cancel: (timer) => window.clearTimeout(timer),
};

/** @param {() => Storage} area @returns {Storage | null} */
function storage(area) {
  try {
    return area();
  } catch {
    return null; // closed by the browser's settings
  }
}

const prefix = `wynd-chat:${base.pathname}:`;
const preferences = new Preferences(
  new Memory(storage(() => localStorage), prefix),
  new Memory(storage(() => sessionStorage), prefix),
);
const store = new Store();
const api = new Api(base, () => preferences.lasting.get("guest-token"));
const kept = outboxStorage(window.indexedDB);

const connection = new Connection({
  url: new URL("ws", base).href.replace(/^http/u, "ws"),
  open: (url, subprotocol) => new WebSocket(url, subprotocol),
  clock,
  random: Math.random,
  listener: {
    hello: (hello) => void chat.hello(hello),
    event: (event) => chat.incoming.event(event),
    ephemeral: (ephemeral) => chat.incoming.ephemeral(ephemeral),
    state: (state) => {
      store.link.value = state;
      if (state.phase !== "open") outbox.close();
    },
  },
});
/** @type {Outbox} */
const outbox = new Outbox({ pending: store.pending, storage: kept, clock, send: (pending) => chat.send(pending) });
/** @type {Chat} */
const chat = new Chat({ store, connection, api, outbox, preferences, clock });
connection.start(); // what is said comes in later turns
const announcer = element("div", { class: "visually-hidden", "aria-live": "polite", role: "status", "aria-label": "New messages" });
const notify = new Notify({ store, preferences, announcer });
const uploads = new Uploads(api, () => store.limits.value.upload);
const files = new Files(base, () => api.credentials());
const page = new Page({ store, chat, api, connection, outbox, preferences, notify, uploads, files, clock, base });

chat.incoming.isWatched = () => document.visibilityState === "visible" && document.hasFocus();
/** @param {import("./wire.js").Message} message @param {import("./store.js").RoomState} room */
chat.incoming.onMessage = (message, room) => notify.message(message, room, () => page.go(room.name));

let hiddenAt = 0;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    hiddenAt = clock.now();
    return;
  }
  const away = clock.now() - hiddenAt;
  connection.check();
  if (away >= FLAP_MS) connection.retryNow();
  if (away >= STALE_MS && connection.state.phase === "open" && store.me.value !== null) void chat.sync();
  page.log?.changed();
});
window.addEventListener("focus", () => page.log?.changed());
window.addEventListener("online", () => connection.retryNow());
window.addEventListener("offline", () => connection.check());
window.addEventListener("hashchange", () => void page.follow());
window.addEventListener("pagehide", () => {
  const room = store.room.value;
  if (room !== null && page.log !== null) preferences.keepPlace(room.name, page.log.place);
});

void kept.isLasting().then((isLasting) => (store.isLasting.value = isLasting));
notify.start();
listenForKeys(page);
const root = /** @type {HTMLElement} */ (document.getElementById("app"));
root.replaceChildren();
document.body.append(announcer);
render(h(App, { page }), root);
void page.follow();
loadShell().catch(() => undefined); // asked for again when it is shown
