// @ts-check
/**
 * Which dialog is open above the page. Loaded after the page itself.
 */

import { AccountDialog, AccountFormDialog, CodeDialog } from "./account.js";
import { Lightbox } from "./lightbox.js";
import { BrowseDialog, EnterDialog, NotificationsDialog, RoomDialog } from "./roomdialogs.js";
import { KeysDialog, SettingsDialog } from "./settings.js";
import { Switcher } from "./switcher.js";
import { UserCard } from "./usercard.js";
import { html } from "./vendor/preact.js";

/** @typedef {import("./app.js").Page} Page */

/** @param {{page: Page}} props */
export function OpenDialog({ page }) {
  const { store, files } = page;
  const dialog = store.dialog.value;
  if (dialog === null) return null;
  const { name, about = {} } = dialog;
  const close = () => {
    store.dialog.value = null;
  };
  const room = typeof about["room"] === "string" ? store.find(about["room"]) : store.room.value;
  switch (name) {
    case "switcher":
      return html`<${Switcher} key=${name} page=${page} isPeople=${about["people"] === true} onClose=${close} />`;
    case "browse":
      return html`<${BrowseDialog} key=${name} page=${page} onClose=${close} />`;
    case "enter":
      return html`<${EnterDialog} key=${String(about["name"])} page=${page} name=${String(about["name"])} onClose=${close} />`;
    case "settings":
      return html`<${SettingsDialog} key=${name} page=${page} onClose=${close} />`;
    case "keys":
      return html`<${KeysDialog} key=${name} onClose=${close} />`;
    case "account":
      return html`<${AccountDialog} key=${name} page=${page} onClose=${close} />`;
    case "sign-in":
    case "register":
      return html`<${AccountFormDialog} key=${name} page=${page} name=${name} onClose=${close} />`;
    case "join":
    case "link":
    case "claim":
      return html`<${CodeDialog} key=${name} page=${page} kind=${name} code=${String(about["code"] ?? "")} onClose=${close} />`;
    case "picture":
      return html`<${Lightbox} key=${name} files=${about["files"]} first=${about["first"]} href=${files.href} show=${files.show} onDownload=${files.download} onClose=${close} />`;
    default:
  }
  if (!room) return null;
  if (name === "room") return html`<${RoomDialog} key=${name} page=${page} room=${room} onClose=${close} />`;
  if (name === "notifications") return html`<${NotificationsDialog} key=${name} page=${page} room=${room} onClose=${close} />`;
  if (name === "user") return html`<${UserCard} key=${name} page=${page} room=${room} user=${about["user"]} at=${about["at"] ?? null} onClose=${close} />`;
  return null;
}
