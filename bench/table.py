"""The Markdown tables. `python -m bench.table` renews README, docs and plot from latest.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.figures import FLOOR_NAME, ROWS, Results
from bench.targets import is_ours, judge_peers, judge_targets

if TYPE_CHECKING:
    from bench.figures import Cell, Row

__all__ = ["full_tables", "short_table"]

SHORT_OURS = ("wynd def, asyncio", "wynd async, asyncio", "wynd closures, asyncio")
LATENESS_MOST_MS = 20.0
ANSWER_MOST_MS = 20.0
SHORT_RUN = (
    "**This was a short run (`QUICK=1`): it shows the form of the page. Its figures are not worth "
    "quoting.**"
)
ROUND_WORD = {1: "1 round", 2: "2 rounds"}


def short_table(document: dict[str, Any]) -> str:
    """README: ratios of our three handler shapes on asyncio and of every peer."""
    results = Results.of(document)
    names = [name for name in results.measured() if name in SHORT_OURS or not is_ours(name)]
    short = [row for row in ROWS if row.key != "echo-16-64k"]
    return "\n".join(
        (
            *_ratios(results, [row for row in results.rows() if row in short], names, wide=False),
            "",
            _about_short(document["about"]),
        )
    )


def full_tables(document: dict[str, Any]) -> dict[str, str]:
    """docs/explanation/performance.md: the text of each marked place, by its name."""
    results = Results.of(document)
    return {
        "machine": "\n".join(_machine(document["about"])),
        "targets": "\n".join(_targets(results)),
        "peers": "\n".join(_peers(results)),
        "ratios": "\n".join(_ratios(results, results.rows(), results.measured(), wide=True)),
        "amounts": "\n".join(_amounts(results)),
        "fairness": "\n".join(_fairness(document.get("fairness"))),
        "idle": "\n".join(_idle(document.get("idle"))),
        "missing": "\n".join(_missing(results)),
    }


def _machine(about: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    kind = ["", SHORT_RUN] if about["quick"] else []
    rounds = about["rounds"]
    return [
        f"Measured on {about['date']}: {about['processor']}, {about['kernel']}; "
        f"{about['pinning']}. "
        f"{ROUND_WORD.get(rounds, f'{rounds} rounds')} of {about['seconds']:g} s of load each; "
        f"handshakes and memory with {about['connections']:,} connections. Versions: {versions}.",
        *kind,
    ]


def _about_short(about: dict[str, Any]) -> str:
    quick = " A short run: not worth quoting." if about["quick"] else ""
    return (
        f"{about['date']}, {about['processor']}; median of "
        f"{ROUND_WORD.get(about['rounds'], str(about['rounds']) + ' rounds')}; "
        f"~ marks a noisy figure, bold the best one.{quick}"
    )


def _ratios(results: Results, rows: list[Row], names: list[str], *, wide: bool) -> list[str]:
    best = {row.key: _best_ratio(results, row, names) for row in rows}
    lines = [_line("÷ floor", *(row.title for row in rows)), _rule(len(rows))]
    floors = [_amount(_floor(results, row), row.unit) for row in rows]
    lines.append(_line("*the floor itself*", *(f"*{floor}*" for floor in floors)))
    for name in names:
        cells = []
        for row in rows:
            cell = results.cell(row, name)
            shown = _ratio(cell, wide=wide)
            is_best = cell is not None and cell.ratio == best[row.key]
            cells.append(f"**{shown}**" if is_best else shown)
        lines.append(_line(name, *cells))
    return lines


def _best_ratio(results: Results, row: Row, names: list[str]) -> float | None:
    cells = [cell.ratio for name in names if (cell := results.cell(row, name)) is not None]
    return min(cells, default=None)


def _ratio(cell: Cell | None, *, wide: bool) -> str:
    if cell is None:
        return "–"
    mark = "~" if cell.noisy else ""
    if wide and cell.rounds > 1:
        return f"{mark}{cell.ratio:.2f} ({cell.least:.2f}–{cell.greatest:.2f})"
    return f"{mark}{cell.ratio:.2f}"


def _floor(results: Results, row: Row) -> float | None:
    """The floor's own median over everything that was measured of it."""
    found = results.samples.get((row.workload, FLOOR_NAME), {})
    figures = sorted(row.figure(sample) for samples in found.values() for sample in samples)
    return figures[len(figures) // 2] if figures else None


def _amounts(results: Results) -> list[str]:
    rows = results.rows()
    lines = [_line("server", *(row.title for row in rows)), _rule(len(rows))]
    lines.append(_line("floor", *(_amount(_floor(results, row), row.unit) for row in rows)))
    for name in results.measured():
        cells = [results.cell(row, name) for row in rows]
        amounts = (
            _amount(cell.figure if cell else None, row.unit)
            for cell, row in zip(cells, rows, strict=True)
        )
        lines.append(_line(name, *amounts))
    return lines


def _targets(results: Results) -> list[str]:
    lines = [_line("figure", "target", "measured ÷ floor", ""), "|---|---:|---:|---|"]
    return lines + [
        _line(judged.title, judged.wanted, judged.found, judged.verdict or "–")
        for judged in judge_targets(results)
    ]


def _peers(results: Results) -> list[str]:
    lines = [_line("row", "best of ours", "best peer", ""), "|---|---:|---:|---|"]
    return lines + [
        _line(judged.title, judged.found, judged.wanted, judged.verdict or "–")
        for judged in judge_peers(results)
    ]


def _fairness(found: dict[str, Any] | None) -> list[str]:
    if not found or "failed" in found:
        return [f"Not measured: {(found or {}).get('failed', 'left out of this run')}."]
    lines = [
        _line("timer of 10 ms, late by (ms)", "p50", "p99", "most", "own p99", "others", ""),
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, late in found["lateness_ms"].items():
        shown = [f"{late[key]:.1f}" for key in ("p50", "p99", "max", "own p99")]
        lines.append(_line(name, *shown, f"{late['disturbed']:.0%}", _lateness_verdict(late)))
    title = "100 connections, 10 texts a second each; answered after (ms)"
    lines += [
        "",
        _line(title, "p50", "p99", "most", "unanswered", "the greedy one, per second", ""),
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, waits in found["latency_ms"].items():
        shown = [f"{waits[key]:.1f}" for key in ("p50", "p99", "max")]
        greedy = f"{waits['greedy_per_second']:,.0f}" if "greedy_per_second" in waits else "–"
        lines.append(
            _line(name, *shown, str(waits["unanswered"]), greedy, _answer_verdict(name, waits))
        )
    return lines


def _lateness_verdict(late: dict[str, float]) -> str:
    if late["p99"] <= LATENESS_MOST_MS:
        return "holds"
    if late["own p99"] <= LATENESS_MOST_MS:
        return "falls short; holds without the time other programs had the core"
    return "**falls short**: turns (receive, handlers, flush) hold the loop for longer"


def _answer_verdict(name: str, waits: dict[str, float]) -> str:
    if name.endswith("floor"):
        return "for comparison"
    if waits["unanswered"]:
        return "**falls short**: texts stay unanswered"
    return "holds" if waits["p99"] <= ANSWER_MOST_MS else "**falls short** of 20 ms"


def _idle(found: dict[str, Any] | None) -> list[str]:
    if not found or "failed" in found:
        return [f"Not measured: {(found or {}).get('failed', 'left out of this run')}."]
    shapes = list(found.values())

    def row(title: str, key: str, form: str, factor: float = 1.0) -> str:
        return _line(title, *(format(shape[key] * factor, form) for shape in shapes))

    pings = [f"{shape['pings'] / shape['seconds']:,.0f}" for shape in shapes]
    return [
        _line("", *found),
        _rule(len(shapes)),
        row("connections in one process", "connections", ",.0f"),
        row("memory per connection, B", "bytes_per_connection", ",.0f"),
        row("CPU per handshake, us", "handshake_cpu_us", ".0f"),
        _line("keepalive pings per second", *pings),
        row("CPU while idle, share of a core", "cpu_share", ".2%"),
        row("a broadcast to all, until the last has it, ms", "broadcast_s", ",.0f", 1e3),
        row("CPU of that broadcast, ms", "broadcast_cpu_s", ",.0f", 1e3),
    ]


def _missing(results: Results) -> list[str]:
    titles = {row.workload: row.title for row in reversed(ROWS)}
    found = [
        f"- {server}{f', {titles[workload]}' if workload else ''}: {_plain(reason)}"
        for (workload, server), reason in sorted(results.failures.items())
    ]
    return found or ["Everything was measured."]


def _plain(reason: str) -> str:
    """A reason as one line that cannot break the page."""
    return " ".join(reason.split()).replace("|", "/").replace("<", "‹")[:200]


def _amount(figure: float | None, unit: str) -> str:
    if figure is None:
        return "–"
    if unit == "B":
        return f"{figure:,.0f} B"
    return f"{figure:.3g} us" if figure < 1000 else f"{figure:,.0f} us"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|---|" + "---:|" * columns


if __name__ == "__main__":
    from bench.pages import LATEST, WEB, read, write_pages, write_web_pages

    write_pages(read(LATEST))
    write_web_pages(read(WEB))
