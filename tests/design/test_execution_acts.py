"""DESIGN 3.1, Execution: what a handle can do, and that every act of an operator is on record."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar, get_args, get_type_hints

import pytest
from tests.runtime.shop import GOOD, TOO_MUCH, pay, place_order, shop

from counterpoint import (
    ArgumentsError,
    Execution,
    ExecutionFailed,
    ExecutionNotFoundError,
    ExecutionRefusedError,
    Service,
    workflow,
)
from counterpoint.errors import PayloadTooLargeError
from counterpoint.model.states import Status
from counterpoint.testing import Harness

desk = Service("desk")
WHO: Any = {"actor": "ann", "reason": "seen in the console"}


@desk.activity(at_most_once=True)
async def transfer(amount: int) -> int:
    return amount


@desk.saga
async def send_money(amount: int) -> int:
    return await transfer(amount)


@desk.workflow
async def approve() -> dict[str, Any]:
    return {"said": await workflow.signal("approved", str)}


@desk.workflow
async def two_answers() -> list[str]:
    return [await workflow.signal("answer", str), await workflow.signal("answer", str)]


async def refused(asking: Awaitable[Any]) -> str:
    """Return why an act is refused."""
    with pytest.raises(ExecutionRefusedError) as caught:
        await asking
    return caught.value.reason


# ---- the parts of the handle ---------------------------------------------------------------------


async def test_a_handle_has_the_id_that_was_given_and_another_one_where_none_was() -> None:
    async with Harness(services=[shop]) as harness:
        given = await harness.start(pay, "tea", GOOD, id="one")
        made = [await harness.start(pay, "tea", GOOD) for _ in range(2)]

        assert given.id == "one"
        assert len({given.id, *(execution.id for execution in made)}) == 3


async def test_result_is_the_decoded_return_value() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(send_money, 5)

        assert await execution.result() == 5
        assert await harness.execution(execution.id).result() == 5


async def test_result_waits_no_longer_than_its_timeout_and_the_execution_goes_on() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(approve, id="one")
        with pytest.raises(TimeoutError, match=r"one did not end within 0.01 s; it goes on"):
            await execution.result(timeout=timedelta(milliseconds=10))
        await execution.signal("approved", "yes")

        assert await execution.result(timeout=30) == {"said": "yes"}


async def test_describe_tells_what_the_journal_tells_at_every_commit() -> None:
    async with Harness(services=[shop]) as harness:
        hold = harness.hang("shop.charge")
        execution = await harness.start(place_order, "tea", GOOD, id="one")
        during = await execution.describe()
        hold.release()
        await harness.result(execution)
        after = await execution.describe()

        assert (during.id, during.status, during.result) == ("one", Status.RUNNING, None)
        assert [call.state for call in during.calls] == ["completed", "completed", "running"]
        assert (after.status, after.result) == (Status.COMPLETED, "tea confirmed")
        assert [call.state for call in after.calls] == ["completed"] * 3


async def test_journal_gives_the_records_numbered_from_one_and_in_order_of_time() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.run(pay, "tea", GOOD, id="one")
        entries = await harness.execution("one").journal()

        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        assert [entry.type for entry in entries] == [
            "started",
            "scheduled",
            "completed",
            "scheduled",
            "completed",
            "ended",
        ]
        times = [entry.at for entry in entries if entry.at is not None]
        assert times == sorted(times)


async def test_signal_hands_a_value_over_under_a_name_oldest_first() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(two_answers)
        await execution.signal("other", "not asked for")
        await execution.signal("answer", "first")
        await execution.signal("answer", "second")

        assert await harness.result(execution) == ["first", "second"]


async def test_signal_that_is_too_large_or_has_no_name_is_refused_and_nothing_is_recorded() -> None:
    async with Harness(services=[desk], payload_bytes_max=1_000) as harness:
        execution = await harness.start(approve)
        with pytest.raises(PayloadTooLargeError):
            await execution.signal("approved", "x" * 2_000)
        with pytest.raises(ArgumentsError):
            await execution.signal("x" * 300)

        assert "signalled" not in [entry.type for entry in await execution.journal()]


async def test_cancel_ends_a_workflow_cancelled() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(approve)
        await execution.cancel()

        with pytest.raises(ExecutionFailed) as failed:
            await harness.result(execution)
        assert failed.value.status == "cancelled"


async def test_terminate_ends_an_execution_at_once() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(approve)
        await execution.terminate(actor="ann", reason="a test")

        with pytest.raises(ExecutionFailed, match="terminated by ann: a test") as failed:
            await harness.result(execution)
        assert failed.value.status == "terminated"


def test_an_execution_is_generic_in_its_result() -> None:
    hints = get_type_hints(Execution.result)

    assert get_args(Execution[int]) == (int,)
    assert isinstance(hints["return"], TypeVar)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(Execution.result, id="result"),
        pytest.param(Execution.describe, id="describe"),
        pytest.param(Execution.journal, id="journal"),
        pytest.param(lambda e: e.signal("name", 1), id="signal"),
        pytest.param(Execution.cancel, id="cancel"),
        pytest.param(Execution.terminate, id="terminate"),
        pytest.param(Execution.retry, id="retry"),
        pytest.param(lambda e: e.resolve(1, done=True), id="resolve"),
        pytest.param(lambda e: e.reset(to=1), id="reset"),
    ],
)
async def test_every_act_on_an_id_that_nobody_started_says_so(
    ask: Callable[[Execution[Any]], Awaitable[Any]],
) -> None:
    async with Harness(services=[desk]) as harness:
        with pytest.raises(ExecutionNotFoundError, match="nobody"):
            await ask(harness.execution("nobody"))


async def test_methods_of_a_handle_are_coroutines_and_making_one_does_no_io() -> None:
    async with Harness(services=[desk]) as harness:
        before = harness.store.commits
        handle = harness.app.execution("nobody")

        for name in ("result", "describe", "journal", "signal", "cancel", "terminate"):
            assert asyncio.iscoroutinefunction(getattr(handle, name))
        for name in ("retry", "resolve", "reset"):
            assert asyncio.iscoroutinefunction(getattr(handle, name))
        assert harness.store.commits == before


# ---- actor and reason ----------------------------------------------------------------------------


async def unknown_transfer(harness: Harness) -> Execution[int]:
    harness.fail(transfer, OSError("connection lost"))
    return await harness.start(send_money, 5, id="one")


async def act_cancel(harness: Harness) -> Execution[Any]:
    execution = await harness.start(approve, id="one")
    await execution.cancel(**WHO)
    return execution


async def act_terminate(harness: Harness) -> Execution[Any]:
    execution = await harness.start(approve, id="one")
    await execution.terminate(**WHO)
    return execution


async def act_retry(harness: Harness) -> Execution[Any]:
    execution = await harness.start(pay, "tea", TOO_MUCH, id="one")
    await execution.retry(**WHO)
    return execution


async def act_retry_of_an_incident(harness: Harness) -> Execution[Any]:
    execution = await harness.start(past_pivot, id="one")
    await execution.retry(**WHO)
    return execution


async def act_resolve(harness: Harness) -> Execution[Any]:
    execution = await unknown_transfer(harness)
    await execution.resolve(1, result=5, **WHO)
    return execution


async def act_reset(harness: Harness) -> Execution[Any]:
    execution = await harness.start(pay, "tea", TOO_MUCH, id="one")
    await execution.reset(to=1, **WHO)
    return execution


async def act_cancel_past_the_pivot(harness: Harness) -> Execution[Any]:
    """Two letters cross: the one is refused although its sender was not told."""
    execution = await harness.start(pivot_then_wait, id="one")
    harness.store.hold_commits()
    signalling = asyncio.ensure_future(execution.signal("go"))
    cancelling = asyncio.ensure_future(execution.cancel(**WHO))
    harness.store.release_commits()
    await asyncio.gather(signalling, cancelling)
    return execution


@desk.activity
async def refuse() -> None:
    raise TypeError("never")


@desk.saga
async def past_pivot() -> None:
    workflow.pivot()
    await refuse()


@desk.saga
async def pivot_then_wait() -> str:
    await workflow.signal("go")
    workflow.pivot()
    return await workflow.signal("approved", str)


@pytest.mark.parametrize(
    ("act", "record"),
    [
        (act_cancel, "cancel-requested"),
        (act_terminate, "terminate-requested"),
        (act_retry, "retry-requested"),
        (act_retry_of_an_incident, "retry-requested"),
        (act_resolve, "resolved"),
        (act_reset, "reset"),
        (act_cancel_past_the_pivot, "cancel-refused"),
    ],
)
async def test_an_act_is_one_journal_record_with_actor_and_reason(
    act: Callable[[Harness], Awaitable[Execution[Any]]], record: str
) -> None:
    async with Harness(services=[desk, shop]) as harness:
        execution = await act(harness)
        await harness.settle()
        entries = [e for e in await execution.journal() if e.type == record]

        assert len(entries) == 1
        assert (entries[0].data["actor"], entries[0].data["reason"]) == ("ann", WHO["reason"])
        assert entries[0].at == harness.now
        assert entries[0].data["request_id"]


async def test_an_act_that_nobody_signed_has_neither_actor_nor_reason() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(approve)
        await execution.cancel()
        await harness.settle()
        (entry,) = [e for e in await execution.journal() if e.type == "cancel-requested"]

        assert (entry.data["actor"], entry.data["reason"]) == (None, None)


@pytest.mark.parametrize("act", [act_cancel, act_terminate, act_resolve, act_reset, act_retry])
async def test_an_acknowledged_act_survives_a_crash(
    act: Callable[[Harness], Awaitable[Execution[Any]]],
) -> None:
    async with Harness(services=[desk, shop]) as harness:
        execution = await act(harness)  # the act is in the mailbox: it has not been settled yet
        await harness.crash()
        await harness.restart()
        acts = {"cancel-requested", "terminate-requested", "resolved", "reset", "retry-requested"}

        assert len([e for e in await execution.journal() if e.type in acts]) == 1


async def test_an_act_is_refused_once_the_execution_has_ended() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.run(send_money, 5, id="one")
        ended = harness.execution("one")

        for asking in (ended.cancel(), ended.terminate(), ended.signal("go")):
            assert "it is completed" in await refused(asking)
        assert "it is completed" in await refused(ended.resolve(1, done=True))
