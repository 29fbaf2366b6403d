"""DESIGN 3.1, Execution: a person states the outcome of a call."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.design.services_bank import (
    AMOUNT,
    GIVEN,
    LOST,
    Declined,
    Receipt,
    bank,
    book,
    book_past_pivot,
    lock_and_book,
    notify,
    pay_and_book,
    pay_in_a_child,
    see,
    tell,
    transfer,
    unknown,
)
from tests.runtime.shop import called

from counterpoint import (
    ArgumentsError,
    Execution,
    ExecutionFailed,
    ExecutionRefusedError,
    NotDone,
    PayloadError,
)
from counterpoint.errors import PayloadTooLargeError
from counterpoint.model.states import Cause, Status
from counterpoint.testing import Harness


async def why_refused(asking: Awaitable[Any]) -> str:
    with pytest.raises(ExecutionRefusedError) as caught:
        await asking
    return caught.value.reason


# ---- of a call -----------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [GIVEN, Receipt(number="r-7", amount=AMOUNT)])
async def test_resolve_of_an_unknown_call_with_its_result_lets_the_code_go_on(result: Any) -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness)
        before = await execution.describe()
        await execution.resolve(1, result=result, actor="ann")

        assert before.incidents[0].cause == Cause.UNKNOWN_OUTCOME
        assert await harness.result(execution) == "r-7: 10.50"
        assert called(harness) == ["transfer"]


async def test_resolve_with_done_is_for_a_call_that_returns_nothing() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(notify, LOST)
        execution = await harness.start(tell, "hello")
        await execution.resolve(1, done=True)

        assert await harness.result(execution) == "told"


async def test_resolve_with_done_of_a_call_that_returns_something_is_refused() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness)

        with pytest.raises(ArgumentsError, match=r"that is not what bank\.transfer returns"):
            await execution.resolve(1, done=True)
        assert (await execution.describe()).status is Status.INCIDENT


async def test_resolve_with_an_error_says_that_the_call_failed_and_did_not_happen() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness, see)
        await execution.resolve(1, error=ValueError("not at the bank"))

        assert await harness.result(execution) == "builtins.ValueError: not at the bank, known, 1"


async def test_resolve_with_an_error_leaves_nothing_to_undo() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness)
        await execution.resolve(1, error=ValueError("not at the bank"))

        with pytest.raises(ExecutionFailed, match="not at the bank") as failed:
            await harness.result(execution)
        assert failed.value.status in ("failed", "compensated")
        assert called(harness) == ["transfer"]


async def test_resolve_with_a_business_error_crosses_as_itself() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness, see)
        await execution.resolve(1, error=Declined(reason="no such account"))

        assert await harness.result(execution) == "no such account"


async def test_resolve_with_not_done_calls_it_again_under_the_same_key() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness)
        await execution.resolve(1, error=NotDone())

        assert await harness.result(execution) == "r-1: 10.50"
        assert [(c.attempt, c.idempotency_key) for c in harness.calls] == [
            (1, "one/1/1"),
            (2, "one/1/1"),
        ]


async def test_resolve_with_not_done_of_a_call_that_is_unknown_again_asks_again() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness)
        harness.fail(transfer, LOST)
        await execution.resolve(1, error=NotDone())
        await harness.settle()
        known = await execution.describe()

        assert (known.status, known.incidents[0].cause) == (Status.INCIDENT, Cause.UNKNOWN_OUTCOME)
        assert called(harness) == ["transfer", "transfer"]


async def lost_three_times(harness: Harness) -> Execution[Any]:
    harness.hang(book, times=None)
    execution = await harness.start(pay_and_book, AMOUNT, id="one")
    for _ in range(3):
        await harness.crash()
        await harness.restart()
    return execution


async def out_of_attempts_past_the_pivot(harness: Harness) -> Execution[Any]:
    harness.fail(book, TypeError("wrong"))
    return await harness.start(book_past_pivot, AMOUNT, id="one")


async def waiting_for_its_next_attempt(harness: Harness) -> Execution[Any]:
    harness.fail(book, LOST)
    return await harness.start(pay_and_book, AMOUNT, id="one")


@pytest.mark.parametrize(
    ("reach", "call"),
    [
        (lost_three_times, 2),
        (out_of_attempts_past_the_pivot, 1),
        (waiting_for_its_next_attempt, 2),
    ],
)
async def test_resolve_of_a_call_that_is_stuck_or_waits_lets_the_code_go_on(
    reach: Callable[[Harness], Awaitable[Execution[Any]]], call: int
) -> None:
    async with Harness(services=[bank]) as harness:
        execution = await reach(harness)
        calls = len(harness.calls)
        await execution.resolve(call, result="by hand", actor="ann")

        assert await harness.result(execution) == "by hand"
        assert len(harness.calls) == calls
        assert list((await execution.describe()).incidents) == []


async def test_resolve_of_a_call_with_an_attempt_under_way_is_refused() -> None:
    async with Harness(services=[bank]) as harness:
        harness.hang(book)
        execution = await harness.start(pay_and_book, AMOUNT)

        assert "an attempt of call 2 is under way" in await why_refused(
            execution.resolve(2, result="by hand")
        )


async def test_resolve_of_a_call_that_has_settled_is_refused() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await waiting_for_its_next_attempt(harness)

        assert await why_refused(execution.resolve(1, result=GIVEN)) == "call 1 has settled"


@pytest.mark.parametrize("call", [0, -1, 3, 99])
async def test_resolve_of_a_call_that_was_never_made_is_refused(call: int) -> None:
    async with Harness(services=[bank]) as harness:
        execution = await waiting_for_its_next_attempt(harness)

        assert (
            await why_refused(execution.resolve(call, done=True)) == f"it has no open call {call}"
        )


async def test_resolve_of_a_child_is_refused_and_names_the_child() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness, pay_in_a_child)
        why = await why_refused(execution.resolve(1, result="r-7"))
        await harness.execution("one/1").resolve(1, result=GIVEN)

        assert why == "call 1 is the child one/1: resolve or end that"
        assert await harness.result(execution) == "r-7: 10.50"


@pytest.mark.parametrize(
    "outcome",
    [
        {},
        {"result": GIVEN, "done": True},
        {"result": GIVEN, "error": ValueError("x")},
        {"error": ValueError("x"), "done": True},
    ],
)
async def test_resolve_takes_exactly_one_outcome(outcome: dict[str, Any]) -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness)

        with pytest.raises(ArgumentsError, match="one of result=, error= and done=True"):
            await execution.resolve(1, **outcome)


@pytest.mark.parametrize(
    "result",
    [
        None,
        5,
        "r-7",
        {"number": "r-7"},
        {"number": "r-7", "amount": "much"},
        {"number": 7, "amount": "9.50"},
    ],
)
async def test_resolve_with_what_the_activity_cannot_return_is_refused(result: Any) -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness)
        before = await execution.journal()

        with pytest.raises(ArgumentsError, match=r"that is not what bank\.transfer returns") as bad:
            await execution.resolve(1, result=result)
        await harness.settle()
        assert bad.value.fields == ("result",)
        assert await execution.journal() == before


async def test_resolve_with_what_cannot_be_recorded_is_refused() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness)

        with pytest.raises((PayloadError, ArgumentsError)):
            await execution.resolve(1, result=object())
        assert (await execution.describe()).status is Status.INCIDENT


async def test_resolve_with_a_result_that_is_too_large_is_refused() -> None:
    async with Harness(services=[bank], payload_bytes_max=1_000) as harness:
        harness.fail(book, LOST)
        execution = await harness.start(lock_and_book, AMOUNT)

        with pytest.raises(PayloadTooLargeError, match="payload_bytes_max is 1,000"):
            await execution.resolve(1 + 1, result="x" * 2_000)
