"""A deploy loses nothing: what must hold where nodes were only told to stop (P2, P3).

A node that is told to stop lets attempts end and records how they did. So nothing of its work is
lost or made again: each attempt that began has ended, and is recorded; nobody had to find out that
a node was gone, and nobody had to help. The shop's steps are much shorter than `stop_within`.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import chain

from tests.nodes.attempts import Made
from tests.nodes.evidence import Evidence

from counterpoint.model import records as r
from counterpoint.model.ids import event_execution_id, idempotency_key

ENDED_WITHIN_SECONDS = 10.0
"""`stop_within`: who needs more has waited for something that does not end."""
SAID = ["stopped", "done"]
"""What a process says at last that has stopped as it should."""


def check(evidence: Evidence) -> Iterator[str]:
    """Return everything that was lost, was made twice, or did not stop as it should."""
    return chain(processes(evidence), members(evidence), lost(evidence), repeated(evidence))


def processes(evidence: Evidence) -> Iterator[str]:
    """Return processes that did not end with 0 and in time, and what nodes complained of."""
    for one in evidence.departures:
        told = f"{one.name} (process {one.pid}), after {one.how},"
        if one.status or list(one.last) != SAID:
            yield f"{told} ended with status {one.status} and said {list(one.last)}"
        if one.seconds > ENDED_WITHIN_SECONDS:
            yield f"{told} took {one.seconds:.1f} s to end"
    for error in evidence.errors:
        yield f"a node complained: {error}"


def members(evidence: Evidence) -> Iterator[str]:
    """Return nodes that were declared lost, and processes that had to join again."""
    for one in evidence.stored.nodes:
        if one.lost_at is not None:
            yield f"node {one.incarnation} ({one.node}) was declared lost at {one.lost_at}"
    for pid, known in evidence.of_process.items():
        if len(known) > 1:
            yield f"process {pid} was {len(known)} nodes, one after the other"


def lost(evidence: Evidence) -> Iterator[str]:
    """Return attempts that are recorded as lost, and what a person had to look at."""
    for key, journal in evidence.stored.journals.items():
        for record in journal:
            if isinstance(record, r.AttemptLost):
                yield f"attempt {record.attempt} of step {record.step} of {key} is recorded as lost"
            if isinstance(record, r.IncidentRaised | r.Died):
                yield f"{key} needed a person: {record}"
    for made in evidence.attempts:
        if made.ended is None:
            yield f"{_told(made)} was cut off"


def repeated(evidence: Evidence) -> Iterator[str]:
    """Return attempts that nothing recorded says of, or that were made twice."""
    recorded = attempts_recorded(evidence)
    made: dict[str, list[Made]] = {}
    for one in evidence.attempts:
        made.setdefault(_step(one), []).append(one)
    for step, attempts in made.items():
        times = Counter(one.number for one in attempts)
        if len(attempts) > recorded[step] or len(attempts) > len(times):
            ran = "; ".join(f"{_told(one)} until {one.ended}" for one in attempts)
            yield f"{recorded[step]} attempts of {step} are recorded, and these were made: {ran}"


def attempts_recorded(evidence: Evidence) -> Counter[str]:
    """Return how many attempts of each step the store knows of: by key, or a reaction's id."""
    found: Counter[str] = Counter()
    for run in evidence.stored.executions:
        steps: Counter[int] = Counter()
        for record in evidence.stored.journals.get(run.key, ()):
            match record:
                case r.AttemptFailed() | r.AttemptLost():
                    steps[record.step] += 1
                case r.CallCompleted():
                    steps[record.call] += 1
                case r.CompensationCompleted():
                    steps[-record.call] += 1
                case r.CallFailed():
                    steps[record.call] = record.attempts
                case _:
                    pass
        for step, count in steps.items():
            found[idempotency_key(run.id, run.run, step)] = count
    marks = {(one.subscription, one.position): one.attempts for one in evidence.stored.reactions}
    for one, event in evidence.deliveries():
        id = event_execution_id(one.name, event.source, event.id)
        found[id] = marks.get((one.number, event.position), 0)
    return found


def _step(made: Made) -> str:
    return made.key if made.position is None else made.execution


def _told(made: Made) -> str:
    return f"attempt {made.number} of {made.name} (process {made.pid}) from {made.began}"
