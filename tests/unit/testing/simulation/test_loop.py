"""The event loop on virtual time, and the clocks on it."""

import asyncio
import functools
from datetime import timedelta

import pytest

from counterpoint.testing.simulation.loop import NothingHappensError, SimulatedClock, VirtualLoop

HOUR = 3_600_000_000


@pytest.fixture
def loop() -> VirtualLoop:
    return VirtualLoop()


def test_a_year_of_sleep_takes_no_time(loop: VirtualLoop) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(asyncio.sleep(365 * 86_400))

        assert loop.time() == 365 * 86_400


def test_what_would_run_in_a_thread_runs_at_once(loop: VirtualLoop) -> None:
    async def both() -> tuple[int | BaseException, int | BaseException]:
        done = asyncio.to_thread(int, "5")
        failed = asyncio.to_thread(int, "five")
        return await asyncio.gather(done, failed, return_exceptions=True)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        five, error = runner.run(both())

    assert five == 5
    assert isinstance(error, ValueError)


def test_waiting_for_what_never_comes_is_an_error(loop: VirtualLoop) -> None:
    with (
        pytest.raises(NothingHappensError, match="nothing will ever happen"),
        asyncio.Runner(loop_factory=lambda: loop) as runner,
    ):
        runner.run(asyncio.Event().wait())


def test_running_in_circles_is_an_error(loop: VirtualLoop) -> None:
    async def circles() -> None:
        while True:  # noqa: ASYNC110 - that is the point
            await asyncio.sleep(0)

    with (
        pytest.raises(NothingHappensError, match="runs in circles"),
        asyncio.Runner(loop_factory=lambda: loop) as runner,
    ):
        runner.run(circles())


def test_alarms_ring_at_the_time_that_the_clock_shows(loop: VirtualLoop) -> None:
    async def run() -> list[tuple[str, float]]:
        clock, rang = SimulatedClock(loop), list[tuple[str, float]]()

        def ring(name: str) -> None:
            rang.append((name, loop.time()))

        now = clock.now()
        for name, at in (("two", 2), ("one", 1), ("past", -1)):
            clock.call_at(now + at * HOUR, functools.partial(ring, name))
        clock.call_at(now + HOUR, functools.partial(ring, "cancelled")).cancel()
        assert clock.next_alarm() == now - HOUR
        await asyncio.sleep(1800)
        clock.set_by(timedelta(hours=1))
        await asyncio.sleep(3600)
        assert clock.next_alarm() is None
        return rang

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(run()) == [("past", 0.0), ("one", 1800.0), ("two", 3600.0)]
