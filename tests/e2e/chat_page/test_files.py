"""Files on the page: by button, paste and drop; previews, refusals, what pictures give away."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.chat_page.stage import UNLIMITED, chromium, enter, running_server, say, see, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(150)


def png(width: int, height: int, note: bytes = b"") -> bytes:
    """Return a picture of one colour, with a hidden note in it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)

    rows = b"".join(b"\0" + b"\x30\x60\xc0" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"tEXt", b"Comment\0" + note) if note else b""]
    parts += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


async def drop(page: Any, name: str, mime: str, content: bytes, event: str = "drop") -> None:
    """Drop or paste a file, as the browser would tell the page."""
    await page.evaluate(
        """([name, mime, content, event]) => {
          const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], name, {type: mime}));
          const how = {bubbles: true, cancelable: true};
          const target = document.querySelector(event === 'paste' ? 'textarea' : '#conversation');
          target.dispatchEvent(event === 'paste'
            ? new ClipboardEvent('paste', {...how, clipboardData: data})
            : new DragEvent(event, {...how, dataTransfer: data}));
        }""",
        [name, mime, base64.b64encode(content).decode(), event],
    )


async def test_files_are_shared_by_button_paste_and_drop(tmp_path: Path) -> None:
    async with running_server(tmp_path, UNLIMITED) as server, chromium() as browser:
        alice, bob = await browser.page(), await browser.page()
        await enter(alice, server.url, "Alice")
        await enter(bob, server.url, "Bob")
        sent: dict[str, bytes] = {}

        async def note(route: Any) -> None:
            sent[route.request.url.rsplit("/", 1)[1]] = route.request.post_data_buffer
            await route.continue_()

        await alice.route("**/api/v1/uploads/*", note)
        async with alice.expect_file_chooser() as chooser:
            await alice.get_by_role("button", name="Attach files (Ctrl+Shift+U)").click()
        await (await chooser.value).set_files(
            [
                {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"some notes"},
                {"name": "blue.png", "mimeType": "image/png", "buffer": png(600, 300, b"GPS 52.5")},
            ]
        )
        tray = alice.get_by_role("list", name="Files for the next message")
        await until(alice, "() => document.querySelectorAll('.tray-file.is-done').length === 2")
        await drop(alice, "dropped.bin", "application/octet-stream", b"\0\1\2")
        await drop(alice, "pasted.png", "image/png", png(20, 20), "paste")
        await until(alice, "() => document.querySelectorAll('.tray-file.is-done').length === 4")
        await say(alice, "four files")
        await tray.wait_for(state="detached")
        message = await see(bob, "four files")
        assert await message.locator(".file-name").all_inner_texts() == ["notes.txt", "dropped.bin"]
        pictures = message.locator(".picture img")
        assert await pictures.count() == 2
        await until(bob, "() => document.querySelector('.picture img').naturalWidth === 600")
        assert await pictures.first.get_attribute("width") == "400"
        assert await pictures.first.get_attribute("height") == "200"
        assert len(sent) == 4
        assert sent["blue.png"].startswith(b"\x89PNG")
        assert b"GPS" not in sent["blue.png"], "what the camera noted stayed at home"
        await pictures.first.click()
        lightbox = bob.get_by_role("dialog", name="Picture 1 of 2")
        await lightbox.wait_for()
        await bob.keyboard.press("ArrowRight")
        await bob.get_by_role("dialog", name="Picture 2 of 2").wait_for()
        await bob.keyboard.press("Escape")
        await lightbox.wait_for(state="detached")
        async with bob.expect_download() as download:
            await message.get_by_role("link", name="notes.txt").click()
        path = await (await download.value).path()
        assert path.read_bytes() == b"some notes"
        await bob.reload()
        message = await see(bob, "four files")
        await until(bob, "() => document.querySelector('.picture img')?.naturalWidth === 600")


async def test_what_cannot_be_sent_is_told(tmp_path: Path) -> None:
    async with (
        running_server(
            tmp_path, {**UNLIMITED, "WYND_CHAT__LIMITS__UPLOAD_BYTES_MAX": "1000"}
        ) as server,
        chromium() as browser,
    ):
        page = await browser.page()
        await enter(page, server.url, "Alice")
        await drop(page, "large.bin", "application/octet-stream", b"x" * 2000)
        await page.get_by_role("alert").get_by_text("Larger than 1 kB").wait_for()
        await drop(page, "empty.txt", "text/plain", b"")
        await page.get_by_role("alert").get_by_text("The file is empty").wait_for()
        await drop(page, "no.png", "image/png", b"this is no picture")
        alert = page.get_by_role("alert").get_by_text("Its hidden data")
        await alert.wait_for()
        await page.get_by_role("button", name="Send as it is").click()
        await until(page, "() => document.querySelectorAll('.tray-file.is-done').length === 1")
        await page.get_by_role("button", name="Remove large.bin").click()
        await page.get_by_role("button", name="Remove empty.txt").click()
        await page.get_by_role("button", name="Send", exact=True).click()
        await page.locator("li.message[data-seq] .file-name", has_text="no.png").wait_for()
        assert await page.locator(".picture").count() == 0, "the content decides, not the name"
