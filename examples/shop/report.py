"""What the demo prints when all orders have ended: the forms side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from examples.shop.books import Verdict
from examples.shop.evidence import Aftermath, Evidence
from examples.shop.figures import Figures
from examples.shop.forms import Form

VIOLATIONS_SHOWN = 10


@dataclass(frozen=True)
class Run:
    """What became of the orders in one form."""

    form: Form
    directory: Path
    verdict: Verdict
    violations: Sequence[str]
    """Of all books, those that the verdict knows included."""
    figures: Figures
    evidence: Evidence
    aftermath: Aftermath
    unfinished: Sequence[str]

    @property
    def good(self) -> bool:
        """Whether the books balance, all orders ended, and nothing recorded was made again."""
        return not (self.violations or self.unfinished or self.aftermath.repeated)


Row = tuple[str, Callable[[Run], str]]

OUTCOMES: list[Row] = [
    ("confirmed: charged once, every line reserved", lambda run: f"{run.verdict.confirmed:,}"),
    ("declined: over the credit limit", lambda run: f"{run.verdict.declined:,}"),
    ("undone: short of stock, money and goods back", lambda run: f"{run.verdict.undone:,}"),
]
BOOKS: list[Row] = [
    ("the books", lambda run: "DO NOT BALANCE" if run.violations else "balance"),
    ("charged", lambda run: _money(run.verdict.charged_cents)),
    ("returned", lambda run: _money(run.verdict.returned_cents)),
    ("units reserved", lambda run: f"{run.verdict.reserved_units:,}"),
]
COSTS: list[Row] = [
    ("executions of workflows", lambda run: f"{run.figures.executions:,}"),
    ("reactions", lambda run: f"{run.figures.reactions:,}"),
    ("events", lambda run: f"{run.figures.events:,}"),
    ("commits per order, most of them shared", lambda run: f"{run.figures.commits_per_order:.1f}"),
    (
        "flows per second, kill and restart included",
        lambda run: f"{run.figures.flows_per_second:,.0f}",
    ),
    ("a flow from its first record to its last, p50", lambda run: _ms(run.figures.p50)),
    ("p99", lambda run: _ms(run.figures.p99)),
]
CRASH: list[Row] = [
    ("orders that the kill interrupted", lambda run: f"{len(run.evidence.interrupted):,}"),
    ("steps recorded at the kill", lambda run: f"{len(run.evidence.recorded):,}"),
    ("of these, made again", lambda run: f"{len(run.aftermath.repeated):,}"),
    ("steps under way or due at the kill", lambda run: f"{len(run.evidence.under_way):,}"),
    ("of these, had happened: known by their key", lambda run: f"{run.aftermath.had_happened:,}"),
]


def print_report(console: Console, runs: Sequence[Run]) -> None:
    """Print outcomes, the verdicts of the books, and figures, a column for each form."""
    table = Table(title=f"{runs[0].figures.orders} orders, in each form", title_justify="left")
    table.add_column("")
    for run in runs:
        table.add_column(run.form.name, justify="right")
    for rows in (OUTCOMES, BOOKS, COSTS, CRASH):
        for name, tell in rows:
            table.add_row(name, *(tell(run) for run in runs))
        table.add_section()
    console.print(table)
    for run in runs:
        _print_violations(console, run)


def differences(runs: Sequence[Run]) -> list[str]:
    """Return the orders that did not end alike in all forms, and sums that differ."""
    first = runs[0].verdict
    found: list[str] = []
    for run in runs[1:]:
        other = run.verdict
        for order in sorted(first.outcomes.keys() | other.outcomes.keys()):
            one, two = first.outcomes.get(order), other.outcomes.get(order)
            if one != two:
                found.append(f"order {order}: {one} {runs[0].form.name}, {two} {run.form.name}")
        for what in ("charged_cents", "returned_cents", "reserved_units"):
            one, two = getattr(first, what), getattr(other, what)
            if one != two:
                found.append(f"{what}: {one} {runs[0].form.name}, {two} {run.form.name}")
    return found


def print_verdict(console: Console, runs: Sequence[Run], different: Sequence[str]) -> None:
    """Print whether everything is as promised."""
    names = f"{', '.join(run.form.name for run in runs[:-1])} and {runs[-1].form.name}"
    if different:
        console.print(f"[bold red]{len(different)} differences[/] between {names}:")
        for line in different[:VIOLATIONS_SHOWN]:
            console.print(f"  {line}", style="red", markup=False)
    else:
        console.print(f"[bold green]Every order ended alike[/], {names}.")
    if all(run.good for run in runs):
        console.print(
            "[bold green]All books balance, and no recorded step was repeated[/] after a kill."
        )
    console.print()


def _print_violations(console: Console, run: Run) -> None:
    for what, broken in (
        ("rules of the books are broken", run.violations),
        ("acknowledged orders did not end", run.unfinished),
        ("recorded steps were repeated", run.aftermath.repeated),
    ):
        if broken:
            console.print(f"[bold red]{run.form.name}: {len(broken)} {what}[/]")
            for line in broken[:VIOLATIONS_SHOWN]:
                console.print(f"  {line}", style="red", markup=False)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _money(cents: int) -> str:
    return f"{cents / 100:,.2f}"
