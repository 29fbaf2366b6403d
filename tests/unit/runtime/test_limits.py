"""Rates and concurrencies as numbers: never more than they allow, never less."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from counterpoint import Rate
from counterpoint.model.cluster import Limit
from counterpoint.runtime.limits import Limits

EPSILON = 1e-3


class Stopwatch:
    """Time that a test moves; it keeps the alarms that were set."""

    def __init__(self) -> None:
        self.at = 1_700_000_000_000_000
        self.alarms: list[tuple[int, Callable[[], object]]] = []

    def now(self) -> int:
        return self.at

    def call_at(self, at: int, callback: Callable[[], object]) -> Any:
        alarm = (at, callback)
        self.alarms.append(alarm)
        return SimpleNamespace(cancel=lambda: self.alarms.remove(alarm))


def limited(*limits: Limit) -> Any:
    return SimpleNamespace(limits=limits)


def opened() -> None:
    """Nothing has to be looked at again."""


rates = st.builds(
    Rate,
    st.integers(1, 1_000),
    per=st.integers(1, 100_000).map(lambda number: timedelta(milliseconds=number)),
    burst=st.integers(1, 20),
)


@given(rates, st.lists(st.integers(0, 200), max_size=60))
def test_an_attempt_begins_exactly_when_the_bucket_has_a_token(
    rate: Rate, steps: list[int]
) -> None:
    clock = Stopwatch()
    limits = Limits(clock, opened)
    work = limited(Limit("desk.ask", None, rate.per_second, rate.burst))
    tokens, filled_at = float(rate.burst), clock.at
    distance = 1e6 / rate.per_second

    for step in steps:  # in tenths of the time between two tokens
        clock.at += round(step * distance / 10)
        tokens = min(rate.burst, tokens + (clock.at - filled_at) / distance)
        filled_at = clock.at
        room = limits.has_room(work)
        if abs(tokens - 1) > 1 / distance + EPSILON:  # else it is a matter of rounding
            assert room == (tokens > 1)
        if room:
            limits.enter(work)
            tokens -= 1


@given(rates, st.integers(1, 30))
def test_an_alarm_is_set_for_the_moment_at_which_one_may_begin(rate: Rate, wanted: int) -> None:
    clock = Stopwatch()
    limits = Limits(clock, opened)
    work = limited(Limit("desk.ask", None, rate.per_second, rate.burst))

    began = 0
    while began < wanted:
        if limits.has_room(work):
            limits.enter(work)
            began += 1
            continue
        ((at, ring),) = clock.alarms
        assert at > clock.at
        clock.at = at
        clock.alarms.clear()
        ring()
        assert limits.has_room(work)


def test_what_runs_at_its_limit_waits_for_no_alarm() -> None:
    clock = Stopwatch()
    limits = Limits(clock, opened)
    work = limited(Limit("desk.ask", 1, 10.0, 5))
    limits.enter(work)

    assert not limits.has_room(work)
    assert clock.alarms == []
    limits.leave(work)
    assert limits.has_room(work)


def test_the_nearest_of_two_rates_rings_first() -> None:
    clock = Stopwatch()
    limits = Limits(clock, opened)
    slow, fast = limited(Limit("slow", None, 0.1)), limited(Limit("fast", None, 10.0))
    limits.enter(slow)
    limits.enter(fast)

    assert not limits.has_room(slow)
    assert not limits.has_room(fast)
    assert [at - clock.at for at, _ in clock.alarms] == [100_000]
