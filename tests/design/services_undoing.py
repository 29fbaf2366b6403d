"""What the tests of undoing and of ends share: a service with undoable work, and short questions.

Every attempt is in `harness.calls`; `did` and `undid` say what was done and undone, in order.
"""

from datetime import timedelta
from typing import Any

from counterpoint import BusinessError, ExecutionFailed, NodeStoppedError, Retry, Service
from counterpoint.runtime.description import Description
from counterpoint.runtime.handle import Execution
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

CRASHES: tuple[When, ...] = ("before", "after")
STEADY = Retry(max_attempts=3, first=timedelta(seconds=1), factor=1, jitter=0)
PATIENT = Retry(
    max_attempts=3,
    first=timedelta(seconds=1),
    factor=2,
    cap=timedelta(minutes=7),
    jitter=0,
)
COMMITS_MAX = 80
"""More commits than any execution of these tests takes: a loop over them ends before."""

desk = Service("desk")


class Refused(BusinessError):
    """The desk said no."""

    why: str


@desk.activity(retry=STEADY, timeout=timedelta(minutes=1))
async def do(what: str) -> str:
    return f"{what} done"


@do.compensation(retry=PATIENT)
async def undo(what: str, result: str | None) -> None: ...


@desk.activity(retry=STEADY, timeout=timedelta(minutes=1))
async def look(what: str) -> str:
    return f"{what} seen"


@desk.activity(retry=STEADY)
async def refuse(why: str) -> None:
    raise Refused(why=why)


@refuse.compensation
async def unrefuse(why: str) -> None: ...


@desk.activity(retry=PATIENT)
async def clear(what: str) -> None: ...


def did(harness: Harness) -> list[str]:
    """Return what was done, in the order of the first attempts."""
    return list(dict.fromkeys(c.arguments["what"] for c in harness.calls if c.name == "desk.do"))


def undid(harness: Harness) -> list[str]:
    """Return what was undone, in the order of the first attempts."""
    names = ("desk.undo", "desk.clear")
    return list(dict.fromkeys(c.arguments["what"] for c in harness.calls if c.name in names))


def keys(harness: Harness, name: str, what: str) -> set[str]:
    """Return the idempotency keys under which something was attempted."""
    return {
        call.idempotency_key
        for call in harness.calls
        if call.name == name and call.arguments["what"] == what
    }


async def failed(harness: Harness, execution: Execution[Any]) -> ExecutionFailed:
    """Let an execution go to its end and return how it failed."""
    try:
        result = await harness.result(execution)
    except ExecutionFailed as error:
        return error
    raise AssertionError(f"{execution.id} ended with {result!r}")


async def waits(harness: Harness, id: str = "one") -> list[str]:
    """Return what an execution waits for, once everything has settled."""
    await harness.settle()
    return list((await harness.execution(id).describe()).waits_for)


async def described(harness: Harness, id: str = "one") -> Description:
    """Return the description of an execution once everything has settled."""
    await harness.settle()
    return await harness.execution(id).describe()


async def types(harness: Harness, id: str = "one") -> list[str]:
    """Return the types of an execution's records, oldest first."""
    return [entry.type for entry in await harness.execution(id).journal()]


async def ends(harness: Harness, workflow: Any, *args: Any, id: str = "one") -> Any:
    """Run an execution to its end, starting the node again whenever it died.

    Returns its result, or the `ExecutionFailed` with which it ended.
    """
    while True:
        try:
            execution = await harness.app.start(workflow, *args, id=id)
            return await harness.result(execution)
        except ExecutionFailed as error:
            return error
        except NodeStoppedError:
            if harness.running:  # it recovers from a fault of its store
                await harness.advance(seconds=1)
            else:
                await harness.restart()
