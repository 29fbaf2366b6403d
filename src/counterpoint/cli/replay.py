"""`counterpoint replay`: recorded executions against today's code."""

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from counterpoint.app import App
from counterpoint.cli.counting import counting
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.journal_source import open_source
from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import hint, one_line, say, say_json
from counterpoint.cli.target import Target, required
from counterpoint.cli.where import SinceOption, UntilOption, Where, WhereOption, parse_where
from counterpoint.errors import StoreCorruptError
from counterpoint.model.rows import ExecutionRow
from counterpoint.model.states import Status
from counterpoint.runtime.exports import Export, read_lines
from counterpoint.runtime.rehearsal import (
    ArgumentDifference,
    Rehearsal,
    ReplayReport,
    Verdict,
    rehearse,
)

NAMED_MAX = 5
"""Ids that a difference is shown with."""
Place: TypeAlias = tuple[str, str]
"""A difference in words, and the `file:line` of the code that makes it."""


class LeftOut(Enum):
    """Why an execution of the store is not replayed."""

    WORKFLOW = auto()
    """The app does not have its workflow, and nobody named it."""
    TERMINATED = auto()
    """A person ended it, often because it fits no code, and nobody asked for that status."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be replayed."""

    files: Sequence[Path]
    where: Where
    words: str
    """What was asked for, as it was written; empty where nothing was."""
    allow_none: bool


@dataclass(slots=True)
class Differences:
    """What differs, each place of the code once, with the first executions that differ there."""

    counts: dict[Place, int] = field(default_factory=dict)
    ids: dict[Place, list[str]] = field(default_factory=dict)

    def add(self, place: Place, execution_id: str) -> None:
        """Note that an execution differs there."""
        self.counts[place] = self.counts.get(place, 0) + 1
        ids = self.ids.setdefault(place, [])
        if len(ids) < NAMED_MAX:
            ids.append(execution_id)

    def say(self) -> None:
        """Write them, those that most executions have first."""
        for place, count in sorted(self.counts.items(), key=lambda item: -item[1]):
            words, line = place
            say(f"{line}: {words}" if line else words)
            more = f" and {count - len(self.ids[place]):,} more" if count > NAMED_MAX else ""
            noun = "execution" if count == 1 else "executions"
            say(f"    {count:,} {noun}: {', '.join(self.ids[place])}{more}")


@dataclass(frozen=True, slots=True)
class ReplaySummary:
    """What `--json` writes."""

    ok: bool
    total: int
    records: int
    counts: dict[str, int]
    other_arguments: int
    left_out: int
    terminated: int
    findings: Sequence[Rehearsal]


