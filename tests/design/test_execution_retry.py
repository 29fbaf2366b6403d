"""DESIGN 3.1, Execution: `retry()` of each status, of incidents and of failed workflows."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.runtime.shop import GOOD, TOO_MUCH, called, pay, place_order, shop

from counterpoint import (
    Execution,
    ExecutionRefusedError,
    Retry,
    Service,
    workflow,
)
from counterpoint.model.states import Cause, Status
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

desk = Service("desk")
ONCE = Retry(max_attempts=1)
HOUR = timedelta(hours=1)


@desk.activity(retry=ONCE)
async def book(what: str) -> str:
    return what


@book.compensation(retry=Retry(max_attempts=2, first=timedelta(seconds=1), cap=HOUR, jitter=0))
async def unbook(what: str) -> None: ...


@desk.activity
async def confirm(what: str) -> str:
    return f"{what} confirmed"


@desk.activity(retry=Retry(first=HOUR, cap=HOUR, jitter=0))
async def patient(what: str) -> str:
    return what


@desk.saga
async def trip(what: str) -> str:
    await book(what)
    return await confirm(what)


@desk.saga
async def trip_past_pivot(what: str) -> str:
    await book(what)
    workflow.pivot()
    return await confirm(what)


@desk.activity(retry=ONCE)
async def confirm_once(what: str) -> str:
    return what


@desk.saga
async def once_past_pivot() -> str:
    workflow.pivot()
    return await confirm_once("tea")


@desk.saga
async def broken_past_pivot(what: str) -> str:
    await book(what)
    workflow.pivot()
    answer = await patient(what)
    if answer == "bad":
        raise ValueError("bad answer")
    return answer


@desk.workflow
async def both() -> list[str]:
    return list(await asyncio.gather(book("a"), confirm("b")))


@desk.workflow
async def wait() -> str:
    return await workflow.signal("go", str)


@desk.workflow
async def wait_for_retry() -> str:
    return await patient("late")


@desk.workflow
async def for_ever(number: int) -> int:
    await patient("on")
    if number > 0:
        workflow.continue_as_new(number - 1)
    return number


def types_of(entries: list[Any]) -> list[str]:
    return [entry.type for entry in entries]


# ---- of an incident ------------------------------------------------------------------------------


async def lost_attempts(harness: Harness) -> Execution[Any]:
    harness.hang(confirm, times=None)
    harness.hang("desk.unbook", times=None)
    execution = await harness.start(trip, "tea", id="one")
    await execution.cancel()
    await harness.settle()
    for _ in range(3):
        await harness.crash()
        await harness.restart()
    harness.restore()
    return execution


async def patience_over(harness: Harness) -> Execution[Any]:
    harness.fail(confirm, TypeError("wrong"))
    harness.fail("desk.unbook", OSError("no route"), times=2)
    execution = await harness.start(trip, "tea", id="one")
    await harness.advance(seconds=5)
    return execution


async def call_past_pivot(harness: Harness) -> Execution[Any]:
    harness.fail(confirm, TypeError("no such route"))
    return await harness.start(trip_past_pivot, "tea", id="one")


async def code_past_pivot(harness: Harness) -> Execution[Any]:
    harness.replace(patient, lambda what: "bad")
    execution = await harness.start(broken_past_pivot, "tea", id="one")
    await harness.settle()
    return execution


@pytest.mark.parametrize(
    ("reach", "cause", "end"),
    [
        (lost_attempts, Cause.LOST_ATTEMPTS, "cancelled"),
        (patience_over, Cause.PATIENCE, "compensated"),
        (call_past_pivot, Cause.PAST_PIVOT, "completed"),
    ],
)
async def test_retry_of_an_incident_tries_at_once_what_stopped_it(
    reach: Callable[[Harness], Awaitable[Execution[Any]]], cause: Cause, end: str
) -> None:
    async with Harness(services=[desk]) as harness:
        execution = await reach(harness)
        before = await execution.describe()
        at = harness.now
        await execution.retry(actor="ann", reason="mended")
        await harness.settle()
        after = await execution.describe()

        assert before.status is Status.INCIDENT
        assert [incident.cause for incident in before.incidents] == [cause]
        assert after.status == end
        assert (list(after.incidents), harness.now) == ([], at)


async def test_retry_of_code_that_failed_past_the_pivot_goes_forward_with_code_that_is_mended() -> (
    None
):
    mended = Service("desk")
    mended.activities.update(desk.activities)

    @mended.saga(name="desk.broken_past_pivot")
    async def broken_past_pivot(what: str) -> str:
        await book(what)
        workflow.pivot()
        return await patient(what)

    async with Harness(services=[desk]) as harness:
        execution = await code_past_pivot(harness)
        before = await execution.describe()
        await harness.restart(services=[mended])
        await execution.retry()
        await harness.settle()

        assert (before.status, before.incidents[0].cause) == (Status.INCIDENT, Cause.PAST_PIVOT)
        assert (await execution.describe()).result == "bad"
        assert called(harness) == ["book", "patient"]


async def test_retry_of_an_incident_keeps_the_idempotency_key() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await call_past_pivot(harness)
        await execution.retry()
        await harness.settle()
        keys = [call.idempotency_key for call in harness.calls if call.name == "desk.confirm"]

        assert keys == ["one/1/2", "one/1/2"]


async def test_retry_that_does_not_help_leaves_an_incident() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await call_past_pivot(harness)
        harness.fail(confirm, TypeError("still no route"))
        await execution.retry()
        await harness.settle()
        known = await execution.describe()

        assert known.status is Status.INCIDENT
        assert known.incident is not None
        assert known.incident.endswith("still no route")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_retry_of_an_incident_survives_a_crash_at_every_commit(
    number: int, when: When
) -> None:
    async with Harness(services=[desk]) as harness:
        execution = await call_past_pivot(harness)
        await execution.retry()
        harness.crash_at_commit(number, when=when)
        await harness.settle()
        if not harness.running:
            await harness.restart()

        assert await harness.result(execution) == "tea confirmed"


# ---- of a failed workflow ------------------------------------------------------------------------


async def test_retry_of_a_failed_workflow_appends_a_record_and_changes_none() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.start(pay, "tea", TOO_MUCH)
        before = await execution.journal()
        harness.replace("shop.charge", lambda order, amount: {"charged": order})
        await execution.retry()
        await harness.result(execution)
        after = await execution.journal()

        assert after[: len(before)] == before
        assert types_of(before)[-2:] == ["failed", "ended"]
        assert types_of(after)[len(before) :] == [
            "retry-requested",
            "attempt",
            "completed",
            "ended",
        ]


async def test_retry_of_a_failed_workflow_takes_the_failure_back() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.start(pay, "tea", TOO_MUCH)
        failed = await execution.describe()
        harness.hang("shop.charge")
        await execution.retry()
        await harness.settle()
        known = await execution.describe()

        assert (failed.status, failed.calls[1].state) == (Status.FAILED, "failed")
        assert (known.status, known.calls[1].state) == (Status.RUNNING, "running")
        assert (known.error, known.finished_at) == (None, None)


async def test_retry_of_a_failed_workflow_goes_on_with_todays_code() -> None:
    def deploy(*, mended: bool) -> Service:
        service = Service("service")

        @service.activity
        async def read() -> int:
            return 4

        @service.workflow(name="service.halve")
        async def halve() -> int:
            number = await read()
            if not mended:
                raise ValueError("cannot halve")
            return number // 2

        return service

    async with Harness(services=[deploy(mended=False)]) as harness:
        execution = await harness.start(harness.app.registry.workflows["service.halve"])
        failed = (await execution.describe()).status
        await harness.restart(services=[deploy(mended=True)])
        await execution.retry()

        assert failed is Status.FAILED
        assert await harness.result(execution) == 2
        assert called(harness) == ["read"]


async def test_retry_of_a_failed_workflow_makes_new_attempts_under_the_same_keys() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(confirm, TypeError("wrong"), times=2)
        execution = await harness.start(both, id="one")
        await execution.retry()
        await harness.settle()
        await execution.retry()

        assert await harness.result(execution) == ["a", "b confirmed"]
        confirms = [c for c in harness.calls if c.name == "desk.confirm"]
        assert [(c.attempt, c.idempotency_key) for c in confirms] == [(1, "one/1/2")] * 3
        assert called(harness).count("book") == 1


async def test_retry_of_a_failed_workflow_makes_again_the_call_that_its_failure_cut_off() -> None:
    async with Harness(services=[desk]) as harness:
        harness.hang(book)
        harness.fail(confirm, TypeError("wrong"))
        execution = await harness.start(both, id="one")
        failed = (await execution.describe()).status
        await execution.retry()

        assert failed is Status.FAILED
        assert await harness.result(execution) == ["a", "b confirmed"]
        keys = [c.idempotency_key for c in harness.calls if c.name == "desk.book"]
        assert keys == ["one/1/1", "one/1/1"]


async def test_retry_of_a_saga_that_failed_with_nothing_to_undo_goes_on() -> None:
    async with Harness(services=[desk]) as harness:
        harness.replace(book, shop_declines)
        execution = await harness.start(trip, "tea")
        failed = (await execution.describe()).status
        harness.restore()
        await execution.retry()

        assert failed is Status.FAILED
        assert await harness.result(execution) == "tea confirmed"


def shop_declines(what: str) -> str:
    from tests.runtime.shop import PaymentDeclined

    raise PaymentDeclined(reason=what, amount=GOOD)


# ---- nothing to retry, and refused ---------------------------------------------------------------


async def a_completed_one(harness: Harness) -> Execution[Any]:
    return await harness.start(trip, "tea", id="one")


async def one_that_waits_for_a_signal(harness: Harness) -> Execution[Any]:
    return await harness.start(wait, id="one")


async def one_with_an_attempt_under_way(harness: Harness) -> Execution[Any]:
    harness.hang(confirm)
    return await harness.start(trip, "tea", id="one")


async def one_that_is_being_undone(harness: Harness) -> Execution[Any]:
    harness.fail(confirm, TypeError("wrong"))
    harness.hang("desk.unbook")
    return await harness.start(trip, "tea", id="one")


@pytest.mark.parametrize(
    "reach",
    [
        a_completed_one,
        one_that_waits_for_a_signal,
        one_with_an_attempt_under_way,
        one_that_is_being_undone,
    ],
)
async def test_retry_does_nothing_where_nothing_has_to_be_retried(
    reach: Callable[[Harness], Awaitable[Execution[Any]]],
) -> None:
    async with Harness(services=[desk]) as harness:
        execution = await reach(harness)
        before, calls = await execution.describe(), list(harness.calls)
        await execution.retry()
        await harness.settle()
        after = await execution.describe()

        assert after.status is before.status
        assert after.calls == before.calls
        assert harness.calls == calls


async def test_retry_of_what_completed_writes_nothing_at_all() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await a_completed_one(harness)
        before = harness.store.commits
        await execution.retry()
        await harness.settle()

        assert harness.store.commits == before


async def test_retry_of_a_running_execution_brings_a_waiting_attempt_forward() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(patient, OSError("no route"))
        execution = await harness.start(wait_for_retry)
        await execution.retry()

        assert await execution.result(timeout=30) == "late"
        assert harness.calls[0].at == harness.calls[1].at


async def ended_compensated(harness: Harness) -> str:
    await harness.start(place_order, "tea", TOO_MUCH, id="one")
    return "compensated"


async def ended_cancelled(harness: Harness) -> str:
    await (await harness.start(wait, id="one")).cancel()
    return "cancelled"


async def ended_terminated(harness: Harness) -> str:
    await (await harness.start(wait, id="one")).terminate()
    return "terminated"


@pytest.mark.parametrize("reach", [ended_compensated, ended_cancelled, ended_terminated])
async def test_retry_of_what_was_undone_or_ended_by_somebody_is_refused(
    reach: Callable[[Harness], Awaitable[str]],
) -> None:
    async with Harness(services=[desk, shop]) as harness:
        status = await reach(harness)
        await harness.settle()
        execution = harness.execution("one")
        before = await execution.journal()

        with pytest.raises(ExecutionRefusedError, match=f"it is {status}.*start a new one"):
            await execution.retry()
        await harness.settle()
        assert await execution.journal() == before


async def test_retry_of_a_continued_run_is_refused() -> None:
    async with Harness(services=[desk]) as harness:
        harness.crash_at_commit(2, when="after")  # the first run has ended, the next is not there
        await harness.start(for_ever, 1, id="one")
        async with harness.app.client() as client:
            run = await client.execution("one").describe()
            with pytest.raises(ExecutionRefusedError, match="it is continued"):
                await client.execution("one").retry()

        assert run.status is Status.CONTINUED


async def test_a_call_that_is_out_of_attempts_by_a_lost_node_past_the_pivot_says_so() -> None:
    async with Harness(services=[desk]) as harness:
        harness.hang("desk.confirm_once")
        execution = await harness.start(once_past_pivot)
        await harness.crash()
        await harness.restart()
        (incident,) = (await execution.describe()).incidents

        assert incident.cause == Cause.PAST_PIVOT
        assert incident.message == (
            "desk.confirm_once (call 1) is out of attempts past the pivot: "
            "the node died while an attempt was under way"
        )
