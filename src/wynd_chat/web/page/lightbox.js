// @ts-check
/**
 * Pictures of the log in large: ← and → go through them, Esc closes.
 */

import { fileSize } from "./format.js";
import { IconButton } from "./ui.js";
import { html, useLayoutEffect, useRef, useSignal } from "./vendor/preact.js";

/** @typedef {import("./wire.js").FileInfo} FileInfo */

/**
 * @param {{files: FileInfo[], first: number, onClose: () => void, href: (file: FileInfo) => string,
 *   show: (image: HTMLImageElement, file: FileInfo) => void, onDownload: (event: MouseEvent, file: FileInfo) => void}} props
 */
export function Lightbox({ files, first, onClose, href, show, onDownload }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const image = useRef(/** @type {HTMLImageElement | null} */ (null));
  const index = useSignal(first);
  const file = files[index.value];
  useLayoutEffect(() => {
    const focused = document.activeElement;
    dialog.current?.showModal();
    return () => {
      dialog.current?.close();
      if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
    };
  }, []);
  useLayoutEffect(() => {
    if (image.current !== null && file !== undefined) show(image.current, file);
  }, [file?.id]);
  /** @param {number} step */
  const turn = (step) => {
    index.value = (index.value + step + files.length) % files.length;
  };
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (event.key === "ArrowLeft") turn(-1);
    else if (event.key === "ArrowRight") turn(1);
    else return;
    event.preventDefault();
  };
  if (file === undefined) return null;
  return html`<dialog
    ref=${dialog}
    class="lightbox"
    aria-label=${`Picture ${index.value + 1} of ${files.length}`}
    onKeyDown=${pressed}
    onCancel=${(/** @type {Event} */ event) => (event.preventDefault(), onClose())}
    onClick=${(/** @type {MouseEvent} */ event) => event.target === dialog.current && onClose()}
  >
    <header class="lightbox-header">
      <span class="lightbox-name"><bdi>${file.name}</bdi> <span class="lightbox-size">${fileSize(file.size)}</span></span>
      <a class="button" href=${href(file)} download=${file.name} onClick=${(/** @type {MouseEvent} */ event) => onDownload(event, file)}>Download</a>
      <${IconButton} icon="close" label="Close" onClick=${onClose} />
    </header>
    <img ref=${image} alt=${file.name} />
    ${files.length > 1 &&
    html`<${IconButton} icon="back" label="Previous picture" class="lightbox-back" onClick=${() => turn(-1)} />
      <${IconButton} icon="next" label="Next picture" class="lightbox-next" onClick=${() => turn(1)} />`}
  </dialog>`;
}