def replay(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]…",
            show_default=False,
            help="What `journal export` wrote; without files the store is read.",
        ),
    ] = None,
    where: WhereOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    strict_arguments: Annotated[
        bool,
        typer.Option("--strict-arguments", help="Calls with other arguments are a failure, too."),
    ] = False,
    allow_none: Annotated[
        bool,
        typer.Option("--allow-none", help="No executions to replay are no failure: a new project."),
    ] = False,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run today's code on recorded executions and say where it differs; nothing is really called.

    Executions are read from the store (by default all of the app's workflows, but not what was
    terminated) or from exported files. The exit code is 0 where all agree, 6 where one does not,
    and 3 where none is what was asked for.

    Example: counterpoint replay --app shop:app --since 30d
    """
    if files and (where or since or until):
        raise CommandError("files and --where exclude each other: filter when you export")
    target = required(app, store)
    words = _words(where, since, until)
    choice = Choice(files or (), parse_where(where, since, until), words, allow_none)
    asyncio.run(_replay(target, choice, strict=strict_arguments, as_json=as_json))


def _words(where: Sequence[str] | None, since: str | None, until: str | None) -> str:
    words = [f"--where {text}" for text in where or ()]
    words += [] if since is None else [f"--since {since}"]
    words += [] if until is None else [f"--until {until}"]
    return one_line(" ".join(words))


async def _replay(target: Target, choice: Choice, *, strict: bool, as_json: bool) -> None:
    report = ReplayReport()
    left_out: Counter[LeftOut] = Counter()
    files = choice.files
    rehearsals = _from_files(target.app, files) if files else _from_store(target, choice.where)
    async for rehearsal in rehearsals:
        if isinstance(rehearsal, LeftOut):
            left_out[rehearsal] += 1
        else:
            keep = rehearsal.verdict is not Verdict.AGREES or bool(rehearsal.arguments)
            report.add(rehearsal, keep=keep)
    differs = not report.ok or (strict and report.other_arguments > 0)
    missing = None if choice.allow_none else _missing(choice, report, left_out)
    if as_json:
        say_json(_summary(report, left_out, ok=not differs and missing is None))
    else:
        _say(report, strict=strict)
    _say_left_out(left_out)
    if not files and not report.total and not left_out and missing is None:
        hint("the store has nothing to replay")
    if differs:
        raise typer.Exit(Exit.DIVERGED)
    if missing is not None:
        raise CommandError(f"no executions match: {missing}", Exit.NOT_FOUND)


def _missing(choice: Choice, report: ReplayReport, left_out: Counter[LeftOut]) -> str | None:
    """Return what was asked for and is not there: to agree with nothing would say nothing."""
    empty = [str(file) for file in choice.files if next(iter(read_lines(file)), None) is None]
    if empty:
        return f"{', '.join(empty)} {'has' if len(empty) == 1 else 'have'} none"
    if report.total:
        return None
    if choice.words:
        return choice.words
    lacking = left_out[LeftOut.WORKFLOW]
    return "this app has none of the workflows in the store" if lacking else None


def _summary(report: ReplayReport, left_out: Counter[LeftOut], *, ok: bool) -> ReplaySummary:
    return ReplaySummary(
        ok,
        report.total,
        report.records,
        {verdict.value: report.counts[verdict] for verdict in Verdict},
        report.other_arguments,
        left_out[LeftOut.WORKFLOW],
        left_out[LeftOut.TERMINATED],
        report.rehearsals,
    )


def _say_left_out(left_out: Counter[LeftOut]) -> None:
    lacking, terminated = left_out[LeftOut.WORKFLOW], left_out[LeftOut.TERMINATED]
    if lacking:
        hint(f"{lacking:,} of workflows that this app does not have were left out")
    if terminated:
        are, them = ("one is", "it") if terminated == 1 else ("ones are", "them")
        shown = f"--where status=terminated shows {them}"
        hint(f"{terminated:,} terminated {are} left out: {shown}")


async def _from_files(app: App, files: Sequence[Path]) -> AsyncIterator[Rehearsal | LeftOut]:
    total = sum(1 for file in files for _ in read_lines(file))
    with counting(total) as advance:
        for file in files:
            for line in read_lines(file):
                yield _rehearse(app, line.export())
                advance()
                await asyncio.sleep(0)  # Ctrl-C


async def _from_store(target: Target, where: Where) -> AsyncIterator[Rehearsal | LeftOut]:
    """Rehearse what matches."""
    registry = target.app.registry
    async with open_source(target) as source:
        await source.of_matching(where)
        with counting(source.total) as advance:
            async for row in source.rows():
                if row is not None and where.workflow is None and row.name not in registry.programs:
                    yield LeftOut.WORKFLOW
                elif row is not None and row.status is Status.TERMINATED and not where.statuses:
                    yield LeftOut.TERMINATED
                elif row is not None:
                    try:
                        export = await source.read(row)
                    except StoreCorruptError as error:
                        yield _damaged(row, error)
                    else:
                        if export is not None:
                            yield _rehearse(target.app, export)
                advance()


def _rehearse(app: App, export: Export) -> Rehearsal:
    with contextlib.redirect_stdout(sys.stderr):  # what the code prints is no result
        return rehearse(app.registry, export)


def _damaged(row: ExecutionRow, error: StoreCorruptError) -> Rehearsal:
    facts = (row.id, row.run, row.name, row.version, row.status, 0)
    return Rehearsal(*facts, Verdict.DAMAGED, problem=str(error))


def _say(report: ReplayReport, *, strict: bool) -> None:
    differences, arguments = Differences(), Differences()
    for rehearsal in report.rehearsals:
        if rehearsal.verdict is not Verdict.AGREES:
            differences.add(_difference_in_words(rehearsal), rehearsal.id)
        for one in rehearsal.arguments:
            arguments.add(_arguments_in_words(rehearsal, one), rehearsal.id)
    differences.say()
    if arguments.counts:
        say("calls with other arguments" + ("" if strict else " (no failure; the results count)"))
        arguments.say()
    say(report.summary())


def _difference_in_words(rehearsal: Rehearsal) -> Place:
    what = f"{rehearsal.workflow}: {rehearsal.verdict.words}"
    if rehearsal.expected is not None:
        does = f"recorded is {rehearsal.expected}, the code does {rehearsal.found}"
        return one_line(f"{what}: {does}"), rehearsal.line or ""
    return one_line(f"{what}: {rehearsal.problem}"), ""


def _arguments_in_words(rehearsal: Rehearsal, one: ArgumentDifference) -> Place:
    return one_line(f"{rehearsal.workflow}: call {one.call} of {one.name}"), one.line or ""
