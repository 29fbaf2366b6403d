"""The order of deliveries (P6): one key and lane, one at a time, the next after a commit."""

import itertools
from collections.abc import Iterator

from tests.crash.evidence import Evidence, Seen, Tried
from tests.crash.flow import REMOVABLE, SKIPS
from tests.crash.stored import LaneKey


def check(evidence: Evidence) -> Iterator[str]:
    """Return how attempts broke the order, or ran beside each other."""
    for lane, attempts in _by_lane(evidence).items():
        yield from _overlaps(lane, attempts)
        yield from _out_of_order(evidence, lane, attempts)


def check_commits(evidence: Evidence) -> Iterator[str]:
    """Return attempts that began before what is in front of them in their lane was over.

    It may be asked at any time: what was over stays over, and later events come behind.
    """
    first: dict[LaneKey, tuple[int, str]] = {}
    for one, event in evidence.deliveries():
        if one.name != REMOVABLE and evidence.parks(one, event.position):
            first.setdefault(one.lane_of(event), (event.position, one.name))
    for attempt in evidence.attempts:
        own = evidence.own.get(attempt.name)
        if own is None or attempt.name == REMOVABLE or attempt.replay:
            continue
        position, name = first.get((own.service, own.lane, attempt.event_key), (None, ""))
        if position is not None and attempt.position > position:
            yield (
                f"{attempt.name} was tried with the event at {attempt.position} of "
                f"{attempt.event_key}, and that at {position} is not over for {name}"
            )


def check_repeated(evidence: Evidence, seen: Seen) -> Iterator[str]:
    """Return attempts of what was over before."""
    for attempt in evidence.attempts:
        if attempt.line >= seen.lines and attempt.delivered in seen.over:
            yield f"{attempt.delivered} was over and was tried again in line {attempt.line}"


def check_parked(evidence: Evidence) -> Iterator[str]:
    """Return attempts behind a dead letter that began before somebody discarded it."""
    for (name, replay, position), acts in evidence.acted_on.items():
        own = evidence.own.get(name)
        event = evidence.event_at.get(position)
        if own is None or event is None or replay or name in SKIPS or name == REMOVABLE:
            continue
        act, kind = acts[-1]
        if kind != "discard":
            continue
        lane = own.service, own.lane
        for attempt in evidence.attempts:
            other = evidence.own[attempt.name]
            behind = attempt.position > position and attempt.event_key == event.key
            free = attempt.replay or attempt.name == REMOVABLE
            if behind and not free and (other.service, other.lane) == lane and attempt.line < act:
                yield (
                    f"{attempt.name} was tried with the event at {attempt.position} while that at "
                    f"{position} was a dead letter of {name}"
                )


def under_way(evidence: Evidence) -> int:
    """Return how many deliveries had begun and were not over."""
    over = Seen.of(evidence).over
    return sum(delivered not in over for delivered in evidence.attempts_of)


def not_taken(evidence: Evidence) -> int:
    """Return for how many deliveries there was no mark."""
    marks = evidence.stored.marks
    return sum((one.number, event.position) not in marks for one, event in evidence.deliveries())


def _by_lane(evidence: Evidence) -> dict[LaneKey, list[Tried]]:
    lanes: dict[LaneKey, list[Tried]] = {}
    for attempt in evidence.attempts:
        own = evidence.own.get(attempt.name)
        if own is not None:
            lane = own.service, own.lane, attempt.event_key
            lanes.setdefault(lane, []).append(attempt)
    return lanes


def _overlaps(lane: LaneKey, attempts: list[Tried]) -> Iterator[str]:
    before: dict[str, Tried] = {}
    for attempt in attempts:
        last = before.get(attempt.life)
        if last is not None and (last.ended is None or last.ended > attempt.line):
            yield f"{attempt.delivered} began in {lane} while {last.delivered} was under way"
        before[attempt.life] = attempt


def _out_of_order(evidence: Evidence, lane: LaneKey, attempts: list[Tried]) -> Iterator[str]:
    """Compare the order of attempts with that of the log.

    A reaction that was removed for a while, and each replay, has an order of its own. What is
    redriven after others have passed it is out of order by intention.
    """
    courses: dict[tuple[str, int], list[Tried]] = {}
    for attempt in attempts:
        if attempt.name in SKIPS and attempt.delivered in evidence.acted_on:
            continue
        of = attempt.name if attempt.replay or attempt.name == REMOVABLE else ""
        courses.setdefault((of, attempt.replay), []).append(attempt)
    for course in courses.values():
        closed: set[tuple[str, int, int]] = set()
        for before, attempt in itertools.pairwise(course):
            if before.delivered == attempt.delivered:
                continue
            closed.add(before.delivered)
            if attempt.position < before.position or attempt.delivered in closed:
                yield f"{attempt.delivered} was tried after {before.delivered} in {lane}"
