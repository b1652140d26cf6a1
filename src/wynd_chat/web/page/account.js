// @ts-check
/**
 * My account with its password, logins and tokens; codes of links that were followed; and the forms
 * of the gate for who is in the chat already.
 */

import { PASSWORD_HINT, Register, SignIn } from "./accounts.js";
import { copyText } from "./dom.js";
import { shortDate } from "./format.js";
import { Dialog, Field, Form, Icon } from "./ui.js";
import { html, useEffect, useSignal } from "./vendor/preact.js";
import { ChatError } from "./wire.js";

/** @typedef {import("./app.js").Page} Page */

/** A dialog with one of the forms, for who is in the chat already. @param {{page: Page, name: string, onClose: () => void}} props */
export function AccountFormDialog({ page, name, onClose }) {
  return name === "register"
    ? html`<${Dialog} title="Create an account" onClose=${onClose}><${Register} page=${page} onDone=${onClose} /></${Dialog}>`
    : html`<${Dialog} title="Sign in" onClose=${onClose}><${SignIn} page=${page} onDone=${onClose} /></${Dialog}>`;
}

/** A link or claim code that was followed or is typed. @param {{page: Page, kind: string, code: string, onClose: () => void}} props */
export function CodeDialog({ page, kind, code, onClose }) {
  const { api, chat, store } = page;
  const done = useSignal("");
  const isGuest = store.me.value?.kind === "guest";
  /** @param {Map<string, string>} values */
  const use = async (values) => {
    const typed = (values.get("code") ?? "").trim();
    if (kind === "link") {
      await api.approveLink(typed);
      done.value = "The other device is signed in as you.";
    } else if (kind === "claim") {
      const user = await api.claim(typed);
      if (user !== null) store.me.value = user;
      done.value = "You are the administrator of this server now.";
    } else {
      const room = await api.useInvite(typed);
      await chat.sync();
      onClose();
      page.go(room || page.store.lobby);
    }
  };
  const titles = { link: "Sign in another device", claim: "Claim this server", join: "Accept an invitation" };
  const words = {
    link: "Enter the code that the other device shows. Only do this for a device in front of you.",
    claim: "The code stands in the claim link that the server printed at its first start.",
    join: "You were invited to a room.",
  };
  const key = kind === "link" || kind === "claim" ? kind : "join";
  if (isGuest && key !== "join") {
    return html`<${Dialog} title=${titles[key]} onClose=${onClose}>
      <p>You need an account for this.</p>
      <div class="form-actions"><button type="button" class="button" onClick=${() => (store.dialog.value = { name: "sign-in" })}>Sign in</button>
      <button type="button" class="button is-primary" onClick=${() => (store.dialog.value = { name: "register" })}>Create an account</button></div>
    </${Dialog}>`;
  }
  return html`<${Dialog} title=${titles[key]} onClose=${onClose}>
    ${done.value !== ""
      ? html`<p role="status">${done.value}</p><div class="form-actions"><button type="button" class="button is-primary" onClick=${onClose}>Close</button></div>`
      : html`<p>${words[key]}</p><${Form} submit=${key === "join" ? "Join" : "Continue"} onSubmit=${use}><${Field} label="Code" name="code" isRequired hasFocus value=${code} /></${Form}>`}
  </${Dialog}>`;
}

