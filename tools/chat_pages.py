"""Makes the tables of the chat's reference pages from its code: `python -m tools.chat_pages`.

A page says where a table stands, between `<!-- made by tools/chat_pages.py: NAME -->` and
`<!-- /made -->`; the text around them is written by hand. With --check it only compares, and
fails when a page is out of date. The tables of the JSON face are made in `schema_tables`.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from typer.models import ArgumentInfo

from tools import schema_tables
from wynd.codes import sentence_of
from wynd_chat.cli.options import ConfigOption, DataOption
from wynd_chat.cli.program import app
from wynd_chat.cli.serving import serve
from wynd_chat.domain.commands import COMMANDS, Group, Who
from wynd_chat.domain.durations import short_duration
from wynd_chat.domain.errors import ErrorCode
from wynd_chat.domain.limits import KIB, MIB
from wynd_chat.gateway.commands import HANDLERS
from wynd_chat.settings import KEYS
from wynd_chat.settings.keys import SECTIONS
from wynd_chat.settings.model import Settings
from wynd_chat.wire.close_codes import CloseCode, closing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import typer

    from wynd_chat.domain.commands import CommandSpec
    from wynd_chat.settings.keys import Key

__all__ = ["PAGES", "effective_keys", "render", "sent_codes"]

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "wynd_chat"
REFERENCE = ROOT / "docs" / "reference"
PAGES = tuple(
    REFERENCE / name
    for name in ("chat-commands.md", "chat-settings.md", "chat-codes.md", "json-face.md")
)
PART = re.compile(
    r"(<!-- made by tools/chat_pages\.py: (?P<name>[\w-]+) -->\n).*?(<!-- /made -->)", re.DOTALL
)

WHO = {
    Who.ANYONE: "anyone",
    Who.NAMED: "with a name",
    Who.ACCOUNT: "accounts",
    Who.OP: "ops",
    Who.OWNER: "owners",
    Who.ADMIN: "admins",
}
GROUPS = {
    Group.TALKING: "Talking",
    Group.ROOMS: "Rooms",
    Group.MODERATION: "Moderation",
    Group.ME: "Me",
    Group.SERVER: "The server",
}
# Closed by the library, with its own sentence as the reason; with "retry_after=N" behind it where
# the client should wait.
BY_LIBRARY = (
    CloseCode.SHUTDOWN,
    CloseCode.PROTOCOL_ERROR,
    CloseCode.BAD_UTF8,
    CloseCode.TOO_BIG,
    CloseCode.RESTART,
    CloseCode.OVERLOAD,
)
KEY_HEADS = ("Key", "Default", "Meaning", "Must be", "Flag", "Changes live")
# Read through a property of the settings, or without a choice.
READ_OTHERWISE = {"storage.data": "storage.directory", "broker.url": None}
# Where settings are declared and warned about, which is no effect.
DECLARING = ("settings/model.py", "domain/limits.py")
WARNING = "settings/rules.py"


def main() -> int:
    """Write or compare the pages; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    options = parser.parse_args()
    status = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        made = render(text)
        if not options.check:
            page.write_text(made, encoding="utf-8")
        elif made != text:
            print(f"{page.name} is out of date; run `python -m tools.chat_pages`", file=sys.stderr)
            status = 1
    return status


