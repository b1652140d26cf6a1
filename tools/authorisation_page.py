"""Make docs/reference/authorisation.md from the tested table; `--check` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests" / "wynd_chat" / "gateway" / "authorisation.txt"
PAGE = ROOT / "docs" / "reference" / "authorisation.md"
IN_ROOMS = ("guest", "member", "op", "owner", "admin", "stranger")
IN_CONVERSATIONS = ("side", "admin", "stranger")
PLACES = (
    ("Public rooms", 0, IN_ROOMS),
    ("Private rooms", len(IN_ROOMS), IN_ROOMS),
    ("Direct conversations", 2 * len(IN_ROOMS), IN_CONVERSATIONS),
)

INTRODUCTION = """\
# Who may do what in the chat

Made by `tools/authorisation_page.py` from `tests/wynd_chat/gateway/authorisation.txt`; do not edit.
Every cell is tried by the tests, with the exact code.

Guest, member, op and owner are in the room; admin and stranger are not. Somebody who is an op of
one room is a stranger in another. *Side* is one of the two of a conversation; administrators are
strangers in other people's. `{victim}` is a member of the room, `{founder}` an owner, `{root}` an
administrator: acting on somebody needs a role above theirs. A cell is `ok` or the code of the
refusal; `not_found` for `/unban` and `/r` means that it is allowed and that there is nothing to
act on. What is *not found* in private rooms and conversations of others is not even known to exist.
"""


def main() -> int:
    """Write the page, or with `--check` tell whether it is up to date."""
    page = authorisation_page()
    if "--check" in sys.argv[1:]:
        is_same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page
        if not is_same:
            sys.stderr.write(f"{PAGE} is out of date: run python tools/authorisation_page.py\n")
        return 0 if is_same else 1
    PAGE.write_text(page, encoding="utf-8")
    return 0


def authorisation_page() -> str:
    """Return the page: a table for each kind of place."""
    rows = [
        [part.strip() for part in line.split("|")]
        for line in TABLE.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    parts = [INTRODUCTION]
    for title, start, roles in PLACES:
        lines = [
            f"\n## {title}\n",
            "| | " + " | ".join(roles) + " |",
            "|---" * (len(roles) + 1) + "|",
        ]
        for action, *codes in rows:
            cells = " | ".join(codes[start : start + len(roles)])
            lines.append(f"| `{action}` | {cells} |")
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.exit(main())
