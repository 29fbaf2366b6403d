"""Unit tests of functions that ask for facts about their attempt, send heartbeats, or publish."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from counterpoint.authoring.attempt import AttemptInfo, EventInfo, current_attempt
from counterpoint.authoring.event import Event, contract_of, event_data
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import ArgumentsError, DefinitionError, PayloadError
from counterpoint.model.settings import Settings


@dataclass(frozen=True, slots=True)
class UnitStart:
    """A workflow that a function under test has started: `activity.start`."""

    workflow: str
    """The recorded name."""
    args: tuple[Any, ...]
    id: str


@dataclass(slots=True)
class UnitAttempt:
    """The attempt that `attempt` pretends, and what the function did in it.

    An app publishes and starts if the attempt succeeds; here nothing is published or started.
    """

    facts: AttemptInfo
    last_heartbeat: Any = None
    heartbeats: list[Any] = field(default_factory=list[Any])
    """What it reported, oldest first."""
    published: list[Event] = field(default_factory=list[Event])
    """What it gave to `activity.publish`, in that order."""
    started: list[UnitStart] = field(default_factory=list[UnitStart])
    """What it gave to `activity.start`, in that order."""

    def info(self) -> AttemptInfo:
        return self.facts

    def beat(self, detail: Any) -> None:
        try:
            self.heartbeats.append(msgspec.json.decode(msgspec.json.encode(detail)))
        except (TypeError, ValueError) as error:
            raise PayloadError(f"a heartbeat's detail is a JSON value: {error}") from error

    def previous_detail(self) -> Any:
        return self.last_heartbeat

    def publish(self, event: Event) -> None:
        event_data(contract_of(type(event)), event, Settings().payload_bytes_max)  # refused alike
        self.published.append(event)

    def start(self, workflow: Any, args: tuple[Any, ...], execution_id: str | None) -> str:
        if not isinstance(workflow, Workflow):
            raise DefinitionError(f"activity.start takes a workflow, not {workflow!r}")
        try:
            workflow.signature.decode_arguments(workflow.signature.encode_arguments(args, {}))
        except TypeError as error:
            raise ArgumentsError(str(error)) from None
        its_id = execution_id or f"{self.facts.execution_id}-start-{len(self.started) + 1}"
        self.started.append(UnitStart(workflow.name, args, its_id))
        return its_id


@contextmanager
def attempt(
    *,
    activity: str = "service.activity",
    attempt: int = 1,
    idempotency_key: str = "unit-test/1/1",
    execution_id: str = "unit-test",
    correlation_id: str | None = None,
    deadline: datetime | None = None,
    last_heartbeat: Any = None,
    undoes_key: str | None = None,
    event: EventInfo | None = None,
    is_replay: bool = False,
) -> Generator[UnitAttempt]:
    """Run the block as if an app ran an attempt of an activity or a reaction in it.

        with attempt(idempotency_key="order-1/1/2") as running:
            await authorize("order-1", Decimal(5))
        assert running.heartbeats == ["asked the bank"]
        assert running.published == [PaymentAuthorized(order_id="order-1")]

    *event* and *is_replay* are what a reaction learns of its event from `activity.info()`.
    """
    facts = AttemptInfo(
        activity,
        attempt,
        idempotency_key,
        execution_id,
        correlation_id or execution_id,
        deadline,
        is_replay=is_replay,
        undoes_key=undoes_key,
        event=event,
    )
    running = UnitAttempt(facts, last_heartbeat)
    token = current_attempt.set(running)
    try:
        yield running
    finally:
        current_attempt.reset(token)
