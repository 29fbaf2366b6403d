"""Wall time that never goes back: see `ports.clock`."""

import asyncio
from collections.abc import Callable

import pytest

from counterpoint.runtime import clock as clocks
from counterpoint.runtime.clock import SystemClock

SECOND = 1_000_000_000
NOON = 1_800_000_000 * SECOND


class Times:
    """A wall clock that can be set, and a monotonic one."""

    def __init__(self) -> None:
        self.wall = NOON
        self.monotonic = 5 * SECOND
        self.clock = SystemClock(lambda: self.wall, lambda: self.monotonic)

    def pass_seconds(self, seconds: float) -> None:
        self.wall += int(seconds * SECOND)
        self.monotonic += int(seconds * SECOND)

    def since_noon(self) -> float:
        return (self.clock.now() - NOON // 1000) / 1e6


def test_time_is_the_wall_clocks_in_microseconds() -> None:
    times = Times()

    assert times.clock.now() == NOON // 1000


def test_wall_clock_that_is_set_back_does_not_turn_time_back_or_stop_it() -> None:
    times = Times()
    times.pass_seconds(10)
    assert times.since_noon() == 10

    times.wall -= 3_600 * SECOND
    assert times.since_noon() == 10
    times.pass_seconds(5)

    assert times.since_noon() == 15


def test_wall_clock_that_jumps_forward_is_followed() -> None:
    times = Times()

    times.wall += 3_600 * SECOND

    assert times.since_noon() == 3_600


def test_wall_clock_that_catches_up_is_followed_again() -> None:
    times = Times()
    times.wall -= 60 * SECOND
    times.pass_seconds(30)
    assert times.since_noon() == 30

    times.wall += 120 * SECOND

    assert times.since_noon() == 90


async def test_alarm_rings_when_a_forward_jump_has_passed_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = Times()
    rung = asyncio.Event()
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def call_at_once(delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        waits.append(delay)
        times.wall += 3_600 * SECOND
        return call_later(0, callback)

    monkeypatch.setattr(loop, "call_later", call_at_once)
    times.clock.call_at(NOON // 1000 + 7_000 * 1_000_000, rung.set)
    await rung.wait()

    assert waits == [clocks.LONGEST_WAIT_SECONDS] * 2


async def test_cancelled_alarm_does_not_ring() -> None:
    rung: list[bool] = []
    clock = SystemClock()

    clock.call_at(clock.now(), lambda: rung.append(True)).cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert not rung
