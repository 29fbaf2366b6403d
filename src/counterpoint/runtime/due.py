"""Finds executions in the store that have work to do and are not in memory.

Safety argument (nothing is forgotten): a live execution's row has a `wake_at` (in the past while an
attempt is under way, a timer's or retry's time while it waits). The scan visits rows in the order
of (wake_at, key), behind a cursor. A row below the cursor is in memory, or was skipped because
this node cannot run it. Whoever leaves memory with a `wake_at` at or below the cursor moves the
cursor back, so the scan meets it again; so does whatever is written without being in memory. What
moves it back while a page is read, or loaded, moves it back once more at the end of the page, which
may be older than what was written. After a crash the cursor begins before everything.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from counterpoint.errors import StoreError
from counterpoint.model.rows import DueRow
from counterpoint.ports.clock import Alarm, Clock
from counterpoint.ports.store import Store

PAGE = 500
TOGETHER = 200
"""Executions loaded in one turn (some 20 ms): what they decide shares a commit, so that a slow disk
does not set the pace, and others still get their turn."""
FEED_AFTER_SECONDS = 0.02
"""How long a little room waits to become more, before due executions are loaded into it."""
MAIL_FIRST_SECONDS = 0.5
BEGINNING = (-(1 << 62), 0)
FAR_FUTURE = 1 << 62
END = (FAR_FUTURE, FAR_FUTURE)


class DueScan:
    """Loads due executions while there is room for them."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        room: Callable[[], int],
        load: Callable[[Sequence[DueRow]], Awaitable[None]],
        failed: Callable[[StoreError], None],
        rested: Callable[[], None],
    ) -> None:
        self.store = store
        self.clock = clock
        self._room = room
        self._load = load
        self._failed = failed
        self._rested = rested
        self._began_at = 0
        self._cursor = BEGINNING
        self._sent_back = END
        """The lowest place to which the cursor was moved back since the page was asked for."""
        self._life = 0
        """How often the store was opened again: a scan of before tells nothing about after."""
        self._woken = asyncio.Event()
        self._alarm: Alarm | None = None
        self._alarm_at = FAR_FUTURE
        self.hungry = False
        """Whether due executions wait in the store for room."""
        self.scanning = False
        self._feeding = False

    @property
    def quiet(self) -> bool:
        """Whether everything that is due is in memory."""
        return self.resting and not self.hungry

    @property
    def resting(self) -> bool:
        """Whether no scan is under way or asked for; due executions may wait for room."""
        return not (self.scanning or self._woken.is_set())

    def restart(self, newest: int = 0) -> None:
        """Scan from before everything, once the mail is read: the store was opened (again).

        What was due at *newest* is due now, even if the clock was set back since. Mail comes first,
        because it may hold a cancellation, or the end, of what would otherwise begin again; much
        mail does not keep the scan waiting for longer than `MAIL_FIRST_SECONDS`.
        """
        self._began_at = max(self._began_at, newest)
        self._cursor = BEGINNING
        self._life += 1
        asyncio.get_running_loop().call_later(MAIL_FIRST_SECONDS, self.poke)

    def poke(self) -> None:
        """Look again: there is room, or something was written."""
        self._woken.set()

    def feed(self, enough: int) -> None:
        """Load what waits for room: at once where there is *enough*, else after a moment."""
        if not self.hungry or self._room() <= 0:
            return
        if self._room() > enough:
            self._load_more()
        elif not self._feeding:
            self._feeding = True
            asyncio.get_running_loop().call_later(FEED_AFTER_SECONDS, self._load_more)

    def _load_more(self) -> None:
        self._feeding = False
        if self.hungry and self._room() > 0:
            self.hungry = False
            self._woken.set()

    def reconsider(self, wake_at: int | None) -> None:
        """Make sure that a row with this `wake_at`, which is not in memory, is met again."""
        if wake_at is None:
            return
        place = (wake_at - 1, FAR_FUTURE)
        self._cursor = min(self._cursor, place)
        self._sent_back = min(self._sent_back, place)
        self._set_alarm(wake_at)

    async def run(self) -> None:
        """Scan whenever poked or due, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            self.scanning = True
            try:
                await self._scan()
            except StoreError as error:
                self._failed(error)
            finally:
                self.scanning = False
                self._rested()

    def stop(self) -> None:
        """Set no more alarms."""
        if self._alarm is not None:
            self._alarm.cancel()

    async def _scan(self) -> None:
        life = self._life
        while True:
            room = self._room()
            self.hungry = room <= 0
            if self.hungry:
                return
            limit = min(PAGE, room)
            until = max(self.clock.now(), self._began_at)
            self._sent_back = END
            rows = await self.store.due(after=self._cursor, until=until, limit=limit)
            for first in range(0, len(rows), TOGETHER):
                if life != self._life:
                    return
                group = rows[first : first + TOGETHER]
                self._cursor = (group[-1].wake_at, group[-1].key)
                await self._load(group)
            if life != self._life:
                return
            self._cursor = min(self._cursor, self._sent_back)
            if len(rows) < limit:
                break
            await asyncio.sleep(0)
        coming = await self.store.due(after=self._cursor, until=FAR_FUTURE, limit=1)
        if coming:
            self._set_alarm(coming[0].wake_at)

    def _set_alarm(self, at: int) -> None:
        if at < self._alarm_at:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_at = at
            self._alarm = self.clock.call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm_at = FAR_FUTURE
        self._alarm = None
        self._woken.set()
