"""Acts on many executions: first what would be done, then one after the other.

*Choosing.* What matches is collected before the first act, as an act changes what matches. Of each
id only the newest run is looked at, since that is what an act reaches. The oldest come first, and
so parents before their children. Where an act on a parent reaches its children too, those whose
parent is chosen are left out: one that ended first would be a failure to its parent.

*Stopping.* Ctrl-C stops between two executions: an act that has begun is finished and counted, so
that the number at the end is true. So does an error of the store; what an execution refuses stops
nothing and is listed at the end.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.output import (
    clean,
    err,
    hint,
    one_line,
    out,
    say,
    say_json,
    show_parts,
    status_text,
)
from counterpoint.cli.posting import no_node, taken
from counterpoint.cli.target import Target
from counterpoint.cli.where import Where, parse_where
from counterpoint.errors import (
    CounterpointError,
    ExecutionNotFoundError,
    ExecutionRefusedError,
    NodeStoppedError,
    StoreCorruptError,
    StoreError,
)
from counterpoint.model.states import Status
from counterpoint.runtime.client import Client, ExecutionSummary
from counterpoint.runtime.handle import Execution

RATE = 50.0
IDS_SHOWN = 10
REFUSED_SHOWN = 100
LINE_EVERY = 100
STOPPING = (StoreError, NodeStoppedError)
"""Errors that say nothing about one execution: there is no use in going on."""

YesOption: TypeAlias = Annotated[
    bool,
    typer.Option("--yes", help="With --where: do it; without, only say what would be done."),
]
RateOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--rate",
        min=0.01,
        metavar="N",
        show_default=False,
        help=f"With --where: at most so many a second; default {RATE:g}.",
    ),
]
ManyOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=1,
        metavar="N",
        show_default=False,
        help="With --where: at most so many, the newest ones.",
    ),
]
Act: TypeAlias = Callable[[Execution[Any]], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Many executions, and how they are acted on."""

    where: Where
    yes: bool = False
    rate: float = RATE
    limit: int | None = None
    as_json: bool = False
    noun: str = "execution"
    """What is counted: `execution`, or `call` where an execution may have several."""
    shown_max: int = IDS_SHOWN
    """Lines of a dry run."""
    skip_refused: bool = True
    """Act on the others where some are refused before the first act; else on none."""


