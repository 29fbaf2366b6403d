"""Whether a node takes over what a command posted; a running one does within `poll_interval`."""

import asyncio
import getpass
import shlex

from counterpoint.cli.output import hint, say, say_json
from counterpoint.cli.target import Target, store_words
from counterpoint.errors import ExecutionNotFoundError, ExecutionRefusedError
from counterpoint.runtime.client import Client, PostedRequest
from counterpoint.runtime.description import Description

PATIENCE_SECONDS = 1.0
_POLL_SECONDS = 0.02


async def posted_requests(client: Client, execution_id: str | None = None) -> list[PostedRequest]:
    """Return what waits for a node, oldest first."""
    return [request async for request in client.posted(execution_id)]


async def stored_start(client: Client, execution_id: str) -> PostedRequest | None:
    """Return the start of an execution that waits for a node: the first one, which will count."""
    requests = await posted_requests(client, execution_id)
    return next((request for request in requests if request.kind == "start"), None)


async def taken(client: Client, execution_id: str) -> bool:
    """Whether a node has taken over everything that was posted to an execution, after a while."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await posted_requests(client, execution_id):  # noqa: ASYNC110 - another process
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        return False
    return True


async def describe(client: Client, execution_id: str) -> Description:
    """Describe an execution.

    Raises:
        ExecutionNotFoundError: there is none; where its start is only posted, or the id is that of
            a reaction, the message says so.
    """
    try:
        return await client.execution(execution_id).describe()
    except ExecutionNotFoundError as error:
        if await stored_start(client, execution_id) is not None:
            error.args = (
                f"{execution_id} is not started yet: its start is stored, and no node has taken it",
            )
        else:
            await _explain_reaction(client, error)
        raise


async def _explain_reaction(client: Client, error: ExecutionNotFoundError) -> None:
    """Say in the error what shows a reaction, where the id is that of one."""
    id = shlex.quote(error.execution_id)
    try:
        await client.dead_letter(error.execution_id)
    except ExecutionNotFoundError:
        return
    except ExecutionRefusedError:
        advice = f"counterpoint flow {id} shows what it is part of"
    else:
        advice = f"look at counterpoint flow {id} and counterpoint deadletters show {id}"
    error.args = (f"{error.args[0]}: it is the id of a reaction; {advice}",)


async def report(
    client: Client, target: Target, execution_id: str, done: str, *, as_json: bool
) -> None:
    """Say that a request is durable, and whether a node has it."""
    by_node = await taken(client, execution_id)
    if as_json:
        say_json({"id": execution_id, "taken": by_node})
    else:
        say(f"{execution_id}: {done}")
    if not by_node:
        hint(no_node(target))


def no_node(target: Target) -> str:
    """Return what to say when nobody took over a request."""
    return (
        f"no node has taken it yet: none runs on {store_words(target.app)}, or the log of the one "
        "that runs says why; the request is stored and takes effect when a node can "
        f"({target.run_command})"
    )


def current_user() -> str | None:
    """Return the name of the user, for the journal, or None if the system knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None
