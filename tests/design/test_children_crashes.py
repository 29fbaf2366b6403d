"""DESIGN 3.1, "Children", where nodes die, memory is short, children are many and time passes."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.design.services_undoing import (
    COMMITS_MAX,
    CRASHES,
    Refused,
    described,
    desk,
    did,
    do,
    ends,
    failed,
    keys,
    refuse,
    types,
    undid,
)

from counterpoint import ExecutionFailed, ExecutionNotFoundError, Service, workflow
from counterpoint.model.states import Status
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

family = Service("family")


@family.saga
async def leg(what: str) -> str:
    await do(what)
    return what


@family.saga
async def refused_leg(what: str) -> str:
    await do(what)
    await refuse("closed")
    return what


@family.saga
async def own(what: str) -> str:
    return await do(what)


@own.compensation
async def own_back(what: str, result: str | None) -> None: ...


@family.saga
async def pivoted(what: str) -> str:
    await do(what)
    workflow.pivot()
    return what


@family.saga
async def middle(what: str) -> str:
    return await leg(what)


@family.saga
async def succeeds() -> list[str]:
    await do("a")
    both = await asyncio.gather(leg("b"), middle("c"))
    return [*both, await workflow.child(leg, "d", id="named")]


@family.saga
async def fails_in_a_grandchild() -> None:
    await do("a")
    await middle("b")
    await refused_leg("c")


@family.saga
async def fails_with_all_kinds() -> None:
    await do("a")
    await own("b")
    await pivoted("c")
    await middle("d")
    await refuse("closed")


@family.workflow
async def catches_in_a_plain_one() -> str:
    try:
        await refused_leg("a")
    except Refused:
        return await leg("b")
    return "not refused"


@family.saga
async def fans_out(count: int) -> int:
    return len(await asyncio.gather(*(leg(str(number)) for number in range(count))))


@family.saga
async def fans_out_and_fails(count: int) -> None:
    await asyncio.gather(*(leg(str(number)) for number in range(count)))
    await refuse("closed")


@family.saga
async def waits_long(what: str) -> str:
    await do(what)
    await asyncio.sleep(3600)
    return what


@family.saga
async def parent_of_long() -> str:
    return await waits_long("a")


@family.saga
async def child_then_long() -> str:
    await leg("a")
    await asyncio.sleep(timedelta(days=100).total_seconds())
    return "after all"


@family.saga
async def child_then_long_and_fails() -> str:
    await leg("a")
    await asyncio.sleep(timedelta(days=100).total_seconds())
    raise ValueError("after all")


def services() -> list[Service]:
    return [desk, family]


async def crashed_at(
    program: Any, commit: int, when: When
) -> tuple[bool, Harness, Any, dict[str, list[str]]]:
    """Run a workflow on a node that dies at a commit; return its end and all journals' types."""
    async with Harness(services=services()) as harness:
        harness.crash_at_commit(commit, when=when)
        before = harness.store.commits
        outcome = await ends(harness, program)
        await harness.settle()
        crashed = harness.store.commits - before >= commit
        journals = {e.id: await types(harness, e.id) async for e in harness.app.executions()}
        live = [e.id async for e in harness.app.executions() if e.status.live]
        assert live == [], (commit, when)
    return crashed, harness, outcome, journals


def check_keys(harness: Harness, whats: str, at: tuple[int, When]) -> None:
    for what in whats:
        assert len(keys(harness, "desk.do", what)) <= 1, (at, what)
        assert len(keys(harness, "desk.undo", what)) <= 1, (at, what)


@pytest.mark.parametrize("when", CRASHES)
async def test_children_succeed_across_a_crash_at_every_commit(when: When) -> None:
    for commit in range(1, COMMITS_MAX):
        crashed, harness, result, journals = await crashed_at(succeeds, commit, when)

        assert result == ["b", "c", "d"], (commit, when)
        assert sorted(journals) == ["named", "one", "one/2", "one/3", "one/3/1"]
        assert sorted(did(harness)) == list("abcd")
        assert undid(harness) == []
        check_keys(harness, "abcd", (commit, when))
        if not crashed:
            assert commit > 10
            return
    raise AssertionError("it takes more commits than were tried")


@pytest.mark.parametrize("when", CRASHES)
async def test_failing_child_undoes_all_across_a_crash_at_every_commit(when: When) -> None:
    for commit in range(1, COMMITS_MAX):
        crashed, harness, error, journals = await crashed_at(fails_in_a_grandchild, commit, when)

        assert isinstance(error, ExecutionFailed), (commit, when)
        assert isinstance(error.error, Refused), (commit, when)
        assert undid(harness) == ["c", "b", "a"], (commit, when)
        assert all(said.count("ended") <= 2 for said in journals.values())
        check_keys(harness, "abc", (commit, when))
        if not crashed:
            assert commit > 10
            return
    raise AssertionError("it takes more commits than were tried")


