"""A node that was declared dead commits nothing, and nobody writes what belongs to another (P7).

The server itself wrote down which process wrote what, when, and who owned it in that transaction
(witness.sql); the table of nodes says which incarnations each process had, and for how long.
"""

from collections.abc import Iterator

from tests.nodes.evidence import Evidence
from tests.nodes.stored import Known, Written

WRITTEN = ("journal", "event", "mark", "try", "slot", "letter")
CLIENTS = ("client.", "person.")
"""Who has no incarnation, and may post letters."""


def check(evidence: Evidence) -> Iterator[str]:
    """Return what was written by the dead, by clients, or to what belonged to somebody else."""
    for one in evidence.stored.written:
        if one.what not in WRITTEN or (one.what == "letter" and one.writer.startswith(CLIENTS)):
            continue
        incarnations = [*evidence.of_process.get(one.pid, []), *evidence.of_process.get(0, [])]
        living = {known.incarnation for known in incarnations if _lives(known, one.at)}
        what = f"{one.writer} wrote a {one.what} ({one.key}, {one.part}) at {one.at}"
        if not living:
            yield f"{what}, and its nodes are {_told(incarnations)}"
        elif _has_owner(evidence, one) and one.owner not in living:
            yield f"{what}, which belonged to {one.owner}; its nodes are {_told(incarnations)}"
    yield from _unwitnessed(evidence)


def check_repeated(evidence: Evidence) -> Iterator[str]:
    """Return attempts that began when their step was recorded as done.

    A node that is dead and has not noticed it may begin one: it is told by its key.
    """
    for made in evidence.attempts:
        step = made.key if made.position is None else made.execution
        at = evidence.recorded_at.get(step)
        if at is not None and made.began > at and not evidence.is_late(made):
            yield (
                f"{made.name} {made.key} was recorded at {at}, and process {made.pid} (node "
                f"{made.incarnation}) began attempt {made.number} at {made.began}"
            )


def _has_owner(evidence: Evidence, one: Written) -> bool:
    return one.what in ("mark", "try", "slot") or (
        one.what == "journal" and one.key in evidence.keys
    )


def _lives(known: Known, at: int) -> bool:
    return known.started_at <= at and (known.over_at is None or at <= known.over_at)


def _told(incarnations: list[Known]) -> str:
    return ", ".join(
        f"{one.incarnation} (from {one.started_at} to {one.over_at})" for one in incarnations
    )


def _unwitnessed(evidence: Evidence) -> Iterator[str]:
    """Return rows that the witness has not seen: then the rest of its evidence is worth nothing."""
    seen: set[tuple[str, int, int]] = {_place(one) for one in evidence.stored.written}
    for row in evidence.stored.journal:
        if ("journal", row.execution_key, row.first_seq) not in seen:
            yield f"nobody saw who wrote {row.execution_key} at {row.first_seq}"
    for event in evidence.stored.events:
        if ("event", event.position, 0) not in seen:
            yield f"nobody saw who wrote the event at {event.position}"


def _place(one: Written) -> tuple[str, int, int]:
    return one.what, one.key, one.part
