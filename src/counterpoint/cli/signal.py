"""`counterpoint signal`: hands a value to an execution."""

import asyncio
from typing import Annotated

import msgspec
import typer

from counterpoint.cli.arguments import read_value
from counterpoint.cli.completion import complete_signals
from counterpoint.cli.options import AppOption, IdArgument, JsonOption, StoreOption
from counterpoint.cli.output import clean, hint
from counterpoint.cli.posting import describe, report
from counterpoint.cli.target import Target, open_client, resolve


def signal(
    execution_id: IdArgument,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            show_default=False,
            help="The name that the workflow waits for with workflow.signal(name).",
            autocompletion=complete_signals,
        ),
    ],
    value: Annotated[
        str,
        typer.Argument(
            metavar="JSON", help="The value; text that cannot be JSON stands for itself."
        ),
    ] = "null",
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand a value to an execution under a name.

    It is kept until the workflow reads it, so it may come before the workflow waits for it. If the
    workflow waits for others only, the command says so: it may be misspelt.

    Example: counterpoint signal order-7 approved '{"by": "Ada"}' --app shop:app
    """
    target = resolve(app, store)
    plain: object = msgspec.json.decode(read_value(value, "the value"))
    asyncio.run(_signal(target, execution_id, name, plain, as_json=as_json))


async def _signal(
    target: Target, execution_id: str, name: str, value: object, *, as_json: bool
) -> None:
    async with open_client(target) as client:
        awaited = (await describe(client, execution_id)).awaited_signals
        await client.execution(execution_id).signal(name, value)
        done = f"the signal {name!r} is sent"
        await report(client, target, execution_id, done, as_json=as_json)
        if awaited and name not in awaited:
            others = ", ".join(repr(clean(other)) for other in dict.fromkeys(awaited))
            which = f"{others}, not {clean(name)!r}"
            hint(f"{execution_id} waits for {which}; it is kept until it is read")
