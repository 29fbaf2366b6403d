"""The scan for due executions: whatever leaves memory, or was never in it, is met in time."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from counterpoint.errors import StoreError
from counterpoint.model.rows import DueRow
from counterpoint.runtime import due
from counterpoint.runtime.due import DueScan
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing import FaultyStore
from counterpoint.testing.clock import VirtualClock
from counterpoint.testing.conformance.store_case import execution, start

HOUR = 3_600_000_000


class Gated(FaultyStore):
    """A store whose pages of what is due come when a test says so."""

    def __init__(self, inner: MemoryStore) -> None:
        super().__init__(inner)
        self.gate = asyncio.Event()
        self.gate.set()

    async def due(self, *, after: tuple[int, int], until: int, limit: int) -> list[DueRow]:
        found = await super().due(after=after, until=until, limit=limit)
        await self.gate.wait()
        return found


class Scan:
    """A scan over a store of its own; what it loads is put down."""

    def __init__(self, store: MemoryStore, clock: VirtualClock) -> None:
        self.clock = clock
        self.loaded: list[int] = []
        self.sent_back: dict[int, int] = {}
        """Wake-ups of what leaves memory while it is being loaded, by key; each once."""
        self.failures: list[StoreError] = []
        self.on_load: Callable[[], None] | None = None
        self.store = Gated(store)
        self.due = DueScan(
            self.store,
            clock,
            room=lambda: 100,
            load=self._load,
            failed=self.failures.append,
            rested=lambda: None,
        )

    async def _load(self, rows: Sequence[DueRow]) -> None:
        self.loaded += [row.key for row in rows]
        on_load, self.on_load = self.on_load, None
        if on_load is not None:
            on_load()
        for row in rows:
            wake_at = self.sent_back.pop(row.key, None)
            if wake_at is not None:
                self.due.reconsider(wake_at)

    async def look(self) -> list[int]:
        """Let it look, and return the keys of what it has loaded since the last time."""
        self.due.poke()
        return await self.rest()

    async def rest(self) -> list[int]:
        """Return the keys of what it loads by itself."""
        for _ in range(50):
            await asyncio.sleep(0)
        loaded, self.loaded = self.loaded, []
        return loaded


@asynccontextmanager
async def scanning(*wake_ups: int) -> AsyncGenerator[Scan]:
    """Scan over executions with the keys 1, 2, …, that are due so long after now."""
    store, clock = MemoryStore(), VirtualClock()
    await store.open(node=True)
    now = clock.now()
    rows = [execution(key, wake_at=now + after) for key, after in enumerate(wake_ups, 1)]
    await start(store, *rows)
    scan = Scan(store, clock)
    task = asyncio.create_task(scan.due.run())
    try:
        yield scan
        assert scan.failures == []
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        scan.due.stop()


async def test_what_is_due_is_loaded_once_in_the_order_of_its_times() -> None:
    async with scanning(-1, -3, -2, HOUR) as scan:
        assert await scan.look() == [2, 3, 1]
        assert await scan.look() == []


async def test_what_comes_is_loaded_when_its_time_has_come() -> None:
    async with scanning(-1, HOUR) as scan:
        await scan.look()
        scan.clock.move_to(scan.clock.now() + HOUR)

        assert await scan.rest() == [2]


async def test_what_leaves_memory_below_the_cursor_is_met_again() -> None:
    async with scanning(-2, -1) as scan:
        await scan.look()
        scan.due.reconsider(scan.clock.now() - 2)

        assert 1 in await scan.look()


async def test_what_leaves_memory_rings_when_its_time_has_come() -> None:
    async with scanning(HOUR) as scan:
        scan.due.reconsider(scan.clock.now() + HOUR)
        scan.clock.move_to(scan.clock.now() + HOUR)

        assert await scan.rest() == [1]


async def test_what_leaves_memory_while_others_are_loaded_is_met_again() -> None:
    async with scanning(-3, -2, -1) as scan:
        scan.sent_back = {1: scan.clock.now() - 3}

        assert (await scan.look()).count(1) == 2


async def test_what_waits_for_others_is_not_met_again() -> None:
    async with scanning(-1) as scan:
        await scan.look()
        scan.due.reconsider(None)

        assert await scan.look() == []


async def test_a_scan_that_begins_again_begins_before_everything() -> None:
    async with scanning(-2, -1) as scan:
        await scan.look()
        scan.due.restart()

        assert await scan.look() == [1, 2]


async def test_what_began_before_the_clock_was_set_back_is_due() -> None:
    async with scanning(HOUR) as scan:
        scan.due.restart(scan.clock.now() + HOUR)

        assert await scan.look() == [1]


async def test_page_that_was_read_before_the_store_was_opened_again_hides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(due, "MAIL_FIRST_SECONDS", 0)
    async with scanning(0, 0) as scan:
        scan.store.gate.clear()
        scan.due.poke()
        await scan.rest()

        scan.due.restart()
        scan.store.gate.set()

        assert await scan.rest() == [1, 2]
        assert await scan.look() == []


async def test_scan_that_loads_while_the_store_is_opened_again_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(due, "MAIL_FIRST_SECONDS", 0)
    monkeypatch.setattr(due, "TOGETHER", 1)
    async with scanning(0, 0) as scan:
        scan.on_load = scan.due.restart  # what it loads first is dropped again

        assert await scan.look() == [1, 1, 2]


async def test_what_is_written_while_a_page_is_read_is_met_although_the_page_lacks_it() -> None:
    async with scanning(-3, -1) as scan:
        scan.store.gate.clear()
        scan.due.poke()
        await scan.rest()
        written = execution(7, wake_at=scan.clock.now() - 2)
        await start(scan.store.inner, written)
        scan.due.reconsider(written.wake_at)
        scan.store.gate.set()

        assert 7 in await scan.look()


async def test_what_leaves_memory_while_one_group_is_loaded_is_not_passed_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(due, "TOGETHER", 1)
    async with scanning(-3, -2, -1) as scan:
        scan.sent_back = {1: scan.clock.now() - 3}

        assert (await scan.look()).count(1) == 2