@dataclass(frozen=True, slots=True)
class Task:
    """One act of many."""

    id: str
    act: Act
    label: str
    """What a dry run says of it."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many executions of a workflow stand so."""

    workflow: str
    status: Status
    count: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an execution was not acted on."""

    id: str
    reason: str


@dataclass(slots=True)
class Report:
    """What an act on many found and did; what `--json` writes."""

    dry_run: bool
    matched: int = 0
    more: bool = False
    """Whether `--limit` left out others."""
    counts: list[Count] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """The first ones."""
    children: int = 0
    """How many are left out, as they end with their parents."""
    done: int = 0
    refused: list[Refusal] = field(default_factory=list)
    interrupted: bool = False
    taken: bool = True
    """Whether a node has taken over what was asked."""


def choose(
    execution_id: str | None,
    where: Sequence[str] | None,
    since: str | None,
    until: str | None,
    *,
    yes: bool,
    rate: float | None,
    limit: int | None,
    as_json: bool,
) -> str | Batch:
    """Return the one id, or the many executions, that a command is given.

    Raises:
        CommandError: it is given both or none, or the filters cannot be read.
    """
    filters = bool(where or since or until)
    if execution_id is None:
        if not filters:
            raise CommandError("name an ID, or choose executions with --where KEY=VALUE")
        wanted = parse_where(where, since, until)
        return Batch(wanted, yes, RATE if rate is None else rate, limit, as_json)
    if filters:
        raise CommandError("an ID and --where exclude each other: use --where id=… for both")
    if yes or rate is not None or limit is not None:
        raise CommandError("--yes, --rate and --limit are for --where, not for one ID")
    return execution_id


async def act_on_many(
    client: Client,
    target: Target,
    batch: Batch,
    what: str,
    act: Act,
    *,
    statuses: Sequence[Status] = (),
    families: bool = False,
) -> None:
    """Do *act* on all that match; without `--yes` only say what that would be.

    *what* is the verb of the command, such as `retry`; *statuses* are chosen unless the filters say
    which. *families*: as for `find_many`.

    Raises:
        as `act_on_each`.
    """
    ids, report = await find_many(client, batch, statuses, families=families)
    tasks = [Task(execution_id, act, execution_id) for execution_id in ids]
    await act_on_each(client, target, batch, what, tasks, report)


async def act_on_each(
    client: Client,
    target: Target,
    batch: Batch,
    what: str,
    tasks: Sequence[Task],
    report: Report,
) -> None:
    """Do what was found; without `--yes` only say what that would be.

    *report* counts what was found, and has what is refused already.

    Raises:
        typer.Exit: an execution refused it, or would refuse it, or Ctrl-C stopped it.
        StoreError, NodeStoppedError: it could not go on; how many were done is said before.
    """
    if not batch.yes:
        _preview(batch, report, what, tasks)
        if report.refused:
            raise typer.Exit(Exit.FAILED)
        return
    if report.refused and not batch.skip_refused:
        _refuse_all(batch, report)
        raise typer.Exit(Exit.FAILED)
    try:
        last = await _act_on_all(client, tasks, batch.rate, report)
    except STOPPING:
        if batch.as_json:
            say_json(report)
        hint(f"stopped after {report.done:,} of {report.matched:,}")
        raise
    report.taken = False
    with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C now leaves out this question only
        report.taken = last is None or await taken(client, last)
    if batch.as_json:
        say_json(report)
    else:
        _say(batch, report, what)
    if not report.taken:
        hint(no_node(target))
    if report.interrupted:
        raise typer.Exit(Exit.INTERRUPTED)
    if report.refused:
        raise typer.Exit(Exit.FAILED)


class Pace:
    """Spreads acts evenly over time; what was late is not caught up in a burst."""

    def __init__(self, rate: float) -> None:
        self._gap_seconds = 1 / rate
        self._next = 0.0

    def delay(self, now: float) -> float:
        """Return how many seconds to wait before the next act, and count it."""
        begin = max(self._next, now)
        self._next = begin + self._gap_seconds
        return begin - now


async def find_many(
    client: Client, batch: Batch, statuses: Sequence[Status], *, families: bool = False
) -> tuple[list[str], Report]:
    """Return the ids that match, oldest first, and a report that counts them.

    With *families* the act on a parent reaches its children: those of a chosen one are left out.
    """
    found: list[ExecutionSummary] = []
    report = Report(dry_run=not batch.yes)
    async for summary in batch.where.or_statuses(statuses).find(client, newest_runs=True):
        if len(found) == batch.limit and not families:
            report.more = True
            break
        found.append(summary)
    above = await _above(client, found) if families else {}
    heads = [summary for summary in found if summary.id not in above]
    if batch.limit is not None and len(heads) > batch.limit:
        report.more = True
        del heads[batch.limit :]
    ids = [summary.id for summary in reversed(heads)]
    counts = Counter((summary.workflow, summary.status) for summary in heads)
    report.matched = len(ids)
    report.ids = ids[:IDS_SHOWN]
    kept = set(ids)
    report.children = sum(head in kept for head in above.values())
    report.counts = [Count(*kind, count) for kind, count in counts.most_common()]
    return ids, report


async def _above(client: Client, found: Sequence[ExecutionSummary]) -> dict[str, str]:
    """Return, of each that has an ancestor among *found*, the highest such ancestor."""
    live = {summary.id for summary in found if summary.status.live}
    parents = {summary.id: summary.parent for summary in found}
    above: dict[str, str] = {}
    for summary in found:
        name = summary.parent
        while name is not None:
            if name in live:
                above[summary.id] = name
            if name not in parents:
                parents[name] = await _parent(client, name)
            name = parents[name]
    return above


async def _parent(client: Client, execution_id: str) -> str | None:
    try:
        return (await client.execution(execution_id).describe()).parent
    except (ExecutionNotFoundError, StoreCorruptError):  # then nobody can tell
        return None


async def _act_on_all(
    client: Client, tasks: Sequence[Task], rate: float, report: Report
) -> str | None:
    """Act on all, into *report*; return the last id on which it was done."""
    pace = Pace(rate)
    last: str | None = None
    with _progress(len(tasks)) as advance:
        for task in tasks:
            try:
                await asyncio.sleep(pace.delay(time.monotonic()))
            except asyncio.CancelledError:
                report.interrupted = True
                break
            step = asyncio.ensure_future(task.act(client.execution(task.id)))
            report.interrupted = await _interrupted_before_end(step)
            error = step.exception()
            if error is None:
                report.done += 1
                last = task.id
            elif not isinstance(error, CounterpointError) or _stops(error):
                raise error
            else:
                reason = error.reason if isinstance(error, ExecutionRefusedError) else str(error)
                report.refused.append(Refusal(task.id, reason))
            advance(report)
            if report.interrupted:
                break
    return last


def _stops(error: CounterpointError) -> bool:
    """Whether there is no use in going on; a damaged journal says nothing about the others."""
    return isinstance(error, STOPPING) and not isinstance(error, StoreCorruptError)


async def _interrupted_before_end(step: "asyncio.Future[object]") -> bool:
    """Wait for the end of *step*, also when Ctrl-C cancels this task; return whether it did."""
    try:
        await asyncio.wait([step])
    except asyncio.CancelledError:
        await asyncio.wait([step])
        return True
    return False


@contextlib.contextmanager
def _progress(total: int) -> Generator[Callable[[Report], None], None, None]:
    """Show how far it is: a bar on a terminal, else a line now and then."""
    console = err()
    if not console.is_terminal:
        yield lambda report: _line(report, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, redirect_stdout=False
    ) as bar:
        task = bar.add_task("", total=total)

        def advance(report: Report) -> None:
            refused = len(report.refused)
            bar.update(task, advance=1, description=f"{refused:,} refused" if refused else "")

        yield advance


def _line(report: Report, total: int) -> None:
    reached = report.done + len(report.refused)
    if reached % LINE_EVERY == 0:
        refused = f", {len(report.refused):,} refused" if report.refused else ""
        hint(f"{reached:,} of {total:,}{refused}", "dim")


def _preview(batch: Batch, report: Report, what: str, tasks: Sequence[Task]) -> None:
    if batch.as_json:
        say_json(report)
        return
    if not report.matched:
        say(f"no such {batch.noun}s")
        return
    if report.refused:
        noun = batch.noun if len(tasks) == 1 else f"{batch.noun}s"
        refused = f"{len(report.refused):,} would be refused"
        say(f"this would {what} {len(tasks):,} {noun}; {refused}:")
    else:
        say(f"this would {what} {_counted(batch, report)}:")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("workflow", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    for found in report.counts:
        table.add_row(clean(found.workflow), status_text(found.status), f"{found.count:,}")
    if tasks and report.counts:
        show_parts(out(), table)
    shown = tasks if len(tasks) <= batch.shown_max else tasks[: batch.shown_max]
    for task in shown:
        say(f"  {task.label}")
    left = len(tasks) - len(shown)
    if left:
        say(f"  … and {left:,} more")
    _say_children(report)
    _say_refused(report, would=True)
    if report.refused and not batch.skip_refused:
        hint("nothing was done, and --yes would send none: put these right, or use --skip-refused")
    else:
        hint("nothing was done: pass --yes to do it")


def _refuse_all(batch: Batch, report: Report) -> None:
    """Say that nothing is done, as some would be refused."""
    if batch.as_json:
        say_json(report)
    else:
        _say_refused(report, would=True)
    hint(
        f"nothing was done, as {len(report.refused):,} of {_counted(batch, report)} would be "
        "refused: put these right, or pass --skip-refused to leave them out"
    )


def _counted(batch: Batch, report: Report) -> str:
    noun = batch.noun if report.matched == 1 else f"{batch.noun}s"
    words = f"{report.matched:,} {noun}"
    return f"the newest {words} (--limit leaves out others)" if report.more else words


def _say(batch: Batch, report: Report, what: str) -> None:
    if not report.matched:
        say(f"no such {batch.noun}s")
        return
    say(f"the request to {what} is sent to {report.done:,} of {_counted(batch, report)}")
    _say_children(report)
    _say_refused(report)
    if report.interrupted:
        untouched = report.matched - report.done - len(report.refused)
        hint(f"interrupted: {untouched:,} were not reached")


def _say_children(report: Report) -> None:
    if report.children == 1:
        say("1 child ends with its parent")
    elif report.children:
        say(f"{report.children:,} children end with their parents")


def _say_refused(report: Report, *, would: bool = False) -> None:
    if not report.refused:
        return
    say(f"{len(report.refused):,} {'would be ' if would else ''}refused:")
    for refusal in report.refused[:REFUSED_SHOWN]:
        say(f"  {refusal.id}: {one_line(refusal.reason)}")
    left = len(report.refused) - REFUSED_SHOWN
    if left > 0:
        say(f"  … and {left:,} more, which --json lists")
