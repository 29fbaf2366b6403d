"""The judge of events: what must be true of the log and of every inbox when nothing moves.

Every event reached every subscription, as an effect once (P4, P5), in the order of its service,
lane and key (P6). Nothing is held, retrying or under way; what could not be done is a dead letter
(P10).
"""

from collections import Counter
from collections.abc import Iterator

from counterpoint.authoring.registry import Registry
from counterpoint.model.messages import EventRow, ReactionStatus, SubscriptionRow
from counterpoint.runtime.node import Node
from counterpoint.testing.simulation.attempts import Attempts
from counterpoint.testing.simulation.ledger import LedgerStore


def judge_events(ledger: LedgerStore, registry: Registry, attempts: Attempts) -> Iterator[str]:
    """Yield what is wrong."""
    log = ledger.log()
    rows = [row for row in ledger.subscribed() if not row.replay]
    yield from _delivered(ledger, log, rows)
    yield from _effects(ledger, log, rows, attempts)
    yield from in_order(ledger, registry)
    yield from left_over(ledger)


def _delivered(
    ledger: LedgerStore, log: list[EventRow], rows: list[SubscriptionRow]
) -> Iterator[str]:
    dead = {(letter.subscription, letter.position) for letter in ledger.letters_dead()}
    for row in rows:
        behind: set[str] = set()
        """Keys that wait behind a dead letter."""
        for event in log:
            if event.type != row.type or event.position <= row.first:
                continue
            mark = ledger.mark(row.number, event.position)
            if (row.number, event.position) in dead:
                behind.add(event.key)
            elif (mark is None or not mark.status.over) and event.key not in behind:
                status = mark and mark.status
                yield f"P4: {event.type} {event.id} has not reached {row.name}: it is {status}"


def _effects(
    ledger: LedgerStore, log: list[EventRow], rows: list[SubscriptionRow], attempts: Attempts
) -> Iterator[str]:
    """What a reaction that was done gave back is in the log, once."""
    found = Counter((event.publisher, event.causation_id) for event in log)
    for row in rows:
        for event in log:
            mark = ledger.mark(row.number, event.position)
            if mark is None or mark.status is not ReactionStatus.COMPLETED:
                continue
            expected = attempts.reacted.get((row.name, event.position))
            if expected is None:
                continue  # a workflow that events start: it was started once, or is another's
            published = found[row.name, event.id]
            if published != expected:
                yield (
                    f"P5: {row.name} made {expected} events of {event.type} {event.id}, and "
                    f"{published} are in the log"
                )


def in_order(ledger: LedgerStore, registry: Registry) -> Iterator[str]:
    """What was never a dead letter that others passed was done in the order of the log."""
    events = {row.position: row for row in ledger.log()}
    known = {row.number: row for row in ledger.subscribed() if not row.replay}
    last: dict[tuple[str, str, str], int] = {}
    for mark in ledger.done:
        row, event = known.get(mark.subscription), events.get(mark.position)
        if row is None or event is None:
            continue
        reaction = registry.reactions.get(row.name)
        skips = reaction is None or reaction.on_dead == "skip"
        if skips and (mark.subscription, mark.position) in ledger.died:
            continue
        place = (row.service, row.lane, event.key)
        before = last.get(place, 0)
        if mark.position < before:
            yield f"P6: {row.name} took {mark.position} of key {event.key} after {before}"
        last[place] = max(before, mark.position)


def left_over(ledger: LedgerStore) -> Iterator[str]:
    """Yield what is left in the inbox, of holds and of replays, although nothing is dead."""
    dead = {(letter.subscription, letter.position) for letter in ledger.letters_dead()}
    for mark in ledger.marks():
        place = (mark.subscription, mark.position)
        if not mark.status.over and place not in dead:
            yield f"P10: reaction {mark.subscription} to {mark.position} is left {mark.status}"
    keys_dead = {(d.service, d.lane, d.event_key) for d in ledger.letters_dead()}
    for hold in ledger.holds_left():
        if hold[:3] not in keys_dead:
            yield f"P10: {hold} is left"
    for subscription in ledger.subscribed():
        if subscription.replay:
            yield f"P10: the replay {subscription} is left"


def under_way(node: Node) -> Iterator[str]:
    """Yield what a node that has nothing to do still has in memory of events."""
    running = node.messaging.dispatcher
    if running.pending or running.deliveries.under_way or running.deliveries.retrying:
        yield f"P10: something is under way: {running.pending} events in memory"
    queues = [queue for lane in running.lanes.values() for queue in lane.queues]
    if queues:
        yield f"P10: queues are left: {queues}"
