"""DESIGN 3.1, "pivot": past it nothing is undone, and the saga goes forward with or without a
person."""

import asyncio
from datetime import timedelta

import pytest
from tests.design.services_undoing import (
    COMMITS_MAX,
    CRASHES,
    STEADY,
    Refused,
    clear,
    described,
    desk,
    did,
    do,
    ends,
    failed,
    refuse,
    types,
    undid,
)

from counterpoint import (
    ExecutionFailed,
    ExecutionRefusedError,
    Service,
    WorkflowRefusedError,
    workflow,
)
from counterpoint.model.states import Status
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

ship = Service("ship")
GONE = ConnectionError("no route")


@ship.activity(retry=STEADY, timeout=timedelta(seconds=30))
async def send(what: str) -> str:
    return f"{what} sent"


@ship.saga
async def passes() -> str:
    await do("a")
    workflow.pivot()
    return await send("b")


@ship.saga
async def passes_and_pauses() -> str:
    await do("a")
    workflow.pivot()
    word = await workflow.signal("word", str)
    return f"{word}, {await send('b')}"


@ship.saga
async def passes_and_raises() -> str:
    await do("a")
    workflow.pivot()
    await send("b")
    if broken:
        raise KeyError("a defect")
    return "mended"


broken = [True]
"""Whether the code of `passes_and_raises` has its defect; emptied by a deployment."""


@ship.saga
async def passes_and_is_refused_uncaught() -> None:
    await do("a")
    workflow.pivot()
    await refuse("closed")


@ship.saga
async def passes_twice() -> str:
    await do("a")
    workflow.pivot()
    workflow.pivot()
    workflow.compensate_with(clear, "never")
    return await send("b")


@ship.saga
async def fails_before() -> None:
    await do("a")
    await refuse("closed")
    workflow.pivot()


@ship.saga(deadline=timedelta(minutes=5))
async def in_time_or_told() -> str:
    await do("a")
    workflow.pivot()
    await asyncio.sleep(3600)
    return await send("b")


@ship.saga(deadline=timedelta(minutes=5))
async def told_and_ended() -> str:
    workflow.pivot()
    await asyncio.sleep(400)
    return "late"


@ship.saga
async def child_that_passes(what: str) -> str:
    await do(what)
    workflow.pivot()
    return what


@ship.saga
async def parent_of_one_that_passes() -> None:
    await do("a")
    await child_that_passes("b")
    await refuse("closed")


@ship.saga
async def child_that_fails() -> None:
    await do("of the child")
    await refuse("closed")


@ship.saga
async def parent_that_passes() -> str:
    await do("a")
    workflow.pivot()
    try:
        await child_that_fails()
    except Refused:
        return "went on"
    return "not refused"


@ship.workflow
async def no_saga() -> None:
    workflow.pivot()


@ship.saga
async def long_way(word: str) -> str:
    """Fails past its pivot by a call, and then by its own code."""
    await do("a")
    workflow.pivot()
    await send("b")
    await asyncio.sleep(10)
    await send("c")
    return word


def services() -> list[Service]:
    return [desk, ship]


@pytest.fixture(autouse=True)
def _defective() -> None:
    broken[:] = [True]


def sent(harness: Harness) -> list[str]:
    return [call.arguments["what"] for call in harness.calls if call.name == "ship.send"]


async def test_saga_that_passes_its_pivot_completes_like_any_other() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(passes, id="one") == "b sent"

        assert (await described(harness)).pivot_passed
        assert undid(harness) == []


async def test_before_the_pivot_a_failing_saga_is_undone() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(fails_before, id="one"))

        assert error.status == "compensated"
        assert undid(harness) == ["a"]
        assert not (await described(harness)).pivot_passed


async def test_saying_it_again_changes_nothing() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(passes_twice, id="one") == "b sent"

        assert (await types(harness)).count("pivot") == 1


async def test_plain_workflow_has_no_pivot() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(no_saga))

        assert WorkflowRefusedError.__name__ in str(error)
        assert "@service.saga" in str(error)


# ---- an uncaught exception --------------------------------------------------------------------


async def test_uncaught_exception_is_an_incident_and_nothing_is_undone() -> None:
    async with Harness(services=services()) as harness:
        await harness.start(passes_and_raises, id="one")
        await harness.advance(hours=1)

        found = await described(harness)
        assert [(one.cause, one.call) for one in found.incidents] == [("past-pivot", None)]
        assert "a defect" in str(found.incident)
        assert undid(harness) == []


async def test_retry_of_an_uncaught_exception_goes_on_with_todays_code() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(passes_and_raises, id="one")
        broken.clear()
        await execution.retry()

        assert await harness.result(execution) == "mended"
        assert (did(harness), sent(harness)) == (["a"], ["b"])  # and nothing was done again


