"""What the housekeeper of a node says when it cannot do its work."""

import asyncio
from datetime import timedelta

import pytest

from counterpoint.errors import StoreBrokenError
from counterpoint.runtime.clock import SystemClock
from counterpoint.runtime.maintenance import Maintenance
from counterpoint.stores.memory import MemoryStore


class Closed(MemoryStore):
    """A store that was closed."""

    async def forget(self, *, finished_before: int, limit: int) -> int:
        raise StoreBrokenError("was closed during a call")


@pytest.mark.parametrize(("fault", "said"), [(True, 0), (False, 1)])
async def test_a_failure_is_told_unless_the_node_has_told_its_cause(
    fault: bool, said: int, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Maintenance(Closed(), SystemClock(), timedelta(days=1), lambda: fault)
    running = asyncio.create_task(keeper.run())

    for _ in range(3):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    told = [one.message for one in caplog.records if one.name == "counterpoint"]
    assert told == ["finished executions cannot be deleted: was closed during a call"] * said
