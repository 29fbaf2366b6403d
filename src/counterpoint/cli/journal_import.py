"""`counterpoint journal import`: exported executions into a store that no node hosts."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from counterpoint.app import store_from_url
from counterpoint.cli.counting import counting
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import hint, say, say_json
from counterpoint.cli.target import Target, resolve, store_words
from counterpoint.errors import CounterpointError
from counterpoint.ports.store import Store
from counterpoint.runtime.exports import read_lines
from counterpoint.runtime.imports import Importer, ImportReport


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", show_default=False, help="What `journal export` wrote."),
    ],
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Import executions that have not ended, too: the next node of the store goes on "
            "with them, and does what they have to do.",
        ),
    ] = False,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add exported executions to a store that no node hosts; it is made if there is none.

    What is there already is skipped. Live executions are refused without --live. A damaged line,
    or an execution that is there with other content, stops it; run again, it goes on there.

    Example: counterpoint journal import failed.jsonl --store copy.db
    """
    asyncio.run(_import(resolve(app, store), files, live=live, as_json=as_json))


async def _import(target: Target, files: Sequence[Path], *, live: bool, as_json: bool) -> None:
    total = sum(1 for file in files for _ in read_lines(file))
    store = _store(target)
    await store.open(node=True)
    importer = Importer(store, target.app.codec, live=live)
    try:
        try:
            with counting(total) as advance:
                for file in files:
                    for line in read_lines(file):
                        await importer.add(line)
                        advance()
        finally:  # what is before a damaged line is good
            await importer.flush()
    except CounterpointError:
        hint(f"stopped: {_words(importer.report)}")
        raise
    finally:
        await store.close()
    _say(target, importer.report, as_json=as_json)
    if importer.report.live:
        raise typer.Exit(Exit.FAILED)


def _store(target: Target) -> Store:
    given = target.app.store
    if given == "memory:":
        raise CommandError("memory: is a store inside one process: import into a file")
    return store_from_url(given) if isinstance(given, str) else given


def _say(target: Target, report: ImportReport, *, as_json: bool) -> None:
    if as_json:
        say_json(report)
    else:
        say(f"{store_words(target.app)}: {_words(report)}")
    if report.without_parent:
        hint(f"{report.without_parent:,} of them are children whose parents are not in the store")
    if report.live:
        named = ", ".join(report.live_ids)
        more = ", …" if report.live > len(report.live_ids) else ""
        hint(
            f"{report.live:,} live refused ({named}{more}): a node would go on with them; "
            "pass --live if it shall"
        )


def _words(report: ImportReport) -> str:
    noun = "execution" if report.imported == 1 else "executions"
    words = f"{report.imported:,} {noun} imported"
    if report.skipped:
        words += f", {report.skipped:,} skipped that were there already"
    return words
