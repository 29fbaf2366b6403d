"""The order of deliveries (P6): one key and lane, one at a time, the next after a commit.

An attempt is over when its function was left, when its process was killed, or when its node was
declared dead: what it does afterwards nobody records. What a node begins that is dead and does not
know it yet is left out here; it is bounded by `fencing`, and its effects by idempotency keys.
"""

from collections.abc import Iterator

from tests.nodes.attempts import Made
from tests.nodes.evidence import Evidence

Lane = tuple[str, str, str]


def check(evidence: Evidence) -> Iterator[str]:
    """Return attempts that ran beside each other, out of order, or before what is in front."""
    for lane, attempts in _by_lane(evidence).items():
        before: Made | None = None
        for attempt in attempts:
            if before is not None:
                yield from _compare(evidence, lane, before, attempt)
            before = attempt


def _compare(evidence: Evidence, lane: Lane, before: Made, attempt: Made) -> Iterator[str]:
    end = evidence.end_of(before)
    if end is None or attempt.began < end:
        yield (
            f"{_told(attempt)} began in {lane} at {attempt.began} while {_told(before)} was under "
            f"way from {before.began} to {end}"
        )
    assert before.position is not None
    assert attempt.position is not None
    if attempt.position < before.position:
        yield f"{_told(attempt)} came after {_told(before)} in {lane}"
    if attempt.position > before.position:
        one = evidence.subscribed[before.name]
        at = evidence.written_at.get(("mark", before.position, one.number))
        if at is None or attempt.began < at:
            yield (
                f"{_told(attempt)} began in {lane} at {attempt.began}, and {_told(before)} was "
                f"recorded at {at}"
            )


def _by_lane(evidence: Evidence) -> dict[Lane, list[Made]]:
    lanes: dict[Lane, list[Made]] = {}
    for attempt in evidence.attempts:
        if attempt.position is None or attempt.event_key is None or evidence.is_late(attempt):
            continue
        one = evidence.subscribed[attempt.name]
        lanes.setdefault((one.service, one.lane, attempt.event_key), []).append(attempt)
    return lanes


def _told(made: Made) -> str:
    return (
        f"{made.name} {made.number} with the event at {made.position} "
        f"(node {made.incarnation}, process {made.pid})"
    )
