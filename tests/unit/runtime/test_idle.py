"""Who waits for a node to be idle learns it, also when nobody says so."""

import asyncio

import pytest

from counterpoint.errors import NodeStoppedError
from counterpoint.runtime.idle import Idlers


async def test_the_end_of_work_that_nobody_reports_is_noticed() -> None:
    work = ["something"]
    idlers = Idlers(lambda: not work)
    waiting = asyncio.ensure_future(idlers.wait())
    asyncio.get_running_loop().call_later(0.001, work.clear)

    await asyncio.wait_for(waiting, timeout=30)

    assert work == []


async def test_who_waits_for_a_node_that_stops_is_told() -> None:
    idlers = Idlers(lambda: False)
    waiting = asyncio.ensure_future(idlers.wait())
    asyncio.get_running_loop().call_soon(idlers.stop, "it stopped")

    with pytest.raises(NodeStoppedError, match="it stopped"):
        await asyncio.wait_for(waiting, timeout=30)
