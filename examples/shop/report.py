"""What the demo prints when all orders have ended."""

from collections.abc import Callable, Sequence, Set
from datetime import timedelta
from typing import Any

from counterpoint import Description, JournalEntry, Status
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from examples.shop.books import Verdict
from examples.shop.drive import IN_FLIGHT, Drive
from examples.shop.evidence import Aftermath, Evidence
from examples.shop.own_file import read

VIOLATIONS_SHOWN = 10
ENDINGS = {
    "confirmed": "charged once, every line reserved once",
    "declined": "over the limit; no charge, no stock held",
    "undone": "short of stock; charge returned, stock back",
}


def print_report(console: Console, drive: Drive, verdict: Verdict, told: list[Description]) -> None:
    """Print outcomes, the verdict of the books, and figures."""
    console.print(_outcomes(verdict))
    style = "bold green" if verdict.balanced else "bold red"
    words = "balance" if verdict.balanced else "DO NOT BALANCE"
    console.print(
        f"The books of the three services [{style}]{words}[/]: "
        f"{_money(verdict.charged_cents)} charged, {_money(verdict.returned_cents)} returned, "
        f"{verdict.reserved_units:,} units reserved."
    )
    for violation in verdict.violations[:VIOLATIONS_SHOWN]:
        console.print(f"  {violation}", style="red", markup=False)
    if len(verdict.violations) > VIOLATIONS_SHOWN:
        console.print(f"  … and {len(verdict.violations) - VIOLATIONS_SHOWN} more")
    console.print()
    console.print(_figures(drive, told))
    console.print()


def _outcomes(verdict: Verdict) -> Table:
    table = Table(title="Outcomes", title_justify="left")
    table.add_column("outcome")
    table.add_column("orders", justify="right")
    table.add_column("which means")
    for ending, meaning in ENDINGS.items():
        table.add_row(ending, str(getattr(verdict, ending)), meaning)
    table.add_section()
    table.add_row("all", str(verdict.orders), "")
    return table


def _figures(drive: Drive, told: list[Description]) -> Table:
    took = sorted((t.finished_at - t.created_at).total_seconds() for t in told if t.finished_at)
    calls = [call for t in told for call in t.calls]
    undone = [call for call in calls if call.compensation is not None]
    steps = len(calls) + len(undone)
    attempts = sum(call.attempts + call.compensation_attempts for call in calls)
    rows = read(drive.directory, "counterpoint", "SELECT count(*) FROM journal")[0][0]
    count = len(told)
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for name, figure, remark in (
        (
            "sagas per second",
            f"{count / drive.seconds:,.0f}",
            f"{count} in {drive.seconds:.1f} s, from the first start of a node to the last end",
        ),
        ("one saga, p50", _percentile(took, 50), f"by its journal; up to {IN_FLIGHT} at a time"),
        ("one saga, p99", _percentile(took, 99), "those that the crash interrupted included"),
        (
            "steps per order",
            f"{steps / count:.1f}",
            f"{len(calls):,} calls, {len(undone):,} undone",
        ),
        ("attempts per step", f"{attempts / steps:.2f}", "the network has bad weather"),
        ("commits per order", f"{rows / count:.1f}", "most of them shared with other orders"),
    ):
        table.add_row(name, figure, remark)
    return table


