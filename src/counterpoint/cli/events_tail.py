"""`counterpoint events tail`: writes events as they come into the log."""

import asyncio
import contextlib
from typing import Annotated

import typer

from counterpoint.cli.event_options import CorrelationOption, KeyOption, TypeOption
from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import say, say_json, value_words
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.times import absolute
from counterpoint.runtime.client import Client
from counterpoint.runtime.event_log import PublishedEvent

POLL_SECONDS = 0.2
DATA_CHARS_MAX = 200


def tail(
    type: TypeOption = None,
    key: KeyOption = None,
    correlation: CorrelationOption = None,
    after: Annotated[
        int | None,
        typer.Option(
            "--after",
            min=0,
            metavar="N",
            show_default=False,
            help="Begin above this position; 0 is the whole log. Default: what comes from now on.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=1, metavar="N", show_default=False, help="End after so many events."
        ),
    ] = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write events as they come into the log, until Ctrl-C.

    With --json each event is one line of JSON (JSON Lines).

    Example: counterpoint events tail --type orders.OrderPlaced --app shop:app
    """
    wanted = (type, key, correlation)
    asyncio.run(_tail(resolve(app, store), wanted, after, limit, as_json=as_json))


async def _tail(
    target: Target,
    wanted: tuple[str | None, str | None, str | None],
    after: int | None,
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    type, key, correlation = wanted
    left = limit
    async with open_client(target) as client:
        with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is how it usually ends
            position = await _end(client) if after is None else after
            while True:
                end = await _end(client)
                found = client.events(
                    type=type,
                    key=key,
                    correlation_id=correlation,
                    after=position,
                    until=end,
                    limit=left,
                )
                async for event in found:
                    _say(event, as_json=as_json)
                    left = None if left is None else left - 1
                if left == 0:
                    return
                position = max(position, end)
                await asyncio.sleep(POLL_SECONDS)


async def _end(client: Client) -> int:
    """Return the position of the newest event."""
    async for event in client.events(newest_first=True, limit=1):
        return event.position
    return 0


def _say(event: PublishedEvent, *, as_json: bool) -> None:
    if as_json:
        say_json(event)
        return
    when = absolute(event.recorded_at, event.recorded_at)
    data = value_words(event.data, DATA_CHARS_MAX)
    say(f"{event.position}  {when}  {event.type}  {event.key}  {data}")
