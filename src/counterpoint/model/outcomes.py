"""How one attempt of an activity or a compensation ended, as the runner of activities saw it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias

from counterpoint.model.records import Failure, Payload


class Publication(NamedTuple):
    """An event that an attempt publishes, if its step is committed."""

    type: str
    version: int
    key: str
    data: bytes
    publisher: str
    source: str


class StartRequest(NamedTuple):
    """A workflow that an attempt starts, if its step is committed."""

    workflow: str
    execution_id: str
    arguments: Payload


Outgoing: TypeAlias = Publication | StartRequest


@dataclass(slots=True)
class Returned:
    """It returned; `value` is what `result` decodes to, so that nobody decodes it twice."""

    result: Payload
    value: Any
    outbox: Sequence[Outgoing] = ()
    """What it publishes and starts, if this outcome is recorded."""


@dataclass(slots=True)
class Raised:
    """It ended without a result."""

    error: Failure
    final: bool = False
    """Another attempt would not help: a business error, an error of the program."""
    may_have_happened: bool = True
    """False after a `BusinessError` or a `NotDone`, and when the function was never entered."""
    retry_after: timedelta | None = None
    """The delay that a `RetryAfter` asked for."""


Outcome: TypeAlias = Returned | Raised
