"""`counterpoint deadletters show`: what a reaction gave up on, why, and what waits behind it."""

import asyncio
import json
import shlex
from datetime import datetime

from counterpoint.cli.event_options import DeadLetterArgument
from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import hint, one_line, say, say_json
from counterpoint.cli.posting import posted_requests
from counterpoint.cli.raised import where
from counterpoint.cli.target import open_client, resolve
from counterpoint.cli.times import both, now
from counterpoint.errors import ExecutionNotFoundError, ExecutionRefusedError
from counterpoint.runtime.client import Client, PostedRequest
from counterpoint.runtime.dead_letters import DeadLetter
from counterpoint.runtime.description import JournalEntry


def show(
    id: DeadLetterArgument,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a dead letter: the event and its data, the error, the attempts, and what waits for it.

    Example: counterpoint deadletters show payments.take_payment:orders/01k… --app shop:app
    """
    target = resolve(app, store)

    async def find() -> tuple[DeadLetter, list[PostedRequest]]:
        async with open_client(target) as client:
            return await _dead_letter(client, id), await posted_requests(client, id)

    letter, posted = asyncio.run(find())
    if as_json:
        say_json(letter)
        return
    for line in _lines(letter, now()):
        say(line)
    for request in posted:
        hint(f"a {request.kind} waits for a node ({target.run_command})")


async def _dead_letter(client: Client, id: str) -> DeadLetter:
    """Return a dead letter.

    Raises:
        ExecutionNotFoundError, ExecutionRefusedError: it is none; says what to look at instead.
    """
    try:
        return await client.dead_letter(id)
    except ExecutionNotFoundError as error:
        error.args = (f"{error.args[0]}: counterpoint deadletters list has the dead letters",)
        raise
    except ExecutionRefusedError as error:
        advice = f"counterpoint flow {shlex.quote(id)} shows what it is part of"
        error.args = (f"{error.args[0]}; {advice}",)
        raise


def _lines(letter: DeadLetter, at: datetime) -> list[str]:
    event = letter.event
    attempts = "1 attempt" if letter.attempts == 1 else f"{letter.attempts} attempts"
    lines = [
        f"{letter.id}  died {both(letter.died_at, at)}, after {attempts}",
        f"event   {event.type} version {event.version}, position {event.position}, from "
        f"{event.source}",
        f"key     {event.key}{f' (lane {letter.lane})' if letter.lane else ''}",
        f"flow    {letter.correlation_id}",
        f"behind  {_behind(letter.behind)}",
        f"error   {letter.cause}: {letter.message}",
        "data",
        *_indented(json.dumps(letter.data, indent=2, ensure_ascii=False)),
        "history",
        *(f"  {_entry(entry, at)}" for entry in letter.journal),
    ]
    if letter.traceback:
        lines += ["traceback", *_indented(letter.traceback)]
    return lines


def _behind(count: int) -> str:
    if not count:
        return "no other event waits for it"
    return "1 event waits behind it" if count == 1 else f"{count:,} events wait behind it"


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.rstrip("\n").split("\n")]


def _entry(entry: JournalEntry, at: datetime) -> str:
    """Return a record of its journal on one line."""
    when = "" if entry.at is None else f"{both(entry.at, at)}: "
    data = entry.data
    if entry.type == "attempt-failed":
        return f"{when}attempt {data['attempt']} failed: {_error(data['error'])}"
    if entry.type == "attempt-lost":
        return f"{when}attempt {data['attempt']}: the node died while it ran"
    if entry.type == "died":
        return f"{when}given up: {_error(data['error'])}"
    who = f" by {data['actor']}" if data.get("actor") else ""
    why = f": {data['reason']}" if data.get("reason") else ""
    edited = " with other data" if data.get("data") is not None else ""
    return one_line(f"{when}{entry.type}{edited}{who}{why}")


def _error(error: dict[str, str | None]) -> str:
    return one_line(f"{error['type']}: {error['message']}{where(error['traceback'])}")
