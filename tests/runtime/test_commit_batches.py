"""What one commit holds of many: what is refused, or does not fit, harms nobody else."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from counterpoint import App, Event, Service, StoreError, workflow
from counterpoint.model.rows import Commit
from counterpoint.runtime import committer
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing.faults import FaultyStore

SECONDS = 30
POISON = b"poison"
shop = Service("shop")
log: list[str] = []
posted: list[str] = []
"""Whom the letters are for that commits put into the mailbox."""


@shop.event(key="item")
class Sent(Event):
    """Something was sent."""

    item: str


@shop.on(Sent)
async def note(event: Sent) -> None:
    log.append(event.item)


@shop.activity
async def pack(item: str) -> str:
    return item


@shop.workflow
async def packed(item: str) -> str:
    return await pack(item)


@shop.workflow
async def waits(item: str) -> str:
    return f"{item} {await workflow.signal('go', str)}"


@shop.workflow
async def calls_a_child(item: str) -> str:
    return await packed(item)


@shop.workflow
async def calls_children(count: int) -> list[str]:
    return list(await asyncio.gather(*(packed(str(number)) for number in range(count))))


@shop.workflow
async def publishes(item: str) -> str:
    await workflow.publish(Sent(item=item))
    return item


@shop.workflow
async def listens(item: str) -> str:
    return (await workflow.event(Sent, key=item)).item


@shop.workflow
async def speaks(item: str) -> None:
    workflow.log.warning("%s is spoken", item)
    await pack(item)


class Picky(MemoryStore):
    """Refuses every commit with a certain word in it."""

    async def commit(self, commit: Commit) -> int:
        if any(POISON in row.body for row in commit.journal):
            raise StoreError("one of the values cannot be held")
        first = await super().commit(commit)
        posted.extend(letter.execution_id for letter in commit.mail)
        return first


@asynccontextmanager
async def held() -> AsyncGenerator[tuple[App, FaultyStore]]:
    """Run a shop whose commits wait, so that what is asked for meanwhile shares the next one."""
    log.clear()
    store = FaultyStore(Picky())
    async with App("shop", services=[shop], store=store) as app:
        yield app, store
        store.heal()


async def passes() -> None:
    """Let everything happen that happens at once."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_a_child_begins_although_a_value_beside_its_call_is_refused() -> None:
    async with held() as (app, _):
        starts = (app.start(calls_a_child, "a", id="a"), app.start(packed, "poison", id="b"))
        async with asyncio.timeout(SECONDS):
            refused = (await asyncio.gather(*starts, return_exceptions=True))[1]

        assert isinstance(refused, StoreError)
        assert await app.execution("a").result(timeout=SECONDS) == "a"


async def test_an_event_is_published_although_a_value_beside_it_is_refused() -> None:
    async with held() as (app, _):
        starts = (app.start(publishes, "a", id="a"), app.start(packed, "poison", id="b"))
        await asyncio.gather(*starts, return_exceptions=True)
        await app.idle(timeout=SECONDS)

        assert log == ["a"]


async def test_a_wait_for_an_event_is_kept_although_a_value_beside_it_is_refused() -> None:
    async with held() as (app, _):
        starts = (app.start(listens, "a", id="a"), app.start(packed, "poison", id="b"))
        await asyncio.gather(*starts, return_exceptions=True)
        await app.publish(Sent(item="a"))

        assert await app.execution("a").result(timeout=SECONDS) == "a"


async def test_a_letter_is_deleted_with_its_effect_although_a_value_beside_it_is_refused() -> None:
    async with held() as (app, store):
        for name in ("a", "b"):
            await app.start(waits, name, id=name)
        store.hold_commits()
        signals = [
            asyncio.create_task(app.execution("a").signal("go", "well")),
            asyncio.create_task(app.execution("b").signal("go", "poison")),
        ]
        await store.commit_held()
        store.release_commits()
        await asyncio.gather(*signals)
        result = await app.execution("a").result(timeout=SECONDS)
        await app.idle(timeout=SECONDS)

        assert result == "a well"
        assert [letter.execution_id for letter in await store.mail(after=0, limit=10)] == ["b"]


