"""DESIGN 3.1, Compensation: a saga compensates only when every call it made has settled."""

import asyncio
from datetime import timedelta

import pytest
from tests.design.services_undoing import (
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

from counterpoint import ExecutionRefusedError, Retry, Service, workflow
from counterpoint.model.states import Status
from counterpoint.testing import Harness

slow = Service("slow")


@slow.activity(timeout=None)
def thread(what: str) -> str:
    return f"{what} by thread"


@thread.compensation
def unthread(what: str, result: str | None) -> None: ...


@slow.activity(timeout=timedelta(minutes=2), retry=Retry(max_attempts=1))
def bounded_thread(what: str) -> str:
    return f"{what} by thread"


@bounded_thread.compensation
async def unbounded_thread(what: str, result: str | None) -> None: ...


@slow.saga
async def side_by_side() -> None:
    """The second fails while the first is in flight."""
    await do("base")
    await asyncio.gather(do("flight"), refuse("no"))


@slow.saga
async def beside_a_thread() -> None:
    await do("base")
    await asyncio.gather(thread("print"), refuse("no"))


@slow.saga
async def beside_a_bounded_thread() -> None:
    await do("base")
    await asyncio.gather(bounded_thread("print"), refuse("no"))


@slow.saga
async def beside_a_look() -> None:
    await do("base")
    await asyncio.gather(look("x"), look("y"), refuse("no"))


@slow.saga
async def left_behind() -> None:
    """A task that nobody awaits calls while the function raises."""
    task = asyncio.ensure_future(do("left"))
    await do("base")
    raise ValueError(f"the function ends, the task has {'ended' if task.done() else 'not'}")


def services() -> list[Service]:
    return [desk, slow]


async def deaf(harness: Harness, what: str, span: timedelta) -> str:
    """Work for *span*, although somebody cancels it once."""
    until = harness.now + span
    task = asyncio.current_task()
    try:
        await harness.sleep(span)
    except asyncio.CancelledError:
        assert task is not None
        task.uncancel()
        await harness.sleep(until - harness.now)
    return f"{what} all the same"


def make_deaf(harness: Harness, what: str, span: timedelta) -> None:
    """Let one of the things that are done go on although it is cancelled."""
    chosen = what
    harness.replace(
        do, lambda what: deaf(harness, what, span) if what == chosen else f"{what} done"
    )


async def test_nothing_is_undone_while_a_call_is_in_flight() -> None:
    async with Harness(services=services()) as harness:
        make_deaf(harness, "flight", timedelta(seconds=20))
        execution = await harness.start(side_by_side, id="one")
        await harness.advance(seconds=5)
        before = (await described(harness)).status, undid(harness)

        await failed(harness, execution)
        assert before == (Status.COMPENSATING, [])
        assert undid(harness) == ["flight", "base"]


async def test_calls_in_flight_are_cancelled() -> None:
    async with Harness(services=services()) as harness:
        harness.replace(do, lambda what: hang() if what == "flight" else f"{what} done")
        cancelled: list[str] = []

        async def hang() -> str:
            try:
                await harness.sleep(50)
            except asyncio.CancelledError:
                cancelled.append("flight")
                raise
            return "flight done"

        error = await failed(harness, await harness.start(side_by_side))

        assert cancelled == ["flight"]
        assert error.status == "compensated"
        assert harness.now == harness.calls[0].at  # and no time passed


async def test_call_in_flight_is_waited_for_until_its_timeout_passes() -> None:
    async with Harness(services=services(), settle=timedelta(minutes=2)) as harness:
        make_deaf(harness, "flight", timedelta(days=1))  # but to the second cancellation
        execution = await harness.start(side_by_side, id="one")
        await harness.advance(seconds=59)
        before = undid(harness)
        await harness.advance(seconds=2)

        assert (await described(harness)).status is Status.COMPENSATED
        assert before == []
        undone = [call.arguments for call in harness.calls if call.name == "desk.undo"]
        assert undone[0] == {"what": "flight", "result": None}  # it may have happened
        await failed(harness, execution)


async def test_what_completes_while_the_saga_waits_is_undone_with_its_result() -> None:
    async with Harness(services=services()) as harness:
        make_deaf(harness, "flight", timedelta(seconds=20))
        await failed(harness, await harness.start(side_by_side))

        undone = [call.arguments for call in harness.calls if call.name == "desk.undo"]
        assert undone[0] == {"what": "flight", "result": "flight all the same"}


async def test_call_of_a_task_that_was_left_behind_is_settled_and_undone() -> None:
    async with Harness(services=services()) as harness:
        make_deaf(harness, "left", timedelta(seconds=10))
        error = await failed(harness, await harness.start(left_behind))

        assert "the task has not" in str(error)
        assert undid(harness) == ["left", "base"]


async def test_thread_that_cannot_be_stopped_is_waited_for_and_undone() -> None:
    async with Harness(services=services(), settle=timedelta(minutes=5)) as harness:
        hold = harness.hang(thread)
        execution = await harness.start(beside_a_thread, id="one")
        await harness.advance(minutes=4)
        before = (await described(harness)).status, undid(harness)
        hold.release()

        await failed(harness, execution)
        assert before == (Status.COMPENSATING, [])
        undone = [c.arguments for c in harness.calls if c.name in ("slow.unthread", "desk.undo")]
        assert undone == [
            {"what": "print", "result": "print by thread"},
            {"what": "base", "result": "base done"},
        ]


async def test_thread_is_given_up_when_its_attempts_timeout_passes_and_may_have_happened() -> None:
    async with Harness(services=services(), settle=timedelta(minutes=9)) as harness:
        harness.hang(bounded_thread)
        execution = await harness.start(beside_a_bounded_thread, id="one")
        await harness.advance(minutes=1)
        before = (await described(harness)).status

        await failed(harness, execution)
        assert before is Status.COMPENSATING
        undone = [c.arguments for c in harness.calls if c.name == "slow.unbounded_thread"]
        assert undone == [{"what": "print", "result": None}]


async def test_past_settle_the_execution_is_an_incident_that_names_the_call() -> None:
    async with Harness(services=services()) as harness:
        hold = harness.hang(thread)
        execution = await harness.start(beside_a_thread, id="one")
        await harness.advance(seconds=29)
        before = (await described(harness)).status
        await harness.advance(seconds=2)
        after = await described(harness)
        hold.release()

        assert before is Status.COMPENSATING
        assert after.status is Status.INCIDENT
        assert [(one.cause, one.call) for one in after.incidents] == [("settle", 2)]
        assert "slow.thread (call 2)" in str(after.incident)
        await failed(harness, execution)


async def test_asking_for_a_retry_before_settle_has_passed_raises_no_incident() -> None:
    async with Harness(services=services()) as harness:
        hold = harness.hang(thread)
        execution = await harness.start(beside_a_thread, id="one")
        await harness.advance(seconds=20)
        await execution.retry()
        status = (await described(harness)).status
        hold.release()

        assert status is Status.COMPENSATING
        await failed(harness, execution)


async def test_settle_is_a_setting() -> None:
    async with Harness(services=services(), settle=timedelta(seconds=3)) as harness:
        hold = harness.hang(thread)
        execution = await harness.start(beside_a_thread, id="one")
        await harness.advance(seconds=4)

        assert (await described(harness)).status is Status.INCIDENT
        hold.release()
        await failed(harness, execution)


async def test_settle_incident_ends_by_itself_when_the_call_ends() -> None:
    async with Harness(services=services()) as harness:
        hold = harness.hang(thread)
        execution = await harness.start(beside_a_thread, id="one")
        await harness.advance(seconds=40)
        hold.release()

        error = await failed(harness, execution)
        assert error.status == "compensated"
        assert "incident-resolved" in await types(harness)
        assert did(harness) == ["base"]


async def test_settle_incident_is_resolved_by_a_person_who_knows_the_outcome() -> None:
    async with Harness(services=services()) as harness:
        harness.hang(thread)
        execution = await harness.start(beside_a_thread, id="one")
        await harness.advance(seconds=40)
        await execution.resolve(2, result="seen on paper", actor="ann", reason="looked")

        error = await failed(harness, execution)
        (word,) = [e for e in await execution.journal() if e.type == "resolved"]
        assert (word.data["actor"], word.data["reason"]) == ("ann", "looked")
        assert error.status == "compensated"
        assert [c.arguments for c in harness.calls if c.name == "slow.unthread"] == [
            {"what": "print", "result": "seen on paper"}
        ]


async def test_settle_incident_is_resolved_as_not_having_happened() -> None:
    async with Harness(services=services()) as harness:
        harness.hang(thread)
        execution = await harness.start(beside_a_thread, id="one")
        await harness.advance(seconds=40)
        await execution.resolve(2, error=ValueError("the printer was off"))

        await failed(harness, execution)
        assert [c.name for c in harness.calls][-1] == "desk.undo"
        assert "slow.unthread" not in [c.name for c in harness.calls]


async def test_call_in_flight_is_not_resolved_before_settle_has_passed() -> None:
    async with Harness(services=services()) as harness:
        hold = harness.hang(thread)
        execution = await harness.start(beside_a_thread, id="one")

        with pytest.raises(ExecutionRefusedError, match="under way"):
            await execution.resolve(2, done=True)
        hold.release()
        await failed(harness, execution)


async def test_every_call_that_does_not_end_is_named() -> None:
    async with Harness(services=services()) as harness:
        harness.replace(look, lambda what: deaf(harness, what, timedelta(seconds=50)))
        execution = await harness.start(beside_a_look, id="one")
        await harness.advance(seconds=31)

        incidents = (await described(harness)).incidents
        assert [(one.cause, one.call) for one in incidents] == [("settle", 2), ("settle", 3)]
        for call in (2, 3):
            await execution.resolve(call, result="seen")
        error = await failed(harness, execution)
        assert error.status == "compensated"


async def test_waiting_for_a_call_to_settle_survives_a_restart() -> None:
    async with Harness(services=services()) as harness:
        harness.hang(thread)
        execution = await harness.start(beside_a_thread, id="one")
        await harness.advance(seconds=40)
        await harness.crash()
        await harness.restart()

        error = await failed(harness, harness.execution("one"))
        assert error.status == "compensated"
        assert [c.arguments for c in harness.calls if c.name == "slow.unthread"] == [
            {"what": "print", "result": None}
        ]
        assert execution.id == "one"


@slow.saga
async def child_that_stays() -> None:
    """Ends only when somebody says so, whoever cancels it."""
    while True:
        try:
            await workflow.signal("end")
        except asyncio.CancelledError:
            continue
        return


@slow.saga
async def beside_a_deaf_child() -> None:
    await do("base")
    await asyncio.gather(child_that_stays(), refuse("no"))


async def test_saga_waits_for_a_child_in_flight_as_for_any_call() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(beside_a_deaf_child, id="one")
        await harness.advance(seconds=10)
        before = undid(harness), await waits(harness)
        await harness.execution("one/2").signal("end")

        error = await failed(harness, execution)
        assert before == ([], ["the child one/2 (call 2) to end"])
        assert error.status == "compensated"
        assert undid(harness) == ["base"]


async def test_past_settle_a_child_that_does_not_end_is_named_too() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(beside_a_deaf_child, id="one")
        await harness.advance(seconds=31)
        named = [(one.cause, one.call) for one in (await described(harness)).incidents]
        await harness.execution("one/2").signal("end")

        await failed(harness, execution)
        assert named == [("settle", 2)]
