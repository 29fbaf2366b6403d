"""Who has published what: every success exactly what it gave, and nobody else anything."""

from collections import Counter
from collections.abc import Iterator

from tests.crash.evidence import Delivered, Evidence
from tests.crash.flow import check_customer, file_away, follow, take_payment

from counterpoint.model import records as r

Given = Counter[tuple[str, str]]
"""Type and key of events, counted."""


def check(evidence: Evidence) -> Iterator[str]:
    """Return successes that published something else than they gave, and what came of nothing."""
    yield from _by_reactions(evidence)
    yield from _by_workflows(evidence)
    yield from _by_activities(evidence)
    yield from _envelopes(evidence)
    yield from _started(evidence)


def _by_reactions(evidence: Evidence) -> Iterator[str]:
    position_of = {event.id: event.position for event in evidence.stored.events}
    found: dict[tuple[str, int], Given] = {}
    for event in evidence.stored.events:
        if event.publisher in evidence.own and event.publisher != follow.name:
            cause = position_of.get(event.causation_id or "", 0)
            found.setdefault((event.publisher, cause), Counter())[event.type, event.key] += 1
    expected: dict[tuple[str, int], Given] = {}
    for delivered in _successes(evidence):
        name, _, position = delivered
        gives = _given(evidence, delivered)
        if gives is None:
            yield f"{delivered} gave this and that: its attempts differ"
        elif gives:
            expected.setdefault((name, position), Counter()).update(gives)
    for place in expected.keys() | found.keys():
        if expected.get(place) != found.get(place):
            yield (
                f"{place[0]} published {_words(found.get(place))} for the event at {place[1]}, "
                f"and gave {_words(expected.get(place))}"
            )


def _successes(evidence: Evidence) -> Iterator[Delivered]:
    """Return the deliveries of reactions whose events are published."""
    marks = evidence.stored.marks
    for one, event in evidence.deliveries():
        if one.name != follow.name and marks.get((one.number, event.position)) == "completed":
            yield one.name, 0, event.position
    unfinished = {one.replay: one for one in evidence.stored.subscriptions if one.replay}
    for act in evidence.stored.acts:
        if act.kind != "replay" or not act.detail["publish"]:
            continue
        number = act.detail["replay"]
        for position in range(act.detail["first"], act.detail["last"] + 1):
            event_type = evidence.own[act.subject].type
            if getattr(evidence.event_at.get(position), "type", "") != event_type:
                continue
            open_one = unfinished.get(number)
            if open_one is None or marks.get((open_one.number, position)) == "completed":
                yield act.subject, number, position


def _given(evidence: Evidence, delivered: Delivered) -> Given | None:
    """Return what the successful attempts of a delivery gave; None where they do not agree."""
    attempts = evidence.attempts_of.get(delivered, [])
    answers = {attempt.gives for attempt in attempts if attempt.gives is not None}
    return Counter(answers.pop()) if len(answers) == 1 else None


def _by_workflows(evidence: Evidence) -> Iterator[str]:
    recorded = {
        record.id: run.id
        for run in evidence.stored.executions
        for record in evidence.stored.journals.get(run.key, [])
        if isinstance(record, r.Published)
    }
    names = (follow.name, check_customer.name)
    logged = {e.id: e.causation_id for e in evidence.stored.events if e.publisher in names}
    for id in recorded.keys() ^ logged.keys():
        yield f"the event {id} of a workflow is in its journal or in the log, not in both"
    for id in recorded.keys() & logged.keys():
        if recorded[id] != logged[id]:
            yield f"the event {id} of {recorded[id]} says that {logged[id]} published it"


def _by_activities(evidence: Evidence) -> Iterator[str]:
    filed = Counter(e.causation_id for e in evidence.stored.events if e.publisher == file_away.name)
    for run in evidence.stored.executions:
        journal = evidence.stored.journals.get(run.key, [])
        calls = {
            record.call
            for record in journal
            if isinstance(record, r.CallScheduled) and record.name == file_away.name
        }
        done = sum(isinstance(one, r.CallCompleted) and one.call in calls for one in journal)
        if filed.pop(run.id, 0) != done:
            yield f"{run.id} has filed {done} times, and its event was published otherwise"
    for id in filed:
        yield f"{id} published with an activity and is no execution"


def _envelopes(evidence: Evidence) -> Iterator[str]:
    """Compare what an event says of its flow with the event that led to it."""
    by_id = {event.id: event for event in evidence.stored.events}
    for event in evidence.stored.events:
        cause = by_id.get(event.causation_id or "")
        if cause is None:
            continue
        if event.correlation_id != cause.correlation_id or event.hops != cause.hops + 1:
            yield f"{event.id} is not of the flow of {cause.id}, which led to it"


def _started(evidence: Evidence) -> Iterator[str]:
    """Return workflows that were not started by their event or reaction, or without it."""
    marks, own = evidence.stored.marks, evidence.own
    expected: set[str] = set()
    for name in (follow.name, take_payment.name):
        if name not in own:
            continue
        for event in evidence.stored.events:
            if not own[name].takes(event):
                continue
            if marks.get((own[name].number, event.position)) != "completed":
                continue
            if name == follow.name:
                expected.add(f"follow-{event.key}")
            elif b'"checked":true' in event.data:
                expected.add(f"check-{event.key}")
    there = {run.id for run in evidence.stored.executions}
    for id in sorted(expected ^ there):
        yield f"{id} {'was not started' if id in expected else 'was started by nothing'}"


def _words(given: Given | None) -> str:
    return (
        ", ".join(f"{n} x {of} {key}" for (of, key), n in (given or Counter()).items()) or "nothing"
    )
