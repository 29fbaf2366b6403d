"""Finds attempts that failed alike, one after the other, and heartbeats that were followed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from counterpoint.graph.sequence import Entry

_ALIKE_MIN = 3
_FAILED = {"attempt-failed", "attempt-lost"}


@dataclass(frozen=True, slots=True)
class Alike:
    """Attempts of one step that all ended the same way."""

    first: int
    last: int
    """Attempt numbers."""
    last_index: int
    """Where the last of them stands in the journal."""


@dataclass(slots=True)
class Summary:
    """What of a journal is told once for many: by the index of its entry."""

    alike: dict[int, Alike] = field(default_factory=dict)
    """At the first of several attempts that failed alike."""
    beats: dict[int, int] = field(default_factory=dict)
    """At the last of several heartbeats in a row, how many there were."""
    silent: set[int] = field(default_factory=set)
    """Entries that are part of what is told elsewhere."""


def summary(entries: Sequence[Entry], alike_min: int = _ALIKE_MIN) -> Summary:
    """Return what can be told together; steps are looked at one by one, however they interleave.

    Fewer than *alike_min* attempts that failed alike are told one by one.
    """
    found = Summary()
    steps: dict[int, list[int]] = {}
    for index, entry in enumerate(entries):
        step = entry.data.get("step")
        if isinstance(step, int):
            steps.setdefault(step, []).append(index)
    for indexes in steps.values():
        _attempts(entries, indexes, found, alike_min)
        _beats(entries, indexes, found)
    return found


def _attempts(
    entries: Sequence[Entry], indexes: Sequence[int], found: Summary, alike_min: int
) -> None:
    run: list[int] = []
    begun: list[int] = []
    for index in [*indexes, -1]:
        entry = entries[index] if index >= 0 else None
        if entry is not None and entry.type in ("attempt", "heartbeat"):
            begun.append(index)
        elif entry is not None and entry.type in _FAILED and _continues(entries, run, entry):
            run.append(index)
        else:
            if len(run) >= alike_min:
                _close(entries, run, begun, found)
            run = [index] if entry is not None and entry.type in _FAILED else []
            begun = []


def _continues(entries: Sequence[Entry], run: Sequence[int], entry: Entry) -> bool:
    if not run:
        return False
    before = entries[run[-1]]
    following: int = before.data["attempt"] + 1
    return entry.data["attempt"] == following and _ending(before) == _ending(entry)


def _ending(entry: Entry) -> tuple[object, ...]:
    error: Mapping[str, object] = entry.data.get("error") or {}
    return entry.type, error.get("type"), error.get("message")


def _close(
    entries: Sequence[Entry], run: Sequence[int], begun: Sequence[int], found: Summary
) -> None:
    numbers = [entries[index].data["attempt"] for index in run]
    found.alike[run[0]] = Alike(numbers[0], numbers[-1], run[-1])
    found.silent.update(run[1:])
    found.silent.update(index for index in begun if run[0] < index < run[-1])


def _beats(entries: Sequence[Entry], indexes: Sequence[int], found: Summary) -> None:
    count = 0
    for index, following in zip(indexes, [*indexes[1:], None], strict=True):
        if entries[index].type != "heartbeat":
            count = 0
            continue
        count += 1
        if following is not None and entries[following].type == "heartbeat":
            found.silent.add(index)
        else:
            found.beats[index] = count
