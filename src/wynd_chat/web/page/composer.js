// @ts-check
/**
 * Where messages are written: the box, completion, commands, files, and what the keys do there.
 * A text that begins with `/` is a command (`//` is not); `/me` is a message like others.
 */

import { choicesFor, commandOf, complete, mayRun, tokenAt } from "./complete.js";
import { fileSize } from "./format.js";
import { Icon, IconButton } from "./ui.js";
import { html, useEffect, useLayoutEffect, useRef, useSignal } from "./vendor/preact.js";

/** @typedef {import("./app.js").Page} Page */
/** @typedef {import("./store.js").RoomState} RoomState */
/** @typedef {import("./complete.js").Token} Token */
/** @typedef {import("./complete.js").Choice} Choice */

const HEIGHT_MAX_PX = 240;
const WARN_CHARS = 500; // shown when so few are left
/** Commands with a view of their own, so that no password is typed into the box. */
const VIEWS = new Map([["register", "register"], ["login", "sign-in"], ["logout", "account"], ["token", "account"], ["sessions", "account"]]);

/** @param {{page: Page, room: RoomState}} props */
export function Composer({ page, room }) {
  const { store, chat, preferences, uploads } = page;
  const box = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const picker = useRef(/** @type {HTMLInputElement | null} */ (null));
  const text = useSignal("");
  const token = useSignal(/** @type {Token | null} */ (null));
  const choices = useSignal(/** @type {Choice[]} */ ([]));
  const chosen = useSignal(0);
  const me = store.me.value;
  const limit = store.limits.value.text;

  useLayoutEffect(() => {
    const node = box.current;
    if (node === null || me === null) return;
    node.value = preferences.draft(me.id, room.name);
    text.value = node.value;
    token.value = null;
    choices.value = [];
    fit(node);
    if (!isTouch() && store.dialog.peek() === null) node.focus({ preventScroll: true });
  }, [room.name, me?.id]);

  useEffect(() => {
    page.composer = {
      focus: () => box.current?.focus(),
      insert: (words) => {
        const node = box.current;
        if (node === null) return;
        const lead = node.value === "" || /\s$/u.test(node.value) ? "" : " ";
        setText(node.value + lead + words);
        node.focus();
      },
      pick: () => picker.current?.click(),
    };
    return () => {
      page.composer = null;
    };
  }, [room.name]);

  const allowed = () => store.commands.value.filter((command) => mayRun(command, me, room.role.value));

  /** @param {string} next @param {number} [caret] */
  const setText = (next, caret = next.length) => {
    const node = box.current;
    if (node === null || me === null) return;
    node.value = next;
    node.setSelectionRange(caret, caret);
    changed();
  };

  const changed = () => {
    const node = box.current;
    if (node === null || me === null) return;
    text.value = node.value;
    preferences.keepDraft(me.id, room.name, node.value);
    fit(node);
    const found = node.selectionStart === node.selectionEnd ? tokenAt(node.value, node.selectionStart) : null;
    token.value = found;
    chosen.value = 0;
    choices.value = found === null ? [] : choicesFor(found, { commands: allowed(), users: page.names(room), rooms: page.roomNames() });
  };

  const closeChoices = () => {
    token.value = null;
    choices.value = [];
  };

  /** @param {number} index */
  const choose = (index) => {
    const node = box.current;
    const choice = choices.value[index];
    if (node === null || choice === undefined || token.value === null) return;
    const next = complete(node.value, node.selectionStart, token.value, choice);
    closeChoices();
    setText(next.text, next.caret);
    closeChoices();
  };

  const submit = () => {
    const node = box.current;
    if (node === null) return;
    const source = node.value;
    const words = source.trim();
    if (uploads.isBusy(room.name)) {
      store.toast("The message can be sent when its files are there.");
      return;
    }
    if ([...source].length > limit) return;
    if (words.startsWith("/") && !words.startsWith("//")) {
      if (command(words)) setText("");
      return;
    }
    const files = uploads.takeDone(room.name);
    if (words === "" && files.length === 0) return;
    chat.say(room, { text: words.startsWith("//") ? words.slice(1) : words, files });
    setText("");
    void page.log?.jumpToEnd();
  };

  /** @param {string} line @returns {boolean} whether the box may be emptied */
  const command = (line) => {
    const [, word = "", rest = ""] = /^\/(\S*)\s*([^]*)$/u.exec(line) ?? [];
    const name = word.toLowerCase();
    if (name === "me" && rest !== "") {
      chat.say(room, { text: rest, kind: "me" });
      void page.log?.jumpToEnd();
      return true;
    }
    const view = VIEWS.get(name);
    if (view !== undefined) store.dialog.value = { name: view };
    else if (name === "upload") picker.current?.click();
    else if (store.link.value.phase !== "open") {
      store.toast("Commands need a connection; the message is kept here.", true);
      return false;
    } else void chat.run(room, line);
    return true;
  };

  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (event.isComposing || event.keyCode === 229) return; // the input method's own keys
    if (choices.value.length > 0 && pressedInChoices(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.altKey && (!isTouch() || event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit();
    } else if (event.key === "ArrowUp" && box.current?.value === "" && !event.shiftKey && !event.altKey) {
      if (page.log?.focus()) event.preventDefault();
    }
  };

  /** @param {KeyboardEvent} event @returns {boolean} whether the key was for the list */
  const pressedInChoices = (event) => {
    const { length } = choices.value;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      chosen.value = (chosen.value + (event.key === "ArrowDown" ? 1 : length - 1)) % length;
    } else if (event.key === "Tab" && !event.shiftKey) choose(chosen.value);
    else if (event.key === "Enter" && !event.shiftKey && !isWhole()) choose(chosen.value);
    else if (event.key === "Escape") closeChoices();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };

  /** Whether what is typed is a choice already, so that Enter sends it. */
  const isWhole = () => {
    const { kind, query } = token.value ?? { kind: "", query: "" };
    if (kind === "/") return store.commands.value.some(({ name, aliases }) => name === query || aliases.includes(query));
    return kind !== ":" && choices.value.some(({ label }) => label.toLowerCase() === query);
  };

  /** @param {ClipboardEvent} event */
  const pasted = (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0 || event.clipboardData?.types.includes("text/plain")) return;
    event.preventDefault();
    page.addFiles(room, files);
  };

  /** @param {Event} event */
  const picked = (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement)) return;
    page.addFiles(room, input.files ?? []);
    input.value = "";
    box.current?.focus();
  };

  const asFile = () => {
    const file = new File([text.value], "message.txt", { type: "text/plain" });
    page.addFiles(room, [file]);
    setText("");
  };

  const left = limit - [...text.value].length;
  const ready = uploads.of(room.name);
  const canSend = (text.value.trim() !== "" && left >= 0) || ready.some(({ state }) => state === "done");
  const hint = commandOf(text.value, store.commands.value);
  const isOpen = choices.value.length > 0;
  const place = room.kind.value === "dm" ? room.title : `#${room.name}`;

  return html`<div class="composer" id="composer" data-region="composer">
    ${isOpen && html`<${Choices} choices=${choices.value} chosen=${chosen.value} kind=${token.value?.kind ?? "/"} onChoose=${choose} />`}
    ${ready.length > 0 && html`<${Tray} page=${page} uploads=${ready} />`}
    <div class="composer-box">
      <${IconButton} icon="attach" label="Attach files (Ctrl+Shift+U)" onClick=${() => picker.current?.click()} />
      <input ref=${picker} type="file" multiple class="hidden-field" tabindex="-1" aria-hidden="true" onChange=${picked} />
      <textarea
        ref=${box}
        rows="1"
        dir="auto"
        aria-label=${`Message ${place}`}
        placeholder=${`Message ${place}`}
        aria-autocomplete="list"
        aria-controls=${isOpen ? "choices" : null}
        aria-activedescendant=${isOpen ? `choice-${chosen.value}` : null}
        enterkeyhint=${isTouch() ? "enter" : "send"}
        onInput=${changed}
        onKeyDown=${pressed}
        onClick=${changed}
        onBlur=${closeChoices}
        onPaste=${pasted}
      ></textarea>
      <button type="button" class="send-button" aria-label="Send" title="Send" aria-disabled=${canSend ? null : "true"} onClick=${submit}>
        <${Icon} name="send" />
      </button>
    </div>
    <div class="composer-hint" id="composer-hint">
      ${left < 0
        ? html`<span class="error" role="alert">${-left} characters too many.</span> <button type="button" class="link-button" onClick=${asFile}>Send as a file</button>`
        : left < WARN_CHARS
          ? html`<span>${left} characters left</span>`
          : hint !== null
            ? html`<span><code>${hint.syntax}</code> ${hint.summary}</span>`
            : html`<span class="keys-hint"><kbd>Enter</kbd> sends, <kbd>Shift</kbd>+<kbd>Enter</kbd> breaks the line</span>`}
    </div>
  </div>`;
}

