"""DESIGN 3.1, Execution: its statuses, and what `result()` says of each end."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.shop import GOOD, TOO_MUCH, PaymentDeclined, pay, place_order, shop

from counterpoint import (
    ActivityFailed,
    App,
    ArgumentsError,
    Execution,
    ExecutionFailed,
    ExecutionRefusedError,
    Service,
    workflow,
)
from counterpoint.errors import RecordedError
from counterpoint.model.states import TRANSITIONS, Status
from counterpoint.testing import Harness, StuckError
from counterpoint.testing.faults import When

desk = Service("desk")
LIVE = ["running", "compensating", "incident"]
ENDS = ["completed", "failed", "compensated", "cancelled", "terminated", "continued"]


@desk.activity
async def step(number: int) -> int:
    return number


@desk.workflow
async def count_down(number: int) -> str:
    await step(number)
    if number > 0:
        workflow.continue_as_new(number - 1)
    return "lift off"


@desk.workflow
async def count_down_by_signal(number: int) -> str:
    await workflow.signal("go")
    if number > 0:
        workflow.continue_as_new(number - 1)
    return "lift off"


@desk.workflow
async def count_and_fail(number: int) -> str:
    if number > 0:
        workflow.continue_as_new(number - 1)
    raise ValueError("no fuel")


@desk.workflow
async def wait() -> str:
    return await workflow.signal("go", str)


def test_an_execution_has_nine_statuses_of_which_three_are_live() -> None:
    assert [status.value for status in Status] == LIVE + ENDS
    assert [status.value for status in Status if status.live] == LIVE


def test_ends_are_left_by_nothing_but_retry_and_the_undoing_of_a_parent() -> None:
    assert {end: {*map(str, TRANSITIONS[Status(end)])} for end in ENDS} == {
        "completed": {"compensating"},
        "failed": {"running"},
        "compensated": set(),
        "cancelled": set(),
        "terminated": set(),
        "continued": set(),
    }


checking = Service("checking")


@checking.workflow
async def continues_wrongly(number: int) -> str:
    try:
        workflow.continue_as_new("many", "more")
    except ArgumentsError as error:
        return type(error).__name__


# ---- each status is reached ----------------------------------------------------------------------


async def running(harness: Harness) -> Execution[Any]:
    return await harness.start(wait, id="one")


async def compensating(harness: Harness) -> Execution[Any]:
    harness.hang("shop.release")
    return await harness.start(place_order, "tea", TOO_MUCH, id="one")


async def incident(harness: Harness) -> Execution[Any]:
    harness.hang("shop.charge", times=None)
    execution = await harness.start(pay, "tea", GOOD, id="one")
    for _ in range(3):
        await harness.crash()
        await harness.restart()
    return execution


async def completed(harness: Harness) -> Execution[Any]:
    return await harness.start(pay, "tea", GOOD, id="one")


async def failed(harness: Harness) -> Execution[Any]:
    return await harness.start(pay, "tea", TOO_MUCH, id="one")


async def compensated(harness: Harness) -> Execution[Any]:
    return await harness.start(place_order, "tea", TOO_MUCH, id="one")


async def cancelled(harness: Harness) -> Execution[Any]:
    execution = await harness.start(wait, id="one")
    await execution.cancel()
    return execution


async def cancelled_saga(harness: Harness) -> Execution[Any]:
    harness.hang("shop.charge")
    execution = await harness.start(place_order, "tea", GOOD, id="one")
    await execution.cancel()
    return execution


async def terminated(harness: Harness) -> Execution[Any]:
    execution = await harness.start(wait, id="one")
    await execution.terminate()
    return execution


@pytest.mark.parametrize(
    ("reach", "status"),
    [
        (running, Status.RUNNING),
        (compensating, Status.COMPENSATING),
        (incident, Status.INCIDENT),
        (completed, Status.COMPLETED),
        (failed, Status.FAILED),
        (compensated, Status.COMPENSATED),
        (cancelled, Status.CANCELLED),
        (cancelled_saga, Status.CANCELLED),
        (terminated, Status.TERMINATED),
    ],
)
async def test_each_status_is_reached_and_is_the_same_in_every_view(
    reach: Callable[[Harness], Awaitable[Execution[Any]]], status: Status
) -> None:
    async with Harness(services=[desk, shop]) as harness:
        execution = await reach(harness)
        await harness.settle()
        known = await execution.describe()
        listed = [one async for one in harness.app.executions(status=status)]

        assert known.status is status
        assert [(one.id, one.status) for one in listed] == [("one", status)]
        assert await harness.app.counts() == {status: 1}
        assert (known.finished_at is None) is status.live


async def test_a_run_that_continued_as_new_is_continued_and_the_next_one_has_its_number() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(count_down, 2, id="one")
        runs = [(one.run, one.status.value) async for one in harness.app.executions()]

        assert runs == [(3, "completed"), (2, "continued"), (1, "continued")]
        assert (await execution.describe()).run == 3


# ---- what result() says --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reach", "status", "kind", "words"),
    [
        (failed, "failed", PaymentDeclined, "one failed: shop.PaymentDeclined: reason='over the"),
        (compensated, "compensated", PaymentDeclined, "one compensated: shop.PaymentDeclined: "),
        (cancelled, "cancelled", RecordedError, "one cancelled: asyncio.CancelledError: cancelled"),
        (cancelled_saga, "cancelled", RecordedError, "one cancelled: asyncio.CancelledError"),
        (terminated, "terminated", RecordedError, "one terminated: counterpoint.Terminated: term"),
    ],
)
async def test_result_raises_execution_failed_with_status_and_error(
    reach: Callable[[Harness], Awaitable[Execution[Any]]],
    status: str,
    kind: type[Exception],
    words: str,
) -> None:
    async with Harness(services=[desk, shop]) as harness:
        execution = await reach(harness)
        await harness.settle()
        with pytest.raises(ExecutionFailed) as live:
            await execution.result()
        await harness.restart()
        with pytest.raises(ExecutionFailed) as read_again:
            await execution.result()

        for caught in (live.value, read_again.value):
            assert (caught.status, caught.execution_id) == (status, "one")
            assert type(caught.error) is kind
            assert caught.__cause__ is caught.error
            assert str(caught).startswith(words)


async def test_the_error_of_a_business_failure_has_its_facts() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await compensated(harness)
        with pytest.raises(ExecutionFailed) as caught:
            await harness.result(execution)

        assert isinstance(caught.value.error, PaymentDeclined)
        assert caught.value.error.reason == "over the limit"
        assert caught.value.error.amount == TOO_MUCH


async def test_the_error_of_a_failed_call_is_the_activity_failed_that_the_code_saw() -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail("shop.charge", TypeError("wrong"))
        execution = await harness.start(pay, "tea", GOOD)
        with pytest.raises(ExecutionFailed) as caught:
            await harness.result(execution)

        assert isinstance(caught.value.error, ActivityFailed)
        assert (caught.value.error.activity, caught.value.error.attempts) == ("shop.charge", 1)
        assert caught.value.error.outcome_unknown


async def test_result_of_an_incident_waits_for_a_person() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await incident(harness)

        with pytest.raises(StuckError, match="a person"):
            await harness.result(execution)


# ---- continue_as_new -----------------------------------------------------------------------------


async def test_result_follows_continue_as_new() -> None:
    async with Harness(services=[desk]) as harness:
        assert await harness.run(count_down, 3) == "lift off"


async def test_result_that_was_asked_for_in_the_first_run_is_that_of_the_last() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(count_down_by_signal, 2)
        waiting = asyncio.ensure_future(execution.result())
        for _ in range(3):
            assert not waiting.done()
            await execution.signal("go")
            await harness.settle()

        assert await waiting == "lift off"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(2, 10))
async def test_result_follows_across_a_crash_between_two_runs(number: int, when: When) -> None:
    async with Harness(services=[desk]) as harness:
        harness.crash_at_commit(number, when=when)
        execution = await harness.start(count_down, 2, id="one")
        if not harness.running:
            await harness.restart()

        assert await harness.result(execution) == "lift off"
        assert (await execution.describe()).run == 3


async def test_result_follows_to_the_failure_of_a_later_run() -> None:
    async with Harness(services=[desk]) as harness:
        with pytest.raises(ExecutionFailed, match="no fuel") as caught:
            await harness.run(count_and_fail, 2)

        assert caught.value.status == "failed"


async def test_result_through_a_client_follows_too(tmp_path: Path) -> None:
    app = App("desk", services=[desk], store=f"sqlite:///{tmp_path / 'desk.db'}")
    async with app, app.client() as client:
        assert await client.run(count_down, 3, timeout=30) == "lift off"


async def test_continued_arguments_are_checked_before_the_run_ends() -> None:
    async with Harness(services=[checking]) as harness:
        assert await harness.run(continues_wrongly, 0) == "ArgumentsError"


async def test_acts_are_about_the_newest_run() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.run(count_down, 1, id="one")

        with pytest.raises(ExecutionRefusedError, match="completed"):
            await harness.execution("one").cancel()
