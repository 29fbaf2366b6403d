"""Letters that come twice, too late, or to a node that dies: what is believed, and what is not."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import msgspec
import pytest

from counterpoint import Event, NodeStoppedError, Service, workflow
from counterpoint.codecs.json import JsonCodec
from counterpoint.errors import StoreFullError
from counterpoint.model.records import ChildOf
from counterpoint.model.rows import Commit, MailRow
from counterpoint.runtime.mail import ChildEndedMail, Mail, SignalMail, mail_row
from counterpoint.testing import Harness

shop = Service("shop")


@shop.event(key="item")
class Sent(Event):
    """Something was sent."""

    item: str


@shop.activity(timeout=None)
async def pack(item: str) -> str:
    return item


@shop.workflow
async def listens() -> list[int]:
    return [await workflow.signal("say", int) for _ in range(2)]


@shop.workflow
async def child() -> str:
    return await workflow.signal("go", str)


@shop.workflow
async def parent() -> str:
    return await child()


@shop.workflow
async def packs(item: str) -> str:
    return await pack(item)


@shop.workflow
async def sleeps() -> str:
    await workflow.sleep(timedelta(hours=1))
    return "awake"


def letter(harness: Harness, to: str, mail: Mail) -> MailRow:
    return mail_row(to, mail, harness.clock.now(), JsonCodec())


async def post(harness: Harness, row: MailRow) -> None:
    """Post a letter past the node, as another process would, and let the node find it."""
    await harness.store.commit(Commit(mail=[row]))
    harness.app.node.intake.poke()
    await harness.advance(seconds=1)


async def test_a_letter_that_is_posted_again_after_its_effect_has_no_second_one() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.start(listens, id="one")
        row = letter(harness, "one", SignalMail("say", msgspec.Raw(b"1")))
        await post(harness, row)
        await post(harness, row)
        await execution.signal("say", 2)

        assert await harness.result(execution) == [1, 2]
        assert await harness.store.mail(after=0, limit=10) == []


@pytest.mark.parametrize(
    "about",
    [ChildOf("one", 1, 1, 2), ChildOf("one", 2, 1, 1), ChildOf("one", 1, 2, 1)],
    ids=["another attempt", "another run", "another call"],
)
async def test_the_end_of_a_child_that_is_not_the_one_waited_for_is_not_believed(
    about: ChildOf,
) -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.start(parent, id="one")
        result = msgspec.Raw(b'"a stranger\'s"')
        ended = ChildEndedMail(about, "completed", result, None, False, False)
        await post(harness, letter(harness, "one", ended))
        await harness.execution("one/1").signal("go", "its own")

        assert await harness.result(execution) == "its own"
        assert await harness.store.mail(after=0, limit=10) == []


async def test_what_waits_for_its_commit_when_the_node_dies_is_not_written() -> None:
    async with Harness(services=[shop], rehearse=False) as harness:
        harness.store.hold_commits()
        publishing = [asyncio.create_task(harness.app.publish(Sent(item=i))) for i in ("a", "b")]
        await harness.store.commit_held()
        late = asyncio.create_task(harness.app.publish(Sent(item="late")))
        for _ in range(20):
            await asyncio.sleep(0)
        harness.store.release_commits()
        await harness.crash()
        for task in (*publishing, late):
            with suppress(NodeStoppedError):
                await task
        await harness.restart()

        assert [event.item for event in await harness.published(Sent)] == []


async def test_what_a_failure_of_the_store_interrupts_goes_on_by_itself() -> None:
    async with Harness(services=[shop]) as harness:
        harness.hang(pack, times=2)
        await harness.start(packs, "tea", id="early")
        await harness.start(sleeps, id="late")
        await harness.restart()
        await harness.advance(hours=2)  # what is due is met in the store as far as the late one
        harness.store.fail_commits(StoreFullError("the disk is full"))
        with suppress(StoreFullError, NodeStoppedError):
            await harness.app.publish(Sent(item="a"))
        await harness.advance(minutes=1)

        row = await harness.store.execution("early")
        assert row is not None
        assert row.status == "completed"
