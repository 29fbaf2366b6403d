"""`def` activities that hang past their timeout: their threads are lost, and nothing else."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from counterpoint import App, ExecutionFailed, Retry, Service
from counterpoint.testing import VirtualClock

ONCE = Retry(max_attempts=1)
mill = Service("mill")
gate = threading.Event()
ran: list[str] = []


@mill.activity(retry=ONCE, timeout=timedelta(milliseconds=250))
def hang(name: str) -> None:
    ran.append(name)
    gate.wait(60)


@mill.activity(retry=ONCE, timeout=timedelta(milliseconds=250))
def grind(name: str) -> str:
    ran.append(name)
    return f"{name} is ground"


@mill.activity
async def look(name: str) -> str:
    return f"{name} is seen"


@mill.workflow
async def hanging(name: str) -> None:
    await hang(name)


@mill.workflow
async def grinding(name: str) -> str:
    return await grind(name)


@mill.workflow
async def looking(name: str) -> str:
    return await look(name)


@pytest.fixture(autouse=True)
def open_gate() -> Iterator[None]:
    gate.clear()
    ran.clear()
    yield
    gate.set()


def make_app(threads_max: int) -> App:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    return App("mill", services=[mill], store="memory:", threads_max=threads_max, clock=clock)


async def let_time_out(app: App, name: str) -> None:
    """Let the time of an attempt pass once its thread hangs; a slow machine lets none pass."""
    async with asyncio.timeout(30):
        while name not in ran:  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(0.001)
    clock = app.node.clock
    assert isinstance(clock, VirtualClock)
    clock.move_to(clock.now() + 250_000)


async def lose_thread(app: App, name: str) -> None:
    execution = await app.start(hanging, name)
    await let_time_out(app, name)
    with pytest.raises(ExecutionFailed, match=r"took longer than 0\.25 s"):
        await execution.result(timeout=30)


async def test_thread_that_hangs_is_counted_as_lost_and_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with make_app(2) as app:
        await lose_thread(app, "a")
        health = app.health()
        ground = await app.run(grinding, "b", timeout=30)
        gate.set()

    assert health.threads_lost == 1
    assert health.problems == ("1 threads hang in `def` activities that timed out",)
    assert ground == "b is ground"
    assert "mill.hang goes on in its thread after its attempt ended: 1 of 2" in caplog.text


async def test_node_without_threads_says_so_goes_on_with_async_work_and_resumes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with make_app(1) as app:
        await lose_thread(app, "a")
        queued = [await app.start(grinding, name, id=name) for name in ("b", "c")]
        seen = await app.run(looking, "d", timeout=30)
        health = app.health()
        ran_before = list(ran)
        gate.set()
        ground = [await execution.result(timeout=30) for execution in queued]
        healed = app.health()

    assert seen == "d is seen"
    assert ran_before == ["a"]
    assert health.accepting
    assert health.waiting == 2
    assert "all 1 threads hang" in health.problems[0]
    assert "all 1 threads hang in `def` activities that timed out" in caplog.text
    assert ground == ["b is ground", "c is ground"]
    assert "a thread has returned" in caplog.text
    assert healed.problems == ()
    assert healed.threads_lost == 0


async def test_timeout_of_an_attempt_begins_when_it_has_a_thread() -> None:
    async with make_app(1) as app:
        hanging_one = await app.start(hanging, "a", id="a")
        queued = [await app.start(grinding, name, id=name) for name in ("b", "c")]
        await let_time_out(app, "a")
        with pytest.raises(ExecutionFailed):
            await hanging_one.result(timeout=30)
        lost = app.health().threads_lost
        gate.set()
        ground = [await execution.result(timeout=30) for execution in queued]

    assert lost == 1
    assert ground == ["b is ground", "c is ground"]
    assert ran == ["a", "b", "c"]


async def test_cancelled_call_that_waited_for_a_thread_never_runs_and_stops_nobody() -> None:
    async with make_app(1) as app:
        await lose_thread(app, "a")
        queued = await app.start(grinding, "b", id="b")
        await app.start(looking, "x", id="x")
        await queued.cancel()
        with pytest.raises(ExecutionFailed, match="cancelled"):
            await queued.result(timeout=30)
        gate.set()
        ground = await app.run(grinding, "c", timeout=30)

    assert ground == "c is ground"
    assert ran == ["a", "c"]
