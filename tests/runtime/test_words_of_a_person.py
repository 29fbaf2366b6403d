"""What a person states or asks for changes what is done next, and nothing that is over."""

import asyncio
import threading
from datetime import timedelta

from tests.runtime.test_settling import until

from counterpoint import BusinessError, NotDone, Service
from counterpoint.testing import Harness

desk = Service("desk")
undone: list[str] = []
released = threading.Event()


class Full(BusinessError):
    """There is no room."""


@desk.activity
async def keep(what: str) -> str:
    return what


@keep.compensation
async def give_back(what: str) -> None:
    undone.append(what)


@desk.activity
async def refuse() -> None:
    raise Full


@desk.activity(timeout=timedelta(hours=1))
def hang() -> None:
    released.wait(10)


@hang.compensation
async def unhang() -> None:
    undone.append("hang")


@desk.saga
async def hanging() -> None:
    await keep("box")
    await asyncio.gather(hang(), refuse())


@desk.workflow
async def failing() -> None:
    await keep("one")
    await keep("two")
    raise ValueError("no")


async def test_a_cancelled_call_that_did_not_happen_is_neither_called_again_nor_undone() -> None:
    undone.clear()
    released.clear()
    async with Harness(services=[desk], settle=timedelta(seconds=5)) as harness:
        execution = await harness.app.start(hanging, id="d-1")
        await until(execution, "compensating")
        harness.clock.move_to(harness.clock.now() + 5_000_000)
        await until(execution, "incident")

        await execution.resolve(2, error=NotDone(), reason="it hangs before it begins")
        await until(execution, "compensated")

        assert (await execution.describe()).calls[1].attempts == 1
        assert undone == ["box"]
        released.set()


async def test_after_a_reset_a_call_is_told_with_the_key_under_which_it_happened() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(failing, id="f-1")
        await until(execution, "failed")

        for _ in range(2):
            await execution.reset(to=3)
            await harness.idle()

        calls = (await execution.describe()).calls
        assert [call.idempotency_key for call in calls] == ["f-1/1/1", "f-1/3/2"]
