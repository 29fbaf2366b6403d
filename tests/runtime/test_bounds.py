"""How much runs at once and stays in memory, and that the rest gets its turn."""

import asyncio
from collections import Counter
from pathlib import Path

from counterpoint import Execution, Service, workflow
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing import Harness

service = Service("service")


@service.activity
async def work(number: int) -> int:
    return number


@service.activity(concurrency=2)
async def call_slow_provider(number: int) -> int:
    return number


@service.activity(concurrency=1)
def compute(number: int) -> int:
    return number


@service.workflow
async def free(number: int) -> int:
    return await work(number)


@service.workflow
async def limited(number: int) -> int:
    return await call_slow_provider(number)


@service.workflow
async def computing(number: int) -> int:
    return await compute(number)


@service.workflow
async def waiting(number: int) -> int:
    await work(number)
    return number + await workflow.signal("go", int)


@service.workflow
async def sleeping(number: int) -> int:
    for _ in range(3):
        await asyncio.sleep(60 + number)
        await work(number)
    return number


class Meter:
    """Counts how many attempts run at once while each takes a second."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.running = self.most = 0
        self.order: list[str] = []

    async def __call__(self, number: int) -> int:
        raise NotImplementedError

    async def measure(self, number: int) -> int:
        self.running += 1
        self.most = max(self.most, self.running)
        await self.harness.sleep(1)
        self.running -= 1
        return number


async def results(harness: Harness, executions: list[Execution[int]]) -> list[int]:
    return [await harness.result(execution) for execution in executions]


async def test_at_most_max_running_attempts_run_at_once() -> None:
    async with Harness(services=[service], max_running=3) as harness:
        meter = Meter(harness)
        harness.replace(work, meter.measure)
        executions = [await harness.start(free, number) for number in range(10)]
        health = harness.app.health()

        assert (health.running, health.waiting) == (3, 7)
        assert await results(harness, executions) == list(range(10))
        assert meter.most == 3
        assert (harness.now - harness.calls[0].at).total_seconds() == 4


async def test_at_most_concurrency_attempts_of_one_activity_run_at_once() -> None:
    async with Harness(services=[service]) as harness:
        meter = Meter(harness)
        harness.replace(call_slow_provider, meter.measure)
        executions = [await harness.start(limited, number) for number in range(10)]

        assert await results(harness, executions) == list(range(10))
        assert meter.most == 2


async def test_concurrency_bounds_threads_too() -> None:
    async with Harness(services=[service]) as harness:
        hold = harness.hang(compute, times=None)
        executions = [await harness.start(computing, number) for number in range(3)]
        waiting_first = hold.waiting
        hold.release()

        assert await results(harness, executions) == [0, 1, 2]
        assert waiting_first == 1


async def test_full_activity_does_not_keep_others_from_running() -> None:
    async with Harness(services=[service], max_running=10) as harness:
        harness.hang(call_slow_provider, times=None)
        for number in range(50):
            await harness.start(limited, number)

        assert await harness.run(free, 1) == 1


async def test_attempts_of_different_activities_take_turns() -> None:
    async with Harness(services=[service], max_running=1) as harness:
        hold = harness.hang(work)
        first = await harness.start(free, 0)
        for number in range(5):
            await harness.start(free, number)
        for number in range(5):
            await harness.start(limited, number)
        hold.release()
        await harness.result(first)
        await harness.settle()

        assert [call.name for call in harness.calls[1:9]] == [
            "service.work",
            "service.call_slow_provider",
        ] * 4


async def test_attempts_of_one_activity_begin_in_order() -> None:
    async with Harness(services=[service], max_running=1) as harness:
        for number in range(10):
            await harness.start(free, number)
        await harness.settle()

        assert [call.arguments["number"] for call in harness.calls] == list(range(10))


async def test_waiting_executions_beyond_max_resident_are_evicted() -> None:
    async with Harness(services=[service], max_resident=5) as harness:
        executions = [await harness.start(waiting, number) for number in range(30)]
        resident = harness.app.health().resident
        for execution in executions:
            await execution.signal("go", 100)

        assert resident <= 5
        assert await results(harness, executions) == [100 + number for number in range(30)]
        assert Counter(call.arguments["number"] for call in harness.calls) == Counter(range(30))


async def test_sleeping_executions_beyond_max_resident_wake_at_their_times() -> None:
    async with Harness(services=[service], max_resident=4) as harness:
        executions = [await harness.start(sleeping, number) for number in range(20)]

        assert await results(harness, executions) == list(range(20))
        assert len(harness.calls) == 60


async def test_backlog_beyond_max_resident_drains_in_order() -> None:
    async with Harness(services=[service], max_resident=4) as harness:
        hold = harness.hang(work, times=4)
        executions = [
            await harness.app.start(free, number, id=f"n-{number:03}") for number in range(40)
        ]
        await harness.settle()
        health = harness.app.health()
        hold.release()

        assert (health.resident, health.running) == (4, 4)
        assert await results(harness, executions) == list(range(40))
        assert [call.arguments["number"] for call in harness.calls] == list(range(40))


async def test_backlog_drains_after_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "service.db")
    async with Harness(services=[service], store=store, max_resident=4) as harness:
        harness.hang(work, times=4)
        executions = [await harness.app.start(free, number) for number in range(40)]
        await harness.crash()
        await harness.restart()

        assert await results(harness, executions) == list(range(40))
        assert Counter(call.attempt for call in harness.calls) == Counter({1: 40, 2: 4})


async def test_idle_waits_for_the_whole_backlog() -> None:
    async with Harness(services=[service], max_resident=2) as harness:
        for number in range(30):
            await harness.app.start(free, number)
        await harness.app.idle(timeout=30)

        assert len(harness.calls) == 30
