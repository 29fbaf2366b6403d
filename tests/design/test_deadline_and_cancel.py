"""DESIGN 3.1, "deadline, cancel" and `terminate()`: what each does to the code, and when."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.design.services_undoing import (
    COMMITS_MAX,
    CRASHES,
    clear,
    described,
    desk,
    did,
    do,
    failed,
    keys,
    look,
    refuse,
    types,
    undid,
    undo,
)

from counterpoint import (
    DeadlineExceeded,
    ExecutionFailed,
    ExecutionRefusedError,
    NodeStoppedError,
    Service,
    workflow,
)
from counterpoint.model.states import Status
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

clock = Service("clock")
MINUTE = timedelta(minutes=1)


@clock.saga(deadline=MINUTE)
async def sleeps(seconds: float) -> str:
    await do("a")
    await asyncio.sleep(seconds)
    return "in time"


@clock.saga(deadline=MINUTE)
async def catches_it() -> str:
    """Sees the deadline as cancellation, as `asyncio.timeout` has it."""
    try:
        await asyncio.sleep(100)
    except asyncio.CancelledError:
        await do("tidy")
        raise
    return "in time"


@clock.saga(deadline=MINUTE)
async def times_out_inside() -> str:
    try:
        async with asyncio.timeout(10):
            await asyncio.sleep(100)
    except TimeoutError:
        return "its own timeout"
    return "in time"


@clock.saga(deadline=MINUTE)
async def raises_timeout() -> None:
    raise TimeoutError("of its own")


@clock.workflow(deadline=MINUTE)
async def plain_sleep() -> None:
    await asyncio.sleep(100)


@clock.saga(deadline=MINUTE)
async def slow_call() -> str:
    await do("a")
    return await do("slow")


@clock.workflow
async def catches_deadline_of_a_child() -> str:
    try:
        return await sleeps(100.0)
    except ExecutionFailed as error:
        return type(error).__name__ + ": " + str(error)


@clock.saga
async def leg(what: str) -> str:
    await do(what)
    await asyncio.sleep(7)
    return what


@clock.saga
async def long_way() -> str:
    """Passes through every kind of waiting."""
    await do("a")
    await asyncio.gather(do("b"), do("c"), look("x"))
    await asyncio.sleep(5)
    await workflow.signal("word")
    await leg("d")
    workflow.compensate_with(clear, "e")
    await do("f")
    return "there"


@clock.saga
async def insists() -> str:
    await do("a")
    try:
        await workflow.signal("never")
    except asyncio.CancelledError:
        return "all the same"
    return "signalled"


@clock.saga
async def tidies() -> None:
    await do("a")
    try:
        await workflow.signal("never")
    finally:
        await do("tidy")


@clock.saga
async def fails_instead() -> None:
    await do("a")
    try:
        await workflow.signal("never")
    except asyncio.CancelledError:
        raise ValueError("another error") from None


@clock.saga
async def refused_saga() -> None:
    await do("a")
    await do("b")
    await refuse("closed")


@clock.saga
async def nothing_done_yet() -> None:
    await workflow.signal("never")


@clock.workflow
async def waits_for_all() -> None:
    await asyncio.gather(look("x"), workflow.signal("never"), asyncio.sleep(100))


def services() -> list[Service]:
    return [desk, clock]


# ---- deadline ---------------------------------------------------------------------------------


async def test_deadline_raises_deadline_exceeded_and_the_saga_is_undone() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(sleeps, 100.0, id="one")
        error = await failed(harness, execution)

        found = await described(harness)
        assert error.status == "compensated"
        assert "DeadlineExceeded: clock.sleeps did not end within its deadline of 60 s" in str(
            error
        )
        assert harness.now == found.created_at + MINUTE
        assert found.deadline_at == found.created_at + MINUTE
        assert undid(harness) == ["a"]


def test_deadline_exceeded_is_a_timeout_error() -> None:
    assert issubclass(DeadlineExceeded, TimeoutError)


async def test_workflow_that_ends_in_time_never_notices_its_deadline() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(sleeps, 59.0) == "in time"


async def test_plain_workflow_past_its_deadline_has_failed() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(plain_sleep))

        assert error.status == "failed"
        assert "DeadlineExceeded" in str(error)


async def test_code_sees_its_deadline_as_cancellation_and_may_tidy_up() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(catches_it))

        assert "DeadlineExceeded" in str(error)
        assert (did(harness), undid(harness)) == (["tidy"], ["tidy"])


async def test_timeout_inside_is_the_codes_own() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(times_out_inside) == "its own timeout"


async def test_timeout_error_of_the_code_is_not_taken_for_the_deadline() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(raises_timeout))

        assert "TimeoutError: of its own" in str(error)
        assert "DeadlineExceeded" not in str(error)


async def test_call_in_flight_at_the_deadline_is_cancelled_and_undone() -> None:
    async with Harness(services=services()) as harness:
        harness.replace(do, lambda what: hang() if what == "slow" else f"{what} done")

        async def hang() -> str:
            await harness.sleep(59)
            await harness.sleep(59)
            return "too late"

        harness.delay(do, timedelta(seconds=10), times=1)
        error = await failed(harness, await harness.start(slow_call))

        assert "DeadlineExceeded" in str(error)
        assert undid(harness) == ["slow", "a"]


async def test_deadline_of_a_child_crosses_as_execution_failed() -> None:
    async with Harness(services=services()) as harness:
        result = await harness.run(catches_deadline_of_a_child, id="one")

        assert result.startswith("ExecutionFailed: one/1 compensated: ")
        assert "DeadlineExceeded" in result


async def test_deadline_never_bounds_compensation() -> None:
    async with Harness(services=services()) as harness:
        harness.delay(undo, timedelta(minutes=4))
        execution = await harness.start(sleeps, 100.0, id="one")
        await harness.advance(minutes=4)
        status = (await described(harness)).status

        error = await failed(harness, execution)
        assert status is Status.COMPENSATING
        assert error.status == "compensated"


async def test_deadline_that_passes_during_compensation_changes_nothing() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, ConnectionError("no route"), times=4)
        execution = await harness.start(sleeps, 30.0, id="one")
        await harness.advance(seconds=10)
        await execution.cancel()
        await harness.advance(hours=1)

        error = await failed(harness, execution)
        assert error.status == "cancelled"
        assert undid(harness) == ["a"]
        assert "fired" not in await types(harness)


async def test_deadline_passes_also_while_no_node_runs() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(sleeps, 100.0, id="one")
        await harness.stop()
        await harness.advance(days=1)
        await harness.restart()

        error = await failed(harness, execution)
        assert "DeadlineExceeded" in str(error)


# ---- cancel -----------------------------------------------------------------------------------


async def test_cancel_raises_cancelled_error_in_the_workflow() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(insists)
        await execution.cancel()

        assert await harness.result(execution) == "all the same"
        assert undid(harness) == []


async def test_cancelled_saga_is_undone_and_ends_cancelled() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(tidies, id="one")
        await execution.cancel(actor="ann", reason="changed her mind")
        error = await failed(harness, execution)

        found = await described(harness)
        assert error.status == "cancelled"
        assert undid(harness) == ["tidy", "a"]
        assert (found.cancel_requested_by, found.cancel_reason) == ("ann", "changed her mind")


async def test_cancelled_saga_with_nothing_to_undo_ends_cancelled() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(nothing_done_yet)
        await execution.cancel()

        assert (await failed(harness, execution)).status == "cancelled"


async def test_saga_that_answers_a_cancel_with_another_error_ends_compensated_with_it() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(fails_instead)
        await execution.cancel()
        error = await failed(harness, execution)

        assert error.status == "compensated"
        assert "another error" in str(error)


async def test_cancel_during_compensation_changes_nothing() -> None:
    async with Harness(services=services()) as harness:
        hold = harness.hang(undo)
        execution = await harness.start(refused_saga, id="one")
        await execution.cancel()
        status = (await described(harness)).status
        hold.release()

        error = await failed(harness, execution)
        assert status is Status.COMPENSATING
        assert error.status == "compensated"
        assert undid(harness) == ["b", "a"]


async def test_cancel_of_a_stuck_compensation_changes_nothing() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, ConnectionError("no route"), times=3)
        execution = await harness.start(refused_saga, id="one")
        await harness.advance(seconds=3)
        await execution.cancel()
        status = (await described(harness)).status

        error = await failed_after(harness, execution, timedelta(minutes=8))
        assert status is Status.INCIDENT
        assert error.status == "compensated"


async def failed_after(harness: Harness, execution: Any, span: timedelta) -> Any:
    """Return how an execution failed once a while has passed."""
    await harness.advance(span)
    return await failed(harness, execution)


async def test_every_task_of_a_cancelled_workflow_is_cancelled() -> None:
    async with Harness(services=services()) as harness:
        hold = harness.hang(look)
        execution = await harness.start(waits_for_all)
        await execution.cancel()

        assert (await failed(harness, execution)).status == "cancelled"
        assert hold.waiting == 0


async def test_second_cancel_is_taken_and_changes_nothing() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(tidies, id="one")
        await asyncio.gather(execution.cancel(), execution.cancel(), return_exceptions=True)
        error = await failed(harness, execution)

        assert error.status == "cancelled"
        assert undid(harness)[-1] == "a"


@pytest.mark.parametrize("seconds", range(0, 24, 2))
async def test_saga_is_undone_newest_first_whenever_it_is_cancelled(seconds: int) -> None:
    async with Harness(services=services()) as harness:
        harness.delay(do, timedelta(seconds=3))
        execution = await harness.start(long_way, id="one")
        await execution.signal("word")
        await harness.advance(seconds=seconds)
        await execution.cancel()
        error = await failed(harness, execution)

        assert error.status == "cancelled", seconds
        done = [what for what in "abcdef" if what in did(harness) or what in undid(harness)]
        assert undid(harness) == done[::-1]


@pytest.mark.parametrize("later", [1, 2, 4])
@pytest.mark.parametrize("when", CRASHES)
async def test_saga_is_undone_when_it_is_cancelled_after_each_commit_and_the_node_dies(
    when: When, later: int
) -> None:
    """Cancel after commit n, and let the node die at a commit soon after it."""
    for commit in range(1, COMMITS_MAX):
        async with Harness(services=services()) as harness:
            cancelled, error = await cancelled_after(harness, commit, later, when)
            if not cancelled:
                assert commit > 8
                return
            assert error.status == "cancelled", (commit, when)
            done = {call.arguments["what"] for call in harness.calls if call.name == "desk.do"}
            registered = {"e"} & set(undid(harness))
            expected = sorted(done | registered, reverse=True)
            assert undid(harness) == expected, (commit, when)
            for what in done:
                assert len(keys(harness, "desk.undo", what)) == 1, (commit, when)
    raise AssertionError("it takes more commits than were tried")


async def cancelled_after(
    harness: Harness, commit: int, later: int, when: When
) -> tuple[bool, Any]:
    """Run `long_way` up to a commit, cancel it there, and crash at a later one."""
    before = harness.store.commits
    running = asyncio.ensure_future(harness.app.start(long_way, id="one"))
    execution = harness.execution("one")
    signalled = False
    while harness.store.commits - before < commit:
        await asyncio.sleep(0)
        if running.done() and not signalled:
            signalled = True
            await execution.signal("word")
        if harness.app.node.quiet and not harness.app.node.activities.running:
            if running.done() and not (await described(harness)).status.live:
                return False, None
            await harness.advance(seconds=1)
    await running
    if not (await execution.describe()).status.live:
        return False, None
    harness.crash_at_commit(later, when=when)
    try:
        await execution.cancel()
        await harness.settle()
    except (NodeStoppedError, ExecutionRefusedError):
        await harness.settle()
    if not harness.running:
        await harness.restart()
    if (await described(harness)).status.live and not (
        await described(harness)
    ).cancel_requested_at:
        await execution.cancel()
    if (await described(harness)).status is Status.COMPLETED:
        return False, None
    return True, await failed(harness, execution)
