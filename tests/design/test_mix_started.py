"""DESIGN 3.1, Reactions: `@service.saga(on=OrderPlaced)` starts once per event."""

from pathlib import Path

import msgspec
import pytest
from tests.design.services_mix import (
    SERVICES,
    STORES,
    MakeStore,
    Placed,
    Shipped,
    dead,
    described,
    executions,
    logged,
    orders,
    revived,
    types,
    work,
)

from counterpoint import DefinitionError, Service, Status
from counterpoint.model import records as r
from counterpoint.model.messages import EventRow, Messages, slot_of
from counterpoint.model.rows import Commit
from counterpoint.runtime.mail import EVENTS, DiscardMail, RedriveMail, mail_row
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

started = Service("started")
NAME = "started.by_event"


@started.saga(on=Placed)
async def by_event(event: Placed) -> str:
    return await work(f"{event.order_id}-{event.number}")


def named(service: str = "named") -> Service:
    """Return a service whose saga has the id that its event gives it."""
    made = Service(service)

    @made.saga(on=Placed, id=lambda event: name_of(event))
    async def by_name(event: Placed) -> int:
        return event.number

    return made


def name_of(event: Placed) -> str:
    if event.order_id == "bad":
        raise ValueError("an order without a name")
    return "" if event.order_id == "empty" else f"order-{event.order_id}"


def row_of(data: bytes, *, version: int = 1, at: int = 0, key: str = "k") -> EventRow:
    """Return an event as another program may have appended it to the log."""
    return EventRow(
        0, "orders", f"other-{slot_of(key)}", "orders.Placed", version, key, slot_of(key),
        "other", None, None, 0, None, at, at, "json", data,
    )  # fmt: skip


async def append(harness: Harness, *rows: EventRow) -> None:
    """Append events past the node, which reads them when it starts again."""
    await harness.stop()
    store = harness.store.inner
    await store.open(node=True)
    await store.commit(Commit(messages=Messages(events=list(rows))))
    await store.close()
    await harness.restart()


# ---- once per event ---------------------------------------------------------------------------


@pytest.mark.parametrize("make_store", STORES)
async def test_a_saga_starts_once_for_each_event_of_its_type(
    make_store: MakeStore, tmp_path: Path
) -> None:
    async with Harness(services=[*SERVICES, started], store=make_store(tmp_path)) as harness:
        ids = await harness.app.publish(
            Placed(order_id="a", number=1), Placed(order_id="a", number=2), Shipped(order_id="a")
        )
        await harness.idle()

        found = await executions(harness, NAME)
        assert found == [f"{NAME}:orders/{ids[0]}", f"{NAME}:orders/{ids[1]}"]
        assert [await harness.execution(one).result() for one in found] == ["a-1 done", "a-2 done"]


async def test_an_event_that_is_published_again_under_its_id_starts_nothing_again() -> None:
    async with Harness(services=[*SERVICES, started]) as harness:
        for _ in range(2):
            await harness.app.publish(Placed(order_id="a"), id="once")
        await harness.idle()

        assert await executions(harness, NAME) == [f"{NAME}:orders/once"]
        assert len(await logged(harness, Placed)) == 1


@pytest.mark.parametrize("when", ["before", "after", "applied-but-failed"])
@pytest.mark.parametrize("make_store", STORES)
async def test_a_saga_starts_once_wherever_the_node_dies(
    when: When, make_store: MakeStore, tmp_path: Path
) -> None:
    for commit in range(1, 12):
        folder = tmp_path / str(commit)
        folder.mkdir()
        async with Harness(services=[*SERVICES, started], store=make_store(folder)) as harness:
            await harness.app.publish(Placed(order_id="a"), id="one")
            before = harness.store.commits
            harness.crash_at_commit(commit, when=when)
            await revived(harness)
            await harness.idle()
            await revived(harness)
            await harness.idle()

            (found,) = await executions(harness, NAME)
            assert await harness.execution(found).result() == "a-0 done"
            assert (await types(harness, found)).count("started") == 1
            if harness.store.commits - before < commit:
                break
    else:
        raise AssertionError("a loop over all commits ends before")


