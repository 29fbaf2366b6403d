"""`counterpoint events replay`: delivers a part of the log to one reaction again."""

import asyncio
from typing import Annotated, TypeAlias

import typer

from counterpoint.cli.event_options import DoItOption, SubscriptionArgument
from counterpoint.cli.options import (
    ActorOption,
    AppOption,
    JsonOption,
    ReasonOption,
    StoreOption,
)
from counterpoint.cli.output import hint, say, say_json
from counterpoint.cli.posting import current_user, no_node, taken
from counterpoint.cli.target import open_client, resolve

FirstOption: TypeAlias = Annotated[
    int, typer.Option("--first", min=1, metavar="N", help="The first position of the range.")
]
LastOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--last",
        min=1,
        metavar="N",
        show_default=False,
        help="Its last position; default: where the log ends now.",
    ),
]


def replay(
    reaction: SubscriptionArgument,
    first: FirstOption,
    last: LastOption = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="Only events of this key.")
    ] = None,
    publish: Annotated[
        bool,
        typer.Option(
            "--publish", help="Publish what the reaction returns; without, it is dropped."
        ),
    ] = False,
    yes: DoItOption = False,
    actor: ActorOption = None,
    reason: ReasonOption = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deliver a range of the log to one reaction again.

    It says how many events these are, and acts with --yes. The replay has its own dead letters and
    idempotency keys, and the reaction can ask whether it is one (`activity.info().is_replay`).

    Example: counterpoint events replay search.index --first 1 --yes --app shop:app
    """
    target = resolve(app, store)
    who = actor or current_user()

    async def ask() -> tuple[int, bool]:
        async with open_client(target) as client:
            count = await client.replay_events(
                reaction,
                first=first,
                last=last,
                key=key,
                publish=publish,
                dry_run=not yes,
                actor=who,
                reason=reason,
            )
            return count, yes and await taken(client, reaction)

    count, by_node = asyncio.run(ask())
    if as_json:
        say_json({"reaction": reaction, "events": count, "dry_run": not yes, "taken": by_node})
    else:
        _say(reaction, count, yes=yes)
    if not yes:
        hint("nothing was done: pass --yes to do it")
    elif not by_node:
        hint(no_node(target))


def _say(reaction: str, count: int, *, yes: bool) -> None:
    what = "1 event" if count == 1 else f"{count:,} events"
    if yes:
        say(f"{reaction}: the replay of {what} is asked for")
    else:
        say(f"this would deliver {what} to {reaction} again")