async def test_retry_on_code_that_fails_again_is_an_incident_again() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(passes_and_raises, id="one")
        await execution.retry()
        status = (await described(harness)).status
        broken.clear()
        await execution.retry()

        assert status is Status.INCIDENT
        assert await harness.result(execution) == "mended"


async def test_uncaught_business_error_is_an_incident_and_retry_calls_again() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(passes_and_is_refused_uncaught, id="one")
        status = (await described(harness)).status
        harness.replace(refuse, lambda why: None)
        await execution.retry()

        assert status is Status.INCIDENT
        await harness.result(execution)
        assert undid(harness) == []


async def test_incident_past_the_pivot_survives_a_restart() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(passes_and_raises, id="one")
        await harness.restart()
        status = (await described(harness)).status
        broken.clear()
        await execution.retry()

        assert status is Status.INCIDENT
        assert await harness.result(execution) == "mended"


# ---- a passed deadline ------------------------------------------------------------------------


async def test_deadline_that_passes_past_the_pivot_is_an_incident_and_the_code_goes_on() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(in_time_or_told, id="one")
        await harness.advance(minutes=6)
        found = await described(harness)
        await harness.advance(hours=1)

        assert [one.cause for one in found.incidents] == ["deadline"]
        assert found.status is Status.INCIDENT
        assert await harness.result(execution) == "b sent"
        assert undid(harness) == []


async def test_deadline_incident_is_over_when_the_code_is() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(told_and_ended, id="one")
        await harness.advance(seconds=401)

        assert await harness.result(execution) == "late"
        assert list((await described(harness)).incidents) == []
        assert (await types(harness)).count("incident-resolved") == 1


async def test_deadline_incident_can_be_acknowledged_by_retry_and_the_code_goes_on() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(in_time_or_told, id="one")
        await harness.advance(minutes=6)
        await execution.retry()
        status = (await described(harness)).status

        assert status is Status.RUNNING
        assert await harness.result(execution) == "b sent"


async def test_deadline_past_the_pivot_is_told_after_a_restart_too() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(in_time_or_told, id="one")
        await harness.stop()
        await harness.advance(minutes=6)
        await harness.restart()
        await harness.settle()
        found = await described(harness)
        await harness.advance(hours=1)

        assert [one.cause for one in found.incidents] == ["deadline"]
        assert await harness.result(execution) == "b sent"


# ---- cancel -----------------------------------------------------------------------------------


async def test_cancel_past_the_pivot_is_refused() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(passes_and_pauses, id="one")

        with pytest.raises(ExecutionRefusedError, match=r"passed its pivot.*only terminated"):
            await execution.cancel()
        await execution.signal("word", "go")
        assert await harness.result(execution) == "go, b sent"


async def test_cancel_that_was_posted_before_the_pivot_was_known_is_refused_in_the_journal() -> (
    None
):
    async with Harness(services=services()) as harness:
        hold = harness.hang(do)
        execution = await harness.start(passes_and_pauses, id="one")
        harness.store.hold_commits()
        hold.release()
        await harness.store.commit_held()  # the pivot has been passed, and is not written
        asking = asyncio.ensure_future(execution.cancel(actor="ann"))
        await asyncio.sleep(0)
        harness.store.release_commits()
        await asking
        await execution.signal("word", "go")

        assert await harness.result(execution) == "go, b sent"
        assert (await types(harness)).count("cancel-refused") == 1


# ---- it belongs to its own execution ----------------------------------------------------------


async def test_pivot_of_a_child_is_not_its_parents() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(parent_of_one_that_passes, id="one"))

        assert error.status == "compensated"
        assert undid(harness) == ["a"]
        assert not (await described(harness)).pivot_passed
        assert (await described(harness, "one/2")).pivot_passed


async def test_pivot_of_a_parent_is_not_its_childs() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(parent_that_passes, id="one") == "went on"

        assert undid(harness) == ["of the child"]
        assert (await described(harness, "one/2")).status is Status.COMPENSATED


# ---- crashes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("when", CRASHES)
async def test_saga_goes_forward_past_its_pivot_across_a_crash_at_every_commit(when: When) -> None:
    for commit in range(1, COMMITS_MAX):
        async with Harness(services=services()) as harness:
            harness.crash_at_commit(commit, when=when)
            before = harness.store.commits
            result = await ends(harness, long_way, "there")
            crashed = harness.store.commits - before >= commit

            assert result == "there", (commit, when)
            assert (did(harness), undid(harness)) == (["a"], []), (commit, when)
            assert list(dict.fromkeys(sent(harness))) == ["b", "c"], (commit, when)
            assert (await types(harness)).count("pivot") == 1
        if not crashed:
            assert commit > 4
            return
    raise AssertionError("it takes more commits than were tried")


async def test_terminating_past_the_pivot_is_possible() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(passes_and_pauses, id="one")
        await execution.terminate()

        with pytest.raises(ExecutionFailed, match="terminated"):
            await harness.result(execution)
        assert undid(harness) == []
