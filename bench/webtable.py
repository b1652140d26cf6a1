"""The table of `bench/web.py`'s document, and whether its targets were held."""

from __future__ import annotations

from statistics import median
from typing import Any

__all__ = ["web_table"]

NOISY = 0.15
"""A spread of the ratios beyond this share of their median is marked."""


def web_table(document: dict[str, Any]) -> str:
    """One row per server: CPU per unit, and its ratio to the comparison's yardstick."""
    about = document["about"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        f"Measured on {about['date']}: {about['processor']}, {about['kernel']}; "
        f"{about['pinning']}; median of {about['rounds']} rounds of {about['seconds']:g} s. "
        f"Versions: {versions}."
    ]
    if about["quick"]:
        lines.append("**A short run: its figures are not worth quoting.**")
    for comparison in document["comparisons"]:
        lines += ["", *_comparison(comparison)]
    return "\n".join(lines)


def _comparison(found: dict[str, Any]) -> list[str]:
    yardstick = found["yardstick"]
    shows_bytes = found["key"] == "deflate"
    head = ["CPU of the server per unit, us", f"÷ {yardstick or '–'}", "units per second"]
    head += ["bytes per delivery"] if shows_bytes else []
    lines = [
        f"| {found['title']} | {' | '.join(head)} |",
        "|---|" + "---:|" * len(head),
    ]
    ratios = {name: _ratios(found, name) for name in found["samples"]}
    for name, samples in found["samples"].items():
        cells = [f"{_middle(samples, 'cpu_us'):.2f}", _spoken(ratios[name])]
        cells.append(f"{_middle(samples, 'rate'):,.0f}")
        if shows_bytes:
            cells.append(f"{_middle(samples, 'bytes'):,.0f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for name, reason in found["failures"].items():
        plain = " ".join(reason.split()).replace("|", "/").replace("<", "‹")[:160]
        lines.append(f"| {name} | {plain} |" + " |" * (len(head) - 1))
    return [*lines, *_verdict(found, ratios)]


def _verdict(found: dict[str, Any], ratios: dict[str, list[float]]) -> list[str]:
    ours = [
        taken
        for name, taken in ratios.items()
        if "wynd" in name.lower() and "without" not in name and taken
    ]
    if not ours:
        return []
    most = found["most"]
    if most is None:  # the best of ours beside the cheapest peer, which is the yardstick
        most, judged = 1.0, min(ours, key=median)
        wanted = f"Wanted: the best of ours not above {found['yardstick']}; "
    else:
        judged = max(ours, key=median)
        wanted = f"Wanted: at most {most:.2f} for each of ours; "
    if median(judged) <= most:
        return ["", wanted + "holds."]
    if min(judged) <= most:
        return ["", wanted + "falls short within the spread."]
    return ["", wanted + f"**falls short**: {median(judged):.2f}."]


def _ratios(found: dict[str, Any], name: str) -> list[float]:
    """By round; a server that failed in one has its samples next to those of another."""
    yardstick = found["samples"].get(found["yardstick"], [])
    pairs = zip(found["samples"][name], yardstick, strict=False)
    return [own["cpu_us"] / other["cpu_us"] for own, other in pairs]


def _spoken(ratios: list[float]) -> str:
    if not ratios:
        return "–"
    middle = median(ratios)
    mark = "~" if (max(ratios) - min(ratios)) / middle > NOISY else ""
    spread = f" ({min(ratios):.2f}–{max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"{mark}{middle:.2f}{spread}"


def _middle(samples: list[dict[str, float]], key: str) -> float:
    return median(sample[key] for sample in samples)
