"""DESIGN 3.1, Failure: `activity(at_most_once=True)`, with every ending of an attempt."""

import asyncio
from datetime import timedelta

import pytest
from tests.design.services_once import (
    SECOND,
    Declined,
    asked,
    asks,
    bank,
    fails,
    give_up,
    in_a_thread,
    paid,
    pay,
    pay_past_pivot,
    pay_saga,
)
from tests.runtime.shop import called

from counterpoint import (
    ActivityFailed,
    NotDone,
    RetryAfter,
    Service,
    Status,
)
from counterpoint.model.states import Cause
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

# ---- the endings that leave no doubt -------------------------------------------------------------


@pytest.mark.parametrize("how", ["asks", "fails", "thread"])
async def test_a_result_is_a_result(how: str) -> None:
    async with Harness(services=[bank]) as harness:
        assert await harness.run(pay, how) == "paid"
        assert paid(harness) == 1


@pytest.mark.parametrize("how", ["asks", "fails"])
async def test_a_business_error_is_an_outcome_and_asks_nobody(how: str) -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(f"bank.{how}", Declined(reason="limit"))

        assert await harness.run(pay, how) == "limit"
        assert paid(harness) == 1


@pytest.mark.parametrize("how", ["asks", "fails"])
async def test_not_done_is_retried(how: str) -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(f"bank.{how}", NotDone(), times=2)

        assert await harness.run(pay, how) == "paid"
        assert paid(harness) == 3


@pytest.mark.parametrize("how", ["asks", "fails"])
async def test_not_done_until_no_attempt_is_left_fails_without_doubt(how: str) -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(f"bank.{how}", NotDone("busy"), times=None)

        assert await harness.run(pay, how) == "not done, 3: busy"
        assert paid(harness) == 3


# ---- the endings that leave doubt ----------------------------------------------------------------


