"""Time as the runtime needs it; tests move it."""

from collections.abc import Callable
from typing import Protocol


class Alarm(Protocol):
    """A callback that has been set for a moment."""

    def cancel(self) -> None:
        """Do not call it; cancelling twice, or too late, does nothing."""
        ...


class Clock(Protocol):
    """Wall time that never goes back, and callbacks at moments of it."""

    def now(self) -> int:
        """Return microseconds since 1970 (UTC); never less than it returned before.

        A wall clock that is set back does not stop it: it goes on at its own pace. A wall clock
        that jumps forward (a machine that slept) is followed.
        """
        ...

    def call_at(self, at: int, callback: Callable[[], object]) -> Alarm:
        """Call *callback* once, on the event loop, when `now()` has reached *at*."""
        ...
