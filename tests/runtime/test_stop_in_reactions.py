"""How reactions end while their node stops is recorded: nobody runs them again to find out."""

import asyncio
from collections.abc import Sequence

from counterpoint import Event, NotDone, Service, activity
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing import Harness

shop = Service("shop")


@shop.event(key="id")
class Sold(Event):
    id: str


@shop.on(Sold)
async def send(event: Sold) -> None:
    if activity.info().attempt == 1:
        raise NotDone from ConnectionError("no route")


@shop.on(Sold, lane="billing")
async def bill(event: Sold) -> None:
    raise TypeError("a bill that nobody can write")


class Unhurried(MemoryStore):
    """A store that takes a while to reserve keys."""

    async def reserve_keys(self, count: int) -> range:
        for _ in range(20):
            await asyncio.sleep(0)
        return await super().reserve_keys(count)


async def stop_while_they_run(harness: Harness) -> None:
    """Let both reactions end, in failure, when their node has begun to stop."""
    holds = harness.hang(send), harness.hang(bill)
    await harness.publish(Sold(id="1"))
    await harness.settle()
    assert all(hold.waiting for hold in holds)
    stopping = asyncio.create_task(harness.stop())
    await asyncio.sleep(0)
    for hold in holds:
        hold.release()
    await stopping


def attempts(harness: Harness, name: str) -> Sequence[int]:
    return [call.attempt for call in harness.calls if call.name == name]


async def test_failure_of_a_reaction_is_recorded_while_its_node_stops() -> None:
    async with Harness(services=[shop]) as harness:
        await stop_while_they_run(harness)
        await harness.restart()
        await harness.idle()

        assert attempts(harness, "shop.send") == [1, 2]


async def test_dead_letter_is_recorded_while_its_node_stops() -> None:
    async with Harness(services=[shop]) as harness:
        await stop_while_they_run(harness)
        await harness.restart()
        await harness.idle()

        assert attempts(harness, "shop.bill") == [1]
        assert [one.reaction async for one in harness.app.dead_letters()] == ["shop.bill"]


async def test_stop_waits_for_the_keys_under_which_failures_are_recorded() -> None:
    async with Harness(services=[shop], store=Unhurried()) as harness:
        await stop_while_they_run(harness)
        await harness.restart()
        await harness.idle()

        assert attempts(harness, "shop.send") == [1, 2]
        assert attempts(harness, "shop.bill") == [1]
