"""Makes the table of docs/reference/limits.md from `Limits`: `python tools/limits_page.py`.

A field's docstring is its row: first what is counted, then `Limit:` what happens there, `Why:` the
number is what it is, and `Portable:` where that engine differs. With --check it only compares, and
fails when the page is out of date. Whether the sentences are those that are sent is for the tests.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

from wynd.limits import KIB, MIB, Limits

__all__ = ["Row", "render", "rows"]

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "wynd" / "limits.py"
PAGE = ROOT / "docs" / "reference" / "limits.md"
BEGIN, END = "<!-- made by tools/limits_page.py -->", "<!-- /made -->"
HEADER = "| Field | Default | Counts | At the limit | Why this number | On the portable engine |"
LABEL = re.compile(r"^(Limit|Why|Portable): ", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Row:
    """One limit as the page tells it; all but `name` are cells in Markdown."""

    name: str
    default: str
    counts: str
    outcome: str
    reason: str
    portable: str

    def __str__(self) -> str:
        cells = (self.default, self.counts, self.outcome, self.reason, self.portable)
        return f"| `{self.name}` | {' | '.join(cells)} |"


def main() -> int:
    """Write or compare the page; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    options = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    made = render(text)
    if not options.check:
        PAGE.write_text(made, encoding="utf-8")
    elif made != text:
        print(f"{PAGE.name} is out of date; run `python tools/limits_page.py`", file=sys.stderr)
        return 1
    return 0


def render(page: str) -> str:
    """Return the page with its table renewed."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{PAGE.name} has no {BEGIN} and {END}")
    table = "\n".join((HEADER, "|---" * HEADER.count(" | ") + "|---|", *map(str, rows())))
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def rows() -> list[Row]:
    """Return the limits, in the order of `Limits`.

    Raises:
        ValueError: a docstring lacks a part.
    """
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    found = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Limits"
    )
    texts = {
        first.target.id: _docstring(second)
        for first, second in zip(found.body, found.body[1:], strict=False)
        if isinstance(first, ast.AnnAssign) and isinstance(first.target, ast.Name)
    }
    return [
        _row(field.name, field.default, texts[field.name]) for field in dataclasses.fields(Limits)
    ]


def _docstring(node: ast.stmt) -> str:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if not is_text or not isinstance(node.value.value, str):  # type: ignore[attr-defined]
        raise ValueError(f"{SOURCE.name}:{node.lineno}: a docstring of a limit was expected")
    text: str = node.value.value  # type: ignore[attr-defined]
    return re.sub(r"^ +", "", text, flags=re.MULTILINE)


def _row(name: str, default: Any, text: str) -> Row:
    counts, *parts = LABEL.split(text)
    told = dict(zip(parts[::2], parts[1::2], strict=True))
    if not counts.strip() or not {"Limit", "Why"} <= told.keys():
        raise ValueError(f"the docstring of {name} needs what it counts, `Limit:` and `Why:`")
    portable = _cell(told.get("Portable", "the same"))
    return Row(
        name,
        _default(name, default),
        _cell(counts),
        _cell(told["Limit"]),
        _cell(told["Why"]),
        portable,
    )


def _cell(text: str) -> str:
    """Return a text as one line that goes on in a table: small first letter, no full stop."""
    line = " ".join(text.split()).removesuffix(".").replace("|", "\\|")
    is_name = line[1:2].isupper() or line.startswith(("HTTP", "UTF"))
    return line if is_name else line[:1].lower() + line[1:]


def _default(name: str, value: float | None) -> str:
    if value is None:
        return "`None`"
    if name.endswith("_s"):
        return f"{value:g} s"
    for unit, size in (("MiB", MIB), ("KiB", KIB)):
        if "bytes" in name and value >= size and not value % size:
            return f"{value / size:g} {unit}"
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
