"""How one attempt of an activity or a compensation ended, as the runner of activities saw it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from counterpoint.model.records import Failure, Payload


@dataclass(slots=True)
class Returned:
    """It returned; `value` is what `result` decodes to, so that nobody decodes it twice."""

    result: Payload
    value: Any


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
