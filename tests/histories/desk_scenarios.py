"""Scenarios of what asyncio and the engine offer to a workflow, and of calls that end oddly."""

import asyncio
from datetime import timedelta
from typing import Any

import tests.histories.desk as d
from tests.histories.recording import DOWN, SERVICES, ended, scenario

from counterpoint import Execution, NotDone, RetryAfter, Service
from counterpoint.testing import Harness


@scenario
async def constructs(harness: Harness) -> None:
    harness.delay(d.ponder, timedelta(seconds=10))
    for workflow in (
        d.waits_for_the_first,
        d.waits_so_long,
        d.takes_each_as_it_comes,
        d.shields,
        d.gathers_errors,
        d.groups,
        d.is_too_slow,
        d.takes_turns,
        d.leaves_a_task,
        d.looks_around,
    ):
        await harness.start(workflow, id=workflow.name.partition(".")[2])
        await harness.advance(minutes=5)
    await harness.start(d.takes_turns, id="waits-for-its-turn")


@scenario
async def odd_attempts(harness: Harness) -> None:
    """An attempt that says when to come back, one that takes too long, one that did nothing."""
    harness.fail(d.ask, RetryAfter(timedelta(minutes=2)), times=1)
    await harness.start(d.leaves_a_task, id="came-back")
    await harness.advance(minutes=3)
    harness.hang(d.ask, times=1)
    await harness.start(d.leaves_a_task, id="took-too-long")
    await harness.advance(minutes=6)
    harness.fail(d.sign, NotDone(), times=1)
    await harness.start(d.signs, id="not-done-at-first")
    await harness.advance(minutes=1)
    harness.fail(d.sign, NotDone(), times=None)
    await ended(harness, d.signs, id="never-done")
    harness.fail(d.ask, DOWN, times=None)
    await ended(harness, d.gathers_errors, id="out-of-attempts")


@scenario
async def ends_of_code(harness: Harness) -> None:
    """A defect, a child's defect, a cancel that is cleaned up after."""
    await ended(harness, d.breaks, id="breaks")
    await ended(harness, d.has_a_child_that_breaks, id="has-a-child-that-breaks")
    await harness.start(d.cleans_up, id="cleans-up")
    await harness.execution("cleans-up").cancel(actor="ann", reason="closing time")
    await harness.settle()


@scenario
async def counted(harness: Harness) -> None:
    """Runs that follow one another past a pivot, and a compensation that is told the error."""
    await harness.run(d.counts, 0, id="counts")
    await ended(harness, d.lends, "pen", id="lends")
    harness.fail(d.lend, DOWN, times=None)
    await ended(harness, d.lends, "ink", id="lends-perhaps")


@scenario
async def does_not_settle(harness: Harness) -> None:
    """Undoing waits for a thread; a person asks again, and then the thread returns."""
    d.released.clear()
    execution = await harness.app.start(d.files, "form", id="files")
    await until(execution, "compensating")
    for act in (True, False):
        harness.clock.move_to(harness.clock.now() + 30_000_000)
        await until(execution, "incident")
        if act:
            await execution.retry(actor="ann", reason="it is on its way")
            await until(execution, "compensating")
    d.released.set()
    await harness.idle()


@scenario
async def lost_compensation(harness: Harness) -> None:
    """What was decided to be undone by an activity that is gone, and then there again."""
    harness.hang("desk.take_back")
    await harness.start(d.lends, "pen", id="gone-and-back")
    without = Service("desk")
    without.activities["desk.ask"] = d.ask

    @without.activity(name="desk.lend")
    async def lend(name: str) -> str:
        return name

    @without.saga(name="desk.lends")
    async def lends(name: str) -> None:
        await lend(name)
        await d.ask("closed")

    await harness.restart(services=[*SERVICES[:-1], without])
    harness.restore()
    await harness.restart(services=SERVICES)
    await harness.idle()


async def until(execution: Execution[Any], status: str) -> None:
    """Let the app run until the execution has the status; virtual time stands still."""
    async with asyncio.timeout(30):
        while (await execution.describe()).status != status:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
