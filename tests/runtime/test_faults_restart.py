"""A restart with very many interrupted executions, and more in memory than there is room for."""

import asyncio

from counterpoint import App, Service
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing.faults import FaultyStore

line = Service("line")
begun: list[int] = []
all_begun = asyncio.Event()
SECONDS = 30
COUNT = 200


@line.activity
async def work(number: int) -> int:
    begun.append(number)
    if len(begun) == COUNT:
        all_begun.set()
    if len(begun) <= COUNT:
        await asyncio.Future()
    return number


@line.workflow
async def job(number: int) -> int:
    return await work(number)


async def test_interrupted_executions_are_loaded_in_groups_that_share_commits() -> None:
    store = FaultyStore(MemoryStore())
    async with App("line", services=[line], store=store) as app:
        await asyncio.gather(*(app.start(job, number, id=f"{number}") for number in range(COUNT)))
        await asyncio.wait_for(all_begun.wait(), SECONDS)
        await app.node.crash()
    before = store.commits

    async with App("line", services=[line], store=store) as app:
        await app.idle(timeout=SECONDS)
        counts = await app.counts()

    assert sorted(begun) == sorted([*range(COUNT), *range(COUNT)])
    assert counts == {"completed": COUNT}
    assert store.commits - before < COUNT / 4


async def test_executions_that_wait_for_an_activity_nobody_hosts_do_not_keep_the_node_busy() -> (
    None
):
    app = App("line", services=[line], store="memory:", max_resident=2)
    del app.registry.activities["line.work"]
    async with app:
        for number in range(6):
            await app.start(job, number, id=f"{number}")

        await app.idle(timeout=SECONDS)

        assert await app.counts() == {"running": 6}
        assert app.health().resident <= 3
