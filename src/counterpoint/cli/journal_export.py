"""`counterpoint journal export`: executions as lines of JSON."""

import asyncio
import contextlib
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from counterpoint.cli.completion import complete_ids
from counterpoint.cli.counting import counting
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.journal_source import open_source
from counterpoint.cli.options import AppOption, StoreOption
from counterpoint.cli.output import hint
from counterpoint.cli.target import Target, resolve
from counterpoint.cli.where import SinceOption, UntilOption, Where, WhereOption, parse_where
from counterpoint.errors import StoreCorruptError
from counterpoint.runtime.exports import encode_export


def export(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]…",
            show_default=False,
            help="Only these executions, with all of their runs.",
            autocompletion=complete_ids,
        ),
    ] = None,
    where: WhereOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write to this file instead of stdout."
        ),
    ] = None,
    app: AppOption = None,
    store: StoreOption = None,
) -> None:
    """Write executions with their journals, each as one line of JSON (JSON Lines), oldest first.

    Without ID and --where it writes all; damaged ones are named and left out. A file is complete
    once it has its name: until then it is called FILE.part.

    Example: counterpoint journal export --where status=failed --since 7d -o failed.jsonl
    """
    if ids and (where or since or until):
        raise CommandError("an ID and --where exclude each other: use --where id=… for both")
    wanted = parse_where(where, since, until)
    asyncio.run(_export(resolve(app, store), ids or (), wanted, output))


async def _export(target: Target, ids: Sequence[str], where: Where, output: Path | None) -> None:
    count = damaged = 0
    async with open_source(target) as source:
        await (source.of_ids(ids) if ids else source.of_matching(where))
        with _opened(output) as file, counting(source.total, bar=output is not None) as advance:
            async for row in source.rows():
                try:
                    export = None if row is None else await source.read(row)
                except StoreCorruptError as error:
                    hint(f"left out: {error}", "red")
                    damaged += 1
                    continue
                if export is not None:
                    file.write(encode_export(export) + b"\n")
                    count += 1
                advance()
    noun = "execution" if count == 1 else "executions"
    hint(f"exported {count:,} {noun}", "dim")
    if damaged:
        raise typer.Exit(Exit.STORE)


@contextlib.contextmanager
def _opened(output: Path | None) -> Generator[BinaryIO, None, None]:
    """Yield what is written to; a file gets its name once it is complete."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = output.with_name(output.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    except OSError as error:
        raise CommandError(
            f"{output} cannot be written: {error.strerror or error}", Exit.USAGE
        ) from error
