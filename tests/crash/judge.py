"""What must hold of events after a kill, and at the end.

After each kill:

* what was acknowledged is in the log, or in the mailbox of the node (P1);
* every attempt was about an event that is in the log;
* a position has moved over nothing that is neither over nor behind a hold;
* no attempt began before what is in front of it in its lane was over; what was over at an earlier
  kill was not tried again (P5, P6).

At the end, besides:

* what was published is in the log once, batches whole, and in the order in which the client
  published them; every subscription has taken every event, or somebody has discarded it, or it
  waits behind a dead letter that was left alone (P4, P10);
* each success of a reaction, a replay, an activity or a workflow has published exactly what it
  gave, and nobody else has (P4, P5);
* one idempotency key for each delivery (P3); nothing out of order, nothing side by side (P6);
* what people asked for was done once; no holds and no waits are left over;
* the books balance.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec
from tests.crash import accounts, leftovers, order, published
from tests.crash.evidence import Evidence, Seen, key_of
from tests.crash.flow import SKIPS

from counterpoint.authoring.event import contract_of


def check_restart(evidence: Evidence, earlier: Sequence[Seen]) -> Iterator[str]:
    """Return what is wrong while no node runs."""
    return chain(
        acknowledged(evidence),
        phantoms(evidence),
        positions(evidence),
        order.check_commits(evidence),
        *(order.check_repeated(evidence, seen) for seen in earlier),
    )


def check_end(evidence: Evidence, earlier: Sequence[Seen]) -> Iterator[str]:
    """Return what is wrong when everything is over."""
    return chain(
        check_restart(evidence, earlier),
        batches(evidence),
        turns(evidence),
        taken(evidence),
        keys(evidence),
        published.check(evidence),
        order.check(evidence),
        order.check_parked(evidence),
        leftovers.check(evidence),
        accounts.check(evidence),
    )


def figures(evidence: Evidence) -> Counter[str]:
    """Return what there was to judge."""
    stored = evidence.stored
    kinds = Counter(act.kind for act in stored.acts)
    counted = Counter(
        {
            "batches acknowledged": len(evidence.acknowledged),
            "events": len(stored.events),
            "reactions that ended": sum(
                s in ("completed", "discarded") for s in stored.marks.values()
            ),
            "attempts": len(evidence.attempts),
            "attempts that failed or were lost": sum(a.gives is None for a in evidence.attempts),
            "dead letters redriven": kinds["redrive"],
            "dead letters discarded": kinds["discard"],
            "dead letters left alone": len(stored.dead),
            "replays": kinds["replay"],
            "workflows": len(stored.executions),
        }
    )
    counted.update(accounts.outcomes(evidence))
    return counted


def acknowledged(evidence: Evidence) -> Iterator[str]:
    """Return acknowledged publishes that are neither in the log nor on their way there."""
    there = {event.id for event in evidence.stored.events}
    for _, _, body in evidence.stored.mail:
        mail = msgspec.json.decode(body)
        there.update(event[1] for event in mail.get("events", ()))
    for number, ids in evidence.acknowledged.items():
        if lost := [id for id in ids if id not in there]:
            yield f"batch {number} was acknowledged, and {lost} are not in the store"


def phantoms(evidence: Evidence) -> Iterator[str]:
    """Return attempts about what is not in the log."""
    for attempt in evidence.attempts:
        event = evidence.event_at.get(attempt.position)
        if event is None or event.id != attempt.event:
            yield f"{attempt.name} was tried with {attempt.event}, which is not in the log"


def positions(evidence: Evidence) -> Iterator[str]:
    """Return subscriptions whose position is beyond what is open and held nowhere."""
    holds = evidence.stored.holds
    for one, event in evidence.deliveries():
        if event.position <= one.position and evidence.parks(one, event.position):
            hold = holds.get(one.lane_of(event))
            if hold is None or hold > event.position:
                yield (
                    f"{one.name} is at {one.position}, the event at {event.position} is not over, "
                    f"and its key is held from {hold}"
                )


def batches(evidence: Evidence) -> Iterator[str]:
    """Return batches that were published twice, in parts, or not at all."""
    found = Counter((event.type, event.data) for event in evidence.stored.events)
    for batch in evidence.plan:
        counts = {
            found[contract_of(type(e)).type, e.model_dump_json().encode()] for e in batch.events
        }
        expected = {1} if batch.number in evidence.acknowledged else {0, 1}
        if len(counts) > 1 or not counts <= expected:
            yield f"batch {batch.number} is in the log {sorted(counts)} times"


def turns(evidence: Evidence) -> Iterator[str]:
    """Return batches that are in the log before those that were acknowledged before them."""
    position_of = {event.id: event.position for event in evidence.stored.events}
    last = 0
    for number in evidence.in_turn:
        places = [position_of.get(id, 0) for id in evidence.acknowledged.get(number, ())]
        if places and min(places) < last:
            yield f"batch {number} is in the log at {places}, and an earlier one at {last}"
        last = max(last, *places, 0)


def taken(evidence: Evidence) -> Iterator[str]:
    """Return events that a subscription has not taken, and does not have to wait for."""
    blocked: dict[tuple[str, str, str], int] = {}
    marks = evidence.stored.marks
    for one in evidence.stored.subscriptions:
        for event in evidence.stored.events:
            status = marks.get((one.number, event.position))
            dead = (one.number, event.position) in evidence.stored.dead
            if (status == "dead") != dead:
                yield f"{one.name} at {event.position} is {status}, dead letter: {dead}"
            if status == "dead" and one.name not in SKIPS:
                lane = one.lane_of(event)
                blocked[lane] = min(event.position, blocked.get(lane, event.position))
    for one, event in evidence.deliveries():
        status = marks.get((one.number, event.position))
        first_dead = blocked.get(one.lane_of(event))
        # Who catches up waits behind a dead letter with what is older, too, and is not past it.
        waits = first_dead is not None and event.position > min(first_dead - 1, one.position)
        if status in ("retrying", "running") or (status is None and not waits):
            yield f"{one.name} is {status} at {event.position}, and nothing stops it"
    yield from _without_event(evidence)


def _without_event(evidence: Evidence) -> Iterator[str]:
    by_number = {one.number: one for one in evidence.stored.subscriptions}
    for number, position in evidence.stored.marks:
        one, event = by_number.get(number), evidence.event_at.get(position)
        if one is None or event is None or not one.takes(event):
            yield f"there is a mark of subscription {number} at {position}, which it does not take"


def keys(evidence: Evidence) -> Iterator[str]:
    """Return deliveries without effect, or with another key than their own."""
    for (name, replay, position), attempts in evidence.attempts_of.items():
        event = evidence.event_at.get(position)
        if event is None:
            continue
        expected = key_of(name, event, replay)
        if other := {attempt.key for attempt in attempts} - {expected}:
            yield f"{name} at {position} was tried with the keys {sorted(other)}"
    names = {one.number: one for one in evidence.stored.subscriptions}
    for (number, position), status in evidence.stored.marks.items():
        one = names.get(number)
        if one is None or status != "completed" or one.name == "orders.follow":
            continue
        tried = evidence.attempts_of.get((one.name, one.replay, position), [])
        if not any(attempt.gives is not None for attempt in tried):
            yield f"{one.name} at {position} is completed, and no attempt of it succeeded"
