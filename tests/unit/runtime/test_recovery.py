"""How late it has ever been, by what the store says."""

import logging
from datetime import UTC, datetime

import pytest

from counterpoint.runtime.recovery import newest_time
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing.clock import VirtualClock
from counterpoint.testing.conformance.store_case import execution, start

CLOCK = VirtualClock(datetime(2026, 7, 1, 12, tzinfo=UTC))
NOW = CLOCK.now()


async def newest_of(*created: int) -> int:
    store = MemoryStore()
    await store.open(node=True)
    rows = [execution(key)._replace(created_at=at) for key, at in enumerate(created, 1)]
    await start(store, *rows)
    return await newest_time(store, CLOCK)


async def test_empty_store_knows_no_time() -> None:
    assert await newest_of() == 0


async def test_newest_execution_tells_the_time_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await newest_of(NOW - 9, NOW - 5) == NOW - 5
    assert [one.message for one in caplog.records if one.name == "counterpoint"] == []


async def test_clock_that_was_set_back_twice_is_behind_an_older_execution(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    hour = 3_600_000_000

    assert await newest_of(NOW + 1, NOW + 2 * hour, NOW + hour, NOW - hour) == NOW + 2 * hour
    assert "the clock is 7200 s behind" in caplog.text
