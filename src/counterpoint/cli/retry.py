"""`counterpoint retry`: tries again at once what stopped or failed an execution."""

import asyncio

from counterpoint.cli.batch import (
    Batch,
    ManyOption,
    RateOption,
    YesOption,
    act_on_many,
    choose,
)
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.options import (
    ActorOption,
    AppOption,
    JsonOption,
    OptionalIdArgument,
    ReasonOption,
    StoreOption,
)
from counterpoint.cli.output import say, say_json
from counterpoint.cli.posting import current_user, describe, report
from counterpoint.cli.story_incidents import solutions
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.where import SinceOption, UntilOption, WhereOption
from counterpoint.errors import ExecutionRefusedError
from counterpoint.model.states import Status
from counterpoint.runtime.description import Description


def retry(
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
    """Try again at once what stopped an incident, failed a workflow, or waits for its next attempt.

    It goes on with today's code, with new attempts and the same idempotency keys.
    With --where it is about many, by default incidents and what failed: it says which, and acts
    with --yes.

    Example: counterpoint retry order-7 --reason "the provider is back" --app shop:app
    """
    chosen = choose(
        *(execution_id, where, since, until), yes=yes, rate=rate, limit=limit, as_json=as_json
    )
    if isinstance(chosen, Batch) and Status.COMPLETED in chosen.where.statuses:
        raise CommandError("completed executions have nothing to retry: leave status=completed out")
    target = resolve(app, store)
    who = actor or current_user()
    asyncio.run(_retry(target, chosen, who, reason, as_json=as_json))


async def _retry(
    target: Target, chosen: str | Batch, actor: str | None, reason: str | None, *, as_json: bool
) -> None:
    async with open_client(target) as client:
        if isinstance(chosen, Batch):
            await act_on_many(
                client,
                target,
                chosen,
                "retry",
                lambda execution: execution.retry(actor=actor, reason=reason),
                statuses=(Status.INCIDENT, Status.FAILED),
            )
            return
        description = await describe(client, chosen)
        try:
            await client.execution(chosen).retry(actor=actor, reason=reason)
        except ExecutionRefusedError as error:
            raise _with_commands(error, description, target) from error
        if description.status is not Status.COMPLETED:
            done = "the request to retry is sent"
            await report(client, target, chosen, done, as_json=as_json)
        elif as_json:
            say_json({"id": chosen, "taken": True})
        else:
            say(f"{chosen}: it is completed, there is nothing to retry")


def _with_commands(
    error: ExecutionRefusedError, description: Description, target: Target
) -> ExecutionRefusedError | CommandError:
    """Return the refusal with the commands that take the place of a retry, where there are some."""
    found = [
        f"{when}: {command}{target.options}"
        for incident in description.incidents
        for when, command in solutions(description, incident)
        if description.status is Status.INCIDENT
    ]
    if not found:
        return error
    words = "another try could do it twice, so a person has to say what became of it"
    return CommandError(f"{description.id}: {words}; {'; '.join(found)}", Exit.FAILED)
