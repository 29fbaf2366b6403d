"""Letters that meet, ends that are taken back, and children that are not what they were."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import AfterValidator

from counterpoint import (
    ActivityFailed,
    ArgumentsError,
    BusinessError,
    ExecutionFailed,
    NodeStoppedError,
    Retry,
    Service,
    workflow,
)
from counterpoint.authoring.workflow import Workflow
from counterpoint.kernel import loop
from counterpoint.model.rows import MailRow
from counterpoint.model.states import Status
from counterpoint.runtime.mail import SignalMail, StartMail, TerminateMail, mail_row
from counterpoint.testing import Harness

review = Service("review")


@review.activity(retry=Retry(max_attempts=1))
async def step(name: str) -> str:
    return name


@review.workflow
async def one_step() -> str:
    return await step("a")


async def test_a_retry_and_a_reset_posted_together_leave_one_live_run() -> None:
    async with Harness(services=[review]) as harness:
        harness.fail(step, ValueError("broken"))
        with pytest.raises(ExecutionFailed):
            await harness.run(one_step, id="w")
        hold = harness.hang(step, times=None)
        execution = harness.execution("w")

        await asyncio.gather(execution.retry(), execution.reset(to=1))
        await harness.settle()

        live = [one.run async for one in harness.app.executions(status=Status.RUNNING)]
        assert live == [1]
        hold.release()
        assert await harness.result(execution) == "a"


class Refused(BusinessError): ...


@review.workflow
async def two_at_once() -> list[str]:
    try:
        async with asyncio.TaskGroup() as group:
            both = [group.create_task(step("a")), group.create_task(other("b"))]
    except* ActivityFailed:
        await workflow.sleep(1)  # meanwhile the other one ends, cancelled
        raise
    return [task.result() for task in both]


@review.activity(retry=Retry(max_attempts=1))
async def other(name: str) -> str:
    return name


@review.saga
async def two_past_the_pivot() -> list[str]:
    workflow.pivot()
    try:
        async with asyncio.TaskGroup() as group:
            both = [group.create_task(step("a")), group.create_task(other("b"))]
    except* Refused:
        workflow.set_attributes(state="refused")
        raise
    return [task.result() for task in both]


async def test_retry_forgets_the_failures_of_calls_that_the_failed_one_cancelled() -> None:
    async with Harness(services=[review]) as harness:
        harness.fail(step, ValueError("broken"))
        harness.hang(other)
        with pytest.raises(ExecutionFailed):
            await harness.run(two_at_once, id="w")

        await harness.execution("w").retry()

        assert await harness.result(harness.execution("w")) == ["a", "b"]


async def test_retry_past_the_pivot_forgets_them_too() -> None:
    async with Harness(services=[review]) as harness:
        harness.fail(step, Refused())
        harness.hang(other)
        execution = await harness.start(two_past_the_pivot, id="w")
        assert (await execution.describe()).status is Status.INCIDENT

        await execution.retry()

        assert await harness.result(execution) == ["a", "b"]


def deployed(*, mended: bool) -> Service:
    service = Service("deployed")
    service.activities.update(review.activities)

    @service.workflow
    async def guarded() -> str:
        async def with_timeout() -> str:
            async with asyncio.timeout(10):
                return await step("a")

        async def beside() -> None:
            if not mended:
                raise ValueError("broken")
            await other("b")

        async with asyncio.TaskGroup() as group:
            task = group.create_task(with_timeout())
            group.create_task(beside())
        return task.result()

    return service


async def test_a_timer_that_the_failed_code_never_wrote_fires_after_a_retry_with_mended_code() -> (
    None
):
    broken, mended = deployed(mended=False), deployed(mended=True)
    guarded = broken.workflows["deployed.guarded"]
    async with Harness(services=[broken]) as harness:
        harness.hang(step, times=None)
        with pytest.raises(ExecutionFailed):
            await harness.run(guarded, id="w")
        await harness.restart(services=[mended])

        await harness.execution("w").retry()
        await harness.advance(seconds=11)

        description = await harness.execution("w").describe()
        assert description.status is Status.FAILED
        assert "TimeoutError" in (description.error or "")


@review.activity(retry=Retry(max_attempts=1))
async def keep(name: str) -> str:
    return name


@keep.compensation
async def unkeep(name: str) -> None: ...


@review.workflow
async def waits() -> None:
    await workflow.signal("go")


@review.saga
async def gives_a_taken_id_up() -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):
            await workflow.child(waits, id="somebody")
    await workflow.signal("go")


@review.saga
async def takes_a_taken_id() -> None:
    await workflow.child(waits, id="somebody")


@review.saga
async def leg() -> None:
    await keep("a")


@review.saga
async def trip() -> None:
    await leg()
    await workflow.signal("fail")
    raise Refused()


async def test_a_child_call_given_up_does_not_cancel_an_execution_that_has_its_id() -> None:
    async with Harness(services=[review]) as harness:
        somebody = await harness.start(waits, id="somebody")

        await harness.start(gives_a_taken_id_up, id="p")
        await harness.idle()

        assert (await somebody.describe()).status is Status.RUNNING


@pytest.mark.parametrize("hosted", [True, False])
async def test_a_terminated_parent_does_not_terminate_an_execution_that_has_its_childs_id(
    hosted: bool,
) -> None:
    async with Harness(services=[review]) as harness:
        somebody = await harness.start(waits, id="somebody")
        node = harness.app.node
        await harness.evict()
        if not hosted:
            del node.registry.programs["review.waits"]

        letter = mail_row("p", TerminateMail(), node.clock.now(), node.codec)
        posted = node.post(letter)  # taken over before the letter that starts the child is
        await harness.start(takes_a_taken_id, id="p")
        await posted

        assert (await harness.execution("p").describe()).status is Status.TERMINATED
        assert (await somebody.describe()).status is Status.RUNNING


async def test_a_child_that_runs_again_when_its_parent_is_undone_is_cancelled_and_undone() -> None:
    async with Harness(services=[review]) as harness:
        parent = await harness.start(trip, id="p")
        harness.hang(keep)
        await harness.execution("p/1").reset(to=1)
        await harness.settle()

        await parent.signal("fail")
        with pytest.raises(ExecutionFailed):
            await harness.result(parent)

        assert (await parent.describe()).status is Status.COMPENSATED
        assert (await harness.execution("p/1").describe()).status is Status.CANCELLED
        assert [call.name for call in harness.calls][-1] == "review.unkeep"


async def test_it_is_undone_also_if_the_node_dies_at_any_commit() -> None:
    for number in range(1, 12):
        async with Harness(services=[review]) as harness:
            parent = await harness.start(trip, id="p")
            harness.hang(keep)
            await harness.execution("p/1").reset(to=1)
            await harness.settle()
            await parent.signal("fail")
            harness.crash_at_commit(number, when="before")
            await harness.settle()
            if not harness.running:
                await harness.restart()

            with pytest.raises(ExecutionFailed):
                await harness.result(parent)

            assert (await parent.describe()).status is Status.COMPENSATED
            child = await harness.execution("p/1").describe()
            assert child.undone == [1]


def even(number: int) -> int:
    if number % 2:
        raise ValueError("odd")
    return number


Even = Annotated[int, AfterValidator(even)]


@review.workflow
async def takes_even(number: Even) -> int:
    return number


@review.activity
async def undo_even(number: Even) -> None: ...


@review.workflow
async def calls_a_child_with(number: int) -> int:
    return await takes_even(number)


@review.saga
async def compensates_with(number: int) -> None:
    workflow.compensate_with(undo_even, number)


@review.saga(deadline=timedelta(days=5_000))
async def has_a_deadline() -> None:
    await workflow.signal("go")


@pytest.mark.parametrize("called", [calls_a_child_with, compensates_with])
async def test_arguments_that_could_not_be_read_again_are_refused_where_they_are_given(
    called: Workflow[Any, int],
) -> None:
    async with Harness(services=[review]) as harness:
        with pytest.raises(ExecutionFailed, match="odd"):
            await harness.run(called, 3, id="w")


@pytest.mark.parametrize("delay", [float("nan"), float("inf"), -1, "soon"])
async def test_a_delay_that_is_no_duration_is_refused(delay: Any) -> None:
    async with Harness(services=[review]) as harness:
        with pytest.raises(ArgumentsError, match="delay="):
            await harness.app.start(waits, delay=delay)
        with pytest.raises(ArgumentsError, match="at="):
            await harness.app.start(waits, at="tomorrow")  # type: ignore[arg-type]


@pytest.mark.parametrize("delay", [1e300, timedelta.max])
async def test_an_execution_delayed_for_ever_can_be_looked_at(delay: float | timedelta) -> None:
    async with Harness(services=[review]) as harness:
        execution = await harness.app.start(has_a_deadline, delay=delay)

        description = await execution.describe()

        assert description.begins_at is not None
        assert description.begins_at.year == 9999


@pytest.mark.parametrize("to", [True, 1.5, "1", None])
async def test_a_reset_to_what_is_no_number_is_refused(to: Any) -> None:
    async with Harness(services=[review]) as harness:
        await harness.run(one_step, id="w")
        with pytest.raises(ArgumentsError, match="to="):
            await harness.execution("w").reset(to=to)


async def test_mail_to_what_has_not_been_started_here_is_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosted = Service("hosted")
    hosted.activities.update(review.activities)
    async with Harness(services=[hosted]) as harness:
        node = harness.app.node
        for number in range(200):
            start = StartMail("review.waits", msgspec.Raw(b"{}"))
            for mail in (start, SignalMail("go", msgspec.Raw(b"null"))):
                letter = mail_row(f"w{number}", mail, node.clock.now(), node.codec)
                node.committer.post(letter)
        read = harness.store.mail
        pages: list[int] = []

        async def counted(*, after: int, limit: int) -> list[MailRow]:
            pages.append(after)
            return await read(after=after, limit=limit)

        monkeypatch.setattr(harness.store, "mail", counted)
        await harness.settle()
        assert 1 <= len(pages) <= 3

        await harness.restart(services=[review])
        await harness.idle()
        for number in (0, 199):
            status = (await harness.execution(f"w{number}").describe()).status
            assert status is Status.COMPLETED


@review.workflow
async def says_that_it_failed() -> str:
    try:
        return await step("a")
    except ActivityFailed:
        workflow.set_attributes(state="failed")
        raise


async def found(harness: Harness, **attributes: str) -> list[str]:
    return [one.id async for one in harness.app.executions(attributes=attributes)]


async def test_attributes_that_a_retry_takes_back_find_nothing_any_more() -> None:
    async with Harness(services=[review]) as harness:
        harness.fail(step, ValueError("broken"))
        with pytest.raises(ExecutionFailed):
            await harness.run(says_that_it_failed, id="w")
        assert await found(harness, state="failed") == ["w"]

        await harness.execution("w").retry()
        await harness.idle()

        assert (await harness.execution("w").describe()).attributes == {}
        assert await found(harness, state="failed") == []


async def test_nor_do_those_that_a_retry_past_the_pivot_takes_back() -> None:
    async with Harness(services=[review]) as harness:
        harness.fail(step, Refused())
        harness.hang(other)
        execution = await harness.start(two_past_the_pivot, id="w")
        assert await found(harness, state="refused") == ["w"]

        await execution.retry()
        await harness.result(execution)

        assert await found(harness, state="refused") == []


@review.workflow
async def never_waits() -> None:
    child = asyncio.ensure_future(waits())
    await workflow.sleep(1)
    while not child.done():  # noqa: ASYNC110 - the mistake that is looked at
        await asyncio.sleep(0)


async def test_a_workflow_that_is_stopped_for_never_waiting_cancels_its_children(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "STEPS_MAX", 1_000)
    async with Harness(services=[review], rehearse=False) as harness:
        with pytest.raises(ExecutionFailed, match="without waiting"):
            await harness.run(never_waits, id="p")
        await harness.idle()

        assert (await harness.execution("p/1").describe()).status is Status.CANCELLED


def undoing(*, compensable: bool) -> Service:
    service = Service("undoing")

    @service.activity
    async def take() -> None: ...

    if compensable:

        @take.compensation(name="undoing.give")
        async def give() -> None: ...

    @service.saga
    async def takes() -> None:
        await take()
        raise Refused()

    return service


async def test_a_compensation_that_was_removed_after_it_was_decided_is_an_incident() -> None:
    with_it, without = undoing(compensable=True), undoing(compensable=False)
    async with Harness(services=[with_it]) as harness:
        harness.hang("undoing.give")
        await harness.start(with_it.workflows["undoing.takes"], id="w")
        execution = harness.execution("w")

        await harness.restart(services=[without])
        for _ in range(2):
            description = await execution.describe()
            assert description.status is Status.INCIDENT
            assert description.incident is not None
            assert "no service of this app has undoing.give" in description.incident
            await execution.retry()
            await harness.settle()

        await harness.restart(services=[undoing(compensable=True)])
        await harness.idle()
        assert (await execution.describe()).status is Status.COMPENSATED


@review.activity(at_most_once=True)
async def only_once() -> None: ...


@review.saga
async def undone_only_once() -> None:
    workflow.compensate_with(only_once)


async def test_what_may_be_called_only_once_cannot_undo() -> None:
    async with Harness(services=[review]) as harness:
        with pytest.raises(ExecutionFailed, match="called until it succeeds"):
            await harness.run(undone_only_once, id="w")


@review.workflow
async def child_by_a_name() -> str:
    kept = await workflow.child(one_step, id="named")
    return kept + await step("b")


@pytest.mark.parametrize("crash", [0, 1, 2, 3, 4])
async def test_a_reset_parent_runs_a_child_anew_that_it_calls_by_the_same_name(crash: int) -> None:
    async with Harness(services=[review]) as harness:
        parent = await harness.start(child_by_a_name, id="p")
        assert await parent.result() == "ab"
        if crash:
            harness.crash_at_commit(crash, when="before")

        with contextlib.suppress(NodeStoppedError):
            await parent.reset(to=1)
        await harness.settle()
        if not harness.running:
            await harness.restart()
        await harness.idle()

        child = await harness.execution("named").describe()
        described = await parent.describe()
        assert described.status is Status.COMPLETED
        assert described.run == child.run
        assert child.calls[0].idempotency_key == f"named/{child.run}/1"
