"""Tables for people: one a case, and one that has all lines with a goal."""

import statistics
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks import calibration
from benchmarks.case import Line
from benchmarks.runner import Outcome
from benchmarks.units import heading, with_range

MET = {True: "yes", False: "NO", None: ""}


def show(console: Console, outcome: Outcome) -> None:
    """Print what a case showed: its runs, its lines, its warnings."""
    case = outcome.case
    console.print(case.title, style="bold")
    for names in _columns_of(outcome):
        runs = [run for run in case.runs if list(outcome.found[0][run]) == names]
        table = _table("run", *(heading(name) for name in names))
        for run in runs:
            table.add_row(run, *(with_range(outcome.numbers(run, name)) for name in names))
        console.print(table)
    if case.lines:
        console.print(_lines([("", outcome, line) for line in case.lines]))
    for note in case.notes:
        console.print(note)
    if said := calibration.warning(outcome.speeds):
        console.print(f"WARNING: {said}", style="yellow")
    many = len(outcome.found)
    rounds = f"medians of {many} rounds (least … most)" if many > 1 else "one round"
    console.print(f"{rounds}\n")


def summary(console: Console, outcomes: Mapping[str, Outcome], *, quick: bool) -> None:
    """Print the one table over all cases."""
    title = "Summary" + (" of a quick run: it works; it does not say how fast" if quick else "")
    lines = [
        (name, outcome, line)
        for name, outcome in outcomes.items()
        for line in outcome.case.lines
        if not line.detail
    ]
    console.print(title, style="bold")
    console.print(_lines(lines))


def _columns_of(outcome: Outcome) -> Sequence[list[str]]:
    """Return the different sets of numbers that the runs of a case have, in order."""
    seen: list[list[str]] = []
    for numbers in outcome.found[0].values():
        if list(numbers) not in seen:
            seen.append(list(numbers))
    return seen


def _lines(lines: Sequence[tuple[str, Outcome, Line]]) -> Table:
    named = any(name for name, _, _ in lines)
    table = _table(*["case"] * named, "what", "measured", "goal", "met")
    if named:
        table.columns[1].justify = "left"
    before = ""
    for name, outcome, line in lines:
        values = outcome.values(line)
        met = line.met(statistics.median(values))
        shown = f"{with_range(values)} {line.unit}".rstrip()
        cells = [line.what, shown, line.goal, MET[met]]
        if named and name != before and before:
            table.add_section()
        first = [name if name != before else ""] * named
        before = name
        table.add_row(*first, *cells, style="red" if met is False else "")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table()
    table.add_column(first, justify="left", overflow="fold")
    for other in others:
        table.add_column(other, justify="right", overflow="fold")
    return table
