// @ts-check
/**
 * Small parts that views are made of: icons, avatars, buttons, fields, dialogs, toasts.
 * Know nothing of the chat but names.
 */

import { ICONS } from "./dom.js";
import { initials, tone } from "./format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";

/** @typedef {import("./vendor/preact.js").VNode} VNode */
/** @typedef {import("./vendor/preact.js").Child} Child */

/** @param {{name: import("./dom.js").IconName}} props */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;
}

/**
 * A button that shows an icon only.
 * @param {{icon: import("./dom.js").IconName, label: string, onClick: (event: MouseEvent) => void, class?: string,
 *   isPressed?: boolean, isExpanded?: boolean, isDisabled?: boolean}} props
 */
export function IconButton({ icon, label, onClick, class: name = "", isPressed, isExpanded, isDisabled = false }) {
  return html`<button
    type="button"
    class=${`icon-button ${name}`}
    aria-label=${label}
    title=${label}
    aria-pressed=${isPressed}
    aria-expanded=${isExpanded}
    disabled=${isDisabled}
    onClick=${onClick}
  >
    <${Icon} name=${icon} />
  </button>`;
}

/**
 * @param {{name: string, id: string, state?: "online" | "away" | "offline" | null}} props
 */
export function Avatar({ name, id, state = null }) {
  return html`<span class=${`avatar tone-${tone(id || name)}`} aria-hidden="true">
    ${initials(name)}${state !== null && html`<span class=${`presence is-${state}`}></span>`}
  </span>`;
}

/**
 * A labelled input; `error` is read out and stands below it.
 * @param {{label: string, name: string, type?: string, value?: string, hint?: Child, error?: string, autocomplete?: string,
 *   isRequired?: boolean, maxLength?: number, minLength?: number, hasFocus?: boolean, prefix?: string, spellcheck?: boolean}} props
 */
export function Field({ label, name, type = "text", value = "", hint, error = "", autocomplete = "off", isRequired = false, maxLength, minLength, hasFocus = false, prefix = "" }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  // At once, so that nobody's typing is torn apart; once more for a dialog, which opens later.
  useLayoutEffect(() => {
    if (hasFocus) input.current?.focus();
  }, []);
  useEffect(() => {
    if (hasFocus && !input.current?.form?.contains(document.activeElement)) input.current?.focus();
  }, []);
  const described = [hint ? `${name}-hint` : "", error ? `${name}-error` : ""].filter((id) => id !== "").join(" ");
  return html`<div class="field">
    <label for=${`field-${name}`}>${label}</label>
    <div class=${prefix === "" ? "field-box" : "field-box has-prefix"}>
      ${prefix !== "" && html`<span class="field-prefix" aria-hidden="true">${prefix}</span>`}
      <input
        ref=${input}
        id=${`field-${name}`}
        name=${name}
        type=${type}
        defaultValue=${value}
        autocomplete=${autocomplete}
        required=${isRequired}
        maxlength=${maxLength}
        minlength=${minLength}
        autocapitalize="none"
        spellcheck=${false}
        aria-invalid=${error !== "" ? "true" : null}
        aria-describedby=${described === "" ? null : described}
      />
    </div>
    ${hint && html`<p class="hint" id=${`${name}-hint`}>${hint}</p>`}
    ${error !== "" && html`<p class="error" id=${`${name}-error`} role="alert">${error}</p>`}
  </div>`;
}

/**
 * A form that runs one thing at a time and shows what it failed with.
 * @param {{onSubmit: (values: Map<string, string>) => Promise<unknown>, submit: string, children?: Child, class?: string,
 *   secondary?: Child, isDanger?: boolean}} props `onSubmit` rejects with an error whose message is for the user
 */
