"""How far subscriptions have come, as it is written to the store now and then.

Safety argument (P4): a position may be written if every event up to it is done for this
subscription, or is at or above a hold of its key. Everything else is in a queue: in its items, or
above the `last` of one of its cursors. So the lowest of these, and how far the streams have come,
bound the position. What is written late is only read again, and found to be done.
"""

from collections.abc import Iterable

from counterpoint.runtime.messaging.queues import KeyQueue, Lane, Stream, Subscription

NOWHERE = 1 << 62
WRITE_EVERY = 500
"""Events that may be done before positions are written."""
WRITE_AFTER = 1_000_000
"""Microseconds after which positions are written if fewer are done."""
QUEUES_AN_EVENT = 4
QUEUES_A_SECOND = 10_000
"""Looking at 60,000 queues, nearly all of them blocked by dead letters, takes 50 ms: with so many
positions are written after 15,000 events, or 7 s."""


def low_waters(lanes: Iterable[Lane]) -> dict[Stream, int]:
    """Return by stream the highest position up to which nothing of it is open.

    A stream of which nothing is open is not in it.
    """
    low: dict[Stream, int] = {}
    for lane in lanes:
        for queue in lane.queues.values():
            _look(queue, low)
    return low


def _look(queue: KeyQueue, low: dict[Stream, int]) -> None:
    hold = NOWHERE if queue.hold is None else queue.hold
    for item in queue.items:
        position = item.event.position
        if position < hold:
            low[item.stream] = min(low.get(item.stream, NOWHERE), position - 1)
    for stream, cursor in queue.cursors.items():
        if cursor.last + 1 < hold:
            low[stream] = min(low.get(stream, NOWHERE), cursor.last)


def position_of(subscription: Subscription, low: dict[Stream, int]) -> int:
    """Return how far a subscription has come."""
    streams = subscription.streams
    if not streams:
        return subscription.position
    reached = min((one.offered for one in streams if not one.merged), default=NOWHERE)
    for stream in streams:
        reached = min(reached, low.get(stream, NOWHERE))
    return max(subscription.position, reached)


def is_over(subscription: Subscription, lanes: Iterable[Lane]) -> bool:
    """Whether a replay has delivered everything that it had to, and left no dead letter."""
    streams = subscription.streams
    if subscription.passed_over or any(one.backlog or one.ends_at is None for one in streams):
        return False
    return used(lanes).isdisjoint(streams)


def used(lanes: Iterable[Lane]) -> set[Stream]:
    """Return the streams of which any queue has something left to do."""
    found: set[Stream] = set()
    for lane in lanes:
        for queue in lane.queues.values():
            found.update(queue.cursors)
            found.update(item.stream for item in queue.items)
    return found
