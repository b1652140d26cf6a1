"""The pieces of the forms as HTML: a page, a form, a field. Everything that varies is escaped.

They look like the chat's page, whose style sheet they share. Decides no texts but those of the
frame; addresses are relative, so that a path in front of the chat does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

__all__ = ["Field", "Frame", "form", "link", "message", "name_of", "page", "paragraph"]


@dataclass(frozen=True, slots=True)
class Frame:
    """What all pages of one server share."""

    server_name: str
    style: str
    """The style sheet, below the chat's own address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing to type."""

    name: str
    label: str
    type: str = "text"
    value: str = ""
    autocomplete: str = "off"
    hint: str = ""
    min_length: int = 0
    is_required: bool = True

    def html(self) -> str:
        """Return label, input and hint."""
        described = f' aria-describedby="{self.name}-hint"' if self.hint else ""
        hint = f'<p class="hint" id="{self.name}-hint">{escape(self.hint)}</p>' if self.hint else ""
        return (
            f'<div class="field"><label for="field-{self.name}">{escape(self.label)}</label>'
            f'<div class="field-box"><input id="field-{self.name}" name="{self.name}" '
            f'type="{self.type}" value="{escape(self.value)}" autocomplete="{self.autocomplete}" '
            'autocapitalize="none" spellcheck="false"'
            + (f' minlength="{self.min_length}"' if self.min_length else "")
            + (" required" if self.is_required else "")
            + f"{described}></div>{hint}</div>"
        )


def page(frame: Frame, title: str, parts: list[str], *, up: str = "") -> str:
    """Return a page.

    Args:
        frame: What all pages share.
        title: Of the window.
        parts: HTML, one under the other.
        up: The way to the chat's own address: "" or "../".
    """
    server = escape(frame.server_name)
    return (
        '<!doctype html>\n<html lang="en" data-theme="auto">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)} · {server}</title>\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f'<link rel="stylesheet" href="{up}{escape(frame.style)}">\n'
        '</head>\n<body>\n<main class="gate"><div class="gate-card">\n'
        '<div class="gate-brand"><span class="brand-mark" aria-hidden="true"></span>'
        f"<h1><bdi>{server}</bdi></h1></div>\n"
        + "\n".join(part for part in parts if part)
        + "\n</div></main>\n</body>\n</html>\n"
    )


def form(
    action: str,
    submit: str,
    fields: list[Field],
    *,
    hidden: dict[str, str] | None = None,
    error: str = "",
    is_danger: bool = False,
) -> str:
    """Return a form that is sent by POST to a relative address."""
    kept = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in (hidden or {}).items()
        if value
    )
    said = f'<p class="error form-error" role="alert">{escape(_sentence(error))}</p>'
    kind = "is-danger" if is_danger else "is-primary"
    return (
        f'<form class="form" method="post" action="{escape(action)}">{kept}'
        + "".join(field.html() for field in fields)
        + (said if error else "")
        + f'<div class="form-actions"><button type="submit" class="button {kind}">'
        f"{escape(submit)}</button></div></form>"
    )


def paragraph(text: str, *names: str) -> str:
    """Return a paragraph; each `{}` of the text is a name of somebody's, in order."""
    return f'<p class="gate-words">{escape(text).format(*map(name_of, names))}</p>'


def message(text: str, *, is_error: bool = False) -> str:
    """Return what came of it."""
    if is_error:
        return f'<p class="error form-error" role="alert">{escape(_sentence(text))}</p>'
    return f'<p class="gate-words" role="status">{escape(text)}</p>'


def link(address: str, text: str) -> str:
    """Return a way to somewhere else, under the form."""
    return f'<p class="gate-more"><a href="{escape(address)}">{escape(text)}</a></p>'


def name_of(name: str) -> str:
    """Return a name so that its script does not turn what stands around it."""
    return f"<bdi>{escape(name)}</bdi>"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
