"""Unit tests of activity functions that ask for facts about their attempt or send heartbeats."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from counterpoint.authoring.attempt import AttemptInfo, current_attempt
from counterpoint.errors import PayloadError


@dataclass(slots=True)
class UnitAttempt:
    """The attempt that `attempt` pretends; `heartbeats` lists what the function reported."""

    facts: AttemptInfo
    last_heartbeat: Any = None
    heartbeats: list[Any] = field(default_factory=list[Any])

    def info(self) -> AttemptInfo:
        return self.facts

    def beat(self, detail: Any) -> None:
        try:
            self.heartbeats.append(msgspec.json.decode(msgspec.json.encode(detail)))
        except (TypeError, ValueError) as error:
            raise PayloadError(f"a heartbeat's detail is a JSON value: {error}") from error

    def previous_detail(self) -> Any:
        return self.last_heartbeat


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
) -> Generator[UnitAttempt]:
    """Run the block as if an app ran an attempt of an activity in it.

    with attempt(idempotency_key="order-1/1/2") as running:
        await authorize("order-1", Decimal(5))
    assert running.heartbeats == ["asked the bank"]
    """
    facts = AttemptInfo(
        activity,
        attempt,
        idempotency_key,
        execution_id,
        correlation_id or execution_id,
        deadline,
        undoes_key=undoes_key,
    )
    running = UnitAttempt(facts, last_heartbeat)
    token = current_attempt.set(running)
    try:
        yield running
    finally:
        current_attempt.reset(token)
