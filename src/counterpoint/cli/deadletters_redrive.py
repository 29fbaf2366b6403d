"""`counterpoint deadletters redrive`: lets reactions try dead letters again."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from counterpoint.cli.batch import IDS_SHOWN, RATE, Act, Batch, Report, Task, act_on_each
from counterpoint.cli.deadletters_filters import find_cause, find_reaction
from counterpoint.cli.event_options import (
    CauseOption,
    OptionalDeadLetterArgument,
    ReactionOption,
)
from counterpoint.cli.failures import CommandError
from counterpoint.cli.options import (
    ActorOption,
    AppOption,
    JsonOption,
    ReasonOption,
    StoreOption,
)
from counterpoint.cli.posting import current_user, report
from counterpoint.cli.target import Target, open_client, required, resolve
from counterpoint.cli.where import Where
from counterpoint.runtime.client import Client


def redrive(
    id: OptionalDeadLetterArgument = None,
    edit: Annotated[
        str | None,
        typer.Option(
            "--edit",
            metavar="FILE",
            help="A file with data, as JSON, that the reaction gets in the place of the event's; "
            "- for stdin. It has to fit the contract, and needs --app.",
        ),
    ] = None,
    reaction: ReactionOption = None,
    cause: CauseOption = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="With --reaction: do it; without, only say what would be done."),
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            min=0.01,
            metavar="N",
            show_default=False,
            help=f"With --reaction: at most so many a second; default {RATE:g}.",
        ),
    ] = None,
    actor: ActorOption = None,
    reason: ReasonOption = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a reaction try a dead letter again, with new attempts; what waits behind it follows.

    With --reaction, and --cause if you like, it is about many: it says which, and acts with --yes.

    Example: counterpoint deadletters redrive --reaction payments.take_payment --yes --app shop:app
    """
    who = (actor or current_user(), reason)
    if id is None:
        if reaction is None:
            raise CommandError("name an ID, or choose dead letters with --reaction NAME")
        if edit is not None:
            raise CommandError("--edit is for one ID: other data fits one event")
        batch = Batch(Where(), yes, rate or RATE, None, as_json, noun="dead letter")
        asyncio.run(_many(resolve(app, store), batch, reaction, cause, who))
        return
    if reaction is not None or cause is not None:
        raise CommandError("an ID and --reaction or --cause exclude each other")
    if yes or rate is not None:
        raise CommandError("--yes and --rate are for --reaction, not for one ID")
    target = resolve(app, store) if edit is None else required(app, store)
    data = None if edit is None else _read(edit)
    asyncio.run(_one(target, id, data, who, as_json=as_json))


def _read(name: str) -> Any:
    """Return the data that `--edit` names.

    Raises:
        CommandError: it cannot be read, or is no JSON.
    """
    try:
        body = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CommandError(f"--edit {name}: {error.strerror}") from error
    try:
        data: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CommandError(f"--edit {name} is not JSON: {error}") from None
    if data is None:
        raise CommandError(f"--edit {name} is null, which is the data of no event")
    return data


async def _one(
    target: Target, id: str, data: Any, who: tuple[str | None, str | None], *, as_json: bool
) -> None:
    actor, reason = who
    async with open_client(target) as client:
        await client.redrive(id, data=data, actor=actor, reason=reason)
        edited = "" if data is None else " with other data"
        done = f"the request to redrive it{edited} is sent"
        await report(client, target, id, done, as_json=as_json)


async def _many(
    target: Target,
    batch: Batch,
    reaction: str,
    cause: str | None,
    who: tuple[str | None, str | None],
) -> None:
    async with open_client(target) as client:
        found = client.dead_letters(
            reaction=await find_reaction(client, target, reaction),
            cause=await find_cause(client, target, cause),
        )
        act = _act(client, *who)
        tasks = [Task(letter.id, act, letter.id) async for letter in found]
        counted = Report(dry_run=not batch.yes, matched=len(tasks))
        counted.ids = [task.id for task in tasks[:IDS_SHOWN]]
        await act_on_each(client, target, batch, "redrive", tasks, counted)


def _act(client: Client, actor: str | None, reason: str | None) -> Act:
    return lambda execution: client.redrive(execution.id, actor=actor, reason=reason)
