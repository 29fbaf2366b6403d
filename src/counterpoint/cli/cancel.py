"""`counterpoint cancel`: asks an execution to stop."""

import asyncio

from counterpoint.cli.options import (
    ActorOption,
    AppOption,
    IdArgument,
    JsonOption,
    ReasonOption,
    StoreOption,
)
from counterpoint.cli.posting import current_user, describe, report
from counterpoint.cli.target import Target, open_client, resolve


def cancel(
    execution_id: IdArgument,
    actor: ActorOption = None,
    reason: ReasonOption = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask an execution to stop; a saga undoes what it did and ends cancelled.

    Example: counterpoint cancel order-7 --reason "the customer called" --app shop:app
    """
    target = resolve(app, store)
    who = actor or current_user()
    asyncio.run(_cancel(target, execution_id, who, reason, as_json=as_json))


async def _cancel(
    target: Target, execution_id: str, actor: str | None, reason: str | None, *, as_json: bool
) -> None:
    async with open_client(target) as client:
        await describe(client, execution_id)
        await client.execution(execution_id).cancel(actor=actor, reason=reason)
        done = "the request to cancel is sent"
        await report(client, target, execution_id, done, as_json=as_json)
