// @ts-check
/**
 * Building nodes: elements with properties and children, icons, and copying to the clipboard.
 * Text always becomes a text node; there is no way to pass markup.
 */

/** @typedef {Node | string | null | undefined | false} Part */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes] `true` is an
 *   empty attribute; false, null and undefined leave it out
 * @param {...Part} parts
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...parts) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  for (const part of parts) {
    if (part !== null && part !== undefined && part !== false) node.append(part);
  }
  return node;
}

/** Paths on a grid of 24, drawn with a line of 1.75. */
export const ICONS = Object.freeze({
  menu: "M4 6h16M4 12h16M4 18h16",
  close: "M6 6l12 12M18 6L6 18",
  send: "M5 12h13M12 5l7 7-7 7",
  attach: "M20 11.5l-8.2 8.2a5.2 5.2 0 0 1-7.4-7.4l8.5-8.5a3.5 3.5 0 0 1 5 5l-8.3 8.3a1.8 1.8 0 0 1-2.5-2.5l7.4-7.4",
  plus: "M12 5v14M5 12h14",
  people: "M16 20v-1.5a4 4 0 0 0-4-4H7a4 4 0 0 0-4 4V20M9.500 10.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7M21 20v-1.500a4 4 0 0 0-3-3.870M15.500 3.630a3.500 3.500 0 0 1 0 6.750",
  bell: "M18 9a6 6 0 1 0-12 0c0 6-2.500 7.500-2.500 7.500h17S18 15 18 9M10.300 20a2 2 0 0 0 3.400 0",
  bellOff: "M18 9a6 6 0 0 0-9.800-4.600M6 9c0 6-2.500 7.500-2.500 7.500H16M10.300 20a2 2 0 0 0 3.400 0M3 3l18 18",
  hash: "M5 9h14M4 15h14M10 4L8 20M16 4l-2 16",
  lock: "M6 11h12v9H6zM8.500 11V7.500a3.500 3.500 0 0 1 7 0V11",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14M20 20l-4-4",
  settings: "M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6M19.400 15a1.600 1.600 0 0 0 .3 1.800l.1.1a2 2 0 1 1-2.800 2.800l-.1-.1a1.600 1.600 0 0 0-2.700 1.100V21a2 2 0 1 1-4 0v-.1a1.600 1.600 0 0 0-2.700-1.100l-.1.1a2 2 0 1 1-2.800-2.800l.1-.1a1.600 1.600 0 0 0-1.100-2.700H3a2 2 0 1 1 0-4h.1a1.600 1.600 0 0 0 1.100-2.700l-.1-.1a2 2 0 1 1 2.800-2.800l.1.1a1.600 1.600 0 0 0 2.700-1.100V3a2 2 0 1 1 4 0v.1a1.600 1.600 0 0 0 2.700 1.100l.1-.1a2 2 0 1 1 2.800 2.800l-.1.1a1.600 1.600 0 0 0 1.100 2.700h.2a2 2 0 1 1 0 4h-.1a1.600 1.600 0 0 0-1.500 1z",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  link: "M10 13.500a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.700-5.700l-1.600 1.600M14 10.500a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.700 5.700l1.600-1.600",
  file: "M14 3H6v18h12V7zM14 3v4h4",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  retry: "M20 11a8 8 0 1 0-2.300 6.300M20 4v7h-7",
  trash: "M4 7h16M9 7V4h6v3M6.500 7l1 13h9l1-13",
  down: "M12 5v14M6 13l6 6 6-6",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  check: "M5 12.500l4.500 4.500L19 7.500",
  warning: "M12 4L2.500 20h19zM12 10v4M12 17h.01",
  leave: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  at: "M16 8v5a3 3 0 0 0 5 0v-1a9 9 0 1 0-3.500 7.100M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8",
  keyboard: "M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M7 14h10",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8M5 20a7 7 0 0 1 14 0",
});

/** @typedef {keyof typeof ICONS} IconName */

/** @param {IconName} name @returns {SVGSVGElement} a drawing that assistive technology ignores */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * Copy a text; where the clipboard is closed to pages (plain HTTP), by a selection.
 * @param {string} text
 * @returns {Promise<boolean>} whether it is on the clipboard
 */
export async function copyText(text) {
  if (navigator.clipboard !== undefined) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Refused by the browser; the older way may still be open.
    }
  }
  const field = element("textarea", { class: "hidden-field", readonly: true });
  field.value = text;
  document.body.append(field);
  const focused = document.activeElement;
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  return isCopied;
}
