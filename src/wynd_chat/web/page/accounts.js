// @ts-check
/**
 * Who I am: the gate with its three ways in, a name, signing in and registering; and what is shown
 * until the server answers.
 */

import { Empty, Field, Form } from "./ui.js";
import { html, useSignal } from "./vendor/preact.js";
import { ChatError } from "./wire.js";

/** @typedef {import("./app.js").Page} Page */

export const PASSWORD_HINT = "A few words are easy to remember and hard to guess.";

/** What stands before the chat. @param {{page: Page}} props */
export function Gate({ page }) {
  const { store, gate } = page;
  const view = gate.value === "name" && !store.guests.value ? "sign-in" : gate.value;
  const name = store.server.value.name || "Chat";
  return html`<main class="gate">
    <div class="gate-card">
      <div class="gate-brand"><span class="brand-mark" aria-hidden="true"></span><h1><bdi>${name}</bdi></h1></div>
      ${view === "sign-in" ? html`<${SignIn} page=${page} />` : view === "register" ? html`<${Register} page=${page} />` : html`<${TakeName} page=${page} />`}
    </div>
  </main>`;
}

/** @param {{page: Page, to: string, children?: import("./vendor/preact.js").Child}} props */
function Turn({ page, to, children }) {
  return html`<button type="button" class="link-button" onClick=${() => (page.gate.value = to)}>${children}</button>`;
}

/** @param {{page: Page}} props */
function TakeName({ page }) {
  const { chat, preferences } = page;
  const taken = useSignal("");
  /** @param {Map<string, string>} values */
  const take = async (values) => {
    const name = (values.get("name") ?? "").trim();
    taken.value = "";
    try {
      await chat.takeName(name);
    } catch (error) {
      if (error instanceof ChatError && error.code === "name_registered") taken.value = name;
      throw error;
    }
  };
  return html`
    <p class="gate-words">What should people call you?</p>
    <${Form} submit="Start chatting" onSubmit=${take}>
      <${Field} label="Your name" name="name" isRequired hasFocus maxLength=${33} autocomplete="nickname" value=${preferences.lasting.get("last-name") ?? ""} />
    </${Form}>
    <p class="gate-more">
      ${taken.value !== "" ? html`Is that you? <${Turn} page=${page} to="sign-in">Sign in as ${taken.value}</${Turn}>` : html`Have an account? <${Turn} page=${page} to="sign-in">Sign in</${Turn}>`}
      <span aria-hidden="true"> · </span><${Turn} page=${page} to="register">Create one</${Turn}>
    </p>
  `;
}

/** @param {{page: Page, onDone?: () => void}} props */
export function SignIn({ page, onDone }) {
  const { api, chat, store, preferences } = page;
  /** @param {Map<string, string>} values */
  const enter = async (values) => {
    const name = (values.get("username") ?? "").trim();
    await api.signIn(name, values.get("password") ?? "");
    preferences.lasting.set("last-name", name);
    onDone?.();
    chat.becomeAccount();
  };
  return html`
    <p class="gate-words">Sign in to your account.</p>
    <${Form} submit="Sign in" onSubmit=${enter}>
      <${Field} label="Name" name="username" isRequired hasFocus autocomplete="username" value=${preferences.lasting.get("last-name") ?? ""} />
      <${Field} label="Password" name="password" type="password" isRequired autocomplete="current-password" />
    </${Form}>
    ${onDone === undefined &&
    html`<p class="gate-more">
      ${store.guests.value && html`<${Turn} page=${page} to="name">Continue as a guest</${Turn}><span aria-hidden="true"> · </span>`}
      <${Turn} page=${page} to="register">Create an account</${Turn}>
    </p>`}
  `;
}

/** @param {{page: Page, onDone?: () => void}} props */
export function Register({ page, onDone }) {
  const { api, chat, store, preferences } = page;
  const invite = page.invite.value;
  const me = store.me.value;
  /** @param {Map<string, string>} values */
  const make = async (values) => {
    // A guest who registers the own name keeps rooms and messages.
    const name = me?.kind === "guest" ? me.name : (values.get("username") ?? "").trim();
    const password = values.get("password") ?? "";
    await api.register(name, password, (values.get("invite") ?? "").trim());
    await api.signIn(name, password);
    preferences.lasting.set("last-name", name);
    page.invite.value = "";
    onDone?.();
    chat.becomeAccount();
  };
  return html`
    <p class="gate-words">${me?.kind === "guest" ? html`Keep the name <bdi>${me.name}</bdi> and your messages with a password.` : "Create an account, to keep your name."}</p>
    <${Form} submit="Create account" onSubmit=${make}>
      ${me?.kind !== "guest" && html`<${Field} label="Name" name="username" isRequired hasFocus maxLength=${33} autocomplete="username" value=${preferences.lasting.get("last-name") ?? ""} />`}
      <${Field} label="Password" name="password" type="password" isRequired autocomplete="new-password" hint=${PASSWORD_HINT} hasFocus=${me?.kind === "guest"} />
      <${Field} label="Invitation code" name="invite" value=${invite} hint="Only where the server asks for one." />
    </${Form}>
    ${onDone === undefined &&
    html`<p class="gate-more">
      ${store.guests.value && html`<${Turn} page=${page} to="name">Continue as a guest</${Turn}><span aria-hidden="true"> · </span>`}
      <${Turn} page=${page} to="sign-in">Sign in instead</${Turn}>
    </p>`}
  `;
}

/** Shown while the first connection is made. @param {{page: Page}} props */
export function Loading({ page }) {
  const { phase, code } = page.store.link.value;
  const isStuck = phase === "waiting" || phase === "stopped";
  return html`<main class="gate">
    <div class="gate-card is-loading">
      ${isStuck
        ? html`<${Empty} icon="warning" title="The chat cannot be reached">
            <p>${phase === "waiting" ? "It is tried again by itself." : `The connection was ended (${code}).`}</p>
            <button type="button" class="button is-primary" onClick=${() => page.connection.start()}>Try now</button>
          </${Empty}>`
        : html`<div class="loading-mark" role="status"><span class="brand-mark" aria-hidden="true"></span><span class="visually-hidden">Loading</span></div>`}
    </div>
  </main>`;
}
