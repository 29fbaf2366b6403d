"""The deadline of a workflow: `asyncio.timeout` around its function, until it passes its pivot.

Past the pivot nothing is undone, so interrupting the code would only stop what has to go on: when
the deadline passes then, a person is told, and the code goes on.
"""

import asyncio
import functools
from collections.abc import Coroutine
from typing import Any

from counterpoint.errors import DeadlineExceeded
from counterpoint.kernel.execution import Execution
from counterpoint.kernel.loop import WorkflowLoop, running_loop


async def within_deadline(
    code: Coroutine[Any, Any, Any], seconds: float, declared: float, name: str
) -> Any:
    """Run a workflow's code; raise `DeadlineExceeded` in it when *seconds* have passed.

    They are what is left of the *declared* ones, where an earlier run has handed its deadline on.

    Raises:
        DeadlineExceeded: it did not end in time.
    """
    timeout = asyncio.timeout(seconds)
    message = f"{name} did not end within its deadline of {declared:g} s"
    loop = running_loop()
    if type(loop) is WorkflowLoop and isinstance(loop.execution, Execution):
        execution = loop.execution
        execution.on_pivot = functools.partial(_only_tell, execution, timeout, message)
    try:
        async with timeout:
            return await code
    except TimeoutError:
        if not timeout.expired():
            raise
        raise DeadlineExceeded(message) from None


def _only_tell(execution: Execution, timeout: asyncio.Timeout, message: str) -> None:
    """Let the deadline of an execution that has just passed its pivot interrupt nothing."""
    at = timeout.when()
    if at is None or timeout.expired():
        return
    timeout.reschedule(None)
    execution.loop.call_at(at, execution.deadline_passed, message)
