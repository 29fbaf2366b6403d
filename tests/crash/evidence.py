"""What the judge is given: the store's file, the ledger, and what publishers were told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from tests.crash.flow import SKIPS
from tests.crash.ledger import Line
from tests.crash.plan import Batch
from tests.crash.stored import Logged, StoredEvents, Subscribed

from counterpoint.model.ids import event_execution_id, idempotency_key

Delivered = tuple[str, int, int]
"""The name of a reaction, the number of the replay or 0, and a position of the log."""


class Tried(NamedTuple):
    """An attempt of a reaction, from the ledger."""

    line: int
    """The number of the line with which it began."""
    name: str
    replay: int
    position: int
    event_key: str
    event: str
    """The event's id."""
    key: str
    """Its idempotency key."""
    life: str
    """The life of the process that it was in."""
    ended: int | None
    """The number of the line with which it ended."""
    gives: tuple[tuple[str, str], ...] | None
    """Type and key of the events that follow; None if it failed."""

    @property
    def delivered(self) -> Delivered:
        """What it was an attempt of."""
        return self.name, self.replay, self.position


@dataclass
class Evidence:
    """All that is known after a kill, or at the end."""

    stored: StoredEvents
    ledger: Sequence[Line]
    plan: Sequence[Batch]
    acknowledged: Mapping[int, tuple[str, ...]]
    tried: set[int]
    seed: str
    in_turn: Sequence[int] = ()
    """Numbers of the batches that one publisher published, each when the one before was durable."""

    @cached_property
    def attempts(self) -> list[Tried]:
        """The attempts of reactions, in the order in which they began."""
        ends = {one["token"]: (n, one) for n, one in enumerate(self.ledger) if one["do"] == "end"}
        found: list[Tried] = []
        for number, line in enumerate(self.ledger):
            if line["do"] != "begin" or "position" not in line:
                continue
            ended, end = ends.get(line["token"], (None, None))
            gives = None if end is None else end.get("gives")
            found.append(
                Tried(
                    number,
                    line["name"],
                    replay_of(line["execution"]),
                    line["position"],
                    line["event_key"],
                    line["event"],
                    line["key"],
                    line["life"],
                    ended,
                    None if gives is None else tuple((of, key) for of, key in gives),
                )
            )
        return found

    @cached_property
    def attempts_of(self) -> dict[Delivered, list[Tried]]:
        """The attempts by what they were attempts of."""
        found: dict[Delivered, list[Tried]] = {}
        for attempt in self.attempts:
            found.setdefault(attempt.delivered, []).append(attempt)
        return found

    @cached_property
    def event_at(self) -> dict[int, Logged]:
        """The log by position."""
        return {event.position: event for event in self.stored.events}

    @cached_property
    def own(self) -> dict[str, Subscribed]:
        """The subscriptions that are no replays, by name."""
        return {one.name: one for one in self.stored.own}

    @cached_property
    def acts(self) -> list[tuple[int, Line]]:
        """What people asked for, with the numbers of the lines."""
        return [(number, one) for number, one in enumerate(self.ledger) if one["do"] == "act"]

    @cached_property
    def acted_on(self) -> dict[Delivered, list[tuple[int, str]]]:
        """What people asked for about a dead letter: line and kind."""
        found: dict[Delivered, list[tuple[int, str]]] = {}
        for number, act in self.acts:
            place = act["name"], act["replay"], act["position"]
            found.setdefault(place, []).append((number, act["kind"]))
        return found

    def parks(self, one: Subscribed, position: int) -> bool:
        """Whether an event is not over, so that later ones of its key have to wait for it."""
        status = self.stored.marks.get((one.number, position))
        if status in ("completed", "discarded"):
            return False
        tried_again = self.acted_on.get((one.name, one.replay, position))
        return not (one.name in SKIPS and (status == "dead" or tried_again))

    def deliveries(self) -> Iterator[tuple[Subscribed, Logged]]:
        """Return everything that has to be delivered, but replays, in the order of the log."""
        for event in self.stored.events:
            for one in self.stored.own:
                if one.takes(event):
                    yield one, event


@dataclass
class Seen:
    """What was over when the files were looked at, and how long the ledger was."""

    over: frozenset[Delivered]
    lines: int
    events: int = field(default=0)

    @staticmethod
    def of(evidence: Evidence) -> "Seen":
        """Return what evidence shows to be over."""
        named = {one.number: (one.name, one.replay) for one in evidence.stored.subscriptions}
        over = frozenset(
            (*named[number], position)
            for (number, position), status in evidence.stored.marks.items()
            if status in ("completed", "discarded") and number in named
        )
        return Seen(over, len(evidence.ledger), len(evidence.stored.events))


def replay_of(execution: str) -> int:
    """Return the number of the replay from the id of a reaction's execution, or 0."""
    _, sign, number = execution.rpartition("#")
    return int(number) if sign else 0


def key_of(name: str, event: Logged, replay: int) -> str:
    """Return the idempotency key that every attempt of a delivery has."""
    return idempotency_key(event_execution_id(name, event.source, event.id, replay), 1, 1)
