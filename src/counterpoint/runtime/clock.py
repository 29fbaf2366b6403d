"""The real clock."""

import asyncio
import time
from collections.abc import Callable

from counterpoint.ports.clock import Alarm

LONGEST_WAIT_SECONDS = 60.0
"""Alarms further away are looked at again after this, so that a forward jump is noticed."""


class SystemClock:
    """Wall time held up by the monotonic clock: see `ports.clock` for what it guarantees."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._offset = wall_ns() - monotonic_ns()

    def now(self) -> int:
        monotonic = self._monotonic_ns()
        wall = self._wall_ns()
        if wall > monotonic + self._offset:
            self._offset = wall - monotonic
        return (monotonic + self._offset) // 1000

    def call_at(self, at: int, callback: Callable[[], object]) -> Alarm:
        return _SystemAlarm(self, at, callback)


class _SystemAlarm:
    def __init__(self, clock: SystemClock, at: int, callback: Callable[[], object]) -> None:
        self._clock = clock
        self._at = at
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(self._seconds(), self._look)

    def _seconds(self) -> float:
        return min(max(0.0, (self._at - self._clock.now()) / 1e6), LONGEST_WAIT_SECONDS)

    def _look(self) -> None:
        if self._clock.now() >= self._at:
            self._callback()
        else:
            self._handle = self._loop.call_later(self._seconds(), self._look)

    def cancel(self) -> None:
        self._handle.cancel()
