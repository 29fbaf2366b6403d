"""`counterpoint events list`: shows events of the log."""

import asyncio
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from counterpoint.cli.event_options import (
    CorrelationOption,
    EventsSinceOption,
    KeyOption,
    TypeOption,
    find_type,
)
from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import clean, hint, out, say, say_json, show_parts, value_words
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.times import now, parse_since, relative
from counterpoint.runtime.client import Client
from counterpoint.runtime.event_log import PublishedEvent

DATA_CHARS_MAX = 200


def list_events(
    type: TypeOption = None,
    key: KeyOption = None,
    correlation: CorrelationOption = None,
    since: EventsSinceOption = None,
    after: Annotated[
        int, typer.Option("--after", min=0, metavar="N", help="Only those above this position.")
    ] = 0,
    until: Annotated[
        int | None,
        typer.Option("--until", min=0, metavar="N", help="Only those up to this position."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="N", help="At most so many.")
    ] = 20,
    oldest_first: Annotated[
        bool, typer.Option("--oldest-first", help="In the order of the log; default: newest first.")
    ] = False,
    data: Annotated[bool, typer.Option("--data", help="Show the data too.")] = False,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List events of the log, newest first.

    With --json each event is one line of JSON (JSON Lines), with its data.

    Example: counterpoint events list --type orders.OrderPlaced --since 2h
    """
    target = resolve(app, store)
    moment = None if since is None else parse_since(since, now())

    async def find() -> list[PublishedEvent]:
        async with open_client(target) as client:
            found = client.events(
                type=None if type is None else await _type(client, target, type),
                key=key,
                correlation_id=correlation,
                since=moment,
                after=after,
                until=until,
                newest_first=not oldest_first,
                limit=limit + 1,
            )
            return [event async for event in found]

    found = asyncio.run(find())
    if as_json:
        for event in found[:limit]:
            say_json(event)
        return
    if found:
        show_parts(out(), _table(found[:limit], now(), data=data))
    else:
        say("no such events")
    if len(found) > limit:
        hint(f"there are more: --limit {10 * limit} shows them", "dim")


async def _type(client: Client, target: Target, name: str) -> str:
    """Return the full name of a type that has a contract, or events in the log.

    Raises:
        CommandError: there is none, or several.
    """
    async for _event in client.events(type=name, limit=1):
        return name
    known = [one.type for one in await client.contracts()]
    return find_type(known, name, target.name or "the store")


def _table(found: list[PublishedEvent], at: datetime, *, data: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("position", justify="right", no_wrap=True)
    table.add_column("type", overflow="fold")
    table.add_column("version", justify="right", no_wrap=True)
    table.add_column("key", overflow="fold")
    table.add_column("recorded", no_wrap=True)
    table.add_column("id", overflow="fold")
    if data:
        table.add_column("data", overflow="fold")
    for event in found:
        table.add_row(
            str(event.position),
            clean(event.type),
            str(event.version),
            clean(event.key),
            relative(event.recorded_at, at),
            clean(f"{event.source}/{event.id}"),
            *([value_words(event.data, DATA_CHARS_MAX)] if data else []),
        )
    return table
