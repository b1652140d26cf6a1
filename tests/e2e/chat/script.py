r"""Transcripts of the chat: `.chat` files that read like the specification.

A file is a list of steps, one a line; a line that begins with white space continues the one above,
`#` begins a comment line. `Alice` is any client's name, of letters and digits.

| Step | Meaning |
|---|---|
| `setting limits.joins_per_minute = 3` | before the first step: how the server is set |
| `Alice connects` | opens a WebSocket at the door under test; see below |
| `Alice connects by plain/a/path` | at a given door: `/`, `/ws`, `plain`, `json` |
| `… offering a, b` `… bearing $token` `… from http://x` | subprotocols, token, Origin |
| `Eve is refused 400 by /ws offering irc: BODY` | the upgrade is answered with HTTP |
| `Alice enters` / `Bot enters by json` | connects and takes its name; on JSON, syncs |
| `Carol logs in` / `Carol logs in by json` | the same with `$Carol_token` |
| `Alice > hello` | sends a frame |
| `Alice >> "bytes"` | sends a binary frame |
| `Alice < Bob: hi` | the next frame it gets is this one |
| `Bot <~ {…}` | as `<`, but neighbours of the same client come in any order |
| `Alice closes` / `Alice vanishes` | ends with a close frame / by cutting the line |
| `Alice is closed 1000` / `Alice is closed 4029 REASON` | the server closes it |
| `silence` | nobody has anything unread; also checked at every file's end |
| `30s pass` | the server's clock moves on, after all that was sent was handled |
| `3 times: Alice > $n` | a step again and again; `$n` counts from 1 |
| `the server restarts` | stops with 1012 and comes back over the same data |
| `given …` | arranges rows that no command of this file makes; see `stage.Stage.given` |

A frame is the rest of the line; in double quotes it is a JSON string, which may be followed by
`* N` for N copies; on the JSON face it is an object, compared as one. `$name` stands for one word
(in JSON: for one value where it is the whole string), which is remembered where it comes first and
must be the same afterwards; `$_` stands for any. `$$` is a dollar sign.

What two clients send one after the other is in no order, unless the second sees what the first
caused, or `silence` stands between. A `tick` of the JSON face is passed over where a step expects
something else: it comes every 25 s. A file with a client that connects without `by` is run at
every text door: `/`, `/ws`, plain.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DOORS", "Script", "Step", "Values", "parse", "read_frame"]

DOORS = ("/", "/ws", "plain")
_SETTING = re.compile(r"setting ([a-z_.0-9]+) = (.+)")
_FRAME = re.compile(r"(?P<who>\w+) (?P<verb>>>|>|<~|<)(?: (?P<rest>.*))?", re.DOTALL)
_TIMES = re.compile(r"(?P<n>\d+) times: (?P<step>.+)", re.DOTALL)
_ACTS = re.compile(
    r"(?P<who>\w+) (?P<verb>connects|enters|logs in|closes|vanishes|is closed|is refused)"
    r"(?: (?P<rest>.+))?"
)
_STAGE = re.compile(
    r"(?P<verb>silence|the server restarts|given (?P<given>.+)|(?P<seconds>[\d.]+)s pass)"
)
_OPENS = frozenset({"connects", "enters", "logs in"})
_QUOTED = re.compile(r'(?P<string>".*")(?: \* (?P<n>\d+))?', re.DOTALL)
_NAME = re.compile(r"\$(\$|[A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a transcript."""

    number: int
    """Its line."""
    source: str
    who: str
    """A client's name; "" for steps of the stage."""
    verb: str
    rest: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Script:
    """A whole transcript."""

    settings: dict[str, Any]
    steps: tuple[Step, ...]

    @property
    def doors(self) -> tuple[str, ...]:
        """Where it is run."""
        is_free = any(
            step.verb in _OPENS and not re.search(r"\bby ", step.rest) for step in self.steps
        )
        return DOORS if is_free else ("given",)


