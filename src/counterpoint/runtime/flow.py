"""What can be said of a flow: everything with one correlation id, as a tree of what led to what."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from counterpoint.runtime.description import AttemptDescription, Description, JournalEntry
from counterpoint.runtime.description import AwaitedEvent as AwaitedEvent


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event that an execution waited for and got."""

    type: str
    source: str
    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FlowEvent:
    """An event of a flow, and who took it."""

    source: str
    id: str
    type: str
    version: int
    key: str
    at: datetime
    """When it was appended to the log."""
    position: int
    publisher: str | None
    """The recorded name of the reaction, activity or workflow; None for a program outside."""
    call: int | None
    """The call of the execution above it whose activity published it, a compensation with a minus;
    None if none did, or where nobody can tell."""
    data: Any
    led_to: tuple["FlowStep", ...] = ()


@dataclass(frozen=True, slots=True)
class FlowReaction:
    """What a subscription did with an event of a flow: a reaction, or a workflow that it starts."""

    id: str
    """The id of its execution."""
    name: str
    service: str
    status: str
    """`waiting` (it has not taken the event yet), `running`, `retrying`, `completed`, `dead` (the
    event is a dead letter) or `discarded`."""
    event: str
    """The id of the event."""
    replay: int
    """The number of the replay that it belongs to; 0 for none."""
    created_at: datetime | None
    """When its first attempt began; None while it waits."""
    finished_at: datetime | None
    attempts: int
    failed_attempts: Sequence[AttemptDescription] = ()
    """Oldest first; all of them, also those before a redrive."""
    next_attempt_at: datetime | None = None
    error: str | None = None
    """That of its last failed attempt; None once it has succeeded."""
    waits_for: str | None = None
    """In words: what has to happen before it goes on."""
    journal: Sequence[JournalEntry] = ()
    led_to: tuple["FlowStep", ...] = ()

    @property
    def retries(self) -> int:
        """How many of its attempts failed and were, or are going to be, followed by another."""
        return sum(one.type in ("attempt-failed", "attempt-lost") for one in self.journal)


@dataclass(frozen=True, slots=True)
class FlowExecution:
    """A run of a workflow in a flow."""

    description: Description
    service: str
    event: str | None
    """The id of the event that started it, through a subscription of the workflow, or through a
    reaction to it; None for none."""
    received: Sequence[ReceivedEvent] = ()
    awaits: Sequence[AwaitedEvent] = ()
    journal: Sequence[JournalEntry] = ()
    led_to: tuple["FlowStep", ...] = ()

    @property
    def id(self) -> str:
        """The id of the execution."""
        return self.description.id


FlowStep: TypeAlias = FlowEvent | FlowReaction | FlowExecution


@dataclass(frozen=True, slots=True)
class Flow:
    """Everything with one correlation id, whichever style it is written in.

    flow = await app.flow("order-7")
    for step in flow.steps():
        print(step)
    """

    id: str
    """The correlation id."""
    roots: tuple[FlowStep, ...]
    """What began it, oldest first, and what nobody knows the cause of."""
    started_at: datetime
    ended_at: datetime | None
    """When its last step ended; None while something of it goes on or waits."""

    def steps(self) -> Iterator[FlowStep]:
        """Iterate over everything in it, each cause before what it led to."""
        for _, step in self.outline():
            yield step

    def outline(self) -> Iterator[tuple[int, FlowStep]]:
        """Iterate over everything in it like `steps`, each with its depth; a root has 0."""
        left = [(0, step) for step in reversed(self.roots)]
        while left:
            depth, step = left.pop()
            yield depth, step
            left += [(depth + 1, one) for one in reversed(step.led_to)]

    @property
    def events(self) -> list[FlowEvent]:
        """Its events, each after what led to it."""
        return [step for step in self.steps() if isinstance(step, FlowEvent)]

    @property
    def reactions(self) -> list[FlowReaction]:
        """Its reactions, also those that have not begun; started workflows are in `executions`."""
        return [step for step in self.steps() if isinstance(step, FlowReaction)]

    @property
    def executions(self) -> list[FlowExecution]:
        """Its executions of workflows, parents before their children."""
        return [step for step in self.steps() if isinstance(step, FlowExecution)]

    @property
    def live(self) -> bool:
        """Whether something of it goes on, or waits."""
        return self.ended_at is None

    def counts(self) -> dict[str, int]:
        """Return how much happened in it, by what."""
        calls = [call for one in self.executions for call in one.description.calls]
        reactions = self.reactions
        return {
            "executions": len(self.executions),
            "events": len(self.events),
            "reactions": sum(one.status != "waiting" for one in reactions),
            "calls": sum(
                one.state != "registered" or one.compensation is not None for one in calls
            ),
            "compensations": sum(one.compensation is not None for one in calls),
            "retries": sum(one.retries for one in reactions)
            + sum(max(0, one.attempts - 1) for one in calls)
            + sum(max(0, one.compensation_attempts - 1) for one in calls),
            "dead_letters": sum(one.status == "dead" for one in reactions),
            "waiting": sum(one.status in ("waiting", "retrying", "running") for one in reactions),
            "incidents": sum(len(one.description.incidents) for one in self.executions),
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; its steps are a list, each with the number of its cause."""
        steps: list[dict[str, Any]] = []
        causes: list[int] = []
        for depth, step in self.outline():
            del causes[depth:]
            number = len(steps) + 1
            plain = {
                one.name: msgspec.to_builtins(getattr(step, one.name))
                for one in fields(step)
                if one.name not in ("led_to", "journal")
            }
            kind = type(step).__name__.removeprefix("Flow").lower()
            cause = causes[-1] if causes else None
            steps.append({"number": number, "cause": cause, "kind": kind, **plain})
            causes.append(number)
        ended = None if self.ended_at is None else msgspec.to_builtins(self.ended_at)
        return {
            "id": self.id,
            "started_at": msgspec.to_builtins(self.started_at),
            "ended_at": ended,
            **self.counts(),
            "steps": steps,
        }