@pytest.mark.parametrize("when", CRASHES)
async def test_pivot_and_own_compensation_hold_across_a_crash_at_every_commit(when: When) -> None:
    for commit in range(1, COMMITS_MAX):
        crashed, harness, error, journals = await crashed_at(fails_with_all_kinds, commit, when)

        assert error.status == "compensated", (commit, when)
        assert undid(harness) == ["d", "a"], (commit, when)
        assert journals["one"].count("stays") == 1, (commit, when)
        doubt = any(call.name == "desk.unrefuse" for call in harness.calls)
        assert journals["one"].count("compensated") == 3 + doubt, (commit, when)
        if not crashed:
            assert commit > 10
            return
    raise AssertionError("it takes more commits than were tried")


@pytest.mark.parametrize("when", CRASHES)
async def test_plain_parent_goes_on_across_a_crash_at_every_commit(when: When) -> None:
    for commit in range(1, COMMITS_MAX):
        crashed, harness, result, _ = await crashed_at(catches_in_a_plain_one, commit, when)

        assert result == "b", (commit, when)
        assert (did(harness), undid(harness)) == (["a", "b"], ["a"]), (commit, when)
        if not crashed:
            assert commit > 8
            return
    raise AssertionError("it takes more commits than were tried")


# ---- cancelled and terminated parents ---------------------------------------------------------


@pytest.mark.parametrize("when", CRASHES)
@pytest.mark.parametrize("act", ["cancel", "terminate"])
async def test_act_on_a_parent_reaches_its_child_across_a_crash_at_every_commit(
    act: str, when: When
) -> None:
    for commit in range(1, COMMITS_MAX):
        async with Harness(services=services()) as harness:
            execution = await harness.start(parent_of_long, id="one")
            before = harness.store.commits
            harness.crash_at_commit(commit, when=when)
            asking = asyncio.ensure_future(
                execution.cancel() if act == "cancel" else execution.terminate()
            )
            await harness.settle()
            crashed = harness.store.commits - before >= commit
            acted = not isinstance(
                (await asyncio.gather(asking, return_exceptions=True))[0], Exception
            )
            if crashed:
                await harness.restart()
            if not acted:  # it was not acknowledged: it may have happened or not
                with_one = await described(harness)
                if with_one.status.live:
                    await (execution.cancel() if act == "cancel" else execution.terminate())
            await harness.settle()
            found = [(await described(harness, id)).status for id in ("one", "one/1")]

            ended = Status.CANCELLED if act == "cancel" else Status.TERMINATED
            assert found == [ended, ended], (commit, when)
            assert undid(harness) == (["a"] if act == "cancel" else []), (commit, when)
        if not crashed:
            return
    raise AssertionError("it takes more commits than were tried")


# ---- many, evicted, kept ----------------------------------------------------------------------


async def test_two_hundred_children_of_a_gather_end() -> None:
    async with Harness(services=services(), rehearse=False) as harness:
        assert await harness.run(fans_out, 200, id="one") == 200

        assert len(set(did(harness))) == 200
        assert harness.store.commits < 40


async def test_two_hundred_children_are_undone_newest_first() -> None:
    async with Harness(services=services(), rehearse=False) as harness:
        error = await failed(harness, await harness.start(fans_out_and_fails, 200))

        assert error.status == "compensated"
        assert undid(harness) == [str(number) for number in range(199, -1, -1)]


async def test_more_children_than_fit_in_memory_end() -> None:
    async with Harness(services=services(), max_resident=5, rehearse=False) as harness:
        assert await harness.run(fans_out, 60, id="one") == 60


async def test_waiting_parent_is_evicted_and_comes_back_with_its_childs_result() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(parent_of_long, id="one")
        await harness.evict()
        residents = list(harness.app.node.residents)

        assert await harness.result(execution) == "a"
        assert residents == []
        assert did(harness) == ["a"]


async def test_evicted_parent_is_undone_with_its_child() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(parent_of_long, id="one")
        await harness.evict()
        await execution.cancel()

        error = await failed(harness, execution)
        assert error.status == "cancelled"
        assert undid(harness) == ["a"]


async def test_finished_child_is_kept_while_its_root_runs_and_undone_long_after() -> None:
    async with Harness(services=services(), keep_finished=timedelta(days=10)) as harness:
        execution = await harness.start(child_then_long_and_fails, id="one")
        await harness.advance(days=50)
        await harness.app.node.maintenance.clean_up()
        kept = (await described(harness, "one/1")).status

        error = await failed(harness, execution)
        assert kept is Status.COMPLETED
        assert error.status == "compensated"
        assert undid(harness) == ["a"]


async def test_finished_child_is_deleted_once_its_root_is_old_enough_too() -> None:
    async with Harness(services=services(), keep_finished=timedelta(days=10)) as harness:
        execution = await harness.start(child_then_long, id="one")
        await harness.result(execution)
        await harness.advance(days=11)
        await harness.app.node.maintenance.clean_up()

        for id in ("one", "one/1"):
            with pytest.raises(ExecutionNotFoundError):
                await harness.execution(id).describe()
