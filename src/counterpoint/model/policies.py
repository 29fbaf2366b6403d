"""How often and how patiently something is tried again."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

from counterpoint.errors import DefinitionError

PROGRAMMING_ERRORS: tuple[type[BaseException], ...] = (
    TypeError,
    AttributeError,
    NameError,
    LookupError,
    AssertionError,
    NotImplementedError,
)
"""Errors that another attempt cannot mend: the program is wrong, not its surroundings."""


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed attempt is followed by another one.

    The delay before attempt n+1 is `first * factor ** (n - 1)`, at most `cap`, and `jitter` takes a
    random share of up to that fraction off it. Errors of the types in `stop_on` are final at once.

        Retry(max_attempts=5, first=timedelta(milliseconds=100))
    """

    max_attempts: int = 10
    first: timedelta = timedelta(milliseconds=100)
    factor: float = 2.0
    cap: timedelta = timedelta(minutes=1)
    jitter: float = 0.2
    stop_on: tuple[type[BaseException], ...] = PROGRAMMING_ERRORS

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise DefinitionError("Retry(max_attempts=) is at least 1: the first attempt counts")
        if self.first < timedelta(0) or self.cap < self.first:
            raise DefinitionError("Retry needs 0 <= first <= cap")
        if not self.factor >= 1:  # nor NaN
            raise DefinitionError("Retry(factor=) is at least 1: delays do not shrink")
        if not 0 <= self.jitter <= 1:
            raise DefinitionError("Retry(jitter=) is a fraction between 0 and 1")

    def delay_after(self, attempt: int, share: float) -> timedelta:
        """Return the delay after failed attempt number *attempt*; *share* in [0, 1) is the dice."""
        exponent = min(attempt - 1, 64)
        seconds = min(self.first.total_seconds() * self.factor**exponent, self.cap.total_seconds())
        return timedelta(seconds=seconds * (1 - self.jitter * share))


@dataclass(frozen=True, slots=True)
class Rate:
    """How many attempts may begin in a time: `count` `per` so long, on average.

    They are spread evenly over it: no more than `burst` begin at one moment, and what was not used
    for a while is saved up to that number.

        Rate(100, per=timedelta(minutes=1), burst=10)
    """

    count: int
    per: timedelta = timedelta(seconds=1)
    burst: int = 1

    def __post_init__(self) -> None:
        for name, value in (("count", self.count), ("burst", self.burst)):
            if not _is_whole(value) or value < 1:
                raise DefinitionError(f"Rate({name}={value!r}) is a whole number, at least 1")
        if not _is_time(self.per) or self.per <= timedelta(0):
            raise DefinitionError(f"Rate(per={self.per!r}) is a positive timedelta")

    @property
    def per_second(self) -> float:
        """How many may begin in a second."""
        return self.count / self.per.total_seconds()


def _is_time(value: object) -> bool:
    return isinstance(value, timedelta)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


OnUnknown: TypeAlias = Literal["incident", "fail"]
"""What follows when nobody knows whether an at-most-once call happened: a person is asked, or the
workflow gets `ActivityFailed(outcome_unknown=True)`."""


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """How a step is tried: its retries, and whether a second attempt may ever be made."""

    retry: Retry
    at_most_once: bool = False
    on_unknown: OnUnknown = "incident"
