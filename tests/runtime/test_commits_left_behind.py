"""Commits that return when something else has happened: another failure, another start of an id."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from counterpoint import NodeStoppedError, Service, workflow
from counterpoint.errors import StoreBrokenError, StoreError
from counterpoint.model.rows import Commit
from counterpoint.runtime.mail import StartMail, mail_row
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing import Harness

shop = Service("shop")
calls: list[str] = []


@shop.activity
async def charge(order: str) -> None:
    calls.append(order)


@shop.workflow
async def pay(order: str) -> str:
    await charge(order)
    return await workflow.signal("paid", str)


@pytest.fixture(autouse=True)
def nothing_called() -> None:
    calls.clear()


class Slow(MemoryStore):
    """A store whose next commit is written at once and answered when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = False
        self.written = asyncio.Event()
        self.answer = asyncio.Event()

    async def commit(self, commit: Commit) -> int:
        first = await super().commit(commit)
        if self.slow:
            self.slow = False
            self.written.set()
            await self.answer.wait()
        return first


async def recover(harness: Harness) -> None:
    for _ in range(100):
        await asyncio.sleep(0)
    while harness.app.node.fault is not None:
        at = harness.clock.next_alarm()
        assert at is not None
        harness.clock.move_to(at)
        for _ in range(100):
            await asyncio.sleep(0)


async def test_commit_that_returns_after_another_failure_begins_nothing() -> None:
    store = Slow()
    async with Harness(services=[shop], store=store, rehearse=False) as harness:
        store.slow = True
        starting = asyncio.ensure_future(harness.app.start(pay, "1", id="order-1"))
        await store.written.wait()

        harness.app.node.store_failed(StoreBrokenError("injected"))
        await recover(harness)
        store.answer.set()
        with pytest.raises((NodeStoppedError, StoreError)):
            await starting
        await harness.settle()

        assert calls == ["1"]
        assert [call.attempt for call in harness.calls] == [2]  # the first one counts as lost


async def test_failure_of_a_commit_after_another_failure_stops_nothing_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Slow()
    async with Harness(services=[shop], store=store, rehearse=False) as harness:
        store.slow = True
        harness.store.fail_commits(StoreBrokenError("injected"), applied=True)
        starting = asyncio.ensure_future(harness.app.start(pay, "1", id="order-1"))
        await store.written.wait()

        harness.app.node.store_failed(StoreBrokenError("injected"))
        await recover(harness)
        store.answer.set()
        with suppress(NodeStoppedError, StoreError):
            await starting
        await harness.settle()

        assert harness.app.node.fault is None
        assert caplog.text.count("the store failed") == 1


async def test_of_two_starts_of_an_id_in_one_commit_one_begins() -> None:
    async with Harness(services=[shop], rehearse=False) as harness:
        node = harness.app.node
        harness.store.hold_commits()
        for _ in range(2):
            start = StartMail(pay.name, pay.signature.encode_arguments(("1",), {}))
            letter = mail_row("order-1", start, node.clock.now(), node.codec)
            node.post(letter)
        await harness.store.commit_held()
        harness.store.release_commits()
        await harness.settle()

        assert calls == ["1"]
        assert await harness.store.mail(after=0, limit=10) == []


async def test_second_start_of_an_id_in_one_commit_is_refused_and_the_first_one_written() -> None:
    async with Harness(services=[shop], rehearse=False) as harness:
        await harness.start(pay, "0", id="order-0")
        node, committer = harness.app.node, harness.app.node.committer
        row = await harness.store.execution("order-0")
        records: list[Any] = list(await harness.execution("order-0").journal())
        assert row is not None
        keys = [await node.next_key() for _ in range(3)]
        ids = ["order-1", "order-1", "order-0"]

        starts = [
            committer.store_only(row._replace(key=key, id=one), records[:1], None)
            for key, one in zip(keys, ids, strict=True)
        ]
        first, second, known = await asyncio.gather(*starts, return_exceptions=True)

        assert first is None
        assert [type(one).__name__ for one in (second, known)] == ["ConflictError"] * 2
        found = await harness.store.execution("order-1")
        assert found is not None
        assert found.key == keys[0]