export function Form({ onSubmit, submit, children, class: name = "", secondary, isDanger = false }) {
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  /** @param {SubmitEvent} event */
  const submitted = async (event) => {
    event.preventDefault();
    if (isBusy || !(event.target instanceof HTMLFormElement)) return;
    const values = new Map([...new FormData(event.target)].map(([key, value]) => [key, String(value)]));
    setBusy(true);
    setError("");
    try {
      await onSubmit(values);
    } catch (failure) {
      const message = failure instanceof Error ? failure.message : String(failure);
      setError(message.slice(0, 1).toUpperCase() + message.slice(1));
    } finally {
      setBusy(false);
    }
  };
  return html`<form class=${`form ${name}`} onSubmit=${submitted} novalidate=${false}>
    ${children}
    ${error !== "" && html`<p class="error form-error" role="alert"><${Icon} name="warning" />${error}</p>`}
    <div class="form-actions">
      ${secondary}
      <button type="submit" class=${isDanger ? "button is-danger" : "button is-primary"} aria-disabled=${isBusy ? "true" : null}>
        ${isBusy ? html`<span class="spinner" aria-hidden="true"></span>` : null}${submit}
      </button>
    </div>
  </form>`;
}

/**
 * A modal dialog; Esc, a click beside it and its button close it.
 * @param {{title: string, onClose: () => void, children?: Child, class?: string, at?: {x: number, y: number} | null}} props
 */
export function Dialog({ title, onClose, children, class: name = "", at = null }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useLayoutEffect(() => {
    const node = dialog.current;
    if (node === null) return;
    const focused = document.activeElement;
    node.showModal();
    if (at !== null) placeNear(node, at);
    return () => {
      node.close();
      if (focused instanceof HTMLElement && focused.isConnected) focused.focus({ preventScroll: true });
    };
  }, []);
  /** @param {MouseEvent} event */
  const clicked = (event) => {
    if (event.target === dialog.current) onClose();
  };
  /** @param {Event} event */
  const cancelled = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${dialog} class=${`dialog ${name}`} aria-labelledby="dialog-title" onClick=${clicked} onCancel=${cancelled}>
    <div class="dialog-box">
      <header class="dialog-header">
        <h2 id="dialog-title"><bdi>${title}</bdi></h2>
        <${IconButton} icon="close" label="Close" onClick=${onClose} />
      </header>
      <div class="dialog-body">${children}</div>
    </div>
  </dialog>`;
}

/** @param {HTMLDialogElement} node @param {{x: number, y: number}} at */
function placeNear(node, { x, y }) {
  if (window.innerWidth < 640) return; // a sheet at the bottom there
  const box = node.getBoundingClientRect();
  const left = Math.max(12, Math.min(x + 8, window.innerWidth - box.width - 12));
  const top = Math.max(12, Math.min(y - 20, window.innerHeight - box.height - 12));
  node.style.setProperty("inset", `${top}px auto auto ${left}px`);
  node.style.setProperty("margin", "0");
}

const TOAST_MS = 6000;

/** @param {{toasts: import("./store.js").Toast[], onDismiss: (id: number) => void}} props */
export function Toasts({ toasts, onDismiss }) {
  return html`<div class="toasts">
    ${toasts.map((toast) => html`<${ToastBox} key=${toast.id} toast=${toast} onDismiss=${onDismiss} />`)}
  </div>`;
}

/** @param {{toast: import("./store.js").Toast, onDismiss: (id: number) => void}} props */
function ToastBox({ toast, onDismiss }) {
  useEffect(() => {
    const timer = setTimeout(() => onDismiss(toast.id), toast.isError ? 2 * TOAST_MS : TOAST_MS);
    return () => clearTimeout(timer);
  }, []);
  return html`<div class=${toast.isError ? "toast is-error" : "toast"} role=${toast.isError ? "alert" : "status"}>
    <span>${toast.text}</span>
    <${IconButton} icon="close" label="Close this message" onClick=${() => onDismiss(toast.id)} />
  </div>`;
}

/** @param {{title: string, children?: Child, icon?: import("./dom.js").IconName}} props */
export function Empty({ title, children, icon = "hash" }) {
  return html`<div class="empty"><span class="empty-icon"><${Icon} name=${icon} /></span><h2>${title}</h2>${children}</div>`;
}
