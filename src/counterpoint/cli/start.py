"""`counterpoint start`: starts an execution beside a running node, or for the next one."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeAlias

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
from counterpoint.cli.times import absolute, now, parse_since, relative
from counterpoint.errors import ExecutionExistsError, ExecutionFailed, ExecutionNotFoundError
from counterpoint.model.states import Status
from counterpoint.runtime.client import Client
from counterpoint.runtime.handle import Execution

_UNITS = ("s", "m", "min", "h", "d", "w")


WorkflowArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="WORKFLOW",
        show_default=False,
        help="The workflow, such as orders.place_order; its last part does where it is clear.",
        autocompletion=complete_workflows,
    ),
]
ArgsArgument: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ARG",
        show_default=False,
        help="Its arguments in order, each a JSON value, or NAME=VALUE by parameter name; "
        "what cannot be JSON, or what a parameter only takes as text, stands for itself.",
    ),
]
JsonArgsOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--json-args",
        metavar="JSON",
        help="All arguments as a JSON object by name, or a list; "
        "- reads them from stdin, @FILE from a file.",
    ),
]
NewIdOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="ID",
        help="The id of the execution; the same id again is the same execution.",
    ),
]
DelayOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--delay",
        metavar="DURATION",
        help="Let its code begin later: after so many seconds, or 90s, 5m, 2h, 3d.",
    ),
]
AtOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="Let its code begin at an ISO time, such as 2026-01-31T09:00+01:00; local time if "
        "it names no zone.",
    ),
]
TimeoutOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--timeout", min=0, metavar="SECONDS", help="Wait no longer than this many seconds."
    ),
]


def start(
    workflow: WorkflowArgument,
    args: ArgsArgument = None,
    json_args: JsonArgsOption = None,
    id: NewIdOption = None,
    delay: DelayOption = None,
    at: AtOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result and write it.")] = False,
    timeout: TimeoutOption = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start an execution of a workflow.

    The start is durable when the command returns. It works beside a running node, which takes the
    execution at once; without one, the next node that runs takes it. With --delay or --at its code
    begins later; until then it can be signalled, cancelled and looked at.

    Example: counterpoint start orders.place_order '{"id": "7"}' --app shop:app --wait
    """
    if timeout is not None and not wait:
        raise CommandError("--timeout bounds --wait: pass both")
    target = required(app, store)
    found = find_workflow(target, workflow)
    arguments = read_arguments(found, args or [], json_args)
    begins_at = begin_time(delay, at, now())
    asyncio.run(_start(target, found, arguments, id, begins_at, (wait, timeout), as_json=as_json))


def begin_time(delay: str | None, at: str | None, moment: datetime) -> datetime | None:
    """Return when the code begins that `--delay` or `--at` puts off; None without them.

    Raises:
        CommandError: both are given, or one of them is no duration or no moment.
    """
    if delay is not None and at is not None:
        raise CommandError("--delay and --at exclude each other")
    if delay is not None:
        return _after(delay.strip(), moment)
    if at is None:
        return None
    try:
        begin = datetime.fromisoformat(at.strip())
        local = begin.astimezone()
    except (ValueError, OverflowError):
        raise CommandError(
            f"--at {at!r} is no moment: write 2026-01-31T09:00+01:00, or without a zone for local "
            "time"
        ) from None
    if begin.tzinfo is None:
        hint(f"--at {at} names no zone: it is taken as local time, {local.isoformat()}")
    return local.astimezone(UTC)


def _after(text: str, moment: datetime) -> datetime:
    try:
        if text.endswith(_UNITS):
            return moment + (moment - parse_since(text, moment))
        seconds = float(text)
        if seconds >= 0:
            return moment + timedelta(seconds=seconds)
    except (CommandError, ValueError, OverflowError):
        pass
    raise CommandError(f"--delay {text!r} is no duration: write seconds, or 90s, 5m, 2h, 3d")


async def _start(
    target: Target,
    workflow: AnyWorkflow,
    arguments: list[object],
    execution_id: str | None,
    begins_at: datetime | None,
    waiting: tuple[bool, float | None],
    *,
    as_json: bool,
) -> None:
    async with open_client(target) as client:
        execution, existed = await _begin(client, workflow, arguments, execution_id, begins_at)
        by_node = await taken(client, execution.id)
        wait, timeout = waiting
        begin = None if existed else begins_at
        if not wait:
            started = (execution.id, workflow.name, existed, by_node, begin)
            _say_started(*started, as_json=as_json)
        if existed and begins_at is not None:
            hint(f"{execution.id} was started before: when it begins is not changed")
        if not by_node:
            hint(no_node(target))
        if wait:
            await _wait(client, execution, timeout, as_json=as_json)


def _say_started(
    execution_id: str,
    workflow: str,
    existed: bool,
    by_node: bool,
    begins_at: datetime | None,
    *,
    as_json: bool,
) -> None:
    at = now()
    later = None if begins_at is None or begins_at <= at else begins_at
    begins = "" if later is None else f"begins {relative(later, at)} ({absolute(later, at)})"
    if as_json:
        facts = {"id": execution_id, "workflow": workflow, "existed": existed, "taken": by_node}
        say_json({**facts, "begins_at": later})
    elif existed:
        say(f"{execution_id}: was started before, with the same arguments")
    elif by_node:
        say(f"{execution_id}: {workflow} {begins or 'started'}")
    else:
        begins = begins and f"; it {begins}"
        say(f"{execution_id}: the start of {workflow} is stored{begins}")


async def _begin(
    client: Client,
    workflow: AnyWorkflow,
    arguments: list[object],
    execution_id: str | None,
    begins_at: datetime | None,
) -> tuple[Execution[object], bool]:
    """Start an execution, and say whether it had been started before.

    Raises:
        ExecutionExistsError: it had, with other arguments or as another workflow.
    """
    if execution_id is None:
        return await client.start(workflow, *arguments, at=begins_at), False
    stored = await stored_start(client, execution_id)
    if stored is None:
        existed = await _exists(client, execution_id)
        again = await client.start(workflow, *arguments, id=execution_id, at=begins_at)
        return again, existed
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
