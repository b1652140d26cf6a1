"""The chat's plot: messages per second, waiting for acknowledgements, and memory, as bars.

Written by hand as SVG in the dress of `bench.plot`.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from bench.plot import STYLE

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["chat_plot"]

WIDTH, MARGIN, TOP = 1080, 16, 62
LABELS, VALUES = 190, 90  # room for names left of the bars, for figures right of them
BAR, HEAD, FOOT = 22, 30, 14

Bar = tuple[str, list[float], str]
"""Name, values of the rounds, and how a value is written."""


def chat_plot(document: dict[str, Any]) -> str:
    """Return the whole picture."""
    sending, about = document["sending"], document["about"]
    panels = [
        ("Durable messages per second", _bars(sending, "messages_per_s", "{:,.0f}")),
        ("Acknowledgement, 99th percentile, ms", _bars(sending, "p99_ms", "{:.1f}")),
        (
            "Deliveries per second, one busy room",
            [
                (
                    f"{ahead} under way",
                    [
                        one["deliveries_per_s"]
                        for one in document["fanout"]
                        if one["ahead"] == ahead
                    ],
                    "{:,.0f}",
                )
                for ahead in dict.fromkeys(one["ahead"] for one in document["fanout"])
            ],
        ),
        (
            "Memory of the server, MiB",
            [
                (f"{one['users']:,} idle users", [one["resident"] / 2**20], "{:.0f}")
                for one in document["memory"]
            ],
        ),
    ]
    width = (WIDTH - 3 * MARGIN) // 2
    height = HEAD + BAR * max((len(bars) for _, bars in panels), default=0) + FOOT
    total = TOP + 2 * (height + MARGIN)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" role="img" '
        'aria-label="Throughput, latency and memory of wynd-chat on one core">',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{total}"/>',
        _text(MARGIN, 28, "wynd-chat on one core, SQLite, every commit synced", "title"),
        _text(MARGIN, 47, f"Median of {about['rounds']}; whiskers: extremes. {about['date']}"),
    ]
    for index, (title, bars) in enumerate(panels):
        x = MARGIN + index % 2 * (width + MARGIN)
        y = TOP + index // 2 * (height + MARGIN)
        parts.append(f'<g transform="translate({x} {y})">{_panel(title, bars, width)}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _bars(samples: Sequence[dict[str, Any]], key: str, form: str) -> list[Bar]:
    values: dict[str, list[float]] = {}
    for one in samples:
        name = f"{one['senders']} senders" + (", in one room" if one["shared"] else "")
        values.setdefault(name, []).append(one[key])
    return [(name, found, form) for name, found in values.items()]


def _panel(title: str, bars: list[Bar], width: int) -> str:
    parts = [_text(0, 14, title, "row")]
    most = max((max(values) for _, values, _ in bars if values), default=0.0)
    scale = (width - LABELS - VALUES) / most if most else 0.0
    for index, (name, values, form) in enumerate(bars):
        y = HEAD + BAR * index
        parts.append(_text(LABELS - 8, y + 13, name, "small end"))
        if not values:
            parts.append(_text(LABELS + 4, y + 13, "not measured", "small"))
            continue
        middle, last = median(values) * scale, max(values) * scale
        parts.append(
            f'<rect class="ours" x="{LABELS}" y="{y + 3}" width="{middle:.1f}" height="13"/>'
        )
        if len(values) > 1:
            left, right = LABELS + min(values) * scale, LABELS + last
            parts.append(f'<path class="spread" d="M{left:.1f} {y + 9.5}H{right:.1f}"/>')
        parts.append(_text(LABELS + last + 6, y + 13, form.format(median(values)), "small"))
    return "".join(parts)


def _text(x: float, y: float, content: str, kind: str = "small") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(content)}</text>'
