"""A library of workflows and what happens to them: every prefix of a journal replays alike."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.kernel.driving import Driver

from counterpoint import ActivityFailed, BusinessError, Service, workflow
from counterpoint.kernel.replay import fold
from counterpoint.model import records as r

Code = Callable[..., Awaitable[Any]]
Script = Callable[[Driver], object]
service = Service("shop")


class Declined(BusinessError):
    reason: str


@service.activity
async def act(n: int) -> int:
    return n


@act.compensation
async def undo(n: int, result: int | None) -> None: ...


@service.activity
async def plain(n: int) -> int:
    return n


async def sequence() -> int:
    return sum([await act(n) for n in range(3)])


async def beside() -> list[int]:
    return list(await asyncio.gather(*(act(n) for n in range(3))))


async def group() -> int:
    async with asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(act(n)) for n in range(3)]
    return sum(task.result() for task in made)


async def in_time() -> str:
    try:
        async with asyncio.timeout(5):
            return str(await act(1))
    except TimeoutError:
        return f"late {await plain(2)}"


async def first_of() -> int:
    tasks = {asyncio.ensure_future(act(n)) for n in range(3)}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return sum(task.result() for task in done) + await plain(9)


async def approval() -> str:
    if await workflow.signal("approved", bool, timeout=timedelta(hours=1)):
        return "yes"
    return "no"


async def many_signals() -> list[int]:
    return [await workflow.signal("n", int) for _ in range(3)]


async def falls_back() -> int:
    try:
        return await act(1)
    except Declined:
        return await plain(2)
    except ActivityFailed:
        return await plain(3)


async def heartbeat() -> int:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(10)
            ticks += 1

    task = asyncio.ensure_future(tick())
    await act(1)
    task.cancel()
    return ticks


async def queue() -> list[int]:
    todo: asyncio.Queue[int] = asyncio.Queue()
    done: list[int] = []

    async def worker() -> None:
        while True:
            done.append(await act(await todo.get()))
            todo.task_done()

    workers = [asyncio.ensure_future(worker()) for _ in range(2)]
    for n in range(4):
        todo.put_nowait(n)
    await todo.join()
    for task in workers:
        task.cancel()
    return done


async def fails_late() -> None:
    await act(1)
    await act(2)
    raise ValueError


async def cleans_up() -> int:
    try:
        return await act(1)
    finally:
        await plain(2)


def results(*steps: int) -> Script:
    def script(driver: Driver) -> None:
        for step in steps:
            driver.complete(step, abs(step))

    return script


LIBRARY: list[tuple[str, Code, Script]] = [
    ("in order", sequence, results(1, 2, 3)),
    ("backwards", beside, results(3, 2, 1)),
    ("one fails", beside, lambda d: d.complete(2, 2).fail(3)),
    ("group", group, results(2, 3, 1)),
    ("group fails", group, lambda d: d.complete(1, 1).fail(2, Declined(reason="no"))),
    ("in time", in_time, lambda d: d.advance(4).complete(1, 1)),
    ("late", in_time, lambda d: d.advance(6).complete(1, 1).complete(2, 2)),
    ("first of", first_of, lambda d: d.complete(2, 2).settle(1).settle(3).complete(4, 4)),
    ("approved", approval, lambda d: d.signal("other").advance(5).signal("approved", True)),
    ("bad signal", approval, lambda d: d.signal("approved", "perhaps").signal("approved", False)),
    ("not approved", approval, lambda d: d.advance(3600)),
    ("signals", many_signals, lambda d: d.signal("n", 1).signal("n", 2).signal("n", 3)),
    ("declined", falls_back, lambda d: d.fail(1, Declined(reason="no")).complete(2, 2)),
    ("failed", falls_back, lambda d: d.fail(1, final=False).advance(9).fail(1).complete(2, 2)),
    ("heartbeat", heartbeat, lambda d: d.advance(35).complete(1, 1)),
    ("queue", queue, results(2, 1, 3, 4)),
    ("undone", fails_late, results(1, 2, -2, -1)),
    (
        "undone late",
        fails_late,
        lambda d: d.complete(1, 1).fail(2).fail(-2, final=False).advance(9),
    ),
    ("cancelled", sequence, lambda d: d.complete(1, 1).cancel().complete(2, 2).complete(-2)),
    ("cleans up", cleans_up, lambda d: d.cancel().complete(2, 2)),
]


@pytest.mark.parametrize("saga", [False, True], ids=["workflow", "saga"])
@pytest.mark.parametrize(("code", "script"), [pytest.param(*e[1:], id=e[0]) for e in LIBRARY])
def test_every_prefix_of_a_journal_replays_to_the_state_that_it_left(
    code: Code, script: Script, saga: bool
) -> None:
    service.workflows.clear()
    decorate: Any = service.saga if saga else service.workflow
    states: dict[int, Any] = {}
    driver = Driver(service, decorate(name="shop.main")(code))
    commit = driver.commit

    def remembering() -> None:
        commit()
        states[len(driver.journal)] = fold(driver.journal, keep_calls=saga)
        assert states[len(driver.journal)] == driver.state

    driver.commit = remembering  # type: ignore[method-assign]
    driver.start()
    script(driver)

    assert len(states) >= 2
    for cut, state in states.items():
        replayed = driver._on(driver.journal[:cut])
        assert replayed.execution.divergence is None
        assert replayed.state == state
        assert replayed.execution.take_pending() == []
        assert r.encode_records(replayed.journal) == r.encode_records(driver.journal[:cut])
