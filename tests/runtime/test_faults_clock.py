"""A clock that is set back or jumps ahead: nothing stops, nothing is lost, nothing comes early."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from counterpoint import App, Service, workflow
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing.clock import VirtualClock

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECONDS = 30
desk = Service("desk")
runs: list[str] = []
begun = asyncio.Event()


@desk.activity
async def note(name: str) -> str:
    runs.append(name)
    if runs == ["slow"]:
        begun.set()
        await asyncio.Future()
    return name


@desk.workflow
async def noting(name: str) -> str:
    return await note(name)


@desk.workflow
async def sleeping(hours: int) -> str:
    await workflow.sleep(3_600 * hours)
    return "awake"


def make_app(store: MemoryStore, at: datetime) -> tuple[App, VirtualClock]:
    clock = VirtualClock(at)
    return App("desk", services=[desk], store=store, clock=clock), clock


async def test_interrupted_call_begins_again_although_the_clock_was_set_back_before_the_restart(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs.clear()
    begun.clear()
    store = MemoryStore()
    app, _ = make_app(store, NOON)
    async with app:
        await app.start(noting, "slow", id="slow")
        await asyncio.wait_for(begun.wait(), SECONDS)
        await app.node.crash()

    again, _ = make_app(store, NOON - HOUR)
    async with again:
        assert await again.execution("slow").result(timeout=SECONDS) == "slow"
        entries = await again.execution("slow").journal()

    times = [entry.at for entry in entries if entry.at is not None]
    assert times == sorted(times)
    assert times[0] >= NOON
    assert "the clock is 3600 s behind the newest execution" in caplog.text


async def test_timer_fires_at_its_time_although_the_clock_was_set_back_before_the_restart() -> None:
    store = MemoryStore()
    app, _ = make_app(store, NOON)
    async with app:
        await app.start(sleeping, 1, id="one")

    again, clock = make_app(store, NOON - HOUR)
    async with again:
        execution = again.execution("one")
        assert await again.run(noting, "meanwhile", timeout=SECONDS) == "meanwhile"
        assert (await execution.describe()).timers == [NOON + HOUR]
        clock.move_to(clock.now() + HOUR // timedelta(microseconds=1))
        await again.idle(timeout=SECONDS)
        status = (await execution.describe()).status
        clock.move_to(clock.now() + HOUR // timedelta(microseconds=1))

        assert status == "running"
        assert await execution.result(timeout=SECONDS) == "awake"


async def test_timers_that_a_forward_jump_has_passed_fire_in_the_order_of_their_times() -> None:
    store = MemoryStore()
    app, clock = make_app(store, NOON)
    async with app:
        late = await app.start(sleeping, 5, id="late")
        early = await app.start(sleeping, 1, id="early")
        await app.idle(timeout=SECONDS)
        clock.move_to(clock.now() + 6 * HOUR // timedelta(microseconds=1))

        assert await early.result(timeout=SECONDS) == "awake"
        assert await late.result(timeout=SECONDS) == "awake"
