"""The store fails for one part of a node while another part still waits for what it reads.

What that part reads in the end is of before the failure: nothing may come of it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest

from counterpoint import Event, NodeStoppedError, Service, workflow
from counterpoint.errors import StoreBrokenError, StoreBusyError, StoreCorruptError, StoreError
from counterpoint.model import records as r
from counterpoint.model.messages import EventQuery, EventRow
from counterpoint.model.rows import ExecutionRow
from counterpoint.runtime import inputs
from counterpoint.runtime.mail import (
    EVENTS,
    ChildLink,
    PublishMail,
    SignalMail,
    StartMail,
    mail_row,
)
from counterpoint.runtime.messaging.publishing import posted
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing import Harness

shop = Service("shop")
PASSES = 200


@shop.event(key="order")
class Placed(Event):
    """An order was placed."""

    order: str


@shop.event(key="order")
class Paid(Event):
    """An order was paid."""

    order: str


@shop.workflow
async def pay(order: str) -> str:
    return await workflow.signal("paid", str)


@shop.saga
async def place(order: str) -> str:
    return await pay(order)


class Gated(MemoryStore):
    """A store in which one read can be made to wait, and to fail when it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.gated = ""
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self.error: StoreError | None = None

    async def wait(self, what: str) -> None:
        if what == self.gated:
            self.gated = ""
            self.reached.set()
            await self.gate.wait()
            if self.error is not None:
                raise self.error

    async def execution(self, execution_id: str) -> ExecutionRow | None:
        found = await super().execution(execution_id)
        await self.wait(execution_id)
        return found

    async def events(self, query: EventQuery) -> list[EventRow]:
        found = await super().events(query)
        await self.wait("events")
        return found


@pytest.fixture
def store() -> Gated:
    return Gated()


@asynccontextmanager
async def failing_meanwhile(harness: Harness, store: Gated, gated: str) -> AsyncIterator[None]:
    """Let the body begin a read that waits until the store has failed and was opened again."""
    store.gated = gated
    yield
    await store.reached.wait()
    harness.store.fail_commits(StoreBrokenError("injected"))
    with suppress(StoreError, NodeStoppedError):
        await harness.app.start(pay, "other", id="other")
    await pass_by()
    for _ in range(PASSES):
        if harness.app.node.fault is None:
            break
        at = harness.clock.next_alarm()
        assert at is not None, harness.app.node.fault
        harness.clock.move_to(at)
        await pass_by()
    assert harness.app.node.fault is None
    store.gate.set()
    await harness.settle()


async def pass_by() -> None:
    for _ in range(PASSES):
        await asyncio.sleep(0)


async def test_child_begins_once_although_its_start_was_being_read_when_the_store_failed(
    store: Gated,
) -> None:
    async with Harness(services=[shop], store=store) as harness:
        async with failing_meanwhile(harness, store, "order-1/1"):
            await harness.app.start(place, "1", id="order-1")

        await harness.execution("order-1/1").signal("paid", "yes")
        assert await harness.result(harness.execution("order-1")) == "yes"


async def test_letter_of_a_child_that_has_begun_by_it_changes_nothing(store: Gated) -> None:
    async with Harness(services=[shop], store=store) as harness:
        await harness.start(place, "1", id="order-1")
        found = await store.execution("order-1/1")
        assert found is not None
        assert found.parent_key is not None
        link = ChildLink(r.ChildOf("order-1", 1, 1), found.parent_key, found.parent_key)
        again = StartMail(pay.name, msgspec.Raw(b'{"order":"1"}'), child=link)

        node = harness.app.node
        await node.post(mail_row("order-1/1", again, node.clock.now(), node.codec))
        await harness.settle()
        await harness.execution("order-1/1").signal("paid", "yes")

        assert await harness.result(harness.execution("order-1")) == "yes"
        assert await store.mail(after=0, limit=10) == []


async def test_load_that_fails_after_a_failure_of_the_store_leaves_the_node_alive(
    store: Gated,
) -> None:
    async with Harness(services=[shop], store=store, rehearse=False) as harness:
        await harness.start(pay, "1", id="order-1")
        await harness.evict()
        store.error = StoreBusyError("injected")
        async with failing_meanwhile(harness, store, "order-1"):
            node = harness.app.node
            paid = SignalMail("paid", msgspec.Raw(b'"yes"'))
            await node.post(mail_row("order-1", paid, node.clock.now(), node.codec))

        await harness.advance(seconds=10)
        assert await harness.result(harness.execution("order-1")) == "yes"


async def test_streams_that_a_failure_replaced_are_read_no_further(store: Gated) -> None:
    taken: list[str] = []
    first, second = Service("first"), Service("second")

    @first.on(Placed, start="beginning")
    async def ship(event: Placed) -> None:
        taken.append(f"ship {event.order}")

    @second.on(Paid, start="beginning")
    async def thank(event: Paid) -> None:
        taken.append(f"thank {event.order}")

    async with Harness(services=[shop], store=store, rehearse=False) as harness:
        for number in range(3):
            await harness.publish(Placed(order=f"{number}"), Paid(order=f"{number}"))
        async with failing_meanwhile(harness, store, "events"):
            task = asyncio.ensure_future(harness.restart(services=[shop, first, second]))

        await task
        await harness.publish(Paid(order="3"))
        await harness.idle()

        assert sorted(taken) == sorted(
            [*(f"ship {n}" for n in range(3)), *(f"thank {n}" for n in range(4))]
        )


async def test_a_posted_event_waits_when_what_was_published_under_its_id_is_damaged(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def damaged(source: str, id: str) -> EventRow | None:
        raise StoreCorruptError(f"the event {id} of {source} is damaged")

    async with Harness(services=[shop], store=store, rehearse=False) as harness:
        await harness.publish(Paid(order="1"), id="there")
        (row,) = await store.events(EventQuery(limit=10))
        node = harness.app.node
        monkeypatch.setattr(node.store, "event", damaged)
        mail = PublishMail([posted(row, node.codec)], given_ids=True)
        await node.post(mail_row(EVENTS, mail, node.clock.now(), node.codec))
        await harness.settle()

        assert node.fault is None
        assert [letter.kind for letter in await store.mail(after=0, limit=10)] == ["publish"]
        await harness.publish(Paid(order="2"))


async def test_load_that_meets_a_start_under_way_waits_for_it_without_going_round(
    store: Gated,
) -> None:
    async with Harness(services=[shop], store=store, rehearse=False) as harness:
        await harness.start(pay, "1", id="order-1")
        row = await store.execution("order-1")
        records = await harness.execution("order-1").journal()
        assert row is not None
        harness.store.hold_commits()
        starting = asyncio.ensure_future(harness.app.start(pay, "2", id="order-2"))
        await harness.store.commit_held()
        node = harness.app.node
        loaded = asyncio.get_running_loop().create_future()
        turns = 0

        def counted(*_: object) -> None:
            nonlocal turns
            turns += 1

        node.check_idle = counted  # type: ignore[method-assign]
        node.push(inputs.adopt, row._replace(id="order-2"), records, loaded)
        await pass_by()
        del node.check_idle

        assert turns < 5
        assert not loaded.done()
        harness.store.release_commits()
        await starting
        assert (await loaded) is node.residents["order-2"]
