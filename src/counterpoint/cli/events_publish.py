"""`counterpoint events publish`: publishes an event from elsewhere, or one of the app's own."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from counterpoint.authoring.event import Contract, Event
from counterpoint.cli.completion import complete_types
from counterpoint.cli.event_options import find_type
from counterpoint.cli.failures import CommandError, user_input
from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import hint, say, say_json
from counterpoint.cli.posting import no_node, taken
from counterpoint.cli.target import Target, open_client, required
from counterpoint.runtime.mail import EVENTS


def publish(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|TYPE",
            show_default=False,
            help="A file with a CloudEvent as JSON, or - for stdin; with DATA the type of an event "
            "of the app, or its last part where that is clear.",
            autocompletion=complete_types,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA", show_default=False, help="The event's data, as a JSON object."
        ),
    ] = None,
    id: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="ID", help="The id of the event; the same id again is the same event."
        ),
    ] = None,
    correlation: Annotated[
        str | None, typer.Option("--correlation", metavar="ID", help="The flow that it belongs to.")
    ] = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish an event: a CloudEvent 1.0 as JSON, or a type of the app and its data.

    It is checked against the contract that the app declares, and durable when the command returns.

    Example: counterpoint events publish orders.OrderPlaced '{"order_id": "7"}' --app shop:app
    """
    target = required(app, store)
    if data is None:
        if id is not None or correlation is not None:
            raise CommandError(
                "--id and --correlation are for TYPE and DATA: a CloudEvent has both"
            )
        asyncio.run(_publish_whole(target, _read(what), as_json=as_json))
        return
    contracts = target.app.registry.contracts
    contract = contracts[find_type(contracts, what, str(target.name))]
    event = _event(contract, data)
    asyncio.run(_publish(target, contract, event, id, correlation, as_json=as_json))


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise CommandError(
            f"{name}: {error.strerror}: name a file with a CloudEvent, or - for stdin; or a TYPE "
            "with its DATA"
        ) from error


def _event(contract: Contract, data: str) -> Event:
    """Return the event that the data is today.

    Raises:
        CommandError: it is no JSON.
        InvalidEventError: it does not validate; names the fields.
    """
    try:
        raw = msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CommandError(f"the data of {contract.type} is not JSON: {error}") from None
    with user_input(contract.type):
        event: Event = contract.decode(bytes(raw), contract.version)
    return event


async def _publish_whole(target: Target, body: bytes, *, as_json: bool) -> None:
    async with open_client(target) as client:
        await client.publish_cloudevent(body)
        by_node = await taken(client, EVENTS)
    event: dict[str, Any] = json.loads(body)
    facts = {name: event[name] for name in ("id", "source", "type")}
    _say(target, facts, by_node=by_node, as_json=as_json)


async def _publish(
    target: Target,
    contract: Contract,
    event: Event,
    id: str | None,
    correlation: str | None,
    *,
    as_json: bool,
) -> None:
    async with open_client(target) as client:
        (event_id,) = await client.publish(event, id=id, correlation_id=correlation)
        by_node = await taken(client, EVENTS)
    facts = {"id": event_id, "source": contract.service, "type": contract.type}
    _say(target, facts, by_node=by_node, as_json=as_json)


def _say(target: Target, facts: dict[str, Any], *, by_node: bool, as_json: bool) -> None:
    if as_json:
        say_json({**facts, "taken": by_node})
    else:
        done = "is published" if by_node else "is stored"
        say(f"{facts['source']}/{facts['id']}: {facts['type']} {done}")
    if not by_node:
        hint(no_node(target))
