"""How far subscriptions are behind the log, and since when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from counterpoint.model.messages import EventQuery, SubscriptionRow
from counterpoint.ports.messages import ReadableMessages
from counterpoint.runtime.description import time_of
from counterpoint.runtime.waiting_events import unreached_events

if TYPE_CHECKING:
    from counterpoint.runtime.nodes import NodeInfo


@dataclass(frozen=True, slots=True)
class SubscriptionLag:
    """How far a reaction, a workflow that events start, or a replay is behind the log."""

    name: str
    """The recorded name of the reaction or workflow."""
    service: str
    event: str
    """The type of the events that it takes."""
    position: int
    """Every event up to here is done, parked, waiting for a retry, or dead."""
    distance: int
    """How many positions the log goes on behind that, whatever events these are."""
    behind: int
    """How many events of its type it has not come to."""
    since: datetime | None
    """When the oldest of these was recorded; None if there is none."""
    nodes: Sequence[int]
    """The incarnations of the living nodes that host it."""
    replay: int | None = None
    """The number of the replay; None for the subscription itself."""


async def read_lags(store: ReadableMessages, nodes: Sequence["NodeInfo"]) -> list[SubscriptionLag]:
    """Return how far all subscriptions are behind, in the order in which they were made."""
    last = await store.last_position()
    return [await _lag(store, row, last, nodes) for row in await store.subscriptions()]


async def _lag(
    store: ReadableMessages, row: SubscriptionRow, last: int, nodes: Sequence["NodeInfo"]
) -> SubscriptionLag:
    end = last if row.until is None else min(last, row.until)
    behind = since = 0
    if end > row.position:
        behind = await unreached_events(store, row)
    if behind:
        query = EventQuery(row.position, row.until, (row.type,), row.event_key, limit=1)
        since = next((event.recorded_at for event in await store.events(query)), 0)
    return SubscriptionLag(
        row.name,
        row.service,
        row.type,
        row.position,
        max(0, end - row.position),
        behind,
        time_of(since) if since else None,
        [node.incarnation for node in nodes if node.alive and row.name in node.subscriptions],
        row.replay or None,
    )
