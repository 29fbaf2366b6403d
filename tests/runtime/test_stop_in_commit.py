"""A node that ends while a commit is written: who waits learns of it, a stop waits for it."""

import asyncio

import pytest

from counterpoint import NodeStoppedError, Service
from counterpoint.model.rows import Commit
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing import Harness

service = Service("service")


@service.activity
async def charge() -> str:
    return "paid"


@service.activity
async def ship() -> str:
    return "shipped"


@service.workflow
async def nothing() -> None: ...


@service.workflow
async def pay() -> str:
    return await charge()


@service.workflow
async def both() -> list[str]:
    return list(await asyncio.gather(charge(), ship()))


class OneAtATime(MemoryStore):
    """A store that notices a commit beside another one."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = 0
        self.most = 0

    async def commit(self, commit: Commit) -> int:
        self.writing += 1
        self.most = max(self.most, self.writing)
        try:
            for _ in range(20):
                await asyncio.sleep(0)
            return await super().commit(commit)
        finally:
            self.writing -= 1


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_start_whose_commit_never_returned_is_told_that_it_may_exist() -> None:
    async with Harness(services=[service]) as harness:
        harness.store.hold_commits()
        starting = asyncio.create_task(harness.app.start(nothing, id="one"))
        await harness.store.commit_held()

        await harness.crash()

        with pytest.raises(NodeStoppedError, match="during a commit"):
            await starting


async def test_stop_waits_for_the_commit_of_what_an_attempt_returned() -> None:
    async with Harness(services=[service]) as harness:
        hold = harness.hang(charge)
        execution = await harness.start(pay)
        harness.store.hold_commits()
        hold.release()
        await harness.store.commit_held()

        stopping = asyncio.create_task(harness.stop())
        await turns()
        assert not stopping.done()
        harness.store.release_commits()
        await stopping
        await harness.restart()

        assert await harness.result(execution) == "paid"
        assert [(call.name, call.attempt) for call in harness.calls] == [("service.charge", 1)]


async def test_stop_writes_nothing_beside_the_commit_under_way() -> None:
    store = OneAtATime()
    async with Harness(services=[service], store=store) as harness:
        first, second = harness.hang(charge), harness.hang(ship)
        execution = await harness.start(both)
        first.release()
        while not store.writing:  # noqa: ASYNC110 - a store of this test has no signal
            await asyncio.sleep(0)

        stopping = asyncio.create_task(harness.stop())
        second.release()
        await stopping
        await harness.restart()

        assert await harness.result(execution) == ["paid", "shipped"]
        assert store.most == 1
