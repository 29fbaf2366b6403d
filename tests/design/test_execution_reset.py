"""DESIGN 3.1, Execution: `reset(to=SEQ)` begins a new run from the records up to SEQ."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.shop import GOOD, TOO_MUCH, pay, place_order, shop

from counterpoint import App, Execution, ExecutionFailed, ExecutionRefusedError, Service, workflow
from counterpoint.model.states import Status
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

desk = Service("desk")


@desk.activity
async def step(number: int) -> int:
    return number


@desk.activity
async def other(number: int) -> int:
    return number


@desk.saga
async def leg(number: int) -> int:
    return await step(number)


@desk.saga
async def trip() -> list[int]:
    return [await leg(1), await leg(2)]


@desk.saga
async def locked() -> int:
    workflow.compensate_with(other, 7)
    return await step(1)


@desk.workflow
async def ask() -> list[str]:
    before = await step(1)
    answers = [await workflow.signal("answer", str), await workflow.signal("answer", str)]
    await step(2)
    return [str(before), *answers]


@desk.workflow
async def labelled(name: str) -> str:
    workflow.set_attributes(customer=name)
    await step(1)
    workflow.set_attributes(customer="nobody", state="late")
    await step(2)
    return name


@desk.workflow
async def at_once_two() -> list[int]:
    return list(await asyncio.gather(step(1), other(2)))


@desk.workflow
async def in_two_runs(last: bool) -> str:
    await step(1)
    if not last:
        workflow.continue_as_new(True)
    return await workflow.signal("kept", str)


@desk.workflow
async def wait() -> str:
    return await workflow.signal("go", str)


@desk.workflow
async def sleep_an_hour() -> str:
    await workflow.sleep(timedelta(hours=1))
    await step(1)
    return "slept"


RECORDS = [
    "started",
    "scheduled",
    "completed",
    "scheduled",
    "completed",
    "scheduled",
    "completed",
    "ended",
]
HAPPENED = {1: [1, 2, 3], 2: [1, 2, 3], 3: [2, 3], 4: [2, 3], 5: [3], 6: [3], 7: []}
"""Of a saga of three calls: which are made again when it is reset to a record."""


async def completed(harness: Harness) -> Execution[str]:
    await harness.run(place_order, "tea", GOOD, id="one")
    return harness.execution("one")


def keys(harness: Harness, after: int) -> list[str]:
    return [call.idempotency_key for call in harness.calls[after:]]


async def why_refused(asking: Awaitable[Any]) -> str:
    with pytest.raises(ExecutionRefusedError) as caught:
        await asking
    return caught.value.reason


# ---- at every record of a saga of three calls ----------------------------------------------------


async def test_the_saga_of_these_tests_has_eight_records() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await completed(harness)

        assert [entry.type for entry in await execution.journal()] == RECORDS


@pytest.mark.parametrize("to", range(1, 8))
async def test_reset_begins_a_new_run_of_the_same_id(to: int) -> None:
    async with Harness(services=[shop]) as harness:
        execution = await completed(harness)
        report = await execution.reset(to=to, actor="ann", reason="again")
        result = await harness.result(execution)
        runs = [(one.id, one.run, one.status) async for one in harness.app.executions()]

        assert (report.id, report.run, report.to) == ("one", 2, to)
        assert result == "tea confirmed"
        assert runs == [("one", 2, Status.COMPLETED), ("one", 1, Status.COMPLETED)]
        assert (await execution.describe()).run == 2


@pytest.mark.parametrize("to", range(1, 8))
async def test_reset_keeps_the_records_up_to_its_number(to: int) -> None:
    async with Harness(services=[shop]) as harness:
        execution = await completed(harness)
        before = await execution.journal()
        await execution.reset(to=to)
        await harness.settle()
        after = await execution.journal()

        assert after[:to] == before[:to]
        assert after[to].type == "reset"
        assert (after[to].data["run"], after[to].data["seq"]) == (1, to)


@pytest.mark.parametrize("to", range(1, 8))
async def test_reset_makes_later_steps_again_under_new_keys(to: int) -> None:
    async with Harness(services=[shop]) as harness:
        execution = await completed(harness)
        before = len(harness.calls)
        await execution.reset(to=to)
        await harness.settle()

        assert keys(harness, before) == [f"one/2/{number}" for number in HAPPENED[to]]
        assert not set(keys(harness, before)) & set(keys(harness, 0)[:before])


@pytest.mark.parametrize("to", range(1, 8))
async def test_reset_lists_the_steps_that_had_already_happened(to: int) -> None:
    async with Harness(services=[shop]) as harness:
        execution = await completed(harness)
        report = await execution.reset(to=to)
        names = {1: "shop.create", 2: "shop.reserve", 3: "shop.charge"}

        assert [(c.call, c.name, c.idempotency_key) for c in report.happened] == [
            (n, names[n], f"one/1/{n}") for n in HAPPENED[to]
        ]


@pytest.mark.parametrize("to", range(1, 8))
async def test_a_run_that_was_reset_undoes_the_steps_of_its_prefix_too(to: int) -> None:
    async with Harness(services=[shop]) as harness:
        execution = await completed(harness)
        await execution.reset(to=to)
        harness.fail("shop.charge", TypeError("wrong"))
        await harness.settle()
        known = await execution.describe()
        undone = [c.name for c in harness.calls if c.idempotency_key.endswith("c")]

        if to == 7:  # nothing was left to fail
            assert (known.status, undone) == (Status.COMPLETED, [])
        else:
            assert known.status is Status.COMPENSATED
            assert undone == ["shop.refund", "shop.release", "shop.withdraw"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("to", [1, 4])
async def test_reset_survives_a_crash(to: int, number: int, when: When) -> None:
    async with Harness(services=[shop]) as harness:
        execution = await completed(harness)
        await execution.reset(to=to)
        harness.crash_at_commit(number, when=when)
        await harness.settle()
        if not harness.running:
            await harness.restart()

        assert await harness.result(execution) == "tea confirmed"
        assert (await execution.describe()).run == 2


async def test_the_journal_of_the_earlier_run_is_not_changed() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await completed(harness)
        rows = [row async for row in harness.app.executions()]
        before = await harness.store.journal(1)
        await execution.reset(to=3)
        await harness.settle()

        assert len(rows) == 1
        assert await harness.store.journal(1) == before


async def test_reset_can_be_repeated_and_every_run_has_its_own_keys() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await completed(harness)
        for run in (2, 3, 4):
            report = await execution.reset(to=5)
            await harness.settle()
            assert report.run == run

        charges = [c.idempotency_key for c in harness.calls if c.name == "shop.charge"]
        assert charges == ["one/1/3", "one/2/3", "one/3/3", "one/4/3"]


async def test_result_after_a_reset_is_that_of_the_new_run() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.start(pay, "tea", TOO_MUCH, id="one")
        with pytest.raises(ExecutionFailed):
            await execution.result()
        harness.replace("shop.charge", lambda order, amount: {"charged": order})
        await execution.reset(to=1)

        assert await execution.result(timeout=30) == "paid"


# ---- what is kept --------------------------------------------------------------------------------


@pytest.mark.parametrize("to", range(1, 10))
async def test_reset_keeps_signals(to: int) -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(ask, id="one")
        await execution.signal("answer", "yes")
        await execution.signal("answer", "no")
        first = await harness.result(execution)
        types = [entry.type for entry in await execution.journal()]
        await execution.reset(to=to)

        assert types[-1] == "ended"
        assert to < len(types)
        assert await execution.result(timeout=30) == first


async def test_reset_keeps_the_attributes_of_its_prefix_only() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.run(labelled, "ann", id="one")
        execution = harness.execution("one")
        harness.hang(step)
        types = [entry.type for entry in await execution.journal()]
        await execution.reset(to=types.index("attributes") + 1)
        await harness.settle()
        found = [one.run async for one in harness.app.executions(attributes={"customer": "ann"})]

        assert dict((await execution.describe()).attributes) == {"customer": "ann"}
        assert found == [2]


async def test_reset_in_the_middle_of_a_gather_makes_only_what_is_missing_again() -> None:
    async with Harness(services=[desk]) as harness:
        hold = harness.hang(other)
        execution = await harness.start(at_once_two, id="one")
        hold.release()
        await harness.settle()
        types = [entry.type for entry in await execution.journal()]
        report = await execution.reset(to=types.index("completed") + 1)
        before = len(harness.calls)

        assert await harness.result(execution) == [1, 2]
        assert keys(harness, before) == ["one/2/2"]
        assert [call.call for call in report.happened] == [2]


async def test_a_timer_of_the_prefix_has_the_time_that_was_left() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.run(sleep_an_hour, id="one")
        execution = harness.execution("one")
        types = [entry.type for entry in await execution.journal()]
        await harness.advance(days=1)
        await execution.reset(to=types.index("timer") + 1)
        await harness.settle()
        began = harness.now

        assert await harness.result(execution) == "slept"
        assert harness.now - began == timedelta(hours=1)


async def test_children_of_a_run_that_was_reset_are_others() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.run(trip, id="one")
        execution = harness.execution("one")
        types = [entry.type for entry in await execution.journal()]
        await execution.reset(to=types.index("child-completed") + 1)
        await harness.settle()
        ids = [one.id async for one in harness.app.executions(workflow="desk.leg")]

        assert sorted(ids) == ["one/1", "one/2", "one/2.2"]


async def test_a_child_that_was_under_way_at_the_record_answers_again_and_is_not_listed() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.run(trip, id="one")
        execution = harness.execution("one")
        before = len(harness.calls)
        report = await execution.reset(to=2)
        await harness.settle()

        assert (await execution.describe()).result == [1, 2]
        assert [call.child for call in report.happened] == ["one/2"]
        assert [call.execution_id for call in harness.calls[before:]] == ["one/2.2"]


async def test_what_compensate_with_named_is_not_listed_as_happened() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.run(locked, id="one")
        report = await harness.execution("one").reset(to=1)

        assert [call.name for call in report.happened] == ["desk.step"]


@pytest.mark.parametrize("to", [1, 2, 3])
async def test_reset_of_a_later_run_keeps_what_that_run_had_taken_over(to: int) -> None:
    async with Harness(services=[desk]) as harness:
        harness.hang(step)
        execution = await harness.start(in_two_runs, False, id="one")
        await execution.signal("kept", "from the first run")
        harness.restore()
        await harness.restart()
        first = await harness.result(execution)
        await execution.reset(to=to)
        await harness.settle()

        assert first == "from the first run"
        assert await execution.result(timeout=30) == first


# ---- refused -------------------------------------------------------------------------------------


async def running(harness: Harness) -> str:
    harness.hang("shop.charge")
    await harness.start(place_order, "tea", GOOD, id="one")
    return "it is running"


async def compensating(harness: Harness) -> str:
    harness.hang("shop.release")
    await harness.start(place_order, "tea", TOO_MUCH, id="one")
    return "it is compensating"


async def incident(harness: Harness) -> str:
    harness.fail("shop.release", OSError("no route"), times=None)
    await harness.start(place_order, "tea", TOO_MUCH, id="one")
    await harness.advance(hours=1)
    return "it is incident"


@pytest.mark.parametrize("reach", [running, compensating, incident])
async def test_reset_is_refused_while_the_execution_is_live(
    reach: Callable[[Harness], Awaitable[str]],
) -> None:
    async with Harness(services=[shop]) as harness:
        words = await reach(harness)
        execution = harness.execution("one")
        before = await execution.journal()

        assert words in await why_refused(execution.reset(to=1))
        await harness.settle()
        assert await execution.journal() == before


@pytest.mark.parametrize("to", range(1, 9))
async def test_reset_is_refused_where_a_step_of_the_prefix_was_compensated(to: int) -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.start(place_order, "tea", TOO_MUCH, id="one")
        with pytest.raises(ExecutionFailed, match="compensated"):
            await harness.result(execution)
        harness.replace("shop.charge", lambda order, amount: {"charged": order})
        if to == 1:
            await execution.reset(to=to)
            assert await execution.result(timeout=30) == "tea confirmed"
        else:
            why = await why_refused(execution.reset(to=to))
            assert "was compensated" in why or "is its end" in why


@pytest.mark.parametrize("to", [-1, 0, 9, 1_000])
async def test_reset_to_a_record_that_does_not_exist_is_refused(to: int) -> None:
    async with Harness(services=[shop]) as harness:
        execution = await completed(harness)

        assert "has the records 1 to 8" in await why_refused(execution.reset(to=to))


async def test_reset_to_the_end_is_refused() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await completed(harness)

        assert "record 8 is its end" in await why_refused(execution.reset(to=8))


@pytest.mark.parametrize("end", ["cancel", "terminate", "fail"])
async def test_reset_of_what_was_cancelled_terminated_or_failed_begins_again(end: str) -> None:
    async with Harness(services=[desk, shop]) as harness:
        if end == "fail":
            harness.fail("shop.charge", TypeError("wrong"))
            execution = await harness.start(pay, "tea", GOOD, id="one")
        else:
            execution = await harness.start(wait, id="one")
            await (execution.cancel() if end == "cancel" else execution.terminate())
            await harness.settle()
        await execution.reset(to=1)
        await harness.settle()
        if end != "fail":
            await execution.signal("go", "paid")

        assert await harness.result(execution) == "paid"


RETRIED = [
    *["started", "scheduled", "completed", "scheduled", "failed", "ended"],
    *["retry-requested", "attempt", "completed", "ended"],
]


@pytest.mark.parametrize("to", [1, 3, 4, 7, 8, 9])
async def test_reset_may_go_beyond_a_failure_that_a_retry_took_back(to: int) -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail("shop.charge", TypeError("wrong"))
        execution = await harness.start(pay, "tea", GOOD, id="one")
        await execution.retry()
        await harness.result(execution)
        types = [entry.type for entry in await execution.journal()]
        report = await execution.reset(to=to)

        assert types == RETRIED
        assert await harness.result(execution) == "paid"
        assert [call.call for call in report.happened] == {1: [1, 2], 9: []}.get(to, [2])


@pytest.mark.parametrize(("to", "end"), [(6, 6), (10, 10)])
async def test_reset_to_a_failure_itself_is_refused(to: int, end: int) -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail("shop.charge", TypeError("wrong"))
        execution = await harness.start(pay, "tea", GOOD, id="one")
        await execution.retry()
        await harness.result(execution)

        assert await why_refused(execution.reset(to=to)) == (
            f"record {end} is its end: choose one before it"
        )


async def test_of_two_resets_at_once_one_begins_a_run() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await completed(harness)
        await asyncio.gather(execution.reset(to=1), execution.reset(to=3))
        await harness.settle()
        runs = [one.run async for one in harness.app.executions()]

        assert runs == [2, 1]


async def test_reset_through_a_client_is_taken_over_by_the_node(tmp_path: Path) -> None:
    app = App("shop", services=[shop], store=f"sqlite:///{tmp_path / 'shop.db'}")
    async with app, app.client() as client:
        await client.run(place_order, "tea", GOOD, id="one", timeout=30)
        report = await client.execution("one").reset(to=3, actor="ann")
        result = await client.execution("one").result(timeout=30)

        assert (report.run, result) == (2, "tea confirmed")
        assert (await client.execution("one").describe()).run == 2
