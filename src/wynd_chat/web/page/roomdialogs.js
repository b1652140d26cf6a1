// @ts-check
/**
 * The dialogs about rooms: browsing, making, settings, invitations, notifications. What a room can
 * be told is told through commands.
 */

import { copyText } from "./dom.js";
import { Dialog, Empty, Field, Form, Icon } from "./ui.js";
import { html, useEffect, useSignal } from "./vendor/preact.js";
import { ChatError } from "./wire.js";

/** @typedef {import("./app.js").Page} Page */
/** @typedef {import("./store.js").RoomState} RoomState */

/** Public rooms to join, and a form for a new one. @param {{page: Page, onClose: () => void}} props */
export function BrowseDialog({ page, onClose }) {
  const { store, chat, api } = page;
  const rooms = useSignal(/** @type {import("./wire.js").RoomInfo[] | null} */ (null));
  const problem = useSignal("");
  const filter = useSignal("");
  const isMaking = useSignal(false);
  useEffect(() => {
    api.rooms().then(
      (found) => (rooms.value = found),
      (/** @type {Error} */ error) => (problem.value = error.message),
    );
  }, []);
  /** @param {string} name @param {string} [key] */
  const join = async (name, key = "") => {
    const lobby = store.room.value ?? store.sortedRooms.value[0];
    if (lobby === undefined) return;
    const { room } = await chat.ask(lobby, `/join #${name}${key === "" ? "" : ` ${key}`}`);
    onClose();
    page.go(room ?? name.toLowerCase());
  };
  /** @param {Map<string, string>} values */
  const make = async (values) => {
    const name = (values.get("name") ?? "").trim().replace(/^#/u, "");
    const made = await api.makeRoom(name, (values.get("topic") ?? "").trim(), values.get("private") === "on");
    await chat.sync();
    onClose();
    page.go(made.room);
  };
  if (isMaking.value) {
    return html`<${Dialog} title="Create a room" onClose=${onClose}>
      <${Form} submit="Create" onSubmit=${make} secondary=${html`<button type="button" class="button" onClick=${() => (isMaking.value = false)}>Back</button>`}>
        <${Field} label="Name" name="name" isRequired hasFocus prefix="#" maxLength=${33} value=${filter.value} hint="Letters, digits, dots, dashes and underscores. A room's name never changes." />
        <${Field} label="Topic" name="topic" maxLength=${300} hint="What is it about? Optional." />
        <label class="check"><input type="checkbox" name="private" /><span>Private: only people who are invited see it</span></label>
      </${Form}>
    </${Dialog}>`;
  }
  const wanted = filter.value.toLowerCase();
  const shown = (rooms.value ?? []).filter(({ room, topic }) => room.includes(wanted) || topic.toLowerCase().includes(wanted));
  return html`<${Dialog} title="Rooms" class="is-wide" onClose=${onClose}>
    <div class="browse-tools">
      <input class="input" type="search" aria-label="Find a room" placeholder="Find a room" autofocus onInput=${(/** @type {InputEvent} */ event) => (filter.value = /** @type {HTMLInputElement} */ (event.target).value)} />
      <button type="button" class="button is-primary" onClick=${() => (isMaking.value = true)}><${Icon} name="plus" />Create</button>
    </div>
    ${problem.value !== "" && html`<p class="error" role="alert">${problem.value}</p>`}
    ${rooms.value === null && problem.value === "" && html`<p class="loading" role="status">Loading rooms…</p>`}
    ${rooms.value !== null && shown.length === 0 && html`<${Empty} title="No such room"><p>Create it, and invite others.</p></${Empty}>`}
    <ul class="browse-list">
      ${shown.map(
        (info) => html`<li key=${info.room}>
          <span class="browse-text">
            <span class="browse-name">#${info.room}${info.hasKey && html` <${Icon} name="lock" />`}</span>
            <span class="browse-topic">${[`${info.here} here`, info.topic].filter((part) => part !== "").join(" · ")}</span>
          </span>
          ${store.rooms.value.has(info.room)
            ? html`<button type="button" class="button" onClick=${() => (onClose(), page.go(info.room))}>Open</button>`
            : html`<${JoinButton} info=${info} onJoin=${join} />`}
        </li>`,
      )}
    </ul>
  </${Dialog}>`;
}

/** @param {{info: import("./wire.js").RoomInfo, onJoin: (name: string, key?: string) => Promise<void>}} props */
function JoinButton({ info, onJoin }) {
  const problem = useSignal("");
  const isAsking = useSignal(false);
  const join = (key = "") =>
    onJoin(info.room, key).catch((error) => {
      if (!(error instanceof ChatError)) throw error;
      problem.value = error.message;
    });
  if (isAsking.value) {
    return html`<form class="key-form" onSubmit=${(/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const key = new FormData(/** @type {HTMLFormElement} */ (event.target)).get("key");
      void join(String(key));
    }}>
      <input class="input" name="key" type="password" aria-label=${`Password of #${info.room}`} placeholder="Password" autocomplete="off" required />
      <button type="submit" class="button is-primary">Join</button>
      ${problem.value !== "" && html`<span class="error" role="alert">${problem.value}</span>`}
    </form>`;
  }
  return html`<span class="join">
    ${problem.value !== "" && html`<span class="error" role="alert">${problem.value}</span>`}
    <button type="button" class="button is-primary" onClick=${() => (info.hasKey ? (isAsking.value = true) : void join())}>Join</button>
  </span>`;
}

/** A room that I am not in, whose link was followed. @param {{page: Page, name: string, onClose: () => void}} props */
export function EnterDialog({ page, name, onClose }) {
  const { api, chat, store } = page;
  const info = useSignal(/** @type {import("./wire.js").RoomInfo | null} */ (null));
  const problem = useSignal("");
  useEffect(() => {
    api.room(name).then(
      (found) => (info.value = found),
      (/** @type {Error} */ error) => (problem.value = error.message),
    );
  }, []);
  /** @param {Map<string, string>} values */
  const enter = async (values) => {
    const from = store.room.value;
    if (from === null) return;
    await chat.ask(from, `/join #${name} ${values.get("key") ?? ""}`.trim());
    onClose();
    page.go(name);
  };
  return html`<${Dialog} title=${`#${name}`} onClose=${onClose}>
    ${problem.value !== "" && html`<p class="error" role="alert">There is no such room, or you were not invited.</p>`}
    ${problem.value === "" && info.value === null && html`<p class="loading" role="status">Loading…</p>`}
    ${info.value !== null &&
    html`<p>${[`${info.value.here} here`, info.value.topic].filter((part) => part !== "").join(" · ")}</p>
      <${Form} submit="Join" onSubmit=${enter}>
        ${info.value.hasKey && html`<${Field} label="Password" name="key" type="password" isRequired hasFocus />`}
      </${Form}>`}
  </${Dialog}>`;
}

/** Topic, invitations, moderation of a room, leaving. @param {{page: Page, room: RoomState, onClose: () => void}} props */
export function RoomDialog({ page, room, onClose }) {
  const { store, chat, api } = page;
  const me = store.me.value;
  const isOp = me?.isAdmin === true || room.role.value === "op" || room.role.value === "owner";
  const isLobby = room.name === page.store.lobby;
  const info = useSignal(/** @type {import("./wire.js").RoomInfo | null} */ (null));
  const read = () => api.room(room.name).then((found) => (info.value = found), () => undefined); // without it, nothing is shown as chosen
  useEffect(() => void read(), []);
  const link = useSignal("");
  const invite = async () => {
    link.value = await api.inviteLink(room.name);
    if (await copyText(link.value)) store.toast("The link is on the clipboard.");
  };
  /** @param {string} line */
  const tell = async (line) => {
    await chat.ask(room, line);
    await read();
    store.toast("Changed.");
  };
  return html`<${Dialog} title=${room.title} onClose=${onClose}>
    <${Form} submit="Save topic" class="is-inline" onSubmit=${(/** @type {Map<string, string>} */ values) => tell(`/topic ${(values.get("topic") ?? "").trim() || "-"}`)}>
      <${Field} label="Topic" name="topic" value=${room.topic.value} maxLength=${300} />
    </${Form}>
    ${!isLobby &&
    html`<section class="dialog-section">
      <h3>Invite</h3>
      <${Form} submit="Invite" class="is-inline" onSubmit=${async (/** @type {Map<string, string>} */ values) => {
        const name = (values.get("user") ?? "").trim();
        await tell(`/invite ${name.startsWith("@") ? name : `@${name}`} #${room.name}`);
      }}>
        <${Field} label="Who" name="user" prefix="@" isRequired />
      </${Form}>
      <${Form} submit="Make a link" onSubmit=${invite}>
        ${link.value === ""
          ? html`<p class="hint">A link lets 25 people in within 7 days.</p>`
          : html`<p class="secret"><code dir="ltr">${link.value}</code></p>`}
      </${Form}>
    </section>`}
    ${isOp &&
    html`<section class="dialog-section">
      <h3>For ops</h3>
      <${Setting} label="Only invited people may join" on="/private on" off="/private off" isOn=${info.value === null ? null : info.value.kind === "private"} onTell=${tell} isDisabled=${isLobby} />
      <${Setting} label="Only ops may write" on="/lock on" off="/lock off" isOn=${info.value?.isLocked ?? null} onTell=${tell} />
      <${Form} submit="Set" class="is-inline" onSubmit=${(/** @type {Map<string, string>} */ values) => tell(`/slow ${(values.get("slow") ?? "").trim() || "off"}`)}>
        <${Field} key=${info.value?.slowS} label="Slow mode: one message per" name="slow" value=${info.value === null ? "" : info.value.slowS === 0 ? "off" : `${info.value.slowS}s`} hint="30s, 5m, or off" />
      </${Form}>
      ${!isLobby &&
      html`<${Form} submit="Set" class="is-inline" onSubmit=${(/** @type {Map<string, string>} */ values) => tell(`/key ${(values.get("key") ?? "").trim() || "-"}`)}>
        <${Field} label="Password to join" name="key" type="password" autocomplete="new-password" hint=${info.value?.hasKey ? "There is one. Empty: no password." : "Empty: no password."} />
      </${Form}>`}
    </section>`}
    ${!isLobby &&
    html`<section class="dialog-section">
      <${Form} submit="Leave this room" isDanger onSubmit=${async () => {
        await chat.ask(room, `/leave #${room.name}`);
        onClose();
        page.go(page.store.lobby);
      }}></${Form}>
    </section>`}
  </${Dialog}>`;
}

