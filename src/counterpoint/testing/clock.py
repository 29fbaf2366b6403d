"""Time that stands still until a test moves it."""

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from counterpoint.ports.clock import Alarm, Clock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def microseconds(duration: float | timedelta) -> int:
    """Return a duration (seconds or a timedelta) as integer microseconds."""
    seconds = duration if isinstance(duration, timedelta) else timedelta(seconds=duration)
    return seconds // timedelta(microseconds=1)


class VirtualClock:
    """A clock for an app under test; `Harness` has one and moves it.

        clock = VirtualClock()
        app = App("shop", services=[orders], store=MemoryStore(), clock=clock)
        ...
        clock.move_to(clock.now() + 3_600_000_000)

    `move_to` is a jump, as of a machine that slept: alarms ring in the order of their times, all at
    the new time. `Harness.advance` goes from one alarm to the next instead.
    """

    def __init__(self, start: datetime = NEW_YEAR) -> None:
        self._now = (start - EPOCH) // timedelta(microseconds=1)
        self._alarms: list[tuple[int, int, _VirtualAlarm]] = []
        self._late: list[tuple[int, int, _VirtualAlarm]] = []
        self._count = 0

    def now(self) -> int:
        return self._now

    @property
    def time(self) -> datetime:
        """The present (UTC)."""
        return EPOCH + timedelta(microseconds=self._now)

    def call_at(self, at: int, callback: Callable[[], object]) -> Alarm:
        alarm = _VirtualAlarm(callback)
        if at <= self._now:
            asyncio.get_running_loop().call_soon(alarm.ring)
        else:
            self._count += 1
            heapq.heappush(self._alarms, (at, self._count, alarm))
        return alarm

    def background(self) -> Clock:
        """Return the same time for housekeeping: its alarms ring late, when time stops anyway."""
        return _Background(self)

    def call_late(self, at: int, callback: Callable[[], object]) -> Alarm:
        """Call *callback* when time first stops at or after *at*."""
        alarm = _VirtualAlarm(callback)
        self._count += 1
        heapq.heappush(self._late, (at, self._count, alarm))
        return alarm

    def next_alarm(self) -> int | None:
        """Return the time of the next alarm, or None; housekeeping does not count."""
        while self._alarms and self._alarms[0][2].cancelled:
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def move_to(self, at: int) -> None:
        """Set the time and ring what is due, from a call on the event loop; never goes back."""
        self._now = max(self._now, at)
        for alarms in (self._alarms, self._late):
            due: list[_VirtualAlarm] = []
            while alarms and alarms[0][0] <= self._now:
                due.append(heapq.heappop(alarms)[2])
            for alarm in due:
                alarm.ring()


class _VirtualAlarm:
    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def ring(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            self._callback()


class _Background:
    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def now(self) -> int:
        return self._clock.now()

    def call_at(self, at: int, callback: Callable[[], object]) -> Alarm:
        return self._clock.call_late(at, callback)
