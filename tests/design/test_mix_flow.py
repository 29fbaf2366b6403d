"""DESIGN 3.1 and 5: one flow through both styles: correlation, causation, hops."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.design.services_mix import (
    SERVICES,
    STORES,
    Confirmed,
    MakeStore,
    Placed,
    Shipped,
    dead,
    executions,
    logged,
)

from counterpoint import Service, activity, workflow
from counterpoint.model import records as r
from counterpoint.testing import Harness

ROUNDS_MAX = 40


def chain() -> Service:
    """Return a saga that an event starts, a reaction to what it publishes, and what that starts."""
    made = Service("chain")

    @made.saga(on=Placed)
    async def places(event: Placed) -> None:
        await workflow.publish(Confirmed(order_id=event.order_id))

    @made.workflow
    async def inner(order_id: str) -> str:
        await workflow.publish(Shipped(order_id=order_id))
        return order_id

    @made.workflow
    async def outer(order_id: str) -> str:
        return await inner(order_id)

    @made.on(Confirmed)
    async def begins_outer(event: Confirmed) -> None:
        activity.start(outer, event.order_id, id=f"outer-{event.order_id}")

    return made


@pytest.mark.parametrize("make_store", STORES)
async def test_a_flow_keeps_its_correlation_id_through_both_styles(
    make_store: MakeStore, tmp_path: Path
) -> None:
    async with Harness(services=[*SERVICES, chain()], store=make_store(tmp_path)) as harness:
        await harness.app.publish(Placed(order_id="k"), id="one", correlation_id="flow-7")
        await harness.idle()
        rows = {row.type: row for row in await logged(harness)}
        described = [
            await harness.execution(id).describe()
            for id in ("chain.places:orders/one", "outer-k", "outer-k/1")
        ]

        assert set(rows) == {"orders.Placed", "orders.Confirmed", "shipping.Shipped"}
        assert {row.correlation_id for row in rows.values()} == {"flow-7"}
        assert {one.correlation_id for one in described} == {"flow-7"}


async def test_each_thing_of_a_flow_names_what_led_to_it() -> None:
    async with Harness(services=[*SERVICES, chain()]) as harness:
        await harness.app.publish(Placed(order_id="k"), id="one")
        await harness.idle()
        rows = {row.type: row for row in await logged(harness)}
        outer = await harness.store.inner.execution("outer-k")
        saga = await harness.store.inner.execution("chain.places:orders/one")

        assert saga is not None
        assert outer is not None
        assert rows["orders.Placed"].causation_id is None
        assert saga.causation_id == "one"
        assert rows["orders.Confirmed"].causation_id == saga.id
        assert outer.causation_id == rows["orders.Confirmed"].id
        assert rows["shipping.Shipped"].causation_id == "outer-k/1"


async def test_an_event_without_a_flow_begins_one() -> None:
    async with Harness(services=[*SERVICES, chain()]) as harness:
        (id,) = await harness.app.publish(Placed(order_id="k"))
        await harness.idle()

        assert {row.correlation_id for row in await logged(harness)} == {id}


async def test_what_an_activity_of_an_execution_starts_names_that_execution() -> None:
    made = Service("made")

    @made.workflow
    async def second(order_id: str) -> None:
        await workflow.publish(Confirmed(order_id=order_id))

    @made.activity
    async def begins() -> str:
        return activity.start(second, "k")

    @made.workflow
    async def first() -> str:
        return await begins()

    async with Harness(services=[*SERVICES, made]) as harness:
        await harness.run(first, id="one", correlation_id="flow-7")
        await harness.idle()
        (id,) = await executions(harness, "made.second")
        row = await harness.store.inner.execution(id)
        (event,) = await logged(harness)

        assert row is not None
        assert (row.causation_id, row.correlation_id) == ("one", "flow-7")
        assert (event.causation_id, event.correlation_id, event.hops) == (id, "flow-7", 0)


async def test_what_an_activity_starts_waits_for_events_from_its_own_beginning() -> None:
    made = Service("made")

    @made.workflow
    async def second(order_id: str) -> int:
        return (await workflow.event(Shipped, key=order_id)).number

    @made.activity
    async def begins() -> None:
        activity.start(second, "k", id="second")

    @made.workflow
    async def first() -> None:
        await begins()

    async with Harness(services=[*SERVICES, made]) as harness:
        await harness.app.publish(Shipped(order_id="k", number=1))
        await harness.advance(seconds=1)
        await harness.run(first)
        await harness.app.publish(Shipped(order_id="k", number=2))
        await harness.settle()

        assert await harness.result(harness.execution("second")) == 2


# ---- hops -------------------------------------------------------------------------------------


async def _stopped(service: Service) -> tuple[int, str]:
    """Let a service feed itself; return how many events there are, and why it stopped."""
    limit = 5
    async with Harness(services=[*SERVICES, service], hop_limit=limit) as harness:
        await harness.app.publish(Placed(order_id="k"))
        for _ in range(ROUNDS_MAX):
            await harness.advance(timedelta(seconds=1))
            if len(await logged(harness)) > ROUNDS_MAX:
                break
        letters = await dead(harness)
        words = ""
        if letters:
            (record,) = r.decode_records(letters[0].error)
            assert isinstance(record, r.Died)
            words = record.error.message
        return len(await logged(harness)), words


async def test_a_saga_that_feeds_itself_is_stopped() -> None:
    made = Service("made")

    @made.saga(on=Placed)
    async def feeds_itself(event: Placed) -> None:
        await workflow.publish(Placed(order_id=event.order_id))

    events, words = await _stopped(made)

    assert events == 7  # that of nobody, and one for each hop up to the first beyond the limit
    assert "hop" in words


async def test_a_saga_that_feeds_itself_through_an_activity_is_stopped() -> None:
    made = Service("made")

    @made.activity
    async def notes(order_id: str) -> None:
        activity.publish(Placed(order_id=order_id))

    @made.saga(on=Placed)
    async def feeds_itself(event: Placed) -> None:
        await notes(event.order_id)

    assert (await _stopped(made))[0] == 7


async def test_a_saga_that_feeds_itself_through_what_it_starts_is_stopped() -> None:
    made = Service("made")

    @made.workflow
    async def second(order_id: str) -> None:
        await workflow.publish(Placed(order_id=order_id))

    @made.activity
    async def begins(order_id: str) -> None:
        activity.start(second, order_id)

    @made.saga(on=Placed)
    async def feeds_itself(event: Placed) -> None:
        await begins(event.order_id)

    assert (await _stopped(made))[0] == 7


async def test_a_saga_and_a_reaction_that_feed_each_other_are_stopped() -> None:
    made = Service("made")

    @made.saga(on=Placed)
    async def confirms(event: Placed) -> None:
        await workflow.publish(Confirmed(order_id=event.order_id))

    @made.on(Confirmed)
    async def places_again(event: Confirmed) -> Placed:
        return Placed(order_id=event.order_id)

    assert (await _stopped(made))[0] == 7


async def test_a_saga_that_feeds_itself_through_a_child_is_stopped() -> None:
    made = Service("made")

    @made.workflow
    async def second(order_id: str) -> None:
        await workflow.publish(Placed(order_id=order_id))

    @made.saga(on=Placed)
    async def feeds_itself(event: Placed) -> None:
        await second(event.order_id)

    assert (await _stopped(made))[0] == 7
