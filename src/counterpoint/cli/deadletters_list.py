"""`counterpoint deadletters list` and `groups`: what reactions gave up on."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from counterpoint.cli.deadletters_filters import find_cause, find_reaction, find_service
from counterpoint.cli.event_options import CauseOption, KeyOption, ReactionOption
from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import clean, hint, one_line, out, say, say_json, shorten, show_parts
from counterpoint.cli.target import open_client, resolve
from counterpoint.cli.times import now, relative
from counterpoint.runtime.dead_letters import DeadLetter, DeadLetterGroup

ERROR_CHARS_MAX = 120


def list_dead_letters(
    reaction: ReactionOption = None,
    service: Annotated[
        str | None,
        typer.Option("--service", metavar="NAME", help="Only those of a service's reactions."),
    ] = None,
    cause: CauseOption = None,
    key: KeyOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="N", help="At most so many.")
    ] = 20,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List dead letters: events that a reaction, or the start of a workflow, gave up on.

    With --json each is one line of JSON (JSON Lines).

    Example: counterpoint deadletters list --reaction payments.take_payment
    """
    target = resolve(app, store)

    async def find() -> list[DeadLetter]:
        found: list[DeadLetter] = []
        async with open_client(target) as client:
            async for letter in client.dead_letters(
                reaction=await find_reaction(client, target, reaction),
                service=await find_service(client, target, service),
                cause=await find_cause(client, target, cause),
                key=key,
            ):
                found.append(letter)
                if len(found) > limit:
                    break
        return found

    found = asyncio.run(find())
    if as_json:
        for letter in found[:limit]:
            say_json(plain(letter))
        return
    if found:
        show_parts(out(), _table(found[:limit], now()))
    else:
        say("no such dead letters")
    if len(found) > limit:
        hint(f"there are more: --limit {10 * limit} shows them", "dim")


def groups(app: AppOption = None, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Count dead letters by reaction and cause, the largest group first.

    With --json each group is one line of JSON (JSON Lines).

    Example: counterpoint deadletters groups --app shop:app
    """
    target = resolve(app, store)

    async def find() -> list[DeadLetterGroup]:
        async with open_client(target) as client:
            return await client.dead_letter_groups()

    found = asyncio.run(find())
    if as_json:
        for group in found:
            say_json(group)
    elif found:
        show_parts(out(), _groups(found, now()))
    else:
        say("no dead letters")


def plain(letter: DeadLetter) -> dict[str, Any]:
    """Return what a list says of a dead letter; its journal is left to `show`."""
    found: dict[str, Any] = msgspec.to_builtins(letter)
    del found["journal"]
    return found


def _table(found: list[DeadLetter], at: datetime) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", overflow="fold")
    table.add_column("key", overflow="fold")
    table.add_column("died", no_wrap=True)
    table.add_column("attempts", justify="right", no_wrap=True)
    table.add_column("behind", justify="right", no_wrap=True)
    table.add_column("error", overflow="fold")
    for letter in found:
        table.add_row(
            clean(letter.id),
            clean(letter.event.key),
            relative(letter.died_at, at),
            str(letter.attempts),
            f"{letter.behind:,}",
            shorten(one_line(f"{letter.cause}: {letter.message}"), ERROR_CHARS_MAX),
        )
    return table


def _groups(found: list[DeadLetterGroup], at: datetime) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("reaction", overflow="fold")
    table.add_column("cause", overflow="fold")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("first", no_wrap=True)
    table.add_column("last", no_wrap=True)
    for group in found:
        table.add_row(
            clean(group.reaction),
            clean(group.cause),
            f"{group.count:,}",
            relative(group.first_died_at, at),
            relative(group.last_died_at, at),
        )
    return table
