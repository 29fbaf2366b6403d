"""What must hold when everything is over, whatever happened to the nodes and the server.

* Every order that was acknowledged is there, and every order has ended, as the shop's data say it
  must, in the store as in the books; who waited for it was told the same (P1, P9).
* No step is recorded twice in a journal, and journals are whole (P2).
* Every event is there once, and every reaction has taken each of its events once (P4, P5).
* Nothing is left: no letters, calls, holds, dead letters, nor anything that a node still owns.
* `order`: deliveries of one key to one service come one after the other (P6).
* `deploys`, where nodes were told to stop and nothing else happened: nothing was lost by it.
* `fencing`: only living owners have written, and nobody has begun a recorded step again (P2, P7).
"""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from zlib import crc32

from tests.nodes import deploys, fencing, order
from tests.nodes.evidence import Evidence
from tests.nodes.expected import EVENTS, STATUS
from tests.nodes.witness import ENDS

from counterpoint.model import records as r

PLACED = "orders.OrderPlaced"
SAGA = "orders.place_order"
ID = "order-"


def check(evidence: Evidence) -> Iterator[str]:
    """Return everything that is wrong."""
    return chain(
        sagas(evidence) if evidence.orchestrated else flows(evidence),
        journals(evidence),
        log(evidence),
        marks(evidence),
        books(evidence),
        leftovers(evidence),
        order.check(evidence),
        fencing.check(evidence),
        fencing.check_repeated(evidence),
        deploys.check(evidence) if evidence.gentle else (),
    )


def figures(evidence: Evidence) -> Counter[str]:
    """Return what there was to judge."""
    stored = evidence.stored
    records = [record for journal in stored.journals.values() for record in journal]
    return Counter(
        {
            "orders, all ended": evidence.verdict.orders,
            "  confirmed": evidence.verdict.confirmed,
            "  declined": evidence.verdict.declined,
            "  undone": evidence.verdict.undone,
            "acknowledged": len(evidence.acknowledged),
            "results told": len(evidence.told),
            "incarnations": len(stored.nodes),
            "  declared lost": sum(one.lost_at is not None for one in stored.nodes),
            "executions taken over": sum(one.what == "adopted" for one in stored.written),
            "rows of journals": len(stored.journal),
            "events": len(stored.events),
            "reactions": len(stored.reactions),
            "attempts": len(evidence.attempts),
            "  recorded as lost": sum(isinstance(one, r.AttemptLost) for one in records),
            "  begun by the dead": sum(map(evidence.is_late, evidence.attempts)),
        }
        | Counter(f"incidents, {one.cause}" for one in records if isinstance(one, r.IncidentRaised))
    )


def sagas(evidence: Evidence) -> Iterator[str]:
    """Return sagas that are missing, are there twice, or have not ended as they must."""
    found: dict[str, list[str]] = {}
    for run in evidence.stored.executions:
        found.setdefault(run.id, []).append(run.status)
    for id in sorted(set(evidence.acknowledged) - found.keys()):
        yield f"{id} was acknowledged and is not in the store"
    for order_id, outcome in evidence.expected.items():
        statuses = found.pop(f"{ID}{order_id}", [])
        if statuses != [STATUS[outcome]]:
            yield f"order {order_id} is {statuses}, and has to be {STATUS[outcome]}"
    for id in found:
        yield f"nobody has started {id}"
    statuses_now = {run.id: run.status for run in evidence.stored.executions}
    for id, status in evidence.told:
        if statuses_now.get(id) != status:
            yield f"somebody was told that {id} is {status}, and it is {statuses_now.get(id)}"


def flows(evidence: Evidence) -> Iterator[str]:
    """Return orders whose events are not those that have to follow from it, each once."""
    types: dict[str, Counter[str]] = {}
    for event in evidence.stored.events:
        types.setdefault(event.key, Counter())[event.type.rpartition(".")[2]] += 1
    ids = {event.id for event in evidence.stored.events if event.type == PLACED}
    for id in sorted(set(evidence.acknowledged) - ids):
        yield f"{id} was acknowledged and is not in the log"
    for order_id, outcome in evidence.expected.items():
        wanted = Counter(("OrderPlaced", *EVENTS[outcome]))
        if (found := types.pop(order_id, Counter())) != wanted:
            yield f"order {order_id} has the events {dict(found)}, and has to be {outcome}"
    for key in types:
        yield f"there are events of {key}, which nobody has placed"