/** @param {{choices: Choice[], chosen: number, kind: string, onChoose: (index: number) => void}} props */
function Choices({ choices, chosen, kind, onChoose }) {
  const list = useRef(/** @type {HTMLUListElement | null} */ (null));
  useEffect(() => {
    list.current?.children[chosen]?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  const label = { "/": "Commands", "@": "People", "#": "Rooms", ":": "Emoji" }[kind] ?? "Choices";
  return html`<div class="choices">
    <div class="choices-title" aria-hidden="true">${label}</div>
    <ul ref=${list} id="choices" role="listbox" aria-label=${label}>
      ${choices.map(
        (choice, index) => html`<li
          key=${choice.label}
          id=${`choice-${index}`}
          role="option"
          aria-selected=${index === chosen ? "true" : "false"}
          onMouseDown=${(/** @type {MouseEvent} */ event) => {
            event.preventDefault();
            onChoose(index);
          }}
        >
          ${choice.mark !== "" && html`<span class="choice-mark" aria-hidden="true">${choice.mark}</span>`}
          <span class="choice-label"><bdi>${choice.label}</bdi></span>
          ${choice.hint !== "" && html`<span class="choice-hint">${choice.hint}</span>`}
        </li>`,
      )}
    </ul>
  </div>`;
}

/** @param {{page: Page, uploads: import("./uploads.js").Upload[]}} props */
function Tray({ page, uploads }) {
  return html`<ul class="tray" aria-label="Files for the next message">
    ${uploads.map((upload) => html`<${TrayFile} key=${upload.id} page=${page} upload=${upload} />`)}
  </ul>`;
}

/** @param {{page: Page, upload: import("./uploads.js").Upload}} props */
function TrayFile({ page, upload }) {
  const { id, file, preview, state, part, problem, isUnclean } = upload;
  const isRunning = state === "cleaning" || state === "sending";
  return html`<li class=${`tray-file is-${state}`}>
    ${preview === "" ? html`<span class="tray-icon"><${Icon} name="file" /></span>` : html`<img src=${preview} alt="" width="44" height="44" />`}
    <span class="tray-text">
      <span class="tray-name"><bdi>${file.name}</bdi></span>
      <span class="tray-state">
        ${state === "failed" ? html`<span class="error" role="alert">${problem}</span>` : state === "done" ? fileSize(file.size) : `${Math.round(part * 100)} % of ${fileSize(file.size)}`}
      </span>
      ${isRunning && html`<progress max="1" value=${part} aria-label=${`Uploading ${file.name}`}></progress>`}
    </span>
    ${state === "failed" && isUnclean && html`<button type="button" class="link-button" onClick=${() => page.uploads.retry(id, true)}>Send as it is</button>`}
    ${state === "failed" && !isUnclean && file.size > 0 && html`<${IconButton} icon="retry" label=${`Try ${file.name} again`} onClick=${() => page.uploads.retry(id)} />`}
    <${IconButton} icon="close" label=${isRunning ? `Cancel ${file.name}` : `Remove ${file.name}`} onClick=${() => page.uploads.remove(id)} />
  </li>`;
}

/** @param {HTMLTextAreaElement} node */
function fit(node) {
  node.style.height = "auto";
  node.style.height = `${Math.min(node.scrollHeight, HEIGHT_MAX_PX)}px`;
  node.classList.toggle("is-tall", node.scrollHeight > HEIGHT_MAX_PX);
}

function isTouch() {
  return matchMedia("(pointer: coarse)").matches && !matchMedia("(any-pointer: fine)").matches;
}