ENDINGS: dict[str, BaseException] = {
    "exception": OSError("connection lost"),
    "error of the program": TypeError("wrong"),
    "timeout of its own": TimeoutError("too long"),
    "retry after": RetryAfter(SECOND),
    "cancelled itself": asyncio.CancelledError(),
    "exit": SystemExit(1),
    "failed activity": ActivityFailed(
        "a", call=1, attempts=1, outcome_unknown=False, type="t", message="m"
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_any_other_error_asks_a_person_and_nothing_is_called_again(ending: str) -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(asks, ENDINGS[ending])
        execution = await harness.start(pay, "asks")
        await harness.advance(days=1)

        await asked(execution)
        assert paid(harness) == 1


@pytest.mark.parametrize("ending", ENDINGS)
async def test_any_other_error_with_on_unknown_fail_is_an_activity_failed_in_doubt(
    ending: str,
) -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(fails, ENDINGS[ending])
        result = await harness.run(pay, "fails")

        assert result.startswith("unknown, 1: ")
        assert paid(harness) == 1


async def test_doubt_after_not_done_is_doubt() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(asks, NotDone())
        harness.fail(asks, OSError("connection lost"))
        execution = await harness.start(pay, "asks")
        await harness.advance(minutes=1)

        await asked(execution)
        assert paid(harness) == 2


async def test_a_timeout_asks_a_person() -> None:
    async with Harness(services=[bank]) as harness:
        harness.hang(asks, times=None)
        execution = await harness.start(pay, "asks")
        await harness.advance(minutes=1)

        await asked(execution)
        assert paid(harness) == 1


async def test_a_timeout_with_on_unknown_fail_fails() -> None:
    async with Harness(services=[bank]) as harness:
        harness.hang(fails, times=None)

        result = await harness.run(pay, "fails")
        assert result == "unknown, 1: the attempt took longer than 1 s"


async def test_a_result_that_cannot_be_recorded_asks_a_person() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await harness.start(pay, "wrong")

        await asked(execution)
        assert paid(harness) == 1


async def test_an_error_in_a_thread_asks_a_person() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(in_a_thread, OSError("connection lost"))
        execution = await harness.start(pay, "thread")
        await harness.settle()

        await asked(execution)


async def test_a_call_that_the_code_gave_up_settles_in_doubt_and_is_not_made_again() -> None:
    async with Harness(services=[bank]) as harness:
        harness.hang(asks)
        execution = await harness.start(give_up)
        await harness.advance(seconds=1)
        (call,) = (await execution.describe()).calls
        await execution.signal("go")

        assert await harness.result(execution) == "gave up"
        assert call.outcome_unknown
        assert paid(harness) == 1


async def test_an_unknown_outcome_with_on_unknown_fail_is_undone_in_a_saga() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(fails, OSError("connection lost"))
        execution = await harness.start(pay_saga)
        await harness.settle()

        assert (await execution.describe()).status is Status.COMPENSATED
        assert called(harness) == ["fails", "take_back"]


async def test_an_unknown_outcome_past_the_pivot_asks_a_person_whatever_on_unknown_says() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(fails, OSError("connection lost"))
        execution = await harness.start(pay_past_pivot)
        await harness.settle()
        await asked(execution)
        await execution.resolve(1, result=5)

        assert await harness.result(execution) == "paid"
        assert paid(harness) == 1


async def test_not_done_until_no_attempt_is_left_past_the_pivot_is_no_question() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(fails, NotDone("busy"), times=3)
        execution = await harness.start(pay_past_pivot)
        await harness.advance(minutes=1)
        (incident,) = (await execution.describe()).incidents
        await execution.retry()

        assert incident.cause == Cause.PAST_PIVOT
        assert await harness.result(execution) == "paid"


# ---- a lost node ---------------------------------------------------------------------------------


async def test_the_intent_is_recorded_before_the_call() -> None:
    async with Harness(services=[bank]) as harness:
        seen: list[str] = []

        async def look(amount: int) -> int:
            rows = await harness.store.journal(1)
            seen.append("".join(row.body.decode() for row in rows))
            return amount

        harness.replace(asks, look)
        await harness.run(pay, "asks")

        assert '["scheduled",2,"bank.asks"' in seen[0]


@pytest.mark.parametrize("how", ["asks", "fails"])
async def test_a_crash_before_the_intent_is_recorded_makes_the_call_once(how: str) -> None:
    async with Harness(services=[bank]) as harness:
        harness.crash_at_commit(2, when="before")
        execution = await harness.start(pay, how)
        assert paid(harness) == 0
        await harness.restart()

        assert await harness.result(execution) == "paid"
        assert paid(harness) == 1


async def test_a_crash_between_the_intent_and_the_call_asks_a_person() -> None:
    async with Harness(services=[bank]) as harness:
        harness.crash_at_commit(2, when="after")
        execution = await harness.start(pay, "asks")
        assert paid(harness) == 0
        await harness.restart()

        await asked(execution)
        assert paid(harness) == 0


async def test_a_crash_during_the_call_asks_a_person() -> None:
    async with Harness(services=[bank]) as harness:
        harness.hang(asks)
        execution = await harness.start(pay, "asks")
        await harness.crash()
        await harness.restart()

        await asked(execution)
        assert paid(harness) == 1


async def test_a_crash_after_the_call_and_before_its_result_is_recorded_asks_a_person() -> None:
    async with Harness(services=[bank]) as harness:
        harness.crash_at_commit(3, when="before")
        execution = await harness.start(pay, "asks")
        assert paid(harness) == 1
        await harness.restart()

        await asked(execution)
        assert paid(harness) == 1


@pytest.mark.parametrize("moment", [2, 3])
async def test_a_crash_with_on_unknown_fail_is_an_activity_failed_in_doubt(moment: int) -> None:
    async with Harness(services=[bank]) as harness:
        harness.crash_at_commit(moment, when="after" if moment == 2 else "before")
        execution = await harness.start(pay, "fails")
        await harness.restart()

        result = await harness.result(execution)
        assert result == "unknown, 1: the node died while the attempt was under way"


@pytest.mark.parametrize("when", ["before", "after", "applied-but-failed"])
@pytest.mark.parametrize("number", range(2, 6))
@pytest.mark.parametrize("how", ["asks", "fails"])
async def test_money_is_sent_at_most_once_whichever_commit_fails(
    how: str, number: int, when: When
) -> None:
    async with Harness(services=[bank]) as harness:
        harness.crash_at_commit(number, when=when)
        await harness.start(pay, how, id="one")
        await harness.advance(minutes=1)
        harness.store.heal()
        for _ in range(3):
            await harness.restart()
            await harness.advance(minutes=1)
        known = await harness.execution("one").describe()

        assert paid(harness) <= 1
        assert known.status is Status.COMPLETED or known.incidents
        if known.status is Status.COMPLETED and known.result == "paid":
            assert paid(harness) == 1


async def test_a_node_that_stops_before_an_attempt_begins_leaves_no_doubt() -> None:
    service = Service("service")

    @service.activity(at_most_once=True, concurrency=1)
    async def once(number: int) -> int:
        return number

    @service.workflow
    async def flow(number: int) -> int:
        return await once(number)

    async with Harness(services=[service]) as harness:
        harness.hang(once)
        await harness.start(flow, 1)
        execution = await harness.start(flow, 2)  # waits for its turn
        await harness.stop(timedelta(0))
        await harness.restart()

        assert await harness.result(execution) == 2
        assert len(harness.calls) == 2
