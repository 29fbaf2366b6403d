"""The tables, for a terminal and as Markdown, and the figures as JSON."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.rivals.catalogue import RIVALS
from benchmarks.rivals.rounds import ALONE, CASES, TWIN_ALONE, Seen, Visit, as_json
from benchmarks.rivals.summary import Figures, Summary, summarise
from benchmarks.rivals.workers.protocol import Reply

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
HEADINGS = (
    "rival",
    "sagas/s",
    "least to most",
    "ratio",
    "p50 ms",
    "p99 ms",
    "CPU ms a saga",
    "ratio of CPU",
    "sagas",
    "wrong",
)
ABOUT = ("rival", "version", "Python", "store", "in force", "set up", "loop ms", "sync ms")


@dataclass(frozen=True)
class Shown:
    """One table."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def write(path: Path, machine: dict[str, Any], visits: Sequence[Visit]) -> None:
    """Write everything that was seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "visits": as_json(visits)}, indent=1) + "\n")


def read(path: Path) -> tuple[dict[str, Any], list[Visit]]:
    """Read what an earlier run wrote."""
    found = json.loads(path.read_text())
    return found["machine"], [_visit(one) for one in found["visits"]]


def _visit(found: dict[str, Any]) -> Visit:
    cases = {
        case: Seen(Reply(**seen["reply"]), seen["server_cpu_seconds"])
        for case, seen in found.pop("cases").items()
    }
    found["loop_ms"], found["sync_ms"] = tuple(found["loop_ms"]), tuple(found["sync_ms"])
    return Visit(cases=cases, **found)


def tables(visits: Sequence[Visit]) -> list[Shown]:
    """Return a table for each case, and one about those who took part."""
    summaries = summarise(visits)
    shown = [Shown(case, HEADINGS, [_row(case, one) for one in summaries]) for case in CASES]
    return [*shown, Shown("Who took part, and how", ABOUT, [_about(one) for one in summaries])]


def footnotes(visits: Sequence[Visit]) -> list[str]:
    """Return who could not be measured, and what went wrong with sagas, with numbers."""
    notes: list[str] = []
    for one in summarise(visits):
        title = RIVALS[one.rival].title
        notes += [f"{title} was not measured (to the end): {reason}" for reason in one.reasons]
        for case, errors in one.errors.items():
            found = one.cases.get(case)
            sagas = f" of {found.sagas + found.wrong:,}" if found else ""
            notes += [
                f"{title}, {case}: {count:,}{sagas}: {error}" for error, count in errors.items()
            ]
    return notes


def _row(case: str, one: Summary) -> list[str]:
    title, found = RIVALS[one.rival].title, one.cases.get(case)
    if found is None:
        return [title, "not measured", *["-"] * (len(HEADINGS) - 2)]
    return [
        title,
        number(found.sagas_per_second),
        f"{number(found.least)} to {number(found.most)}",
        number(_times(case, found)),
        number(found.p50_ms),
        number(found.p99_ms),
        _cpu(found),
        number(found.times_cpu),
        f"{found.sagas:,}",
        f"{found.wrong:,}",
    ]


def _cpu(found: Figures) -> str:
    """Return the CPU of a saga: that of the worker, and that of the servers if there are any."""
    worker, servers = number(found.client_cpu_ms), number(found.server_cpu_ms)
    return worker if servers in {"0", "-"} else f"{worker} + {servers}"


def _times(case: str, found: Figures) -> float | None:
    return found.times_p50 if case in {ALONE, TWIN_ALONE} else found.times_rate


def _about(one: Summary) -> list[str]:
    rival = RIVALS[one.rival]
    said = [one.facts.get(name, "-") for name in ("version", "python")]
    return [
        rival.title,
        *said,
        rival.store,
        one.facts.get("sync", "-"),
        rival.remark,
        *(" / ".join(number(value) for value in found) for found in (one.loop_ms, one.sync_ms)),
    ]


def number(value: float | None) -> str:
    """Return a figure with as many digits as can be trusted."""
    if value is None:
        return "-"
    for least, digits in ((100, 0), (10, 1), (0.1, 2)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.3f}" if value else "0"


def markdown(machine: dict[str, Any], visits: Sequence[Visit]) -> str:
    """Return all tables and notes as Markdown."""
    rounds = max((one.round for one in visits), default=0)
    seconds = f" of {number(machine['seconds'])} s a case" if "seconds" in machine else ""
    lines = [
        f"Measured at {machine['at']}, commit {machine['commit'][:10]}, {machine['cores']} cores,"
        f" {rounds} round{'s' * (rounds != 1)}{seconds}. {_noise(visits)}",
        "",
    ]
    for table in tables(visits):
        lines += [f"### {table.title}", "", _line(table.headings)]
        lines += [_line(["---"] * len(table.headings)), *(_line(row) for row in table.rows), ""]
    lines += [f"- {note}" for note in footnotes(visits)]
    return "\n".join(lines).strip() + "\n"


def _noise(visits: Sequence[Visit]) -> str:
    """Say how much the machine itself changed over the run."""
    ran = [one for one in visits if any(one.loop_ms)]
    if not ran:
        return "Nothing ran."
    loops = [value for one in ran for value in one.loop_ms]
    syncs = [value for one in ran for value in one.sync_ms]
    return (
        f"Over the run the fixed loop took {number(min(loops))} to {number(max(loops))} ms"
        f" and a sync {number(min(syncs))} to {number(max(syncs))} ms."
    )


def _line(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def put_into(page: Path, text: str) -> None:
    """Replace what stands between the two marks of a page."""
    old = page.read_text()
    new, found = re.subn(
        f"{re.escape(BEGIN)}.*{re.escape(END)}",
        lambda _: f"{BEGIN}\n\n{text}\n{END}",
        old,
        flags=re.DOTALL,
    )
    if found != 1:
        raise ValueError(f"{page} has to have {BEGIN} and {END} once")
    page.write_text(new)


def show(console: Console, visits: Sequence[Visit]) -> None:
    """Print all tables and notes."""
    for table in tables(visits):
        shown = RichTable(title=table.title, title_justify="left")
        for place, heading in enumerate(table.headings):
            text = place == 0 or table.headings is ABOUT
            shown.add_column(heading, justify="left" if text else "right")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    for note in footnotes(visits):
        console.print(f"- {note}", markup=False)
