"""DESIGN 3.1, `continue_as_new`: no run and no signal is lost, wherever nodes die."""

from datetime import timedelta
from typing import Any

import pytest
from tests.design.services_undoing import (
    COMMITS_MAX,
    CRASHES,
    described,
    desk,
    ends,
    look,
)

from counterpoint import (
    ExecutionRefusedError,
    NodeStoppedError,
    Service,
    workflow,
)
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

loop = Service("loop")


@loop.workflow
async def counts(left: int, total: int) -> int:
    if left:
        await look(str(left))
        workflow.continue_as_new(left - 1, total + left)
    return total


@loop.workflow
async def listens(heard: list[int], until: int) -> list[int]:
    """Works, reads one signal a run, and takes the rest along."""
    await look("work")
    heard = [*heard, await workflow.signal("say", int)]
    if len(heard) < until:
        workflow.continue_as_new(heard, until)
    return heard


def services() -> list[Service]:
    return [desk, loop]


async def test_signals_that_came_while_it_worked_go_with_it_before_those_that_come_later() -> None:
    async with Harness(services=services()) as harness:
        harness.delay(look, timedelta(seconds=10))
        execution = await harness.start(listens, [], 5, id="one")
        for said in (0, 1, 2):
            await execution.signal("say", said)
        await harness.settle()
        before = (await described(harness)).unread_signals
        await harness.advance(seconds=11)
        carried = await described(harness)
        for said in (3, 4):
            await execution.signal("say", said)

        assert list(before) == ["say"] * 3
        assert (carried.run, list(carried.unread_signals)) == (2, ["say"] * 2)
        assert await harness.result(execution) == [0, 1, 2, 3, 4]


async def test_signals_of_other_names_go_with_it_too() -> None:
    async with Harness(services=services()) as harness:
        harness.delay(look, timedelta(seconds=10))
        execution = await harness.start(listens, [], 2, id="one")
        await execution.signal("other", "kept")
        await execution.signal("say", 0)
        await harness.advance(seconds=11)

        found = await described(harness)
        assert (found.run, list(found.unread_signals)) == (2, ["other"])


# ---- a crash at every commit ------------------------------------------------------------------


@pytest.mark.parametrize("when", CRASHES)
async def test_runs_follow_one_another_across_a_crash_at_every_commit(when: When) -> None:
    for commit in range(1, COMMITS_MAX):
        async with Harness(services=services()) as harness:
            harness.crash_at_commit(commit, when=when)
            before = harness.store.commits
            result = await ends(harness, counts, 4, 0)
            crashed = harness.store.commits - before >= commit

            assert result == 10, (commit, when)
            runs = [e.run async for e in harness.app.executions()]
            assert runs == [5, 4, 3, 2, 1], (commit, when)
            keys = {call.idempotency_key for call in harness.calls}
            assert keys == {f"one/{run}/1" for run in range(1, 5)}, (commit, when)
        if not crashed:
            assert commit > 8
            return
    raise AssertionError("it takes more commits than were tried")


@pytest.mark.parametrize("seconds", [0, 5], ids=["idle", "at work"])
@pytest.mark.parametrize("when", CRASHES)
async def test_no_signal_is_lost_in_the_moment_of_continuing_wherever_the_node_dies(
    when: When, seconds: int
) -> None:
    """Signals are posted while runs end and begin; each that was acknowledged arrives once."""
    count = 5
    for commit in range(1, COMMITS_MAX):
        async with Harness(services=services()) as harness:
            if seconds:
                harness.delay(look, timedelta(seconds=seconds))
            execution = await harness.start(listens, [], count, id="one")
            before = harness.store.commits
            harness.crash_at_commit(commit, when=when)
            for said in range(count):
                await acknowledged(harness, said)
            heard = await ended(harness, execution)
            crashed = harness.store.commits - before >= commit

            # One whose post was cut off is posted again: it may arrive twice, and never not.
            assert heard == sorted(heard), (commit, when)
            assert set(range(heard[-1] + 1)) == set(heard), (commit, when)
        if not crashed:
            assert commit > 6
            return
    raise AssertionError("it takes more commits than were tried")


async def acknowledged(harness: Harness, said: int) -> None:
    """Signal until the signal is acknowledged; do not wait until it is taken over."""
    while True:
        try:
            return await harness.execution("one").signal("say", said)
        except NodeStoppedError:
            await harness.settle()
            await harness.restart()
        except ExecutionRefusedError:  # posted twice, it has heard enough
            return None


async def ended(harness: Harness, execution: Any) -> Any:
    while True:
        try:
            return await harness.result(execution)
        except NodeStoppedError:
            await harness.restart()
