"""`counterpoint debug`: the code of one recorded execution under pdb."""

import asyncio
import gc
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from counterpoint.cli.debugger import Left, WorkflowDebugger, numbering
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.journal import record_words
from counterpoint.cli.journal_source import open_source
from counterpoint.cli.options import AppOption, IdArgument, StoreOption
from counterpoint.cli.output import clean, hint, say
from counterpoint.cli.target import Target, required
from counterpoint.errors import ExecutionNotFoundError
from counterpoint.kernel.review import Review
from counterpoint.runtime.description import journal_entries
from counterpoint.runtime.exports import Export, read_lines
from counterpoint.runtime.rehearsal import run_recorded


def debug(
    execution_id: IdArgument,
    at: Annotated[
        int,
        typer.Option(
            "--at",
            min=1,
            metavar="SEQ",
            help="Stop when this record, or the next one that the code sees, is applied; "
            "`counterpoint journal ID` has the numbers.",
        ),
    ] = 1,
    run: Annotated[
        int | None,
        typer.Option("--run", min=1, metavar="N", help="This run; default: the newest."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="FILE", help="Read it from what `journal export` wrote instead."
        ),
    ] = None,
    app: AppOption = None,
    store: StoreOption = None,
) -> None:
    """Run the code of a recorded execution under pdb, with its recorded results.

    It stops in the workflow's code; activities are not called, nothing is written, and what comes
    after the last record does not happen. `next` steps over an `await` to what is recorded after
    it, `continue` goes to the next breakpoint or to the end of the journal, `quit` leaves.

    Example: counterpoint debug order-7 --at 9 --app shop:app
    """
    target = required(app, store)
    if file is not None:
        export = _from_file(file, execution_id, run)
    else:
        export = asyncio.run(_from_store(target, execution_id, run))
    _debug(target, export, at)


async def _from_store(target: Target, execution_id: str, run: int | None) -> Export:
    async with open_source(target) as source:
        rows = await source.exporter.runs(execution_id)
        chosen = [row for row in rows if run in (None, row.run)]
        export = await source.read(chosen[-1]) if chosen else None
        if export is not None:
            return export
        if rows:
            raise CommandError(f"{execution_id} has no run {run}", Exit.NOT_FOUND)
        raise ExecutionNotFoundError(execution_id)


def _from_file(file: Path, execution_id: str, run: int | None) -> Export:
    found: Export | None = None
    for line in read_lines(file):
        export = line.export()
        if export.id == execution_id and run in (None, export.run):
            found = export if found is None or export.run > found.run else found
    if found is None:
        which = execution_id if run is None else f"run {run} of {execution_id}"
        raise CommandError(f"{file} does not have {which}", Exit.NOT_FOUND)
    return found


def _debug(target: Target, export: Export, at: int) -> None:
    program = target.app.registry.program(export.name)
    total = len(export.records)
    if program is None:
        raise CommandError(f"the app has no workflow {export.name}", Exit.NOT_FOUND)
    if at > total:
        raise CommandError(f"--at {at}: the journal of {export.id} has {total} records")
    if program.version < export.version:
        hint(f"version {export.version} has advanced it, this app has {program.version}")
    entries = journal_entries(export.records)

    def words(number: int) -> str:
        entry = entries[number - 1]
        return clean(f"record {number} of {total}: {entry.type} {record_words(entry)}".rstrip())

    divergence = None
    debugger = WorkflowDebugger(at, numbering(export.records), words)
    previous = sys.gettrace()
    with warnings.catch_warnings():
        try:
            divergence = run_recorded(program, export, Review(debugger.before)).divergence
        except Left:
            say("left: nothing was really called or written")
        finally:
            sys.settrace(previous)
        if debugger.left:
            gc.collect()  # frames that the exception held, while their warnings are off
            return
    if divergence is not None:
        say(str(divergence))
        raise typer.Exit(Exit.DIVERGED)
    say(f"the journal ends here: {total} records, {export.status}")
    if not debugger.stops:
        hint(f"the code did not run at record {at} or after it: it was over, or never saw them")