async def test_an_event_that_is_delivered_twice_starts_nothing_again() -> None:
    """A second node of the same app, before positions were written, reads the log again."""
    async with Harness(services=[*SERVICES, started]) as harness:
        await harness.app.publish(Placed(order_id="a"))
        await harness.settle()
        await harness.crash()  # positions are written now and then: the event is behind none
        await harness.restart()
        await harness.idle()

        assert len(await executions(harness, NAME)) == 1
        assert [call.name for call in harness.calls] == ["desk.work"]


async def test_a_saga_that_is_new_starts_with_what_comes_from_then_on() -> None:
    async with Harness(services=SERVICES) as harness:
        await harness.app.publish(Placed(order_id="early"))
        await harness.restart(services=[*SERVICES, started])
        await harness.app.publish(Placed(order_id="late"))
        await harness.idle()

        (found,) = await executions(harness, NAME)
        assert await harness.execution(found).result() == "late-0 done"


async def test_a_saga_that_starts_at_the_beginning_takes_what_is_in_the_log() -> None:
    old = Service("old")

    @old.saga(on=Placed, start="beginning")
    async def all_of_them(event: Placed) -> str:
        return event.order_id

    async with Harness(services=SERVICES) as harness:
        await harness.app.publish(*[Placed(order_id=key) for key in "abc"])
        await harness.restart(services=[*SERVICES, old])
        await harness.idle()

        found = await executions(harness, "old.all_of_them")
        assert sorted([await harness.execution(one).result() for one in found]) == ["a", "b", "c"]


async def test_a_workflow_too_starts_from_an_event() -> None:
    plain = Service("plain")

    @plain.workflow(on=Placed)
    async def by_event_too(event: Placed) -> str:
        return event.order_id

    async with Harness(services=[*SERVICES, plain]) as harness:
        await harness.app.publish(Placed(order_id="a"), id="one")
        await harness.idle()

        execution = harness.execution("plain.by_event_too:orders/one")
        assert (await execution.describe()).kind == "workflow"
        assert await execution.result() == "a"


# ---- its id -----------------------------------------------------------------------------------


async def test_a_function_of_the_event_makes_the_id() -> None:
    async with Harness(services=[*SERVICES, named()]) as harness:
        await harness.app.publish(Placed(order_id="a", number=3))
        await harness.idle()

        assert await harness.execution("order-a").result() == 3


async def test_of_two_events_with_one_id_the_first_starts_it() -> None:
    async with Harness(services=[*SERVICES, named()]) as harness:
        await harness.app.publish(Placed(order_id="a", number=1), Placed(order_id="a", number=2))
        await harness.idle()

        assert await executions(harness, "named.by_name") == ["order-a"]
        assert await harness.execution("order-a").result() == 1
        assert await dead(harness) == []


@pytest.mark.parametrize(
    ("key", "words"), [("bad", "an order without a name"), ("empty", "an execution id")]
)
async def test_an_id_that_cannot_be_made_is_a_dead_letter(key: str, words: str) -> None:
    async with Harness(services=[*SERVICES, named()]) as harness:
        await harness.app.publish(Placed(order_id=key), Placed(order_id="good", number=7))
        await harness.idle()

        (letter,) = await dead(harness)
        (record,) = r.decode_records(letter.error)
        assert letter.name == "named.by_name"
        assert isinstance(record, r.Died)
        assert words in record.error.message
        assert await executions(harness, "named.by_name") == ["order-good"]


async def test_an_id_without_an_event_is_refused() -> None:
    with pytest.raises(DefinitionError, match="give both"):
        Service("odd").saga(id=lambda event: "one")