def journals(evidence: Evidence) -> Iterator[str]:
    """Return journals with a gap, damage, or a step that is recorded twice."""
    after: dict[int, int] = {}
    for row in evidence.stored.journal:
        body = bytes(row.body)
        expected = after.get(row.execution_key, 1)
        if row.first_seq != expected:
            yield f"the journal of {row.execution_key} goes on at {row.first_seq}, not {expected}"
        if row.records != len(r.decode_records(body)) or row.digest != crc32(body):
            yield f"the journal of {row.execution_key} is damaged at {row.first_seq}"
        after[row.execution_key] = row.first_seq + row.records
    for run in evidence.stored.executions:
        journal = evidence.stored.journals.get(run.key, [])
        if not journal or not isinstance(journal[0], r.Started):
            yield f"the journal of {run.id} does not begin"
        done = Counter(filter(None, map(_done, journal)))
        for what, times in done.items():
            if times > 1:
                yield f"{what} of {run.id} is recorded {times} times"


def _done(record: r.Record) -> str | None:
    """Return what a record says to be done for good."""
    match record:
        case r.Started():
            return "the start"
        case r.CallScheduled():
            return f"the decision for call {record.call}"
        case r.CallCompleted() | r.CallFailed():
            return f"the outcome of call {record.call}"
        case r.CompensationScheduled():
            return f"the decision to undo call {record.call}"
        case r.CompensationCompleted():
            return f"the compensation of call {record.call}"
        case r.Ended():
            return "the end"
        case _:
            return None


def log(evidence: Evidence) -> Iterator[str]:
    """Return gaps of the log, and events that are there twice or come from one step twice."""
    for number, event in enumerate(evidence.stored.events, 1):
        if event.position != number:
            yield f"the log has {event.position} in place of {number}"
            break
    ids = Counter((event.source, event.id) for event in evidence.stored.events)
    for id, times in ids.items():
        if times > 1:
            yield f"the event {id} is in the log {times} times"
    causes = Counter(
        (event.publisher, event.causation_id)
        for event in evidence.stored.events
        if event.publisher is not None
    )
    for cause, times in causes.items():
        if times > 1:
            yield f"{cause} has published {times} events, and each reaction has one"


def marks(evidence: Evidence) -> Iterator[str]:
    """Return events that a reaction has not taken exactly once."""
    found = Counter((one.subscription, one.position) for one in evidence.stored.reactions)
    status = {(one.subscription, one.position): one.status for one in evidence.stored.reactions}
    due = 0
    for one, event in evidence.deliveries():
        due += 1
        place = one.number, event.position
        if found[place] != 1 or status[place] != "completed":
            yield f"{one.name} has {found[place]} marks at {event.position}: {status.get(place)}"
    if len(evidence.stored.reactions) > due:
        yield f"there are {len(evidence.stored.reactions)} marks of {due} deliveries"


def books(evidence: Evidence) -> Iterator[str]:
    """Return what does not balance, and orders that ended otherwise than they must."""
    verdict = evidence.verdict
    for violation in verdict.violations:
        yield f"the books: {violation}"
    for order_id, outcome in evidence.expected.items():
        if (found := verdict.outcomes.get(order_id)) != outcome:
            yield f"order {order_id} is {found} in the books, and has to be {outcome}"
    if verdict.orders != len(evidence.expected):
        yield f"{verdict.orders} of {len(evidence.expected)} orders have ended in the books"


def leftovers(evidence: Evidence) -> Iterator[str]:
    """Return what should not be there when all nodes have stopped."""
    stored = evidence.stored
    for table, count in stored.counts.items():
        if count:
            yield f"there are {count} rows in {table}"
    for run in stored.executions:
        if run.finished_at is None:
            yield f"{run.id} is {run.status} and belongs to {run.owner}"
    for one in stored.nodes:
        if one.over_at is None:
            yield f"the node {one.incarnation} ({one.node}) has stopped, and the store thinks not"
    owned = Counter(owner for _, _, owner in stored.slots if owner is not None)
    for owner, count in owned.items():
        known = evidence.known.get(owner)
        if known is None or known.lost_at is None:
            yield f"{count} slots belong to {owner}, which has stopped by itself"
    ended = sum(event.type in ENDS for event in stored.events)
    if not evidence.orchestrated and ended != len(evidence.expected):
        yield f"{ended} events end an order, and there are {len(evidence.expected)} orders"
