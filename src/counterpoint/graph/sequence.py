"""What really happened in one execution, as messages between it and the services it called.

It is told from journal entries alone: their `type` (a record's tag), their time, and their values
as plain data. A type that nobody told this module about is drawn from its tag and its values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeAlias


class Entry(Protocol):
    """One record of a journal as plain values; see `counterpoint journal --json`."""

    @property
    def type(self) -> str:
        """The record's tag."""
        ...

    @property
    def at(self) -> datetime | None:
        """When it was recorded; None where it was recorded with the one before."""
        ...

    @property
    def data(self) -> Mapping[str, Any]:
        """Everything else that was recorded."""
        ...


OUTSIDE = "outside"
CODE = "code"


class Arrow(StrEnum):
    """What a message is."""

    ASK = "ask"
    ANSWER = "answer"
    FAILURE = "failure"
    EVENT = "event"
    """Of a flow: an event reaches somebody who takes it."""
    DONE = "done"
    """Of a flow, where only events are dashed: an answer,"""
    FAILED = "failed"
    """a failure,"""
    UNDO = "undo"
    """what undoes an earlier call."""


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody who sends or receives messages."""

    key: str
    lines: tuple[str, ...]
    person: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """Something from one participant to another."""

    source: str
    target: str
    arrow: Arrow
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that happened at one participant."""

    over: str
    lines: tuple[str, ...]
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Chapter:
    """From here on, something else goes on."""

    title: str


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing to draw, with the seconds since the start at which it was recorded."""

    seconds: float
    what: Message | Remark | Chapter
    likeness: str
    """Equal for happenings that differ in numbers and values only."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """The same happened several times over; only the first turn is drawn."""

    title: str
    first: tuple[Happening, ...]


Item: TypeAlias = Happening | Repeated


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that a sequence diagram shows."""

    participants: tuple[Participant, ...]
    items: tuple[Item, ...]


def elapsed(seconds: float) -> str:
    """Return seconds since the start: `+0.012 s`, `+12.3 s`, `+5 min 3 s`, `+2 h 5 min`."""
    if seconds < 9.9995:
        return f"+{seconds:.3f} s"
    if seconds < 59.95:
        return f"+{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, part, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return f"+{whole // size} {unit} {whole % size // part} {smaller}"
    return f"+{whole // 60} min {whole % 60} s"
