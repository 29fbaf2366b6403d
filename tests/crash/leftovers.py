"""What is left in the store at the end: holds, waits, letters, replays, acts, executions."""

import re
from collections import Counter
from collections.abc import Iterator

from tests.crash.evidence import Evidence
from tests.crash.flow import check_customer
from tests.crash.ledger import Line
from tests.crash.stored import Logged, Ran, Waits

from counterpoint.model import records as r
from counterpoint.model.states import LIVE

ENDS = {
    check_customer.name: {"completed"},
    "orders.follow": {"completed", "compensated"},
}


def check(evidence: Evidence) -> Iterator[str]:
    """Return what should not be there any more, and what is missing."""
    for kind, _, body in evidence.stored.mail:
        yield f"a {kind} is still in the mailbox: {body[:200]!r}"
    yield from _holds(evidence)
    yield from _acts(evidence)
    yield from _replays(evidence)
    yield from _executions(evidence)


def _holds(evidence: Evidence) -> Iterator[str]:
    """Return holds of keys that have nothing open."""
    still_open = {
        one.lane_of(event)
        for one in evidence.stored.subscriptions
        for event in evidence.stored.events
        if one.takes(event)
        and (not one.replay or (one.number, event.position) in evidence.stored.dead)
        and evidence.parks(one, event.position)
    }
    for lane, position in evidence.stored.holds.items():
        if lane not in still_open:
            yield f"{lane} is held from {position}, and nothing of it is open"


def _acts(evidence: Evidence) -> Iterator[str]:
    """Return what was asked for and not done; a replay is never refused.

    A client that begins again may ask about a letter a second time: it is done once.
    """
    done = Counter(act.request_id for act in evidence.stored.acts)
    confirmed = {line["request"] for line in evidence.ledger if line["do"] == "acted"}
    deaths = {_death(act) for _, act in evidence.acts if done[act["request"]] and act["died_at"]}
    for _, act in evidence.acts:
        must = act["request"] in confirmed and _death(act) not in deaths
        if must and not done[act["request"]]:
            yield f"a {act['kind']} was acknowledged and not done: {act}"


def _death(act: Line) -> tuple[object, ...]:
    return act["name"], act["replay"], act["position"], act["died_at"]


def _replays(evidence: Evidence) -> Iterator[str]:
    """Return events of a replay that were not delivered to its reaction."""
    unfinished = {one.replay: one for one in evidence.stored.subscriptions if one.replay}
    for act in evidence.stored.acts:
        if act.kind != "replay":
            continue
        number, own = act.detail["replay"], evidence.own[act.subject]
        for event in evidence.stored.events:
            inside = act.detail["first"] <= event.position <= act.detail["last"]
            if not inside or not own.takes(event):
                continue
            place = own.name, number, event.position
            one = unfinished.get(number)
            if one is not None and evidence.stored.holds.get(one.lane_of(event)) is not None:
                continue  # it waits behind a dead letter
            if not any(tried.gives is not None for tried in evidence.attempts_of.get(place, [])):
                yield f"replay {number} did not deliver the event at {event.position} to {own.name}"


def _executions(evidence: Evidence) -> Iterator[str]:
    waits: dict[int, list[Waits]] = {}
    for wait in evidence.stored.waits:
        waits.setdefault(wait.execution_key, []).append(wait)
    for run in evidence.stored.executions:
        mine = waits.pop(run.key, [])
        journal = evidence.stored.journals.get(run.key, [])
        yield from _received(evidence, run, journal)
        if run.status not in LIVE:
            if mine:
                yield f"{run.id} is {run.status} and still waits for {mine[0].type}"
            if run.status not in ENDS[run.name]:
                yield f"{run.id} is {run.status}"
            continue
        if not mine:
            yield f"{run.id} is {run.status} and waits for no event"
        for wait in mine:
            if (found := _first(evidence, wait.type, wait.event_key, wait)) is not None:
                yield f"{run.id} waits for {wait.type}, which is in the log at {found.position}"
    for left in waits:
        yield f"an execution that is not there waits for an event: {left}"


def _first(evidence: Evidence, of: str, key: str, wait: Waits | r.EventAwaited) -> Logged | None:
    """Return the first event of the log that a wait is about."""
    for event in evidence.stored.events:
        later = event.position > wait.position and event.recorded_at >= wait.since
        if later and event.type == of and event.key == key:
            return event
    return None


def _received(evidence: Evidence, run: Ran, journal: list[r.Record]) -> Iterator[str]:
    """Return waits that got another event than the first that they were about."""
    open_waits: dict[int, r.EventAwaited] = {}
    last: dict[tuple[str, str], int] = {}
    for record in journal:
        if isinstance(record, r.EventAwaited):
            open_waits[record.wait] = record
        elif isinstance(record, r.EventReceived):
            wait = open_waits[record.wait]
            first = _first(evidence, record.event_type, record.key, wait)
            if first is None or first.position != record.position:
                yield f"{run.id} got the event at {record.position} instead of the first"
            if record.position <= last.get((record.event_type, record.key), 0):
                yield f"{run.id} got the event at {record.position} twice"
            last[record.event_type, record.key] = record.position
    if run.name == check_customer.name and run.status == "completed":
        numbers = [
            int(found.group(1))
            for one in journal
            if isinstance(one, r.EventReceived)
            and (found := re.search(rb'"number":(\d+)', bytes(one.data)))
        ]
        if numbers != [0, 1]:
            yield f"{run.id} got the answers {numbers}"
