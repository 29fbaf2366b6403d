"""`counterpoint retry`: tries again at once what stopped or failed an execution."""

import asyncio

from counterpoint.cli.options import (
    ActorOption,
    AppOption,
    IdArgument,
    JsonOption,
    ReasonOption,
    StoreOption,
)
from counterpoint.cli.output import say, say_json
from counterpoint.cli.posting import current_user, describe, report
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.model.states import Status


def retry(
    execution_id: IdArgument,
    actor: ActorOption = None,
    reason: ReasonOption = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try again at once what stopped an incident, failed a workflow, or waits for its next attempt.

    It goes on with today's code, with new attempts and the same idempotency keys.

    Example: counterpoint retry order-7 --reason "the provider is back" --app shop:app
    """
    target = resolve(app, store)
    who = actor or current_user()
    asyncio.run(_retry(target, execution_id, who, reason, as_json=as_json))


async def _retry(
    target: Target, execution_id: str, actor: str | None, reason: str | None, *, as_json: bool
) -> None:
    async with open_client(target) as client:
        description = await describe(client, execution_id)
        await client.execution(execution_id).retry(actor=actor, reason=reason)
        if description.status is not Status.COMPLETED:
            done = "the request to retry is sent"
            await report(client, target, execution_id, done, as_json=as_json)
        elif as_json:
            say_json({"id": execution_id, "taken": True})
        else:
            say(f"{execution_id}: it is completed, there is nothing to retry")
