"""What the scenarios share: how one is declared, and how an execution is brought to its end."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVarTuple, Unpack

from tests.histories.desk import desk
from tests.histories.services import SERVICES as FIRST

from counterpoint import Execution, ExecutionFailed, ExecutionRefusedError
from counterpoint.authoring.workflow import Workflow
from counterpoint.testing import Harness

SERVICES = [*FIRST, desk]
Scenario = Callable[[Harness], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}
DOWN = ConnectionError("no route")
Ts = TypeVarTuple("Ts")


def scenario(function: Scenario) -> Scenario:
    """Record what *function* does, in a file of its name."""
    SCENARIOS[function.__name__.replace("_", "-")] = function
    return function


async def ended(
    harness: Harness, workflow: Workflow[Any, Unpack[Ts]], *args: Unpack[Ts], id: str
) -> Execution[Any]:
    """Run an execution to its end, whatever that is."""
    execution = await harness.start(workflow, *args, id=id)
    with contextlib.suppress(ExecutionFailed):
        await harness.result(execution)
    return execution


async def refused(act: Awaitable[None]) -> None:
    """Wait for an act that is refused."""
    with contextlib.suppress(ExecutionRefusedError):
        await act
