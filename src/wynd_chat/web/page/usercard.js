// @ts-check
/**
 * The card of one user with what may be done to it. The server judges every action; the card only
 * leaves out what would be refused.
 */

import { duration } from "./format.js";
import { Avatar, Dialog, Field, Form, Icon } from "./ui.js";
import { html, useSignal } from "./vendor/preact.js";

/** @typedef {import("./app.js").Page} Page */
/** @typedef {import("./store.js").RoomState} RoomState */
/** @typedef {import("./wire.js").Member} Member */
/** @typedef {import("./wire.js").User} User */

/**
 * The card of a user.
 * @param {{page: Page, room: RoomState, user: User, at: {x: number, y: number} | null, onClose: () => void}} props
 */
export function UserCard({ page, room, user, at, onClose }) {
  const { store, chat } = page;
  const me = store.me.value;
  const member = room.members.value?.get(user.id);
  const presence = store.presence.value.get(user.id);
  const isMe = user.id === me?.id;
  const asked = useSignal("");
  const name = `@${user.name}`;
  /** @param {string} line */
  const tell = async (line) => {
    const { lines } = await chat.ask(room, line);
    store.toast(lines[0] ?? "Done.");
    onClose();
    void chat.loadMembers(room);
  };
  const write = async () => {
    const { room: target } = await chat.ask(room, `/msg ${name}`);
    onClose();
    if (target !== null) page.go(target);
  };
  const actions = isMe || member === undefined || room.kind.value === "dm" ? [] : actionsFor(member, me, room, room.name === store.lobby);
  const action = actions.find(({ word }) => word === asked.value);
  return html`<${Dialog} title=${user.name} class="user-card" at=${at} onClose=${onClose}>
    <div class="user-head">
      <${Avatar} name=${user.name} id=${user.id} state=${presence?.state ?? "offline"} />
      <p>
        ${presence?.state === "away" ? html`Away${presence.text !== "" && html`: <bdi>${presence.text}</bdi>`}` : presence?.state === "online" ? "Here now" : "Not here"}
        <span class="user-facts">${[user.kind === "human" ? "" : user.kind, member !== undefined && member.role !== "member" ? `${member.role} of ${room.title}` : "", silence(member)].filter((part) => part !== "").join(" · ")}</span>
      </p>
    </div>
    ${action !== undefined
      ? html`<${Form}
          submit=${action.label}
          isDanger=${action.isDanger}
          secondary=${html`<button type="button" class="button" onClick=${() => (asked.value = "")}>Back</button>`}
          onSubmit=${(/** @type {Map<string, string>} */ values) => tell(action.line(name, values))}
        >
          <p>${action.question}</p>
          ${action.hasDuration && html`<${Field} label="For how long" name="duration" value="10m" hint="30s, 10m, 2h, 7d" hasFocus />`}
          ${action.hasReason && html`<${Field} label="Reason" name="reason" maxLength=${200} hint="Shown to everybody in the room. Optional." />`}
        </${Form}>`
      : html`
          ${!isMe &&
          html`<div class="card-actions">
            <${Form} submit="Write a direct message" onSubmit=${write}></${Form}>
            <button type="button" class="button" onClick=${() => (onClose(), page.composer?.insert(`${name} `))}><${Icon} name="at" />Mention</button>
            <${Form} submit="Ignore" class="is-quiet" onSubmit=${() => tell(`/ignore ${name}`)}></${Form}>
          </div>`}
          ${actions.length > 0 &&
          html`<div class="card-actions is-moderation">
            <h3>Moderate</h3>
            ${actions.map(({ word, label, isDanger }) => html`<button type="button" class=${isDanger ? "button is-danger-quiet" : "button"} onClick=${() => (asked.value = word)}>${label}</button>`)}
          </div>`}
        `}
  </${Dialog}>`;
}

/** @param {Member | undefined} member @returns {string} */
function silence(member) {
  const until = member?.silencedUntil ?? 0;
  return until > Date.now() ? `silenced for ${duration((until - Date.now()) / 1000)}` : "";
}

/**
 * @typedef {object} Action
 * @property {string} word
 * @property {string} label
 * @property {string} question
 * @property {boolean} isDanger
 * @property {boolean} [hasDuration]
 * @property {boolean} [hasReason]
 * @property {(name: string, values: Map<string, string>) => string} line
 */

/**
 * List what I may do to a member: only to those whose role is below mine.
 * @param {Member} member @param {User | null} me @param {RoomState} room @param {boolean} isLobby
 * @returns {Action[]}
 */
export function actionsFor(member, me, room, isLobby) {
  const mine = me?.isAdmin ? 4 : room.role.value === "owner" ? 3 : room.role.value === "op" ? 2 : 1;
  const theirs = member.user.isAdmin ? 4 : member.role === "owner" ? 3 : member.role === "op" ? 2 : 1;
  if (mine < 2 || mine <= theirs) return [];
  const where = room.title;
  const who = member.user.name;
  /** @param {Map<string, string>} values @returns {string} */
  const reason = (values) => (values.get("reason") ?? "").trim();
  /** @type {Action[]} */
  const actions = [
    {
      word: "timeout", label: "Silence", isDanger: false, hasDuration: true, hasReason: true,
      question: `${who} may read ${where}, but not write.`,
      line: (name, values) => `/timeout ${name} ${(values.get("duration") ?? "").trim() || "10m"} ${reason(values)}`.trim(),
    },
    {
      word: "kick", label: "Remove", isDanger: true, hasReason: true,
      question: isLobby ? `${who} is disconnected from the chat.` : `${who} is put out of ${where} and may come back.`,
      line: (name, values) => `/kick ${name} ${reason(values)}`.trim(),
    },
    {
      word: "ban", label: "Ban", isDanger: true, hasDuration: true, hasReason: true,
      question: `${who} is put out of ${where} and may not come back.`,
      line: (name, values) => `/ban ${name} ${(values.get("duration") ?? "").trim()} ${reason(values)}`.replace(/ {2,}/gu, " ").trim(),
    },
  ];
  if (member.silencedUntil !== null && member.silencedUntil > Date.now()) {
    actions[0] = {
      word: "unsilence", label: "Let speak again", isDanger: false,
      question: `${who} may write in ${where} again.`,
      line: (name) => `/timeout ${name} off`,
    };
  }
  if (mine >= 3) {
    const isOp = member.role === "op";
    actions.push({
      word: "op", label: isOp ? "Take op away" : "Make op", isDanger: false,
      question: isOp ? `${who} is a member like others.` : `${who} may silence, remove and ban people in ${where}.`,
      line: (name) => `/${isOp ? "deop" : "op"} ${name}`,
    });
  }
  return actions;
}