def _percentile(seconds: list[float], percent: int) -> str:
    position = min(len(seconds) * percent // 100, len(seconds) - 1)
    return f"{seconds[position] * 1000:,.0f} ms"


def print_crash(console: Console, evidence: Evidence, aftermath: Aftermath) -> None:
    """Print what was interrupted, what was made again, and that nothing recorded was."""
    console.print("[bold]What the crash left[/]")
    console.print(
        f"  {len(evidence.interrupted)} orders were interrupted. {len(evidence.recorded):,} steps "
        f"were recorded, {len(evidence.under_way)} were under way.\n"
        f"  {aftermath.made_again} of those under way reached their service after the restart. "
        f"{aftermath.had_happened} of these had had their\n"
        "  effect before the crash: the service knew the key and gave its old answer."
    )
    if aftermath.repeated:
        shown = ", ".join(aftermath.repeated[:VIOLATIONS_SHOWN])
        console.print(
            f"  [bold red]{len(aftermath.repeated)} recorded steps were repeated[/]: {shown}"
        )
    else:
        console.print("  [bold green]No recorded step was repeated.[/]")
    console.print()


def choose(told: Sequence[Description], interrupted: Set[str]) -> Description:
    """Return the saga that is worth a look: undone, of a few steps, hit by the crash, retried."""

    def interest(description: Description) -> tuple[bool, bool, bool, int]:
        calls = description.calls
        return (
            description.status is Status.COMPENSATED,
            len(calls) in range(4, 6),
            description.id in interrupted,
            sum(call.attempts + call.compensation_attempts for call in calls),
        )

    return max(told, key=interest)


def tree_of(execution_id: str, entries: Sequence[JournalEntry]) -> Tree:
    """Return a saga's journal as a tree: its steps, and what happened to each."""
    tree = Tree(f"[bold]{execution_id}[/]")
    began = next((entry.at for entry in entries if entry.at), None)
    branches: dict[int, Tree] = {}
    for entry in entries:
        data = entry.data
        if entry.type == "scheduled":
            brief = escape(_brief(data["arguments"]))
            told = f"{data['call']} [cyan]{data['name']}[/] [dim]{brief}[/]"
            branches[data["call"]] = tree.add(told)
        elif entry.type == "compensate":
            told = f"[cyan]{data['name']}[/] [dim]undoes {data['call']}[/]"
            branches[-data["call"]] = tree.add(told)
        elif entry.type in WORDS:
            at = "" if entry.at is None or began is None else _after(entry.at - began)
            _branch(tree, branches, entry).add(at + WORDS[entry.type](data))
    return tree


def _branch(tree: Tree, branches: dict[int, Tree], entry: JournalEntry) -> Tree:
    """Return where a record belongs: to a call, to what undoes it, or to the saga."""
    number = entry.data.get("step", entry.data.get("call", 0))
    if entry.type == "compensated":
        number = -number
    return branches.get(number, tree)


def _after(time: timedelta) -> str:
    return f"[dim]{time.total_seconds() * 1000:>5,.0f} ms[/]  "


def _brief(value: Any) -> str:
    """Return a recorded value on a part of a line; the order's own id and lines are known."""
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    known = ("id", "order_id", "lines")
    return ", ".join(
        _brief(part) if isinstance(part, dict) else f"{name}={part}"
        for name, part in value.items()
        if name not in known
    )


def _error(data: dict[str, Any]) -> str:
    return escape(f"{data['error']['type']}: {data['error']['message']}")


def _money(cents: int) -> str:
    return f"{cents / 100:,.2f}"


WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "started": lambda data: f"[bold]begins[/] {escape(_brief(data['arguments']))}",
    "completed": lambda data: f"[green]completed[/] {escape(_brief(data['result']))}",
    "failed": lambda data: f"[red]failed[/] {_error(data)}",
    "attempt": lambda data: f"attempt {data['attempt']} begins",
    "attempt-failed": lambda data: f"[yellow]attempt {data['attempt']} failed[/] {_error(data)}",
    "attempt-lost": lambda data: f"[magenta]attempt {data['attempt']} lost[/], its node died",
    "call-cancelled": lambda _: "no longer wanted; how it ends is awaited",
    "compensating": lambda data: (
        f"[bold yellow]undoes itself[/], newest call first: {_error(data)}"
    ),
    "compensated": lambda _: "[green]undone[/]",
    "ended": lambda data: f"[bold]{data['status']}[/]",
}
"""What the tree says of each type of record; timers and the like are left out."""
