"""DESIGN 3.1, Execution: a person states that a compensation is done; races, crashes, old code."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from tests.design.services_bank import (
    AMOUNT,
    GIVEN,
    LOST,
    Receipt,
    bank,
    book,
    lock_and_book,
    pay_and_book,
    pay_beside_printing,
    transfer,
    unknown,
    unlock,
)
from tests.runtime.shop import called

from counterpoint import ArgumentsError, Execution, ExecutionRefusedError, NotDone, Service
from counterpoint.model.states import Cause, Status
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

# ---- of a compensation ---------------------------------------------------------------------------


async def past_its_patience(harness: Harness) -> Execution[Any]:
    harness.fail(book, TypeError("wrong"))
    harness.fail("bank.send_back", LOST, times=2)
    execution = await harness.start(pay_and_book, AMOUNT, id="one")
    await harness.advance(hours=1)
    return execution


async def before_its_second_attempt(harness: Harness) -> Execution[Any]:
    harness.fail(book, TypeError("wrong"))
    harness.fail("bank.send_back", LOST)
    return await harness.start(pay_and_book, AMOUNT, id="one")


async def past_its_patience_and_under_way(harness: Harness) -> Execution[Any]:
    execution = await past_its_patience(harness)
    harness.hang("bank.send_back")
    await harness.advance(hours=1)
    return execution


async def lost_while_undoing(harness: Harness) -> Execution[Any]:
    harness.fail(book, TypeError("wrong"))
    harness.hang("bank.send_back", times=None)
    execution = await harness.start(pay_and_book, AMOUNT, id="one")
    for _ in range(3):
        await harness.crash()
        await harness.restart()
    return execution


UNDOING = [
    past_its_patience,
    before_its_second_attempt,
    past_its_patience_and_under_way,
    lost_while_undoing,
]


@pytest.mark.parametrize("reach", UNDOING)
async def test_resolve_of_a_stuck_compensation_with_done_counts_as_undone(
    reach: Callable[[Harness], Awaitable[Execution[Any]]],
) -> None:
    async with Harness(services=[bank]) as harness:
        execution = await reach(harness)
        calls = len(harness.calls)
        await execution.resolve(1, done=True, actor="ann")
        await harness.settle()
        known = await execution.describe()

        assert (known.status, list(known.undone)) == (Status.COMPENSATED, [1])
        assert (len(harness.calls), list(known.incidents)) == (calls, [])


@pytest.mark.parametrize("reach", UNDOING)
async def test_resolve_of_a_stuck_compensation_with_not_done_tries_it_again_at_once(
    reach: Callable[[Harness], Awaitable[Execution[Any]]],
) -> None:
    async with Harness(services=[bank]) as harness:
        execution = await reach(harness)
        harness.restore()
        at, calls = harness.now, len(harness.calls)
        await execution.resolve(1, error=NotDone())
        await harness.settle()

        assert (await execution.describe()).status is Status.COMPENSATED
        assert [(c.name, c.at) for c in harness.calls[calls:]] == [("bank.send_back", at)]


@pytest.mark.parametrize("outcome", [{"result": None}, {"result": GIVEN}, {"error": LOST}])
async def test_resolve_of_a_compensation_takes_done_or_not_done_only(
    outcome: dict[str, Any],
) -> None:
    async with Harness(services=[bank]) as harness:
        execution = await past_its_patience(harness)

        with pytest.raises(ArgumentsError, match=r"being undone by bank\.send_back: say done=True"):
            await execution.resolve(1, **outcome)


async def test_resolve_of_a_compensation_whose_attempt_is_under_way_is_refused() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(book, TypeError("wrong"))
        harness.hang("bank.send_back")
        execution = await harness.start(pay_and_book, AMOUNT)

        with pytest.raises(ExecutionRefusedError, match="is under way"):
            await execution.resolve(1, done=True)


async def test_resolve_of_what_compensate_with_named_counts_as_undone() -> None:
    async with Harness(services=[bank]) as harness:
        harness.fail(book, TypeError("wrong"))
        harness.fail(unlock, LOST)
        execution = await harness.start(lock_and_book, AMOUNT)
        await execution.resolve(1, done=True)
        await harness.settle()

        assert (await execution.describe()).status is Status.COMPENSATED
        assert called(harness) == ["book", "unlock"]


async def test_what_an_attempt_does_after_it_was_resolved_is_not_recorded() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await past_its_patience_and_under_way(harness)
        await execution.resolve(1, done=True)
        await harness.settle()
        before = await execution.journal()
        await harness.advance(hours=3)

        assert await execution.journal() == before


async def test_resolve_with_not_done_of_a_call_that_goes_on_although_it_was_cancelled() -> None:
    async with Harness(services=[bank]) as harness:
        hold = harness.hang("bank.print_slip")
        execution = await harness.start(pay_beside_printing, AMOUNT)
        await harness.advance(minutes=1)
        before = await execution.describe()
        await execution.resolve(2, error=NotDone(), reason="the printer was off")
        await harness.settle()
        after = await execution.describe()
        hold.release()
        await harness.settle()

        assert [incident.cause for incident in before.incidents] == [Cause.SETTLE]
        assert (after.status, list(after.undone)) == (Status.COMPENSATED, [1])
        assert "unprint" not in called(harness)


# ---- races and crashes ---------------------------------------------------------------------------


async def test_of_two_people_who_resolve_at_once_the_first_is_taken() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness)
        other = Receipt(number="r-8", amount=AMOUNT)
        harness.store.hold_commits()
        both = [
            asyncio.ensure_future(execution.resolve(1, result=GIVEN, actor="ann")),
            asyncio.ensure_future(execution.resolve(1, result=other, actor="bob")),
        ]
        await harness.store.commit_held()
        harness.store.release_commits()
        await asyncio.gather(*both)
        result = await harness.result(execution)
        actors = [e.data["actor"] for e in await execution.journal() if e.type == "resolved"]

        assert (actors, result) in [(["ann"], "r-7: 10.50"), (["bob"], "r-8: 10.50")]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
async def test_resolve_survives_a_crash(number: int, when: When) -> None:
    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness)
        await execution.resolve(1, result=GIVEN, actor="ann")
        harness.crash_at_commit(number, when=when)
        await harness.settle()
        if not harness.running:
            await harness.restart()

        assert await harness.result(execution) == "r-7: 10.50"
        assert called(harness) == ["transfer"]


async def test_resolve_works_where_the_activity_is_not_hosted_any_more() -> None:
    without = Service("bank")

    @without.saga(name="bank.pay")
    async def pay_as_ever(amount: Decimal) -> str:
        receipt = await transfer(amount)
        return receipt.number

    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness)
        await harness.restart(services=[without])
        await execution.resolve(1, result=GIVEN)

        assert await harness.result(execution) == "r-7"


async def test_resolve_while_code_does_not_fit_is_applied_when_it_does() -> None:
    changed = Service("bank")
    changed.activities.update(bank.activities)

    @changed.saga(name="bank.pay")
    async def pay_otherwise(amount: Decimal) -> str:
        return await book(amount)

    async with Harness(services=[bank]) as harness:
        execution = await unknown(harness)
        await harness.restart(services=[changed])
        await execution.resolve(1, result=GIVEN, actor="ann")
        await harness.settle()
        during = await execution.describe()
        await harness.restart(services=[bank])

        assert Cause.NON_DETERMINISM in [incident.cause for incident in during.incidents]
        assert await harness.result(execution) == "r-7: 10.50"
        assert called(harness) == ["transfer"]
