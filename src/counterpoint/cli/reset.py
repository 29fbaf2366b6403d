"""`counterpoint reset`: begins a new run of an execution from a part of its journal."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import typer

from counterpoint.cli.batch import (
    Batch,
    ManyOption,
    RateOption,
    Refusal,
    Task,
    act_on_each,
    choose,
    find_many,
)
from counterpoint.cli.failures import CommandError
from counterpoint.cli.options import (
    ActorOption,
    AppOption,
    JsonOption,
    OptionalIdArgument,
    ReasonOption,
    StoreOption,
)
from counterpoint.cli.output import clean, hint, say, say_json
from counterpoint.cli.posting import current_user, describe, no_node, taken
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.where import SinceOption, UntilOption, WhereOption
from counterpoint.errors import (
    ExecutionNotFoundError,
    ExecutionRefusedError,
    StoreCorruptError,
)
from counterpoint.model.states import LIVE, Status
from counterpoint.runtime.client import Client
from counterpoint.runtime.handle import Execution, ResetReport

_ENDED = tuple(status for status in Status if status not in LIVE and status != Status.CONTINUED)
CALLS_SHOWN = 5
"""Calls of one execution that a dry run of many names."""

ToOption: TypeAlias = Annotated[
    int,
    typer.Option(
        "--to",
        min=1,
        metavar="SEQ",
        help="The last record that is kept, by its number in `counterpoint journal ID`.",
    ),
]
DoItOption: TypeAlias = Annotated[
    bool,
    typer.Option("--yes", help="Do it; without, only say what would happen again."),
]


def reset(
    to: ToOption,
    execution_id: OptionalIdArgument = None,
    where: WhereOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: DoItOption = False,
    rate: RateOption = None,
    limit: ManyOption = None,
    actor: ActorOption = None,
    reason: ReasonOption = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Begin a new run of an execution that has ended, from the first records of its journal.

    What came later runs again, under new idempotency keys: the command lists the calls that had
    happened already and will happen again, and acts with --yes. Signals are kept and read again,
    so nobody is asked again. What was compensated, and an execution that has not ended, are
    refused.
    With --where it is about many, by default all that have ended.

    Example: counterpoint reset order-7 --to 4 --reason "wrong price" --yes --app shop:app
    """
    target = resolve(app, store)
    who = actor or current_user()
    if execution_id is not None:
        choose(
            *(execution_id, where, since, until),
            yes=False,
            rate=rate,
            limit=limit,
            as_json=as_json,
        )
        asyncio.run(_one(target, execution_id, to, who, reason, yes=yes, as_json=as_json))
        return
    chosen = choose(*(None, where, since, until), yes=yes, rate=rate, limit=limit, as_json=as_json)
    if isinstance(chosen, Batch):
        asyncio.run(_many(target, chosen, to, who, reason))


async def _one(
    target: Target,
    execution_id: str,
    to: int,
    actor: str | None,
    reason: str | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    async with open_client(target) as client:
        execution = client.execution(execution_id)
        await _check_ended(client, execution_id)
        report = await execution.reset(to=to, dry_run=not yes, actor=actor, reason=reason)
        by_node = yes and await taken(client, execution_id)
        began = by_node and (await execution.describe()).run == report.run
    if as_json:
        say_json(
            {
                "id": execution_id,
                "run": report.run,
                "to": to,
                "dry_run": not yes,
                "taken": by_node,
                "happened": report.happened,
                "kept_signals": report.kept_signals,
            }
        )
    else:
        _say(report, yes=yes)
    if not yes:
        hint("nothing was done: pass --yes to do it")
    elif not by_node:
        hint(no_node(target))
    elif not began:
        hint("the node did not begin it: its log says why")
        raise typer.Exit(1)


async def _check_ended(client: Client, execution_id: str) -> None:
    status = (await describe(client, execution_id)).status
    if status.live:
        raise ExecutionRefusedError(
            execution_id,
            f"it has not ended ({status}), and only what has is reset: end it first, with "
            f"counterpoint cancel {execution_id} (a saga is undone then), or "
            f"counterpoint terminate {execution_id} (nothing is undone)",
        )


def _say(report: ResetReport, *, yes: bool) -> None:
    will = "begins" if yes else "would begin"
    say(f"{report.id}: run {report.run} {will} from record {report.to}")
    if report.happened:
        say("these had happened, or may have, and happen again under new idempotency keys:")
        for line in _again(report):
            say(f"  {line}")
    else:
        say("nothing that had happened happens again")
    for line in _kept(report):
        say(line)


def _again(report: ResetReport) -> list[str]:
    return [
        f"call {call.call}, {clean(call.name)}: {call.state}"
        + (", its outcome is unknown" if call.outcome_unknown else "")
        for call in report.happened
    ]


def _kept(report: ResetReport) -> list[str]:
    return [
        f"the signal {clean(name)!r} is kept and will be read again"
        if count == 1
        else f"the {count:,} signals {clean(name)!r} are kept and will be read again"
        for name, count in Counter(report.kept_signals).items()
    ]


def _label(report: ResetReport) -> str:
    """Return what a dry run of many says of one."""
    count = len(report.happened)
    again = f"{count} calls happen" if count != 1 else "1 call happens"
    lines = [f"{report.id}: {again} again", *_again(report)[:CALLS_SHOWN]]
    if count > CALLS_SHOWN:
        lines.append(f"and {count - CALLS_SHOWN:,} more")
    return "\n    ".join([*lines, *_kept(report)])


async def _many(
    target: Target, batch: Batch, to: int, actor: str | None, reason: str | None
) -> None:
    statuses: Sequence[Status] = _ENDED
    if any(status.live for status in batch.where.statuses):
        raise CommandError("only what has ended is reset: leave live statuses out of --where")

    async def act(execution: Execution[Any]) -> None:
        await execution.reset(to=to, actor=actor, reason=reason)

    async with open_client(target) as client:
        ids, report = await find_many(client, batch, statuses)
        tasks: list[Task] = []
        for execution_id in ids:
            try:
                found = await client.execution(execution_id).reset(to=to, dry_run=True)
            except (ExecutionRefusedError, ExecutionNotFoundError, StoreCorruptError) as error:
                why = error.reason if isinstance(error, ExecutionRefusedError) else str(error)
                report.refused.append(Refusal(execution_id, why))
                continue
            tasks.append(Task(execution_id, act, _label(found)))
        await act_on_each(client, target, batch, "reset", tasks, report)