/** My account. @param {{page: Page, onClose: () => void}} props */
export function AccountDialog({ page, onClose }) {
  const { store, chat, api } = page;
  const me = store.me.value;
  if (me === null) return null;
  const isGuest = me.kind === "guest";
  const isAway = store.presence.value.get(me.id)?.state === "away";
  const room = store.room.value;
  /** @param {string} line */
  const tell = async (line) => {
    if (room !== null) await chat.ask(room, line);
  };
  return html`<${Dialog} title=${me.name} class="is-wide" onClose=${onClose}>
    <${Form} submit="Change" class="is-inline" onSubmit=${async (/** @type {Map<string, string>} */ values) => {
      const name = (values.get("name") ?? "").trim();
      await chat.rename(name);
      store.toast(`You are ${name} now.`);
    }}>
      <${Field} label="Name" name="name" value=${me.name} isRequired maxLength=${33} />
    </${Form}>
    <${Form} submit=${isAway ? "I am back" : "Set away"} class="is-inline" onSubmit=${(/** @type {Map<string, string>} */ values) => tell(isAway ? "/back" : `/away ${(values.get("away") ?? "").trim() || "away"}`)}>
      ${isAway ? html`<p>You are shown as away.</p>` : html`<${Field} label="Away" name="away" hint="Shown to who writes to you: lunch, until Monday" />`}
    </${Form}>
    ${isGuest
      ? html`<section class="dialog-section">
          <h3>You are a guest</h3>
          <p>Your name is yours for as long as you are here. An account keeps it, with your messages and rooms, on every device.</p>
          <div class="form-actions">
            <button type="button" class="button" onClick=${() => (store.dialog.value = { name: "sign-in" })}>Sign in</button>
            <button type="button" class="button is-primary" onClick=${() => (store.dialog.value = { name: "register" })}>Create an account</button>
          </div>
        </section>`
      : html`
          <section class="dialog-section">
            <h3>Password</h3>
            <${Form} submit="Change password" onSubmit=${async (/** @type {Map<string, string>} */ values) => {
              await api.changePassword(values.get("old") ?? "", values.get("new") ?? "");
              store.toast("The password is changed. Other devices have to sign in again.");
              onClose();
            }}>
              <${Field} label="Password now" name="old" type="password" isRequired autocomplete="current-password" />
              <${Field} label="New password" name="new" type="password" isRequired autocomplete="new-password" hint=${PASSWORD_HINT} />
            </${Form}>
          </section>
          <${Logins} page=${page} kind="sessions" title="Where you are signed in" end="End" />
          <${Logins} page=${page} kind="tokens" title="Tokens for programs" end="Revoke" />
          <section class="dialog-section">
            <button type="button" class="button" onClick=${() => (store.dialog.value = { name: "link" })}>Sign in another device</button>
          </section>
        `}
    <section class="dialog-section">
      <${Form} submit=${isGuest ? "Give up this name" : "Sign out"} isDanger onSubmit=${async () => {
        await chat.signOut();
        onClose();
      }}></${Form}>
    </section>
  </${Dialog}>`;
}

/** @param {{page: Page, kind: "sessions" | "tokens", title: string, end: string}} props */
function Logins({ page, kind, title, end }) {
  const { api, store } = page;
  const logins = useSignal(/** @type {import("./wire.js").Login[] | null} */ (null));
  const problem = useSignal("");
  const secret = useSignal("");
  const load = () =>
    api.logins(kind).then(
      (found) => (logins.value = found),
      (/** @type {Error} */ error) => (problem.value = error.message),
    );
  useEffect(() => void load(), []);
  /** @param {string} id */
  const stop = async (id) => {
    problem.value = "";
    try {
      await api.endLogin(kind, id);
      await load();
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      problem.value = error.message;
    }
  };
  return html`<section class="dialog-section">
    <h3>${title}</h3>
    ${problem.value !== "" && html`<p class="error" role="alert">${problem.value}</p>`}
    ${logins.value === null && problem.value === "" && html`<p class="loading" role="status">Loading…</p>`}
    <ul class="logins">
      ${(logins.value ?? []).map(
        (login) => html`<li key=${login.id}>
          <span class="login-text">
            <span class="login-name">${login.label || agentName(login.agent) || login.kind}${login.isCurrent && html` <span class="you">this one</span>`}</span>
            <span class="login-facts">${[login.ip, login.seenAt > 0 ? `last seen ${shortDate(login.seenAt)}` : ""].filter((part) => part !== "").join(" · ")}</span>
          </span>
          ${!login.isCurrent && html`<button type="button" class="button" onClick=${() => void stop(login.id)}>${end}</button>`}
        </li>`,
      )}
    </ul>
    ${kind === "tokens" &&
    html`<${Form} submit="New token" class="is-inline" onSubmit=${async (/** @type {Map<string, string>} */ values) => {
        secret.value = await api.newToken((values.get("label") ?? "").trim());
        await load();
      }}>
        <${Field} label="What is it for" name="label" isRequired maxLength=${64} />
      </${Form}>
      ${secret.value !== "" &&
      html`<div class="secret" role="status">
        <p>This is shown once. Whoever has it can do what you can.</p>
        <code dir="ltr">${secret.value}</code>
        <button type="button" class="button" onClick=${async () => {
          if (await copyText(secret.value)) store.toast("The token is on the clipboard.");
        }}><${Icon} name="copy" />Copy</button>
      </div>`}`}
    ${kind === "tokens" && (logins.value ?? []).length === 0 && logins.value !== null && html`<p class="hint">No tokens yet.</p>`}
  </section>`;
}

/** @param {string} agent a User-Agent field @returns {string} */
function agentName(agent) {
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\//u.exec(agent)?.[1] ?? "";
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/u.exec(agent)?.[1] ?? "";
  const names = new Map([["Edg", "Edge"], ["OPR", "Opera"], ["Mac OS X", "Mac"]]);
  return [names.get(browser) ?? browser, names.get(system) ?? system].filter((part) => part !== "").join(" on ");
}
