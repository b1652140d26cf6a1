"""The chat's figures as tables and plot: from bench/results/chat.json to chat-performance.md."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from bench.chat.plot import chat_plot
from bench.pages import ROOT, fill

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CHAT", "chat_pages_of", "chat_tables", "spread", "title_of", "write_chat_pages"]

CHAT: Path = ROOT / "bench" / "results" / "chat.json"
PAGE = ROOT / "docs" / "explanation" / "chat-performance.md"
PLOT = PAGE.with_suffix(".svg")

RATE_WANTED = 5_000
P99_WANTED_MS = 50.0
BACK_WANTED_S = 10.0
NOISY = 0.1
"""Figures are marked when other programs took more than this share of the cores."""

Sample = dict[str, Any]


def chat_pages_of(document: dict[str, Any]) -> dict[Path, str]:
    """Return what every page that shows these figures has to contain, by path."""
    page = PAGE.read_text(encoding="utf-8")
    for name, text in chat_tables(document).items():
        page = fill(page, name, text)
    return {PAGE: page, PLOT: chat_plot(document)}


def write_chat_pages(document: dict[str, Any]) -> None:
    """Renew page and plot."""
    for path, text in chat_pages_of(document).items():
        path.write_text(text, encoding="utf-8")


def chat_tables(document: dict[str, Any]) -> dict[str, str]:
    """Return the text of each marked place, by its name."""
    return {
        "chat-machine": _machine(document),
        "chat-sending": _sending(document["sending"]),
        "chat-fanout": _fanout(document["fanout"]),
        "chat-storm": _storm(document["storm"]),
        "chat-memory": _memory(document["memory"], document["about"]["descriptors"]),
    }


def title_of(sample: Sample) -> str:
    """Return what a row of senders is called."""
    word = "sender" if sample["senders"] == 1 else "senders"
    return f"{sample['senders']} {word}" + (", in one room" if sample["shared"] else "")


def spread(samples: list[Sample], key: str, form: str = ",.0f") -> str:
    """Return the median of a figure, with the least and the greatest of several rounds."""
    values = [sample[key] for sample in samples]
    text = format(median(values), form)
    if len(values) > 1:
        text += f" ({format(min(values), form)}–{format(max(values), form)})"
    return f"~{text}" if any(sample["noise"] > NOISY for sample in samples) else text


def _machine(document: dict[str, Any]) -> str:
    about = document["about"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    rounds = "1 round" if about["rounds"] == 1 else f"{about['rounds']} rounds"
    lines = [
        f"Measured on {about['date']}: {about['processor']}, {about['kernel']}; "
        f"{about['pinning']}; {rounds} of {about['seconds']:g} s of each load. To append 4 KiB "
        f"and sync them takes this disk {about['sync_us']:,} us. Versions: {versions}."
    ]
    noise = max((one["noise"] for one in document["sending"] + document["fanout"]), default=0.0)
    if noise > NOISY:
        lines.append(
            f"**Noisy: other programs took up to {noise:.0%} of the machine.** Rates and times are "
            "lower bounds then; CPU per unit still says something."
        )
    if about["quick"]:
        lines.append("**A short run: its figures are not worth quoting.**")
    lines += [f"Not measured: {reason}." for reason in document["failures"]]
    return "\n\n".join(lines)


def _groups(samples: list[Sample], *keys: str) -> list[list[Sample]]:
    """Return samples of the same workload together, in the order they were first taken."""
    groups: dict[tuple[Any, ...], list[Sample]] = {}
    for sample in samples:
        groups.setdefault(tuple(sample[key] for key in keys), []).append(sample)
    return list(groups.values())


def _sending(samples: list[Sample]) -> str:
    lines = [
        "| | durable messages/s | ack p50, ms | ack p99, ms | CPU per message, us | core in use |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for group in _groups(samples, "senders", "shared"):
        cells = (
            spread(group, "messages_per_s"),
            spread(group, "p50_ms", ".1f"),
            spread(group, "p99_ms", ".1f"),
            spread(group, "cpu_us"),
            f"{median(one['load'] for one in group):.0%}",
        )
        lines.append(f"| {title_of(group[0])} | {' | '.join(cells)} |")
    fifty = [one for one in samples if one["senders"] == 50 and not one["shared"]]
    if fifty:
        rate = median(one["messages_per_s"] for one in fifty)
        p99 = median(one["p99_ms"] for one in fifty)
        holds = rate >= RATE_WANTED and p99 < P99_WANTED_MS
        verdict = "holds" if holds else f"**falls short**: {rate:,.0f}/s, p99 {p99:.0f} ms"
        lines += [
            "",
            f"Wanted with 50 senders: {RATE_WANTED:,} messages/s and p99 below "
            f"{P99_WANTED_MS:.0f} ms; {verdict}.",
        ]
    return "\n".join(lines)


def _fanout(samples: list[Sample]) -> str:
    lines = [
        "| members, messages under way | deliveries/s | messages/s | CPU per delivery, us | "
        "core in use |",
        "|---|---:|---:|---:|---:|",
    ]
    for group in _groups(samples, "members", "ahead"):
        cells = (
            spread(group, "deliveries_per_s"),
            spread(group, "messages_per_s"),
            spread(group, "cpu_us", ".2f"),
            f"{median(one['load'] for one in group):.0%}",
        )
        lines.append(f"| {group[0]['members']:,}, {group[0]['ahead']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _storm(samples: list[Sample]) -> str:
    lines = [
        "| clients | first join, s | its CPU, s | back after the cut, s | its CPU, s | "
        "events missed by each |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for group in _groups(samples, "clients"):
        cells = (
            spread(group, "join_s", ".1f"),
            spread(group, "join_cpu_s", ".1f"),
            spread(group, "back_s", ".1f"),
            spread(group, "back_cpu_s", ".1f"),
            str(group[0]["missed"]),
        )
        lines.append(f"| {group[0]['clients']:,} | {' | '.join(cells)} |")
    if samples:
        back = median(one["back_s"] for one in samples)
        verdict = "holds" if back < BACK_WANTED_S else "**falls short**"
        lines += ["", f"Wanted: everybody back within {BACK_WANTED_S:.0f} s; {verdict}."]
    return "\n".join(lines)


def _memory(samples: list[Sample], descriptors: int) -> str:
    lines = ["| idle users | resident, MiB | per user, KiB |", "|---:|---:|---:|"]
    nobody = next((one["resident"] for one in samples if one["users"] == 0), 0)
    for one in samples:
        each = (one["resident"] - nobody) / one["users"] / 1024 if one["users"] else None
        shown = "–" if each is None else f"{each:.1f}"
        lines.append(f"| {one['users']:,} | {one['resident'] / 2**20:.0f} | {shown} |")
    lines += ["", f"A process could have {descriptors:,} descriptors."]
    return "\n".join(lines)