def parse(path: Path) -> Script:
    """Read a `.chat` file.

    Raises:
        ValueError: a line is no step.
    """
    settings: dict[str, Any] = {}
    steps: list[Step] = []
    for number, line in _lines(path.read_text(encoding="utf-8")):
        setting = _SETTING.fullmatch(line)
        if setting is not None:
            settings[setting[1]] = setting[2]
            continue
        try:
            steps.append(_step(number, line))
        except ValueError as error:
            raise ValueError(f"{path.name}:{number}: {error}") from None
    return Script(settings, tuple(steps))


def _lines(text: str) -> list[tuple[int, str]]:
    """Return the logical lines with the number of their first."""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            first, begun = lines[-1]
            lines[-1] = (first, f"{begun} {line.strip()}")
        else:
            lines.append((number, line.rstrip("\n")))
    return lines


def _step(number: int, line: str) -> Step:
    repeated = _TIMES.fullmatch(line)
    if repeated is not None:
        one = _step(number, repeated["step"])
        return Step(number, line, one.who, one.verb, one.rest, int(repeated["n"]))
    found = _STAGE.fullmatch(line)
    if found is not None:
        if found["given"]:
            return Step(number, line, "", "given", found["given"])
        if found["seconds"]:
            return Step(number, line, "", "pass", found["seconds"])
        return Step(number, line, "", found["verb"], "")
    found = _ACTS.fullmatch(line) or _FRAME.fullmatch(line)
    if found is None:
        raise ValueError(f"no step: {line!r}")
    return Step(number, line, found["who"], found["verb"], found["rest"] or "")


def read_frame(text: str, *, is_json: bool) -> Any:
    """Return the frame a step writes: text, or on the JSON face an object."""
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        return json.loads(quoted["string"]) * int(quoted["n"] or 1)
    return json.loads(text) if is_json else text


class Values:
    """What the placeholders of one run stand for."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def know(self, name: str, value: Any) -> None:
        """Let `$name` stand for a value."""
        self._known[name] = value

    def fill(self, pattern: Any) -> Any:
        """Return a pattern with all placeholders replaced.

        Raises:
            KeyError: one that stands for nothing yet.
        """
        if isinstance(pattern, dict):
            return {self.fill(key): self.fill(value) for key, value in pattern.items()}
        if isinstance(pattern, list):
            return [self.fill(item) for item in pattern]
        if not isinstance(pattern, str):
            return pattern
        whole = _NAME.fullmatch(pattern)
        if whole is not None and whole[1] != "$":
            return self._known[whole[1]]
        return _NAME.sub(lambda m: "$" if m[1] == "$" else str(self._known[m[1]]), pattern)

    def fits(self, pattern: Any, value: Any) -> bool:
        """Tell whether a value is what a pattern says; if so, remember its new placeholders."""
        before = dict(self._known)
        if self._fits(pattern, value):
            return True
        self._known = before
        return False

    def _fits(self, pattern: Any, value: Any) -> bool:
        if isinstance(pattern, dict):
            return (
                isinstance(value, dict)
                and {self.fill(key) for key in pattern} == value.keys()
                and all(self._fits(part, value[self.fill(key)]) for key, part in pattern.items())
            )
        if isinstance(pattern, list):
            return (
                isinstance(value, list)
                and len(pattern) == len(value)
                and all(self._fits(*pair) for pair in zip(pattern, value, strict=True))
            )
        if isinstance(pattern, str):
            return self._text_fits(pattern, value)
        return type(pattern) is type(value) and bool(pattern == value)

    def _text_fits(self, pattern: str, value: Any) -> bool:
        whole = _NAME.fullmatch(pattern)
        if whole is not None and whole[1] != "$":
            return self._is(whole[1], value)
        if not isinstance(value, str):
            return False
        names: list[str] = []

        def group(found: re.Match[str]) -> str:
            names.append(found[1])
            return r"(\S+?)"

        # `re.escape` writes a dollar sign as two characters
        form = re.sub(r"\\\$(?:\\\$|([A-Za-z_]\w*))", lambda m: group(m) if m[1] else r"\$",
                      re.escape(pattern))  # fmt: skip
        found = re.fullmatch(form, value)
        return found is not None and all(map(self._is, names, found.groups()))

    def _is(self, name: str, value: Any) -> bool:
        if name == "_":
            return True
        known = self._known.setdefault(name, value)
        return type(known) is type(value) and bool(known == value)
