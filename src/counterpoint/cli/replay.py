"""`counterpoint replay`: recorded executions against today's code."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Differences:
    """What differs, each place of the code once, with the first executions that differ there."""

    counts: dict[Place, int] = field(default_factory=dict[Place, int])
    ids: dict[Place, list[str]] = field(default_factory=dict[Place, list[str]])

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
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run today's code on recorded executions and say where it differs; nothing is really called.

    Executions are read from the store (by default all of the app's workflows) or from exported
    files. The exit code is 0 where all agree and 6 where one does not.

    Example: counterpoint replay --app shop:app --since 30d
    """
    if files and (where or since or until):
        raise CommandError("files and --where exclude each other: filter when you export")
    target = required(app, store)
    wanted = parse_where(where, since, until)
    asyncio.run(_replay(target, files or (), wanted, strict=strict_arguments, as_json=as_json))


async def _replay(
    target: Target, files: Sequence[Path], where: Where, *, strict: bool, as_json: bool
) -> None:
    report = ReplayReport()
    left_out = 0
    rehearsals = _from_files(target.app, files) if files else _from_store(target, where)
    async for rehearsal in rehearsals:
        if rehearsal is None:
            left_out += 1
        else:
            keep = rehearsal.verdict is not Verdict.AGREES or bool(rehearsal.arguments)
            report.add(rehearsal, keep=keep)
    failed = not report.ok or (strict and report.other_arguments > 0)
    if as_json:
        counts = {verdict.value: report.counts[verdict] for verdict in Verdict}
        findings = report.rehearsals
        more = (report.total, report.records, counts, report.other_arguments, left_out, findings)
        say_json(ReplaySummary(not failed, *more))
    else:
        _say(report, strict=strict)
    if left_out:
        hint(f"{left_out:,} of workflows that this app does not have were left out")
    if failed:
        raise typer.Exit(Exit.DIVERGED)


async def _from_files(app: App, files: Sequence[Path]) -> AsyncIterator[Rehearsal | None]:
    total = sum(1 for file in files for _ in read_lines(file))
    with counting(total) as advance:
        for file in files:
            for line in read_lines(file):
                yield _rehearse(app, line.export())
                advance()
                await asyncio.sleep(0)  # Ctrl-C


async def _from_store(target: Target, where: Where) -> AsyncIterator[Rehearsal | None]:
    """Rehearse what matches; None stands for a workflow that the app lacks and nobody named."""
    registry = target.app.registry
    async with open_source(target) as source:
        await source.of_matching(where)
        with counting(source.total) as advance:
            async for row in source.rows():
                if row is not None and where.workflow is None and row.name not in registry.programs:
                    yield None
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