def render(text: str) -> str:
    """Return a page with its tables renewed.

    Raises:
        ValueError: it has no place for a table, or names one that does not exist.
    """

    def renewed(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in PARTS:
            raise ValueError(f"there is no table {name}; known are {', '.join(PARTS)}")
        return f"{match[1]}\n{PARTS[name]().strip()}\n\n{match[3]}"

    made, count = PART.subn(renewed, text)
    if not count:
        raise ValueError("the page has no place for a table")
    return made


# The commands of the chat


def commands() -> str:
    """Return a table per group of the commands that this version runs."""
    shown = [spec for spec in COMMANDS if spec.name in HANDLERS]
    parts = []
    for group, title in GROUPS.items():
        rows = [_command_row(spec) for spec in shown if spec.group is group]
        parts += [f"### {title}", "", *_table(("Command", "Who may", "Does", "Example"), rows), ""]
    return "\n".join(parts)


def _command_row(spec: CommandSpec) -> tuple[str, ...]:
    forms = [_code(form) for form in spec.syntax.split(" or ")]
    aliases = "".join(f", {_code(f'/{alias}')}" for alias in spec.aliases)
    syntax = " or ".join(forms) + (f" (also {aliases[2:]})" if aliases else "")
    return syntax, WHO[spec.who], _cell(spec.summary), _code(spec.example)


# The program's commands


def program() -> str:
    """Return a section per command of `wynd-chat`, with its arguments and options."""
    parts: list[str] = []
    for name, function in _program_commands(app, "wynd-chat"):
        parts += [f"### `{name}`", "", " ".join((inspect.getdoc(function) or "").split()), ""]
        hints = get_type_hints(function, include_extras=True)
        rows = [
            _option_row(parameter, hints[parameter.name])
            for parameter in inspect.signature(function).parameters.values()
            if function is serve or hints[parameter.name] not in (DataOption, ConfigOption)
        ]
        if function is not serve and {DataOption, ConfigOption} <= set(hints.values()):
            rows.append((f"{_code('--data PATH')}, {_code('--config PATH')}", "", "as for `serve`"))
        if rows:
            parts += [*_table(("Argument or option", "Default", "Meaning"), rows), ""]
    return "\n".join(parts)


def _program_commands(group: typer.Typer, name: str) -> Iterator[tuple[str, Callable[..., None]]]:
    for command in group.registered_commands:
        if command.callback is not None:
            yield f"{name} {command.name or command.callback.__name__}", command.callback
    for below in group.registered_groups:
        if below.typer_instance is not None:
            yield from _program_commands(below.typer_instance, f"{name} {below.name}")


def _option_row(parameter: inspect.Parameter, hint: Any) -> tuple[str, ...]:
    kind, about = get_args(hint)
    given = parameter.default
    if isinstance(about, ArgumentInfo):
        names = parameter.name.upper()
        default = "" if given is not inspect.Parameter.empty else "needed"
    else:
        # Inside `Annotated` the first declaration arrives as the default, as typer documents it.
        names = " ".join((about.default, *(about.param_decls or ()), _takes(kind)))
        default = str(about.show_default) if isinstance(about.show_default, str) else ""
        if not default and type(given) in (str, int) and given != "":
            default = str(given)
    return _code(names.strip()), default, _cell(about.help or "")


def _takes(kind: Any) -> str:
    """Return what follows an option."""
    kinds = {kind, *(one for part in get_args(kind) for one in (part, *get_args(part)))}
    choices = next(
        (one for one in kinds if isinstance(one, type) and issubclass(one, StrEnum)), None
    )
    if choices is not None:
        return "|".join(choices)
    words = {bool: "", Path: "PATH", int: "N", str: "TEXT"}
    return next(word for one, word in words.items() if one in kinds)


# Settings


def settings() -> str:
    """Return a table per section of the settings, the limits in one of their own."""
    known = effective_keys()
    parts: list[str] = []
    for section in SECTIONS:
        keys = [key for key in KEYS.values() if key.name.startswith(f"{section}.")]
        about = "How much and how often."
        if section != "limits":
            about = type(Settings.model_fields[section].default).__doc__ or ""
        parts += [f"### `[{section}]`", "", about.strip().splitlines()[0], ""]
        width = 4 if section == "limits" else 6  # limits have no flags, and none changes live
        rows = [_key_row(key, has_effect=key.name in known)[:width] for key in keys]
        parts += [*_table(KEY_HEADS[:width], rows), ""]
    return "\n".join(parts)


def _key_row(key: Key, *, has_effect: bool) -> tuple[str, ...]:
    about = _cell(key.description) + ("" if has_effect else ". **Without effect in this version**")
    return (
        _code(key.name.partition(".")[2]),
        _default(key),
        about,
        _cell(key.expects),
        "" if key.flag is None else _code(key.flag),
        "yes" if key.is_live else "",
    )


def _default(key: Key) -> str:
    value = key.default
    if value is None or value == ():
        return "`off`" if '"off"' in key.expects else "not set"
    if isinstance(value, tuple):
        return ", ".join(_code(one) for one in value)
    if isinstance(value, bool):
        return _code(str(value).lower())
    return _code(str(value)) + _in_words(key.name, value)


def _in_words(name: str, value: Any) -> str:
    """Return a large number of bytes or seconds as people read it."""
    if "bytes" in name:
        for unit, size in (("MiB", MIB), ("KiB", KIB)):
            if value >= size and not value % size:
                return f" ({value // size} {unit})"
    if name == "rooms.edit_window":
        return f" s ({short_duration(value)})"
    return ""


def effective_keys() -> set[str]:
    """Return the settings that any code reads; the others are declared for what is to come."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        found |= _reads_of(path)
    return {
        name for name in KEYS if (read := READ_OTHERWISE.get(name, name)) is None or read in found
    }


def _reads_of(path: Path) -> set[str]:
    """Return the keys that a module reads, `section.key`, what only warns or declares left out."""
    name = path.relative_to(SOURCE).as_posix()
    if name in DECLARING:
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if name == WARNING:
        tree.body = [
            node
            for node in tree.body
            if not (isinstance(node, ast.FunctionDef) and node.name.startswith("_about_"))
        ]
    reads = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            holder = getattr(node.value, "attr", getattr(node.value, "id", ""))
            reads.add(f"{holder.lstrip('_')}.{node.attr}")
    return reads


# Codes


def errors() -> str:
    """Return the table of error codes."""
    texts = _docstrings(SOURCE / "domain" / "errors.py", "ErrorCode")
    rows = [
        (
            _code(code.value),
            str(code.status),
            "yes" if code.is_temporary else "",
            _cell(texts[code.name]),
        )
        for code in ErrorCode
    ]
    return "\n".join(_table(("Code", "HTTP", "Temporary", "When"), rows))


def closes() -> str:
    """Return the table of close codes."""
    sent = sent_codes()
    rows = []
    for code in CloseCode:
        reason = sentence_of(code) if code in BY_LIBRARY else code.reason
        if code in (CloseCode.RESTART, CloseCode.OVERLOAD):
            reason += " retry_after=N"
        if code is CloseCode.FLOODING:
            reason = closing(code).reason
        if code is CloseCode.BYE:
            reason = ""
        note = "" if code in sent else " (reserved; this version does not send it)"
        rows.append((str(int(code)), _code(reason) if reason else "", code.advice.value + note))
    return "\n".join(_table(("Code", "Reason", "The client should"), rows))


def sent_codes() -> set[CloseCode]:
    """Return the codes that this version closes with."""
    named = set()
    for path in SOURCE.rglob("*.py"):
        if path.name != "close_codes.py":
            named |= set(re.findall(r"CloseCode\.([A-Z_0-9]+)", path.read_text(encoding="utf-8")))
    return {code for code in CloseCode if code.name in named} | {CloseCode.BYE, *BY_LIBRARY}


def _docstrings(path: Path, name: str) -> dict[str, str]:
    """Return the strings below the members of an enum.

    Raises:
        ValueError: one has none.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    holder = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    texts = {}
    for member, text in zip(holder.body, holder.body[1:], strict=False):
        if not isinstance(member, ast.Assign) or not isinstance(member.targets[0], ast.Name):
            continue
        if not isinstance(text, ast.Expr) or not isinstance(text.value, ast.Constant):
            raise ValueError(f"{path.name}:{member.lineno}: a docstring was expected below")
        texts[member.targets[0].id] = str(text.value.value)
    return texts


# Markdown


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").removesuffix(".")


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "program": program,
    "settings": settings,
    "errors": errors,
    "closes": closes,
    **schema_tables.PARTS,
}

if __name__ == "__main__":
    sys.exit(main())