/** @param {{label: string, on: string, off: string, isOn: boolean | null, isDisabled?: boolean, onTell: (line: string) => Promise<void>}} props */
function Setting({ label, on, off, isOn, onTell, isDisabled = false }) {
  const problem = useSignal("");
  /** @param {string} line */
  const tell = (line) => {
    problem.value = "";
    onTell(line).catch((error) => {
      if (!(error instanceof ChatError)) throw error;
      problem.value = error.message;
    });
  };
  return html`<div class="setting">
    <span>${label}</span>
    <span class="choice-buttons" role="group" aria-label=${label}>
      <button type="button" class="button" aria-pressed=${isOn === true ? "true" : isOn === false ? "false" : null} disabled=${isDisabled} onClick=${() => tell(on)}>On</button>
      <button type="button" class="button" aria-pressed=${isOn === false ? "true" : isOn === true ? "false" : null} disabled=${isDisabled} onClick=${() => tell(off)}>Off</button>
    </span>
    ${problem.value !== "" && html`<p class="error" role="alert">${problem.value}</p>`}
  </div>`;
}

/** What of a room reaches me; asks the browser only on a click. @param {{page: Page, room: RoomState, onClose: () => void}} props */
export function NotificationsDialog({ page, room, onClose }) {
  const { preferences, notify, chat, store } = page;
  const isMuted = room.notify.value === "nothing" || room.notify.value === "hidden";
  const isPossible = typeof Notification !== "undefined";
  const toggleDesktop = async () => {
    if (preferences.desktop.value === "on") preferences.desktop.value = "off";
    else if (await notify.ask()) preferences.desktop.value = "on";
    else store.toast("The browser does not allow notifications for this page.", true);
  };
  const mute = async () => {
    await chat.ask(room, isMuted ? "/unmute" : "/mute");
    room.notify.value = isMuted ? "all" : "nothing";
  };
  return html`<${Dialog} title=${`Notifications of ${room.title}`} onClose=${onClose}>
    <${Form} submit=${isMuted ? "Unmute this room" : "Mute this room"} onSubmit=${mute}>
      <p>${isMuted ? "You are told nothing of this room." : "You are told of what is new in this room."}</p>
    </${Form}>
    <section class="dialog-section">
      <h3>On this device</h3>
      <label class="check"><input type="checkbox" checked=${preferences.desktop.value === "on"} disabled=${!isPossible} onClick=${(/** @type {Event} */ event) => (event.preventDefault(), void toggleDesktop())} /><span>Show notifications while this page is in the background</span></label>
      <label class="check"><input type="checkbox" checked=${preferences.sound.value === "on"} onChange=${() => (preferences.sound.value = preferences.sound.value === "on" ? "off" : "on")} /><span>Play a sound for mentions and direct messages</span></label>
    </section>
  </${Dialog}>`;
}
