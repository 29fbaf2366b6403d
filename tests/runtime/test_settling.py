"""A failed saga waits for its calls: a person learns which does not end, and may say how it did."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

from counterpoint import BusinessError, Execution, Service
from counterpoint.testing import Harness

depot = Service("depot")
undone: list[str] = []


class Full(BusinessError):
    """There is no room."""


@depot.activity
async def store(what: str) -> str:
    return what


@store.compensation
async def take_out(what: str) -> None:
    undone.append(what)


@depot.activity
async def refuse() -> None:
    raise Full


released = threading.Event()


@depot.activity(timeout=timedelta(hours=1))
def in_a_thread() -> str:
    released.wait(10)
    return "thread"


@in_a_thread.compensation
async def undo_thread(result: str | None) -> None:
    undone.append(f"thread, which gave {result}")


@depot.saga
async def with_a_thread() -> None:
    await store("box")
    await asyncio.gather(in_a_thread(), refuse())


async def until(execution: Execution[Any], status: str) -> None:
    """Let the app run until the execution has the status; virtual time stands still."""
    async with asyncio.timeout(30):
        while (await execution.describe()).status != status:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


async def test_a_call_that_does_not_end_is_an_incident_after_the_time_to_settle() -> None:
    undone.clear()
    released.clear()
    async with Harness(services=[depot], settle=timedelta(seconds=5)) as harness:
        execution = await harness.app.start(with_a_thread, id="d-1")
        await until(execution, "compensating")
        assert undone == []

        harness.clock.move_to(harness.clock.now() + 5_000_000)
        await until(execution, "incident")
        described = await execution.describe()
        assert [one.cause for one in described.incidents] == ["settle"]
        assert described.incidents[0].call == 2
        assert undone == []

        released.set()
        await harness.idle()

        assert (await execution.describe()).status == "compensated"
        assert undone == ["thread, which gave thread", "box"]


async def test_a_person_who_retries_gives_the_call_as_much_time_again() -> None:
    undone.clear()
    released.clear()
    async with Harness(services=[depot], settle=timedelta(seconds=5)) as harness:
        execution = await harness.app.start(with_a_thread, id="d-1")
        await until(execution, "compensating")
        harness.clock.move_to(harness.clock.now() + 5_000_000)
        await until(execution, "incident")

        await execution.retry(actor="ann")
        await until(execution, "compensating")
        harness.clock.move_to(harness.clock.now() + 4_000_000)
        assert (await execution.describe()).status == "compensating"
        harness.clock.move_to(harness.clock.now() + 1_000_000)
        await until(execution, "incident")
        released.set()
        await harness.idle()


async def test_a_person_can_say_how_a_call_ended_that_does_not_end() -> None:
    undone.clear()
    released.clear()
    async with Harness(services=[depot], settle=timedelta(seconds=5)) as harness:
        execution = await harness.app.start(with_a_thread, id="d-1")
        await until(execution, "compensating")
        harness.clock.move_to(harness.clock.now() + 5_000_000)
        await until(execution, "incident")

        await execution.resolve(2, result="seen", actor="ann", reason="looked at the shelf")
        await until(execution, "compensated")

        assert undone == ["thread, which gave seen", "box"]
        released.set()
