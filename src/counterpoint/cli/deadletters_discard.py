"""`counterpoint deadletters discard`: says that a dead letter does not matter."""

import asyncio
from typing import Annotated

import typer

from counterpoint.cli.event_options import DeadLetterArgument
from counterpoint.cli.options import ActorOption, AppOption, JsonOption, StoreOption
from counterpoint.cli.posting import current_user, report
from counterpoint.cli.target import open_client, resolve


def discard(
    id: DeadLetterArgument,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for the journal; needed.")
    ],
    actor: ActorOption = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that a dead letter does not matter: what waits behind it goes on.

    The event stays in the log, and who discarded it in the journal.

    Example: counterpoint deadletters discard ID --reason "ordered twice" --app shop:app
    """
    target = resolve(app, store)
    who = actor or current_user()

    async def ask() -> None:
        async with open_client(target) as client:
            await client.discard(id, reason=reason, actor=who)
            done = "the request to discard it is sent"
            await report(client, target, id, done, as_json=as_json)

    asyncio.run(ask())
