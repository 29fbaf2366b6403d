"""The harness and `attempt` with events: for tests of choreographies."""

from datetime import timedelta

import pytest

from counterpoint import (
    ArgumentsError,
    DefinitionError,
    Event,
    EventInfo,
    Retry,
    Service,
    activity,
    workflow,
)
from counterpoint.testing import Harness, attempt

HOURLY = Retry(max_attempts=5, first=timedelta(hours=1), factor=1, cap=timedelta(hours=1), jitter=0)
shop = Service("shop")


@shop.event(key="order_id")
class Placed(Event):
    order_id: str
    number: int = 0


@shop.event(key="order_id")
class Paid(Event):
    order_id: str
    number: int = 0


@shop.workflow
async def follows(order_id: str) -> str:
    return order_id


@shop.activity
async def notes(order_id: str) -> str:
    activity.publish(Paid(order_id=order_id, number=1))
    activity.publish(Paid(order_id=order_id, number=2))
    return activity.start(follows, order_id)


@shop.on(Placed, retry=HOURLY)
async def take_payment(event: Placed) -> Paid | None:
    return Paid(order_id=event.order_id, number=event.number) if event.number else None


@shop.on(Paid)
def books(event: Paid) -> None:
    """Runs in a thread."""


@shop.workflow
async def waits(order_id: str) -> int:
    return (await workflow.event(Paid, key=order_id)).number


# ---- attempt ----------------------------------------------------------------------------------


async def test_what_a_function_publishes_and_starts_is_collected() -> None:
    with attempt(execution_id="e") as running:
        its_id = await notes("k")

    assert running.published == [Paid(order_id="k", number=1), Paid(order_id="k", number=2)]
    (started,) = running.started
    assert (started.workflow, started.args, started.id) == ("shop.follows", ("k",), its_id)


async def test_an_id_that_is_given_is_the_id() -> None:
    with attempt() as running:
        assert activity.start(follows, "k", id="mine") == "mine"

    assert running.started[0].id == "mine"


async def test_what_an_app_would_refuse_is_refused() -> None:
    class Undeclared(Event):
        order_id: str

    with attempt():
        with pytest.raises(DefinitionError, match="has no contract"):
            activity.publish(Undeclared(order_id="k"))
        with pytest.raises(ArgumentsError, match="empty"):
            activity.publish(Paid(order_id=""))
        with pytest.raises(DefinitionError, match="takes a workflow"):
            activity.start(notes, "k")  # type: ignore[arg-type]
        with pytest.raises(ArgumentsError):
            activity.start(follows)  # type: ignore[misc]
        with pytest.raises(ArgumentsError):
            activity.start(follows, 5)  # type: ignore[misc]


async def test_a_reaction_learns_of_its_event_what_the_test_gives() -> None:
    at = EventInfo(
        source="shop",
        id="e1",
        type="shop.Placed",
        version=1,
        key="k",
        time=Harness(services=[shop]).now,
        correlation_id="flow",
        causation_id=None,
        position=1,
        hops=0,
    )
    with attempt(event=at, is_replay=True):
        assert activity.info().event == at
        assert activity.info().is_replay


# ---- harness ----------------------------------------------------------------------------------


async def test_reactions_run_and_what_they_return_is_published() -> None:
    async with Harness(services=[shop]) as harness:
        ids = await harness.publish(Placed(order_id="k", number=7), Placed(order_id="k"))
        await harness.idle()

        assert len(ids) == 2
        assert await harness.published(Paid) == [Paid(order_id="k", number=7)]
        assert [call.name for call in harness.calls] == [
            "shop.take_payment",
            "shop.take_payment",
            "shop.books",
        ]
        assert harness.calls[0].arguments == {"event": Placed(order_id="k", number=7)}


async def test_published_events_are_listed_by_type_and_key() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.publish(*(Placed(order_id=f"k{n % 2}", number=n) for n in range(1, 1200)))

        assert [e.number for e in await harness.published(Placed)] == list(range(1, 1200))
        assert {e.order_id for e in await harness.published(Placed, "k1")} == {"k1"}
        assert len(await harness.published(Placed, "k1")) == 600


async def test_a_reaction_fails_as_often_as_a_test_says_and_is_retried_in_virtual_time() -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail(take_payment, ConnectionError("no route"), times=3)
        began = harness.now
        await harness.publish(Placed(order_id="k", number=1))
        early = await harness.published(Paid)
        await harness.advance(hours=2)
        waiting = await harness.published(Paid)
        await harness.idle()

        assert (early, waiting) == ([], [])
        assert harness.now - began == timedelta(hours=3)
        assert [call.attempt for call in harness.calls if call.name == "shop.take_payment"] == [
            1,
            2,
            3,
            4,
        ]
        assert len(await harness.published(Paid)) == 1


async def test_a_reaction_can_be_replaced_delayed_and_held() -> None:
    async with Harness(services=[shop]) as harness:
        hold = harness.hang("shop.take_payment")
        await harness.publish(Placed(order_id="a", number=1))
        held = (hold.waiting, await harness.published(Paid))
        hold.release()
        await harness.idle()
        harness.delay(take_payment, timedelta(minutes=1), times=1)
        await harness.publish(Placed(order_id="b", number=2))
        delayed = len(await harness.published(Paid))
        await harness.advance(minutes=1)
        harness.replace(
            take_payment, lambda event: Paid(order_id=event.order_id, number=-event.number)
        )
        await harness.publish(Placed(order_id="c", number=3))
        await harness.idle()

        assert held == (1, [])
        assert delayed == 1
        assert [event.number for event in await harness.published(Paid)] == [1, 2, -3]


async def test_a_reaction_that_hangs_times_out_in_virtual_time() -> None:
    async with Harness(services=[shop]) as harness:
        harness.hang(take_payment)
        await harness.publish(Placed(order_id="k", number=1))
        await harness.advance(minutes=5)
        await harness.idle()

        assert [call.attempt for call in harness.calls if call.name == "shop.take_payment"] == [
            1,
            2,
        ]


async def test_a_reaction_in_a_thread_can_be_failed() -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail(books, OSError("full"), times=1)
        await harness.publish(Paid(order_id="k"))
        await harness.idle()

        assert [(call.name, call.attempt) for call in harness.calls] == [
            ("shop.books", 1),
            ("shop.books", 2),
        ]


async def test_a_name_that_nothing_has_is_refused_with_what_is_near() -> None:
    async with Harness(services=[shop]) as harness:
        with pytest.raises(DefinitionError, match=r"it has shop\.take_payment"):
            harness.fail("shop.take_payments", OSError())


async def test_an_hour_long_wait_for_an_event_takes_no_time() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.start(waits, "k")
        await harness.advance(hours=10)
        await harness.publish(Placed(order_id="k", number=5))

        assert await harness.result(execution) == 5


async def test_the_story_of_a_failed_test_has_events_and_dead_letters() -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail(take_payment, TypeError("never"), times=1)
        await harness.publish(Placed(order_id="k", number=5))
        harness.test_failed = True

    assert "shop.Placed  k" in harness.story
    assert "dead letter shop.take_payment:shop/" in harness.story
    assert "never" in harness.story


async def test_events_outlive_a_crash() -> None:
    async with Harness(services=[shop]) as harness:
        hold = harness.hang(take_payment)
        await harness.publish(Placed(order_id="k", number=5))
        await harness.crash()
        hold.release()
        await harness.restart()
        await harness.idle()

        assert await harness.published(Paid) == [Paid(order_id="k", number=5)]
