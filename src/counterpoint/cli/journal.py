"""`counterpoint journal`: the records of one execution."""

import asyncio
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from counterpoint.cli.options import AppOption, IdArgument, JsonOption, StoreOption
from counterpoint.cli.output import clean, one_line, out, say_json, show_parts, value_words
from counterpoint.cli.posting import describe
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.times import both, now
from counterpoint.runtime.description import Description, JournalEntry


def journal(
    execution_id: IdArgument,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the records of an execution's journal, numbered, oldest first.

    Times count from the start; records without a time were written with the one before. With --json
    each record is one line of JSON (JSON Lines), with everything that was recorded, tracebacks too.

    Example: counterpoint journal order-7 --app shop:app
    """
    asyncio.run(_journal(resolve(app, store), execution_id, as_json=as_json))


async def _journal(target: Target, execution_id: str, *, as_json: bool) -> None:
    async with open_client(target) as client:
        description = await describe(client, execution_id)
        entries = await client.execution(execution_id).journal()
    if as_json:
        for entry in entries:
            say_json(entry)
        return
    title = Text.assemble(
        (clean(description.id), "bold"),
        f"  {clean(description.workflow)}, started {both(description.created_at, now())}",
    )
    show_parts(out(), title, _table(description, entries))


def _table(description: Description, entries: list[JournalEntry]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("seq", justify="right", no_wrap=True)
    table.add_column("after", justify="right", no_wrap=True)
    table.add_column("record", no_wrap=True)
    table.add_column("", overflow="fold")
    for entry in entries:
        table.add_row(
            str(entry.seq),
            _after(entry.at, description.created_at),
            entry.type,
            Text(record_words(entry)),
        )
    return table


def _after(at: datetime | None, start: datetime) -> str:
    return "" if at is None else f"{(at - start).total_seconds():.3f} s"


def record_words(entry: JournalEntry) -> str:
    """Return what a record says, as `name=value` pairs on one line."""
    words: list[str] = []
    for name, value in entry.data.items():
        if value is None or value is False or name == "request_id":
            continue
        if name in ("call", "step"):
            words.append(_call_words(entry.type, value))
        else:
            words.append(f"{name}={_words(name, value)}")
    return " ".join(words)


def _call_words(record: str, number: int) -> str:
    """Return the call that a record is about; minus its number stands for its compensation."""
    undo = number < 0 or record in ("compensate", "compensated")
    return f"undo of call={abs(number)}" if undo else f"call={number}"


def _words(name: str, value: Any) -> str:
    if name == "error" and isinstance(value, dict) and "message" in value:
        return one_line(f"{value['type']}: {value['message']}")
    if isinstance(value, str) and value.isprintable() and " " not in value:
        return value
    return value_words(value)
