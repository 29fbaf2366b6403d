"""`counterpoint start`: starts an execution beside a running node, or for the next one."""

import asyncio
import contextlib
import json
from typing import Annotated

import typer

from counterpoint.authoring.registry import AnyWorkflow
from counterpoint.cli.arguments import find_workflow, read_arguments
from counterpoint.cli.completion import complete_workflows
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import hint, say, say_json, value_words
from counterpoint.cli.posting import describe, no_node, stored_start, taken
from counterpoint.cli.story import error_words
from counterpoint.cli.target import Target, open_client, required
from counterpoint.errors import ExecutionExistsError, ExecutionFailed, ExecutionNotFoundError
from counterpoint.model.states import Status
from counterpoint.runtime.client import Client
from counterpoint.runtime.handle import Execution


def start(
    workflow: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW",
            show_default=False,
            help="The workflow, such as orders.place_order; its last part does where it is clear.",
            autocompletion=complete_workflows,
        ),
    ],
    args: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ARG",
            show_default=False,
            help="Its arguments in order, each a JSON value, or NAME=VALUE by parameter name; "
            "what cannot be JSON, or what a parameter only takes as text, stands for itself.",
        ),
    ] = None,
    json_args: Annotated[
        str | None,
        typer.Option(
            "--json-args",
            metavar="JSON",
            help="All arguments as a JSON object by name, or a list; "
            "- reads them from stdin, @FILE from a file.",
        ),
    ] = None,
    id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help="The id of the execution; the same id again is the same execution.",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result and write it.")] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", min=0, metavar="SECONDS", help="Wait no longer than this many seconds."
        ),
    ] = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start an execution of a workflow.

    The start is durable when the command returns. It works beside a running node, which takes the
    execution at once; without one, the next node that runs takes it.

    Example: counterpoint start orders.place_order '{"id": "7"}' --app shop:app --wait
    """
    if timeout is not None and not wait:
        raise CommandError("--timeout bounds --wait: pass both")
    target = required(app, store)
    found = find_workflow(target, workflow)
    arguments = read_arguments(found, args or [], json_args)
    asyncio.run(_start(target, found, arguments, id, (wait, timeout), as_json=as_json))


async def _start(
    target: Target,
    workflow: AnyWorkflow,
    arguments: list[object],
    execution_id: str | None,
    waiting: tuple[bool, float | None],
    *,
    as_json: bool,
) -> None:
    async with open_client(target) as client:
        execution, existed = await _begin(client, workflow, arguments, execution_id)
        by_node = await taken(client, execution.id)
        wait, timeout = waiting
        if not wait:
            _say_started(execution.id, workflow.name, existed, by_node, as_json=as_json)
        if not by_node:
            hint(no_node(target))
        if wait:
            await _wait(client, execution, timeout, as_json=as_json)


def _say_started(
    execution_id: str, workflow: str, existed: bool, by_node: bool, *, as_json: bool
) -> None:
    if as_json:
        say_json({"id": execution_id, "workflow": workflow, "existed": existed, "taken": by_node})
    elif existed:
        say(f"{execution_id}: was started before, with the same arguments")
    elif by_node:
        say(f"{execution_id}: {workflow} started")
    else:
        say(f"{execution_id}: the start of {workflow} is stored")


async def _begin(
    client: Client, workflow: AnyWorkflow, arguments: list[object], execution_id: str | None
) -> tuple[Execution[object], bool]:
    """Start an execution, and say whether it had been started before.

    Raises:
        ExecutionExistsError: it had, with other arguments or as another workflow.
    """
    if execution_id is None:
        return await client.start(workflow, *arguments), False
    stored = await stored_start(client, execution_id)
    if stored is None:
        existed = await _exists(client, execution_id)
        return await client.start(workflow, *arguments, id=execution_id), existed
    recorded = workflow.signature.encode_arguments(tuple(arguments), {})
    if stored.detail.get("workflow") != workflow.name:
        raise ExecutionExistsError(execution_id, "the start of another workflow is stored")
    if stored.detail.get("arguments") != json.loads(bytes(recorded)):
        raise ExecutionExistsError(execution_id, "its start is stored, with other arguments")
    return client.execution(execution_id), True


async def _exists(client: Client, execution_id: str) -> bool:
    try:
        await client.execution(execution_id).describe()
    except ExecutionNotFoundError:
        return False
    return True


async def _wait(
    client: Client, execution: Execution[object], timeout: float | None, *, as_json: bool
) -> None:
    try:
        await execution.result(timeout)
    except ExecutionFailed:
        pass  # what became of it is told from its description
    except TimeoutError:
        raise CommandError(await _why(client, execution.id, timeout), Exit.TIMEOUT) from None
    description = await execution.describe()
    if as_json:
        keys = ("id", "workflow", "status", "result", "error", "error_type")
        say_json({key: getattr(description, key) for key in keys})
    elif description.status is Status.COMPLETED:
        say(f"{execution.id}: completed\n{value_words(description.result, 100_000)}")
    if description.status is not Status.COMPLETED:
        error = error_words(description.error_type, description.error)
        ended = f"{execution.id} {description.status}"
        raise CommandError(f"{ended}: {error}" if error else ended, Exit.FAILED)


async def _why(client: Client, execution_id: str, timeout: float | None) -> str:
    text = f"{execution_id} has not ended after {timeout:g} s and goes on"
    with contextlib.suppress(ExecutionNotFoundError):
        waits = (await describe(client, execution_id)).waits_for
        text += f"; it waits for {'; '.join(waits)}" if waits else ""
    return text
