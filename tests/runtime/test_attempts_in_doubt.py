"""Attempts of which nobody knows what they did: doubted for good, and never left running."""

from contextlib import suppress
from datetime import timedelta

from counterpoint import (
    ExecutionFailed,
    NodeStoppedError,
    NotDone,
    Retry,
    Service,
)
from counterpoint.errors import StoreFullError
from counterpoint.testing import Harness

shop = Service("shop")
undone: list[str] = []


@shop.activity(retry=Retry(max_attempts=3, jitter=0), timeout=None)
async def send(what: str) -> str:
    return what


@send.compensation
async def unsend(what: str) -> None:
    undone.append(what)


@shop.saga
async def sends(what: str) -> str:
    return await send(what)


async def test_doubt_about_the_first_of_three_attempts_is_not_forgotten() -> None:
    undone.clear()
    async with Harness(services=[shop]) as harness:
        harness.fail(send, ConnectionError("no answer"))
        harness.fail(send, NotDone("surely not"), times=2)
        with suppress(ExecutionFailed):
            await harness.run(sends, "parcel")

        assert undone == ["parcel"]


async def test_an_attempt_that_was_under_way_when_the_store_failed_is_cut_off() -> None:
    async with Harness(services=[shop]) as harness:
        hold = harness.hang(send)
        await harness.start(sends, "parcel", id="one")
        before = hold.waiting
        harness.store.fail_commits(StoreFullError("the disk is full"))
        with suppress(StoreFullError, NodeStoppedError):
            await harness.start(sends, "letter", id="two")
        await harness.advance(seconds=1)

        assert (before, hold.waiting) == (1, 0)
        assert await harness.result(harness.execution("one")) == "parcel"


async def test_an_interrupted_call_is_made_again_within_moments() -> None:
    async with Harness(services=[shop]) as harness:
        harness.hang(send)
        await harness.start(sends, "parcel", id="one")
        await harness.crash()
        await harness.restart()
        await harness.advance(timedelta(seconds=1))

        assert [call.attempt for call in harness.calls] == [1, 2]


async def test_a_call_that_fails_for_ever_has_its_attempts_and_no_more() -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail(send, NotDone("not now"), times=None)
        await harness.start(sends, "parcel", id="one")
        await harness.advance(timedelta(minutes=1))

        assert [call.attempt for call in harness.calls] == [1, 2, 3]
