"""An event loop whose time moves on when nothing else can happen, and clocks on it."""

import asyncio
import math
import selectors
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack

from counterpoint.ports.clock import Alarm, Clock
from counterpoint.testing.clock import EPOCH, NEW_YEAR

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


PASSES_MAX = 100_000
"""Passes of the loop without a moment's rest after which it is said to run in circles."""
PASSES_OF_A_MOMENT = 100
MOMENT = 10_000
"""Microseconds that pass in so many passes without rest."""


class NothingHappensError(AssertionError):
    """Everything waits for what will never come, or runs in circles."""


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for real time to pass, lets virtual time pass."""

    pass_time: Callable[[float | None], None]
    count: Callable[[], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self.count()
        if not ready and timeout != 0:
            self.pass_time(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Plain asyncio on virtual time: an hour's sleep takes no time, and no order is left to chance.

    What would run in a thread runs at once, in the loop's own.
    """

    def __init__(self) -> None:
        self._microseconds = 0
        selector = _Selector()
        selector.pass_time = self._pass_time
        selector.count = self._count
        self._passes = 0
        super().__init__(selector)
        self._clock_resolution = 1e-6  # asyncio's own is lost beside a year of seconds

    @property
    def microseconds(self) -> int:
        """Virtual time since the loop was made."""
        return self._microseconds

    def time(self) -> float:
        return self._microseconds / 1_000_000

    def leap(self, by: int) -> None:
        """Let so many microseconds pass at once, as on a machine that slept."""
        self._microseconds += by

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: Unpack[Ts]
    ) -> "asyncio.Future[T]":
        """Run *func* now; its caller learns the outcome in the next pass of the loop."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            value = func(*args)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            self.call_soon(_fail, future, error)
        else:
            self.call_soon(_succeed, future, value)
        return future

    def _count(self) -> None:
        """Let code take some time where it goes round and round: others may be about to end it."""
        self._passes += 1
        if self._passes % PASSES_OF_A_MOMENT == 0:
            self._microseconds += MOMENT
        if self._passes > PASSES_MAX:
            self._passes = 0
            raise NothingHappensError("everything runs in circles, and never rests")

    def _pass_time(self, seconds: float | None) -> None:
        if seconds is None:
            raise NothingHappensError("everything waits, and nothing will ever happen")
        self._passes = 0
        self._microseconds += max(1, math.ceil(seconds * 1_000_000))


def _succeed(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[Any]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class SimulatedClock:
    """The clock of a machine on a virtual loop: what it shows can be set, and can jump."""

    def __init__(self, loop: VirtualLoop, start: datetime = NEW_YEAR) -> None:
        self._loop = loop
        self._offset = (start - EPOCH) // timedelta(microseconds=1)
        self._alarms: dict[_Alarm, None] = {}

    def now(self) -> int:
        return self._loop.microseconds + self._offset

    @property
    def time(self) -> datetime:
        """What it shows (UTC)."""
        return EPOCH.astimezone(UTC) + timedelta(microseconds=self.now())

    def call_at(self, at: int, callback: Callable[[], object]) -> Alarm:
        return _Alarm(self, at, callback, self._alarms)

    def background(self) -> Clock:
        """Return the same time for housekeeping, whose alarms nobody waits for."""
        return _Background(self)

    def call_late(self, at: int, callback: Callable[[], object]) -> Alarm:
        """Call back at that time; it is not among the alarms that `next_alarm` knows."""
        return _Alarm(self, at, callback, {})

    def next_alarm(self) -> int | None:
        """Return the time of the next alarm, or None."""
        return min((alarm.at for alarm in self._alarms), default=None)

    def set_by(self, by: timedelta) -> None:
        """Let it show another time from now on: what that makes due rings now."""
        self._offset += by // timedelta(microseconds=1)
        for alarm in list(self._alarms):
            alarm.arm()

    def stop(self) -> None:
        """Ring no more: who set the alarms has died."""
        for alarm in list(self._alarms):
            alarm.cancel()

    def seconds_until(self, at: int) -> float:
        """Return how long it takes until it shows *at*."""
        return max(0, at - self.now()) / 1_000_000

    def call_later(self, seconds: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back when so much time has passed, whatever the clock shows."""
        return self._loop.call_later(seconds, callback)


class _Alarm:
    def __init__(
        self,
        clock: SimulatedClock,
        at: int,
        callback: Callable[[], object],
        among: "dict[_Alarm, None]",
    ) -> None:
        self.at = at
        self._clock = clock
        self._callback = callback
        self._among = among
        self._handle: asyncio.TimerHandle | None = None
        among[self] = None
        self.arm()

    def arm(self) -> None:
        """Wait for its time anew."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._clock.call_later(self._clock.seconds_until(self.at), self._ring)

    def cancel(self) -> None:
        self._among.pop(self, None)
        if self._handle is not None:
            self._handle.cancel()

    def _ring(self) -> None:
        if self._clock.now() < self.at:
            self.arm()
        else:
            self._among.pop(self, None)
            self._callback()


class _Background:
    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock

    def now(self) -> int:
        return self._clock.now()

    def call_at(self, at: int, callback: Callable[[], object]) -> Alarm:
        return self._clock.call_late(at, callback)
