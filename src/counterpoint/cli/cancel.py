"""`counterpoint cancel`: asks an execution to stop."""

import asyncio

from counterpoint.cli.batch import (
    Batch,
    ManyOption,
    RateOption,
    YesOption,
    act_on_many,
    choose,
)
from counterpoint.cli.options import (
    ActorOption,
    AppOption,
    JsonOption,
    OptionalIdArgument,
    ReasonOption,
    StoreOption,
)
from counterpoint.cli.posting import current_user, describe, report
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.where import SinceOption, UntilOption, WhereOption
from counterpoint.model.states import Status


def cancel(
    execution_id: OptionalIdArgument = None,
    where: WhereOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: YesOption = False,
    rate: RateOption = None,
    limit: ManyOption = None,
    actor: ActorOption = None,
    reason: ReasonOption = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask an execution to stop; a saga undoes what it did and ends cancelled.

    With --where it is about many, by default those that run and incidents: it says which, and acts
    with --yes. Children of a chosen one end with it and get no request of their own.

    Example: counterpoint cancel order-7 --reason "the customer called" --app shop:app
    """
    chosen = choose(
        *(execution_id, where, since, until), yes=yes, rate=rate, limit=limit, as_json=as_json
    )
    target = resolve(app, store)
    who = actor or current_user()
    asyncio.run(_cancel(target, chosen, who, reason, as_json=as_json))


async def _cancel(
    target: Target, chosen: str | Batch, actor: str | None, reason: str | None, *, as_json: bool
) -> None:
    async with open_client(target) as client:
        if isinstance(chosen, Batch):
            await act_on_many(
                client,
                target,
                chosen,
                "cancel",
                lambda execution: execution.cancel(actor=actor, reason=reason),
                statuses=(Status.RUNNING, Status.INCIDENT),
                families=True,
            )
            return
        await describe(client, chosen)
        await client.execution(chosen).cancel(actor=actor, reason=reason)
        done = "the request to cancel is sent"
        await report(client, target, chosen, done, as_json=as_json)
