"""DESIGN 3.1, Compensation: every compensable call that completed or may have happened is undone,
and no call that did not happen."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.design.services_undoing import (
    STEADY,
    Refused,
    described,
    desk,
    did,
    do,
    failed,
    keys,
    refuse,
    undid,
)

from counterpoint import ActivityFailed, NotDone, Retry, Service, workflow
from counterpoint.testing import Harness

doubt = Service("doubt")
PATIENCE = timedelta(minutes=1)


@doubt.activity(retry=Retry(max_attempts=2, first=timedelta(seconds=1), jitter=0), timeout=PATIENCE)
async def send(what: str) -> int:
    return len(what)


@send.compensation(retry=STEADY)
async def unsend(what: str, result: int | None, error: Exception | None) -> None: ...


@doubt.activity(retry=Retry(max_attempts=1), at_most_once=True, on_unknown="fail")
async def send_once(what: str) -> int:
    return len(what)


@send_once.compensation
async def unsend_once(what: str, result: int | None) -> None: ...


@doubt.activity
async def read(what: str) -> str:
    return what


@doubt.saga
async def base_then_send() -> None:
    await do("base")
    await send("x")
    raise ValueError("too late")


@doubt.saga
async def base_then_send_once() -> None:
    await do("base")
    await send_once("x")


@doubt.saga
async def go_on_without() -> None:
    """Catches the failure of a call; it is undone all the same if it may have happened."""
    await do("base")
    try:
        await send("x")
    except ActivityFailed:
        await do("instead")
    raise ValueError("too late")


@doubt.saga
async def base_read_base() -> None:
    await do("first")
    await read("x")
    await do("last")
    raise ValueError("too late")


@doubt.saga
async def refused_after(what: str) -> None:
    await do(what)
    await refuse("no")


@doubt.workflow
async def no_saga() -> None:
    await do("base")
    raise ValueError("too late")


@doubt.saga
async def succeeds() -> str:
    await do("base")
    return "well"


@doubt.saga
async def not_begun() -> None:
    """The second call is made and cancelled before anything of it is committed."""
    await do("base")
    task = asyncio.ensure_future(send("never"))
    await asyncio.sleep(0)
    task.cancel()
    await workflow.sleep(1)
    raise ValueError("too late")


def services() -> list[Service]:
    return [desk, doubt]


def sent_back(harness: Harness) -> list[dict[str, Any]]:
    """Return what the compensations of `send` and `send_once` were given."""
    names = ("doubt.unsend", "doubt.unsend_once")
    given = [dict(call.arguments) for call in harness.calls if call.name in names]
    return [{n: v for n, v in one.items() if n in ("what", "result")} for one in given]


async def test_completed_call_is_undone_with_its_result() -> None:
    async with Harness(services=services()) as harness:
        await failed(harness, await harness.start(base_then_send))

        assert sent_back(harness) == [{"what": "x", "result": 1}]
        assert undid(harness) == ["base"]


@pytest.mark.parametrize("after", [True, False], ids=["after its effect", "before its effect"])
async def test_call_that_raised_is_undone_without_a_result(after: bool) -> None:
    async with Harness(services=services()) as harness:
        harness.fail(send, ConnectionError("no answer"), times=2, after=after)
        error = await failed(harness, await harness.start(base_then_send))

        assert isinstance(error.error, ActivityFailed)
        assert error.error.outcome_unknown
        assert sent_back(harness) == [{"what": "x", "result": None}]
        assert undid(harness) == ["base"]


async def test_call_that_timed_out_is_undone_without_a_result() -> None:
    async with Harness(services=services()) as harness:
        harness.hang(send, times=2)
        error = await failed(harness, await harness.start(base_then_send))

        assert "TimeoutError" in str(error)
        assert sent_back(harness) == [{"what": "x", "result": None}]


async def test_call_whose_node_was_lost_is_undone_without_a_result() -> None:
    async with Harness(services=services()) as harness:
        harness.hang(send, times=2)
        execution = await harness.start(base_then_send, id="one")
        for _ in range(2):
            await harness.crash()
            await harness.restart()

        error = await failed(harness, execution)
        assert "NodeLost" in str(error)
        assert sent_back(harness) == [{"what": "x", "result": None}]


async def test_lost_attempt_leaves_doubt_although_a_later_one_says_that_nothing_happened() -> None:
    async with Harness(services=services()) as harness:
        harness.hang(send)
        execution = await harness.start(base_then_send, id="one")
        harness.restore()
        harness.fail(send, NotDone("not this time"))
        await harness.crash()
        await harness.restart()

        await failed(harness, execution)
        assert sent_back(harness) == [{"what": "x", "result": None}]


async def test_call_whose_result_cannot_be_recorded_is_undone_without_a_result() -> None:
    async with Harness(services=services()) as harness:
        harness.replace(send, lambda what: object())
        error = await failed(harness, await harness.start(base_then_send))

        assert isinstance(error.error, ActivityFailed)
        assert error.error.attempts == 1
        assert sent_back(harness) == [{"what": "x", "result": None}]


async def test_call_whose_result_is_too_large_is_undone_without_a_result() -> None:
    async with Harness(services=[*services()], payload_bytes_max=1000) as harness:
        harness.replace(do, lambda what: what * (1 if what == "first" else 1000))
        error = await failed(harness, await harness.start(base_read_base))

        assert "payload_bytes_max" in str(error)
        undone = [call.arguments for call in harness.calls if call.name == "desk.undo"]
        assert undone == [{"what": "last", "result": None}, {"what": "first", "result": "first"}]


async def test_at_most_once_call_of_unknown_outcome_is_undone_without_a_result() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(send_once, ConnectionError("no answer"))
        error = await failed(harness, await harness.start(base_then_send_once))

        assert isinstance(error.error, ActivityFailed)
        assert error.error.outcome_unknown
        assert sent_back(harness) == [{"what": "x", "result": None}]


async def test_doubt_about_one_attempt_of_several_is_enough() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(send, ConnectionError("no answer"))
        harness.fail(send, NotDone("surely not"))
        await failed(harness, await harness.start(base_then_send))

        assert sent_back(harness) == [{"what": "x", "result": None}]


async def test_call_of_which_every_attempt_said_not_done_is_not_undone() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(send, NotDone("surely not"), times=2)
        error = await failed(harness, await harness.start(base_then_send))

        assert isinstance(error.error, ActivityFailed)
        assert not error.error.outcome_unknown
        assert sent_back(harness) == []
        assert undid(harness) == ["base"]


async def test_call_that_ended_with_a_business_error_is_not_undone() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(refused_after, "base"))

        assert isinstance(error.error, Refused)
        assert "desk.unrefuse" not in [call.name for call in harness.calls]
        assert undid(harness) == ["base"]


async def test_business_error_after_an_attempt_in_doubt_is_undone() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(refuse, ConnectionError("no answer"))
        await failed(harness, await harness.start(refused_after, "base"))

        assert [c.name for c in harness.calls][-2:] == ["desk.unrefuse", "desk.undo"]


async def test_failure_that_the_code_caught_is_undone_too() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(send, ConnectionError("no answer"), times=2)
        await failed(harness, await harness.start(go_on_without))

        names = [c.name for c in harness.calls if c.name in ("doubt.unsend", "desk.undo")]
        assert names == ["desk.undo", "doubt.unsend", "desk.undo"]
        assert undid(harness) == ["instead", "base"]


async def test_calls_without_a_compensation_are_passed_over_and_listed_as_staying() -> None:
    async with Harness(services=services()) as harness:
        await failed(harness, await harness.start(base_read_base, id="one"))

        assert undid(harness) == ["last", "first"]
        description = await described(harness)
        assert (list(description.undone), list(description.stay)) == ([1, 3], [2])


async def test_call_that_was_cancelled_before_it_was_recorded_never_happened() -> None:
    async with Harness(services=services()) as harness:
        await failed(harness, await harness.start(not_begun))

        assert sent_back(harness) == []
        assert "doubt.send" not in [call.name for call in harness.calls]


async def test_only_sagas_are_undone() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(no_saga))

        assert error.status == "failed"
        assert (did(harness), undid(harness)) == (["base"], [])


async def test_saga_that_succeeds_is_not_undone() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(succeeds) == "well"
        assert undid(harness) == []


async def test_cancelled_call_that_was_under_way_in_a_dying_node_is_undone() -> None:
    async with Harness(services=services()) as harness:
        harness.hang(send, times=9)
        execution = await harness.start(base_then_send, id="one")
        await execution.cancel()
        await harness.crash()
        await harness.restart()

        error = await failed(harness, execution)
        assert error.status == "cancelled"
        assert sent_back(harness) == [{"what": "x", "result": None}]
        assert len(keys(harness, "desk.undo", "base")) == 1