async def test_who_wrote_what_is_refused_is_told_and_waits_no_longer() -> None:
    async with held() as (app, _):
        starts = (app.start(packed, name, id=name) for name in ("poison", "a"))
        async with asyncio.timeout(SECONDS):
            outcomes = await asyncio.gather(*starts, return_exceptions=True)

        assert isinstance(outcomes[0], StoreError)


async def test_a_second_start_of_an_id_publishes_nothing_beside_a_first_one() -> None:
    async with held() as (app, _):
        await app.run(publishes, "a", id="a", timeout=SECONDS)
        await asyncio.gather(app.start(publishes, "a", id="a"), app.start(packed, "b", id="b"))
        await app.idle(timeout=SECONDS)

        assert log == ["a"]


async def test_a_second_start_of_an_id_calls_no_children_beside_a_first_one() -> None:
    async with held() as (app, store):
        await app.run(calls_a_child, "a", id="a", timeout=SECONDS)
        store.hold_commits()
        starts = [
            asyncio.create_task(app.start(calls_a_child, "a", id="a")),
            asyncio.create_task(app.start(packed, "b", id="b")),
        ]
        await store.commit_held()
        posted.clear()
        store.release_commits()
        await asyncio.gather(*starts)
        await app.idle(timeout=SECONDS)

        assert posted == []


async def test_a_second_start_of_an_id_waits_for_no_event() -> None:
    async with held() as (app, store):
        await app.start(listens, "a", id="a")
        await app.publish(Sent(item="a"))
        await app.execution("a").result(timeout=SECONDS)
        await app.start(listens, "a", id="a")

        assert await store.waits_for([("shop.Sent", "a")]) == []


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "BATCH_MAX", 2)


@pytest.mark.usefixtures("small_batches")
async def test_letters_beyond_a_batch_are_written_with_the_next_ones() -> None:
    async with held() as (app, _):
        names = [str(number) for number in range(7)]
        for name in names:
            await app.start(waits, name, id=name)
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*(app.execution(name).signal("go", "well") for name in names))

        for name in names:
            assert await app.execution(name).result(timeout=SECONDS) == f"{name} well"


@pytest.mark.usefixtures("small_batches")
async def test_events_beyond_a_batch_are_written_with_the_next_ones() -> None:
    async with held() as (app, _):
        names = [str(number) for number in range(7)]
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*(app.publish(Sent(item=name)) for name in names))
        await app.idle(timeout=SECONDS)

        assert sorted(log) == names


@pytest.mark.usefixtures("small_batches")
async def test_children_beyond_a_batch_begin_with_the_next_ones() -> None:
    async with held() as (app, _):
        result = await app.run(calls_children, 7, timeout=SECONDS)

        assert result == [str(number) for number in range(7)]


async def test_what_a_workflow_logs_is_heard_after_the_commit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "counterpoint.workflow"):
        async with held() as (app, store):
            store.hold_commits()
            start = asyncio.create_task(app.start(speaks, "a", id="a"))
            await store.commit_held()
            await passes()
            before = "is spoken" in caplog.text
            store.release_commits()
            await start
            await app.idle(timeout=SECONDS)

            assert not before
            assert caplog.text.count("is spoken") == 1


async def test_one_commit_waits_for_the_one_before() -> None:
    async with held() as (app, store):
        store.hold_commits()
        first = asyncio.create_task(app.start(packed, "a", id="a"))
        await store.commit_held()
        asked = store.commits
        second = asyncio.create_task(app.start(packed, "b", id="b"))
        await passes()
        meanwhile = store.commits
        store.release_commits()
        await asyncio.gather(first, second)

        assert meanwhile == asked
