"""What happened in a flow, as facts to draw: executions, events, and who took these.

Several journals are told as one story. Each is a track of beats in its own order; a beat that
cannot have come before another one (a reaction before its event, an answer before its question)
names it, and the beats of all tracks are put in one order: by time, but never an effect before its
cause, whatever clocks said.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from counterpoint.graph.sequence import Entry, Item

Token: TypeAlias = tuple[str | int, ...]
"""What a beat waits for, and another one gives."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A run of an execution."""

    id: str
    run: int
    service: str
    name: str
    at: datetime
    entries: Sequence[Entry]
    """Its whole journal."""
    event: tuple[str, str] | None = None
    """The source and id of the event that started it."""
    parent: str | None = None
    """The id of the execution whose step it is."""
    reaction: "Took | None" = None
    """The reaction that started it; then `event` is None."""
    starter: str | None = None
    """The service of the execution whose activity started it, if one did."""


@dataclass(frozen=True, slots=True)
class Occurred:
    """An event."""

    source: str
    id: str
    type: str
    key: str
    at: datetime
    outside: bool = False
    """A program outside published it."""
    cause: Token | None = None
    """What published it: see `took`, `called`, `published`."""


@dataclass(frozen=True, slots=True)
class Took:
    """What a reaction did with an event."""

    id: str
    name: str
    service: str
    event: tuple[str, str]
    type: str
    at: datetime
    """When it took the event, or when that occurred, which it has not taken yet."""
    finished_at: datetime | None
    attempts: int
    waits: str = ""
    """Why it has not taken the event yet."""
    entries: Sequence[Entry] = ()
    """Its journal, if anything failed."""
    replay: int = 0


Fact: TypeAlias = Ran | Occurred | Took


def took(reaction_id: str) -> Token:
    """Return what the success of a reaction gives."""
    return "took", reaction_id


def called(execution_id: str, run: int, call: int) -> Token:
    """Return what the success of a call gives; a compensation has a minus."""
    return "called", execution_id, run, call


def published(source: str, event_id: str) -> Token:
    """Return what an execution gives that publishes an event by itself."""
    return "published", source, event_id


@dataclass(frozen=True, slots=True)
class Beat:
    """What one record tells, if anything."""

    at: datetime
    items: tuple[Item, ...]
    needs: Token | None = None
    gives: Token | None = None


def in_order(tracks: Sequence[Sequence[Beat]]) -> list[Beat]:
    """Return the beats of all tracks in one order: by time, each after what it needs.

    What nothing gives is not waited for; nor is anything once all that is left waits for another.
    """
    given_somewhere = {beat.gives for track in tracks for beat in track}
    given: set[Token | None] = {None}
    waiting: dict[Token | None, list[int]] = {}
    places = [0] * len(tracks)
    ready = [(track[0].at, number) for number, track in enumerate(tracks) if track]
    heapq.heapify(ready)
    order: list[Beat] = []
    while ready or waiting:
        if not ready:
            token = min(waiting, key=lambda one: min(waiting[one]))
            _wake(waiting, token, given, tracks, places, ready)
        _, number = heapq.heappop(ready)
        beat = tracks[number][places[number]]
        if beat.needs not in given and beat.needs in given_somewhere:
            waiting.setdefault(beat.needs, []).append(number)
            continue
        order.append(beat)
        places[number] += 1
        if places[number] < len(tracks[number]):
            heapq.heappush(ready, (tracks[number][places[number]].at, number))
        _wake(waiting, beat.gives, given, tracks, places, ready)
    return order


def _wake(
    waiting: dict[Token | None, list[int]],
    token: Token | None,
    given: set[Token | None],
    tracks: Sequence[Sequence[Beat]],
    places: Sequence[int],
    ready: list[tuple[datetime, int]],
) -> None:
    given.add(token)
    for number in waiting.pop(token, ()):
        heapq.heappush(ready, (tracks[number][places[number]].at, number))
