"""Contrast of the page's colours in both themes, from the style sheet (WCAG 2.2, 1.4.3)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STYLE = Path(__file__).parents[3] / "src" / "wynd_chat" / "web" / "page" / "style.css"
TEXT_MIN = 4.5
EDGE_MIN = 3.0  # 1.4.11: what shows where a control is

GROUNDS = ("ground", "ground-side", "ground-raised", "ground-hover", "ground-side-hover")
TEXT_PAIRS = [
    *(("ink", ground) for ground in (*GROUNDS, "ground-chosen", "ground-code", "ground-mention")),
    *(("ink-soft", ground) for ground in (*GROUNDS, "ground-code", "ground-mention")),
    *(("ink-accent", ground) for ground in (*GROUNDS, "ground-chosen", "ground-mention")),
    *(("ink-danger", ground) for ground in ("ground", "ground-raised", "ground-danger")),
    ("ink-soft", "ground-chosen"),
    ("ink-soft", "ground-danger"),
    ("ink", "ground-danger"),
    ("ink-warning", "ground-warning"),
    ("ink-on-accent", "accent"),
    ("ink-on-accent", "accent-strong"),
    ("ink-on-danger", "danger"),
]
EDGE_PAIRS = [("edge-field", "ground"), ("edge-field", "ground-raised"), ("accent", "ground")]


def themes() -> dict[str, tuple[str, str]]:
    """Return each colour's light and dark value."""
    pattern = r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);"
    found: dict[str, tuple[str, str]] = {}
    for name, light, dark in re.findall(pattern, STYLE.read_text(encoding="utf-8")):
        found.setdefault(name, (light, dark))
    return found


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_PAIRS)
def test_text_can_be_read(text: str, ground: str, theme: str) -> None:
    colours = themes()
    index = 0 if theme == "light" else 1
    assert contrast(colours[text][index], colours[ground][index]) >= TEXT_MIN


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("edge", "ground"), EDGE_PAIRS)
def test_edges_of_fields_can_be_seen(edge: str, ground: str, theme: str) -> None:
    colours = themes()
    index = 0 if theme == "light" else 1
    assert contrast(colours[edge][index], colours[ground][index]) >= EDGE_MIN


def test_initials_can_be_read_on_every_tone() -> None:
    tones = re.findall(r"\.tone-\d+ \{ --tone: (#[0-9a-f]{6}); \}", STYLE.read_text())
    assert len(tones) == 12
    assert [tone for tone in tones if contrast("#ffffff", tone) < TEXT_MIN] == []


def test_one_type_scale_and_one_spacing_scale() -> None:
    style = STYLE.read_text(encoding="utf-8")
    sizes = re.findall(r"font-size: ([^;]+);", style)
    scale = {f"var(--text-{step})" for step in range(1, 6)}
    # `em` follows the text around it; 1rem keeps phones from zooming; the rest are pictures made
    # of letters: initials in small avatars, and lone emoji.
    allowed = scale | {"inherit", "0.875em", "1rem", "0.625rem", "2.25rem"}
    assert {size for size in sizes if size not in allowed} == set()
    spaces = re.findall(r"\n  (?:margin|padding|gap)[a-z-]*: ([^;]+);", style)
    steps = [part for space in spaces for part in space.split()]
    odd = [step for step in steps if re.fullmatch(r"[0-9.]+rem", step)]
    assert len(odd) <= 15, "use the scale"


def test_directions_are_logical() -> None:
    style = STYLE.read_text(encoding="utf-8")
    physical = r"\n\s+(?:(?:margin|padding|border)-)?(?:left|right):|text-align: (?:left|right)"
    assert re.findall(physical, style) == []