# ---- its argument -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"order_id":"k","number":"many"}', "number"),
        (b'{"number":1}', "order_id"),
        (b"[]", "Placed"),
    ],
)
async def test_an_event_that_does_not_validate_is_a_dead_letter_that_names_the_field(
    data: bytes, words: str
) -> None:
    async with Harness(services=[*SERVICES, started]) as harness:
        await append(harness, row_of(data))
        await harness.idle()

        (letter,) = await dead(harness)
        (record,) = r.decode_records(letter.error)
        assert isinstance(record, r.Died)
        assert words in record.error.message
        assert await executions(harness, NAME) == []


async def test_a_dead_start_is_redriven_with_data_that_is_mended() -> None:
    async with Harness(services=[*SERVICES, started]) as harness:
        await append(harness, row_of(b'{"number":1}'))
        await harness.idle()
        (letter,) = await dead(harness)
        data = msgspec.Raw(b'{"order_id":"k","number":5}')
        await post(harness, RedriveMail(letter.subscription, letter.position, data, "ann"))
        await harness.idle()

        (found,) = await executions(harness, NAME)
        assert await harness.execution(found).result() == "k-5 done"
        assert await dead(harness) == []


# ---- its lane ---------------------------------------------------------------------------------


async def post(harness: Harness, mail: RedriveMail | DiscardMail) -> None:
    node = harness.app.node
    await node.post(mail_row(EVENTS, mail, node.clock.now(), node.codec))
    await harness.settle()


async def test_a_start_waits_behind_a_dead_letter_of_its_key() -> None:
    async with Harness(services=[*SERVICES, started]) as harness:
        await append(harness, row_of(b"{}", key="k"))
        await harness.app.publish(Placed(order_id="k", number=2), Placed(order_id="l", number=3))
        await harness.idle()
        parked = await executions(harness, NAME)
        (letter,) = await dead(harness)
        await post(harness, DiscardMail(letter.subscription, letter.position, "ann", "a test"))
        await harness.idle()

        found = await executions(harness, NAME)
        assert len(parked) == 1
        assert [await harness.execution(one).result() for one in found] == ["l-3 done", "k-2 done"]


async def test_a_saga_and_a_reaction_of_one_service_take_turns() -> None:
    """The reaction to the first event of a key is over before the second one starts a saga."""
    both = Service("both")

    @both.on(Placed)
    async def look(event: Placed) -> None:
        if event.number == 1:
            raise TypeError("never")

    @both.saga(on=Placed)
    async def follow(event: Placed) -> int:
        return event.number

    async with Harness(services=[*SERVICES, both]) as harness:
        await harness.app.publish(Placed(order_id="k", number=1), Placed(order_id="k", number=2))
        await harness.idle()

        assert [letter.name for letter in await dead(harness)] == ["both.look"]
        assert len(await executions(harness, "both.follow")) <= 1


# ---- what it knows ----------------------------------------------------------------------------


async def test_an_execution_knows_the_event_that_started_it() -> None:
    async with Harness(services=[*SERVICES, started]) as harness:
        await harness.app.publish(Placed(order_id="a"), id="one", correlation_id="flow-7")
        await harness.idle()

        execution = harness.execution(f"{NAME}:orders/one")
        found = await described(harness, execution.id)
        (cause,) = [e.data for e in await execution.journal() if e.type == "caused-by"]
        row = await harness.store.inner.execution(execution.id)
        assert found.correlation_id == "flow-7"
        assert found.status is Status.COMPLETED
        assert (cause["event_type"], cause["source"], cause["id"]) == (
            "orders.Placed",
            "orders",
            "one",
        )
        assert row is not None
        assert row.causation_id == "one"


async def test_a_saga_by_event_takes_the_event_and_nothing_else() -> None:
    odd = Service("odd")

    @odd.saga(on=Placed)
    async def two(event: Placed, more: int) -> None: ...

    with pytest.raises(DefinitionError, match="takes the event, and nothing else"):
        Harness(services=[*SERVICES, odd])


async def test_a_saga_by_event_is_called_by_hand_like_any_other() -> None:
    async with Harness(services=[*SERVICES, started]) as harness:
        assert await harness.run(by_event, Placed(order_id="x", number=9)) == "x-9 done"
        assert orders.name == "orders"
