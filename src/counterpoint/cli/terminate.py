"""`counterpoint terminate`: ends an execution at once and says what it left."""

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
from counterpoint.cli.output import hint, say, say_json
from counterpoint.cli.posting import current_user, describe, no_node, taken
from counterpoint.cli.story_calls import left_words
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.where import SinceOption, UntilOption, WhereOption
from counterpoint.model.states import LIVE, Status
from counterpoint.runtime.description import Description


def terminate(
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
    """End an execution at once, and its children; nothing is undone.

    It says afterwards what was left: calls that happened, or may have, and that something would
    have undone. To undo them, use cancel instead.
    With --where it is about many, by default all that have not ended: it says which, and acts with
    --yes. Children of a chosen one end with it and get no request of their own.

    Example: counterpoint terminate order-7 --reason "undone by hand" --app shop:app
    """
    chosen = choose(
        *(execution_id, where, since, until), yes=yes, rate=rate, limit=limit, as_json=as_json
    )
    target = resolve(app, store)
    who = actor or current_user()
    asyncio.run(_terminate(target, chosen, who, reason, as_json=as_json))


async def _terminate(
    target: Target, chosen: str | Batch, actor: str | None, reason: str | None, *, as_json: bool
) -> None:
    async with open_client(target) as client:
        if isinstance(chosen, Batch):
            await act_on_many(
                client,
                target,
                chosen,
                "terminate",
                lambda execution: execution.terminate(actor=actor, reason=reason),
                statuses=sorted(LIVE),
                families=True,
            )
            return
        await describe(client, chosen)
        await client.execution(chosen).terminate(actor=actor, reason=reason)
        by_node = await taken(client, chosen)
        after = await describe(client, chosen)
    _say(target, after, taken=by_node, as_json=as_json)


def _say(target: Target, after: Description, *, taken: bool, as_json: bool) -> None:
    left = [call for call in after.calls if call.call in after.left]
    if as_json:
        say_json({"id": after.id, "taken": taken, "status": after.status, "left": left})
    elif after.status is Status.TERMINATED:
        say(f"{after.id}: it is terminated" + ("" if left else "; nothing is left to look after"))
        for line in left_words(after):
            say(f"  {line}")
        if left:
            hint("nothing undoes these: look after each by hand")
    else:
        say(f"{after.id}: the request to terminate is sent")
    if not taken:
        hint(no_node(target))
