"""The people who put right what is open: they look at the world, and state what is true."""

from typing import Any

from tests.simulation.services import Told
from tests.simulation.world import Declined, World

from counterpoint import ExecutionRefusedError, NotDone
from counterpoint.model.ids import idempotency_key
from counterpoint.runtime.description import CallDescription, Description
from counterpoint.runtime.handle import Execution

RETRIES_MAX = 4
OPEN = ("stuck", "waiting for a retry", "being undone")


async def put_right(world: World, execution: Execution[Any]) -> bool:
    """Do one thing for an execution that waits for a person; say whether there was one."""
    known = await execution.describe()
    for incident in known.incidents:
        if incident.cause == "unknown-outcome" and incident.call is not None:
            await _state(world, execution, known, known.calls[incident.call - 1])
            return True
    if known.incidents:
        world.retried[known.id] += 1
        if world.retried[known.id] > RETRIES_MAX:
            return False  # its code fails for ever
        await execution.retry(actor="ann", reason="its cause is mended")
        return True
    for name in known.awaited_signals:
        await execution.signal(name, next(world.sent))
    for event in known.awaited_events:
        await publish(world, event.key)
    return bool(known.awaited_signals or known.awaited_events)


async def publish(world: World, key: str) -> None:
    """Publish what executions wait for."""
    event_id = f"outside-{next(world.sent)}"
    await world.harness.app.publish(Told(key=key, tag=0), id=event_id)
    world.published.append(event_id)


async def resolve_something(world: World, execution: Execution[Any]) -> None:
    """State the outcome of the first step that has none, if nothing runs for it.

    Raises:
        ExecutionRefusedError: there is nothing to state.
    """
    known = await execution.describe()
    for call in known.calls:
        if call.child is None and call.state in OPEN and not world.running[call.idempotency_key]:
            await _state(world, execution, known, call)
            return
    raise ExecutionRefusedError(known.id, "it has nothing open")


async def _state(
    world: World, execution: Execution[Any], known: Description, call: CallDescription
) -> None:
    key = idempotency_key(known.id, known.run, call.call)
    there = world.there.get(key)
    if call.state == "being undone" or call.compensation_key is not None:
        world.note_undone(key)
        await execution.resolve(call.call, done=True, actor="ann", reason="undone by hand")
    elif there:
        await execution.resolve(call.call, result=str(world.tags[key]), actor="ann", reason="seen")
    else:
        world.allowed[key] += 1  # at once, or when a retry takes its failure back
        error = NotDone() if call.call % 2 else Declined(tag=0)
        await execution.resolve(call.call, error=error, actor="ann", reason="not seen")
