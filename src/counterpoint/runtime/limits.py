"""Limits of activities and services on a node: how many attempts run at once, how many begin.

A store with many nodes counts for all of them when calls are claimed; then only the limits of
reactions, which hold on each node, are counted here.

A rate is kept by one moment a limit, the one at which the next attempt would begin if all of them
kept their distance. It runs ahead of the clock with each that begins; a burst is how many distances
it may be ahead. What has to wait for a rate is looked at again by an alarm.
"""

import math
from collections.abc import Callable

from counterpoint.authoring.reaction import Reaction
from counterpoint.model.cluster import Limit
from counterpoint.ports.clock import Alarm, Clock
from counterpoint.runtime.attempt import NEVER, Work


class Limits:
    """Whether attempts may begin; *opened* is called when a rate lets another one begin."""

    def __init__(self, clock: Clock, opened: Callable[[], None]) -> None:
        self.clock = clock
        self.opened = opened
        self.shared = False
        """The store counts calls on all nodes."""
        self._running: dict[Limit, int] = {}
        self._due: dict[Limit, float] = {}
        self._alarm: Alarm | None = None
        self._alarm_at = NEVER

    def has_room(self, work: Work) -> bool:
        """Whether an attempt of *work* may begin now."""
        opens_at = max(map(self._opens_at, self._of(work)), default=0)
        if opens_at <= self.clock.now():
            return True
        if opens_at < self._alarm_at:
            self._set_alarm(opens_at)
        return False

    def enter(self, work: Work) -> None:
        """Count an attempt that begins."""
        for limit in self._of(work):
            if limit.concurrency is not None:
                self._running[limit] = self._running.get(limit, 0) + 1
            if limit.rate is not None:
                now = self.clock.now()
                self._due[limit] = max(self._due.get(limit, 0), now) + 1e6 / limit.rate

    def leave(self, work: Work) -> None:
        """Count an attempt that has ended."""
        for limit in self._of(work):
            if limit.concurrency is not None:
                self._running[limit] -= 1

    def stop(self) -> None:
        """Look at nothing again."""
        if self._alarm is not None:
            self._alarm.cancel()

    def _of(self, work: Work) -> tuple[Limit, ...]:
        return () if self.shared and not isinstance(work, Reaction) else work.limits

    def _opens_at(self, limit: Limit) -> int:
        """Return when an attempt may begin, as far as is known: never, before another one ends."""
        if limit.concurrency is not None and self._running.get(limit, 0) >= limit.concurrency:
            return NEVER
        if limit.rate is None or limit not in self._due:
            return 0
        return math.ceil(self._due[limit] - (limit.burst - 1) * 1e6 / limit.rate)

    def _set_alarm(self, at: int) -> None:
        self.stop()
        self._alarm_at = at
        self._alarm = self.clock.call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._alarm_at = NEVER
        self.opened()
