"""The plot: one panel per row, a bar per server on a logarithmic axis, whiskers for the spread.

Written by hand as SVG; colours follow the reader's light or dark scheme.
"""

from __future__ import annotations

from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from bench.targets import is_ours

if TYPE_CHECKING:
    from bench.figures import Cell, Results, Row

__all__ = ["STYLE", "plot"]

WIDTH, COLUMNS, MARGIN = 1080, 2, 16
LABELS = 170  # room for the servers' names
VALUES = 56  # room for the ratio behind the longest bar
BAR, HEAD, FOOT = 15, 34, 26
TOP = 62

STYLE = """
 .ground { fill: #ffffff } text { fill: #24292f; font: 12px system-ui, sans-serif }
 .title { font-size: 17px; font-weight: 600 } .row { font-weight: 600; font-size: 13px }
 .small { font-size: 10.5px; fill: #57606a } .end { text-anchor: end }
 .middle { text-anchor: middle } .line { stroke: #d0d7de } .one { stroke: #57606a }
 .ours { fill: #0969da } .peer { fill: #afb8c1 } .spread { stroke: #24292f; stroke-width: 1.5 }
 @media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117 } text { fill: #e6edf3 } .small { fill: #9198a1 }
  .line { stroke: #30363d } .one { stroke: #9198a1 } .ours { fill: #4493f8 }
  .peer { fill: #57606a } .spread { stroke: #e6edf3 }
 }
"""


def plot(results: Results, about: dict[str, Any]) -> str:
    """The whole picture."""
    names, rows = results.measured(), results.rows()
    height = HEAD + BAR * len(names) + FOOT
    width = (WIDTH - MARGIN * (COLUMNS + 1)) // COLUMNS
    total = TOP + ceil(len(rows) / COLUMNS) * (height + MARGIN)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" role="img" '
        f'aria-label="Cost of each server as a multiple of a bare C epoll loop">',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{total}"/>',
        _text(MARGIN, 28, "Cost on the server, as a multiple of a bare C epoll loop", "title"),
        _text(
            MARGIN, 47, f"CPU or memory; shorter is better; logarithmic. {about['date']}", "small"
        ),
    ]
    for index, row in enumerate(rows):
        x = MARGIN + index % COLUMNS * (width + MARGIN)
        y = TOP + index // COLUMNS * (height + MARGIN)
        cells = [(name, results.cell(row, name)) for name in names]
        parts.append(f'<g transform="translate({x} {y})">{_panel(row, cells, width)}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(row: Row, cells: list[tuple[str, Cell | None]], width: int) -> str:
    found = [cell for _, cell in cells if cell is not None and cell.ratio > 0]
    bottom = HEAD + BAR * len(cells)
    parts = [_text(0, 14, row.title, "row")]
    if not found:
        return "".join([*parts, _text(0, HEAD, "not measured", "small")])
    low = min(0, floor(log10(min(cell.ratio for cell in found))))
    high = max(1, ceil(log10(max(cell.greatest for cell in found))))

    def at(ratio: float) -> float:
        share = (log10(max(ratio, 10**low)) - low) / (high - low)
        return LABELS + share * (width - LABELS - VALUES)

    for power in range(low, high + 1):
        x = at(10**power)
        kind = "one" if power == 0 else "line"
        parts.append(f'<path class="{kind}" d="M{x:.1f} {HEAD - 6}V{bottom}"/>')
        parts.append(_text(x, bottom + 14, f"{10**power:g}x", "small middle"))
    for index, (name, cell) in enumerate(cells):
        parts.append(_bar(name, cell, HEAD + BAR * index, at))
    return "".join(parts)


def _bar(name: str, cell: Cell | None, y: int, at: Any) -> str:
    label = _text(LABELS - 8, y + 10, name, "small end")
    if cell is None or cell.ratio <= 0:
        return label + _text(LABELS + 4, y + 10, "-", "small")
    start, end, middle = LABELS, at(cell.ratio), y + 6
    kind = "ours" if is_ours(name) else "peer"
    bar = f'<rect class="{kind}" x="{start}" y="{y + 1}" width="{end - start:.1f}" height="10"/>'
    spread = ""
    if cell.greatest > cell.least > 0:
        left, right = at(cell.least), at(cell.greatest)
        spread = f'<path class="spread" d="M{left:.1f} {middle}H{right:.1f}"/>'
    value = _text(max(end, at(cell.greatest)) + 5, y + 10, f"{cell.ratio:.2f}", "small")
    return label + bar + spread + value


def _text(x: float, y: float, content: str, kind: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(content)}</text>'
