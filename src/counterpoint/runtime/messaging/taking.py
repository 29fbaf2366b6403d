"""What a turn does with an event that an execution may be waiting for."""

import msgspec

from counterpoint.model import records as r
from counterpoint.model.messages import EventRow, EventWaitRow
from counterpoint.runtime.host import Host
from counterpoint.runtime.resident import Resident


def take_event(
    node: Host, now: int, resident: Resident, wait: EventWaitRow, event: EventRow
) -> None:
    """Hand an event to the oldest wait for it, if the execution has not read as far."""
    if node.residents.get(resident.id) is not resident or resident.key != wait.execution_key:
        return
    execution = resident.execution
    state = execution.state
    place = (event.type, event.key)
    open_waits = [
        number for number, one in state.event_waits.items() if (one.event_type, one.key) == place
    ]
    read = state.event_positions.get(place, 0)
    if not open_waits or not state.status.live:
        return
    if event.position <= read:  # it went to another wait: this one is about the next
        node.messaging.awaited(resident, state.event_waits[min(open_waits)], read)
        return
    number = min(open_waits)
    execution.deliver(
        r.EventReceived(
            execution.stamp(now),
            number,
            event.type,
            event.key,
            event.position,
            event.source,
            event.id,
            event.version,
            msgspec.Raw(node.codec.decode(event.data)),
        )
    )
    if execution.pending:
        node.committer.touch(resident)
    node.settle(resident)
