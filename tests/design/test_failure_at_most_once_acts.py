"""DESIGN 3.1, Failure: at-most-once calls and what people do about them, or declare wrongly."""

from typing import Any

import pytest
from tests.design.services_once import (
    asked,
    asks,
    bank,
    fails,
    paid,
    pay,
    pay_and_fail,
    pay_beside_a_failure,
)

from counterpoint import DefinitionError, ExecutionRefusedError, NotDone, Service, Status
from counterpoint.testing import Harness

# ---- what a person does --------------------------------------------------------------------------


async def test_retry_of_an_unknown_outcome_is_refused_and_points_at_resolve() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(asks, OSError("connection lost"))
        execution = await harness.start(pay, "asks")

        with pytest.raises(ExecutionRefusedError, match=r"state its outcome with resolve\(2"):
            await execution.retry()
        await harness.settle()
        assert paid(harness) == 1


async def test_retry_of_a_failed_workflow_never_makes_a_call_again_that_may_have_happened() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(fails, OSError("connection lost"))
        execution = await harness.start(pay_and_fail)
        failed = (await execution.describe()).status
        await execution.retry()
        await harness.settle()

        assert failed is Status.FAILED
        assert paid(harness) == 1
        await asked(execution)


async def test_retry_never_makes_a_call_again_that_the_failure_of_another_cut_off() -> None:
    async with Harness(services=[bank]) as harness:
        harness.hang(asks)
        execution = await harness.start(pay_beside_a_failure)
        failed = (await execution.describe()).status
        harness.replace("bank.breaks", lambda: None)
        await execution.retry()
        await harness.settle()

        assert failed is Status.FAILED
        assert paid(harness) == 1
        await asked(execution)
        await execution.resolve(1, result=5)
        assert await harness.result(execution) == [5, None]


async def test_retry_of_a_failed_workflow_makes_a_call_again_that_did_not_happen() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(fails, NotDone("busy"), times=3)
        execution = await harness.start(pay_and_fail)
        await harness.advance(minutes=1)
        failed = (await execution.describe()).status
        await execution.retry()

        assert failed is Status.FAILED
        assert await harness.result(execution) == "paid"


@pytest.mark.parametrize("to", [4, 5])
async def test_a_reset_to_where_it_was_under_way_asks_before_it_is_made_again(to: int) -> None:
    async with Harness(services=[bank]) as harness:
        await harness.run(pay, "asks", id="one")
        execution = harness.execution("one")
        types = [entry.type for entry in await execution.journal()]
        await execution.reset(to=to)
        await harness.settle()

        assert types == ["started", "scheduled", "completed", "scheduled", "completed", "ended"]
        if to == 5:  # it had completed
            assert await harness.result(execution) == "paid"
        else:
            await asked(execution)
        assert paid(harness) == 1


async def test_not_done_by_a_persons_word_takes_the_doubt_away() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(asks, OSError("connection lost"))
        harness.fail(asks, NotDone("busy"), times=2)
        execution = await harness.start(pay, "asks")
        await execution.resolve(2, error=NotDone())

        assert await harness.result(execution) == "not done, 3: busy"


async def test_while_it_is_called_again_by_a_persons_word_nobody_is_asked() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(asks, OSError("connection lost"))
        harness.hang(asks)
        execution = await harness.start(pay, "asks")
        await execution.resolve(2, error=NotDone())
        await harness.settle()
        known = await execution.describe()

        assert known.status is Status.RUNNING
        assert list(known.waits_for) == ["attempt 2 of bank.asks (call 2), under way"]


# ---- declared wrongly ----------------------------------------------------------------------------


def test_on_unknown_is_for_calls_that_are_made_at_most_once() -> None:
    with pytest.raises(DefinitionError, match="at_most_once=True"):

        @Service("other").activity(on_unknown="fail")
        async def never() -> None: ...


def test_on_unknown_is_one_of_two_words() -> None:
    word: Any = "ask"
    with pytest.raises(DefinitionError, match='"incident" or "fail"'):

        @Service("other").activity(at_most_once=True, on_unknown=word)
        async def never() -> None: ...
