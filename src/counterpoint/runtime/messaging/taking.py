"""What a turn does with an event that an execution may be waiting for."""

import msgspec

from counterpoint.model import records as r
from counterpoint.model.messages import EventRow, EventWaitRow
from counterpoint.runtime.host import Host
from counterpoint.runtime.resident import Resident


def take_event(
    node: Host, now: int, resident: Resident, wait: EventWaitRow, event: EventRow
) -> None:
    """Hand an event to the oldest wait that is about it, if the execution has not read as far."""
    if resident.key != wait.execution_key:
        return
    if node.residents.get(resident.id) is not resident:
        _look_again(node, resident, wait, wait.position)  # it has left memory meanwhile
        return
    execution = resident.execution
    state = execution.state
    place = (event.type, event.key)
    open_waits = [one for one in state.event_waits.values() if (one.event_type, one.key) == place]
    if not open_waits or not state.status.live:
        return
    read = state.event_positions.get(place, 0)
    if event.position <= read:  # it went to another wait: this one is about the next
        _look_again(node, resident, wait, read)
        return
    about_it = [one.wait for one in open_waits if _is_about(one, event)]
    if not about_it:
        return
    execution.deliver(
        r.EventReceived(
            execution.stamp(now),
            min(about_it),
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


def _look_again(node: Host, resident: Resident, wait: EventWaitRow, after: int) -> None:
    record = r.EventAwaited(wait.wait, wait.type, wait.event_key, after, wait.since)
    node.messaging.awaited(resident, record, after)


def _is_about(wait: r.EventAwaited, event: EventRow) -> bool:
    """Whether an event comes after where the code began to wait."""
    return event.position > wait.position and event.recorded_at >= wait.since
