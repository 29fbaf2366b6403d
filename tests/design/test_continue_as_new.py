"""DESIGN 3.1, `continue_as_new`: what goes with it, what stays, and what is an error."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.design.services_undoing import (
    Refused,
    clear,
    described,
    desk,
    did,
    do,
    failed,
    look,
    refuse,
    types,
    undid,
    waits,
)

from counterpoint import (
    ArgumentsError,
    ExecutionExistsError,
    ExecutionRefusedError,
    Service,
    workflow,
)
from counterpoint.model.states import Status
from counterpoint.testing import Harness

loop = Service("loop")


@loop.workflow
async def counts(left: int, total: int) -> int:
    if left:
        await look(str(left))
        workflow.continue_as_new(left - 1, total + left)
    return total


@loop.saga
async def saga_that_did_something() -> None:
    await do("a")
    workflow.continue_as_new()


@loop.saga
async def saga_that_registered_something() -> None:
    workflow.compensate_with(clear, "x")
    workflow.continue_as_new()


@loop.saga
async def leg(what: str) -> str:
    return await do(what)


@loop.saga
async def saga_with_a_child() -> None:
    await leg("a")
    workflow.continue_as_new()


@loop.saga
async def saga_that_only_looked(left: int) -> str:
    await look(str(left))
    if left:
        workflow.continue_as_new(left - 1)
    return "over"


@loop.saga
async def saga_past_its_pivot(left: int) -> str:
    await do(str(left))
    workflow.pivot()
    if left:
        workflow.continue_as_new(left - 1)
    return "over"


@loop.saga
async def continues_after_a_refusal(left: int) -> str:
    try:
        await refuse("closed")
    except Refused:
        if left:
            workflow.continue_as_new(left - 1)
    return "over"


@loop.saga
async def passes_its_pivot_first(left: int) -> str:
    """Does something and passes its pivot in its first run only."""
    if left == 2:
        await do("first run")
        workflow.pivot()
    await look(str(left))
    if left:
        workflow.continue_as_new(left - 1)
    return "over"


@loop.saga
async def parent_of_one_that_passed_first() -> None:
    await do("parent")
    await passes_its_pivot_first(2)
    raise ValueError("too late")


@loop.workflow
async def guarded(left: int) -> str:
    try:
        if left:
            workflow.continue_as_new(left - 1)
    except Exception:  # noqa: BLE001 - what a user may write
        return "caught"
    return f"{workflow.info().run} runs"


@loop.workflow
async def from_a_task_group(left: int) -> str:
    async with asyncio.TaskGroup() as group:
        group.create_task(look("x"))
        if left:
            workflow.continue_as_new(left - 1)
    return "over"


@loop.workflow
async def wrong_arguments() -> str:
    workflow.continue_as_new("a", "b")


@loop.workflow
async def listens(heard: list[int], until: int) -> list[int]:
    """Reads one signal a run, and takes the rest along."""
    said = await workflow.signal("say", int)
    heard = [*heard, said]
    if len(heard) < until:
        workflow.continue_as_new(heard, until)
    return heard


@loop.workflow
async def attributed(run: int) -> str:
    if run == 1:
        workflow.set_attributes(customer="c-7", step="first")
        workflow.continue_as_new(2)
    workflow.set_attributes(step="second")
    await workflow.signal("word")
    return "over"


@loop.saga(deadline=timedelta(minutes=1))
async def with_a_deadline(left: int) -> str:
    await asyncio.sleep(25)
    if left:
        workflow.continue_as_new(left - 1)
    return "in time"


@loop.workflow
async def parent_of_counts() -> str:
    return f"the child says {await counts(3, 0)}"


@loop.saga
async def parent_of_past_pivot() -> None:
    await do("parent")
    await saga_past_its_pivot(1)
    raise ValueError("too late")


@loop.workflow
async def leaves_a_child_behind(left: int) -> str:
    task = asyncio.ensure_future(waits_for_ever())
    await look("x")
    if left:
        workflow.continue_as_new(left - 1)
    return f"over, the child has {'ended' if task.done() else 'not'}"


@loop.workflow
async def waits_for_ever() -> None:
    await workflow.signal("never")


@loop.workflow
async def child_ids(left: int) -> str:
    await leg(str(left))
    if left:
        workflow.continue_as_new(left - 1)
    return "over"


def services() -> list[Service]:
    return [desk, loop]


# ---- the id stays, the run grows, the result follows ------------------------------------------


async def test_id_stays_and_the_run_number_grows() -> None:
    async with Harness(services=services()) as harness:
        await harness.run(counts, 3, 0, id="one")

        runs = [(e.id, e.run, e.status) async for e in harness.app.executions()]
        assert runs == [
            ("one", 4, Status.COMPLETED),
            ("one", 3, Status.CONTINUED),
            ("one", 2, Status.CONTINUED),
            ("one", 1, Status.CONTINUED),
        ]
        assert (await described(harness)).run == 4


async def test_result_follows_the_runs() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(listens, [], 3, id="one")
        waiting = asyncio.ensure_future(execution.result())
        for said in range(3):
            await execution.signal("say", said)
            await harness.settle()

        assert await waiting == [0, 1, 2]
        assert await harness.execution("one").result() == [0, 1, 2]


async def test_result_of_a_client_follows_the_runs() -> None:
    async with Harness(services=services()) as harness, harness.app.client() as client:
        execution = await client.start(counts, 3, 0, id="one")
        await harness.settle()

        assert await execution.result() == 6


async def test_next_run_has_an_empty_journal_and_idempotency_keys_of_its_own() -> None:
    async with Harness(services=services()) as harness:
        await harness.run(counts, 2, 0, id="one")

        assert await types(harness) == ["started", "continued", "ended"]
        assert [call.idempotency_key for call in harness.calls] == ["one/1/1", "one/2/1"]


async def test_next_run_belongs_to_the_same_flow() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.app.start(counts, 3, 0, id="one", correlation_id="order-7")
        await harness.result(execution)

        flow = [e.run async for e in harness.app.executions(correlation_id="order-7")]
        assert flow == [4, 3, 2, 1]


async def test_code_that_catches_exceptions_lets_the_continuation_pass() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(guarded, 2) == "3 runs"


async def test_continuation_out_of_a_task_group_is_one() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(from_a_task_group, 2, id="one") == "over"
        assert (await described(harness)).run == 3


async def test_arguments_that_do_not_fit_are_an_error_in_this_run() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(wrong_arguments, id="one"))

        assert error.status == "failed"
        assert ArgumentsError.__name__ in str(error)
        assert (await described(harness)).run == 1


# ---- a saga with something to compensate ------------------------------------------------------


@pytest.mark.parametrize(
    ("saga", "undone"),
    [
        (saga_that_did_something, ["a"]),
        (saga_that_registered_something, ["x"]),
        (saga_with_a_child, ["a"]),
    ],
    ids=["a call", "compensate_with", "a child"],
)
async def test_saga_with_something_to_compensate_cannot_continue(
    saga: Any, undone: list[str]
) -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(saga, id="one"))

        assert error.status == "compensated"
        assert "pass the pivot first (workflow.pivot())" in str(error)
        assert undid(harness) == undone
        assert (await described(harness)).run == 1


async def test_saga_with_nothing_to_compensate_continues() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(saga_that_only_looked, 2, id="one") == "over"
        assert (await described(harness)).run == 3


async def test_saga_past_its_pivot_continues_and_nothing_is_undone() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(saga_past_its_pivot, 2, id="one") == "over"

        assert (did(harness), undid(harness)) == (["2", "1", "0"], [])


async def test_call_that_did_not_happen_is_nothing_to_compensate() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(continues_after_a_refusal, 1) == "over"


# ---- what goes with it ------------------------------------------------------------------------


async def test_unread_signals_go_with_it_in_their_order() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(listens, [], 5, id="one")
        async with harness.app.client() as client:
            for said in range(5):
                await client.execution("one").signal("say", said)

        assert await harness.result(execution) == [0, 1, 2, 3, 4]
        assert (await described(harness)).run == 5


async def test_attributes_go_with_it_and_can_be_changed() -> None:
    async with Harness(services=services()) as harness:
        await harness.start(attributed, 1, id="one")

        found = await described(harness)
        assert (found.run, dict(found.attributes)) == (2, {"customer": "c-7", "step": "second"})
        newest = [
            (e.id, e.run)
            async for e in harness.app.executions(attributes={"customer": "c-7"}, newest_runs=True)
        ]
        assert newest == [("one", 2)]


async def test_deadline_goes_with_it() -> None:
    async with Harness(services=services()) as harness:
        begun = harness.now
        error = await failed(harness, await harness.start(with_a_deadline, 5, id="one"))

        found = await described(harness)
        assert "DeadlineExceeded" in str(error)
        assert (harness.now - begun, found.run) == (timedelta(minutes=1), 3)
        assert found.deadline_at == begun + timedelta(minutes=1)


async def test_runs_that_end_before_the_deadline_are_in_time() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(with_a_deadline, 1) == "in time"


async def test_parent_waits_for_the_last_run_of_its_child() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(parent_of_counts, id="one") == "the child says 6"

        found = await described(harness, "one/1")
        assert (found.run, found.parent, found.correlation_id) == (4, "one", "one")


async def test_pivot_of_an_earlier_run_keeps_the_child_when_its_parent_is_undone() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(parent_of_past_pivot, id="one"))

        assert error.status == "compensated"
        assert undid(harness) == ["parent"]
        assert list((await described(harness)).stay) == [2]


async def test_pivot_of_the_first_of_several_runs_is_not_forgotten_by_the_last() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(parent_of_one_that_passed_first, id="one")
        await failed(harness, execution)

        assert undid(harness) == ["parent"]
        assert [e.data["why"] for e in await execution.journal() if e.type == "stays"] == [
            "it passed its pivot"
        ]
        assert (await described(harness, "one/2")).status is Status.COMPLETED


async def test_children_of_two_runs_never_share_an_id() -> None:
    async with Harness(services=services()) as harness:
        await harness.run(child_ids, 2, id="one")

        children = [e.id async for e in harness.app.executions(workflow="loop.leg")]
        assert sorted(children) == ["one/1", "one/1.2", "one/1.3"]


async def test_child_that_a_run_leaves_behind_is_cancelled() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(leaves_a_child_behind, 1, id="one") == "over, the child has not"
        await harness.settle()

        left = [(await described(harness, id)).status for id in ("one/2", "one/2.2")]
        assert left == [Status.CANCELLED] * 2


# ---- acts on a run that continues -------------------------------------------------------------


async def test_start_with_the_same_id_gives_the_execution_whatever_its_run() -> None:
    async with Harness(services=services()) as harness:
        await harness.run(counts, 3, 0, id="one")
        again = await harness.app.start(counts, 3, 0, id="one")

        assert await harness.result(again) == 6
        assert len(harness.calls) == 3


async def test_start_with_the_same_id_and_other_arguments_is_refused_whatever_its_run() -> None:
    async with Harness(services=services()) as harness:
        await harness.run(counts, 3, 0, id="one")

        with pytest.raises(ExecutionExistsError, match="other arguments"):
            await harness.app.start(counts, 4, 0, id="one")


async def test_cancel_reaches_the_run_that_runs() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(attributed, 1, id="one")
        await execution.cancel()

        assert (await failed(harness, execution)).status == "cancelled"
        assert (await described(harness)).run == 2


async def test_signal_reaches_the_run_that_runs() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(attributed, 1, id="one")
        await execution.signal("word")

        assert await harness.result(execution) == "over"


async def test_completed_execution_is_not_signalled_whatever_its_run() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(counts, 3, 0, id="one")
        await harness.result(execution)

        with pytest.raises(ExecutionRefusedError, match="it is completed"):
            await execution.signal("say", 1)


async def test_run_whose_workflow_is_no_longer_hosted_waits() -> None:
    alone = Service("loop")
    async with Harness(services=services()) as harness:
        execution = await harness.start(listens, [], 2, id="one")
        await harness.restart(services=[desk, alone])
        await execution.signal("say", 1)
        await harness.settle()
        await harness.restart(services=services())
        await execution.signal("say", 2)

        assert await harness.result(execution) == [1, 2]
        assert await waits(harness) == []
