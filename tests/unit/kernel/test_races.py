"""Several things in one commit: each is applied by itself, and a replay tells them apart alike."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from tests.unit.kernel.driving import Driver, run_workflow

from counterpoint import Service, workflow

Code = Callable[..., Awaitable[Any]]
service = Service("shop")


@service.activity
async def act(n: int) -> int:
    return n


def begin(code: Code) -> Driver:
    service.workflows.clear()
    return run_workflow(code, service=service)


def together(driver: Driver, inputs: Sequence[Callable[[], object]]) -> Driver:
    """Apply several inputs within one commit."""
    driver.hold = True
    for apply in inputs:
        apply()
    driver.hold = False
    driver.commit()
    return driver


def agrees(driver: Driver) -> Driver:
    if driver.state.status.live:
        replayed = driver.replayed()
        assert replayed.execution.divergence is None
        assert replayed.state == driver.state
    return driver


async def in_time() -> str:
    try:
        async with asyncio.timeout(5):
            outcome = f"result {await act(1)}"
    except TimeoutError:
        outcome = "timeout"
    await workflow.signal("end")
    return outcome


def fire(driver: Driver) -> Callable[[], object]:
    def apply() -> None:
        driver.now += 5_000_000
        driver.execution.fire_timer(1, driver.now)

    return apply


def test_a_result_before_a_timeout_in_one_commit_is_a_result() -> None:
    driver = begin(in_time)

    agrees(together(driver, [lambda: driver.complete(1, 7), fire(driver)]))

    assert "TimerFired" not in driver.kinds()
    assert driver.replayed().signal("end").result == "result 7"


def test_a_timeout_before_a_result_in_one_commit_is_a_timeout() -> None:
    driver = begin(in_time)

    agrees(together(driver, [fire(driver), lambda: driver.complete(1, 7)]))

    assert driver.kinds()[-4:] == ["TimerFired", "CallCancelled", "SignalAwaited", "CallCompleted"]
    assert driver.replayed().signal("end").result == "timeout"


async def waits_for_a_signal() -> str:
    try:
        outcome = f"signal {await workflow.signal('go', int, timeout=5)}"
    except TimeoutError:
        outcome = f"timeout, then {await workflow.signal('go', int)}"
    await workflow.signal("end")
    return outcome


@pytest.mark.parametrize("signal_first", [True, False])
def test_no_signal_is_lost_to_a_timeout_in_one_commit(signal_first: bool) -> None:
    driver = begin(waits_for_a_signal)
    inputs = [lambda: driver.signal("go", 3), fire(driver)]

    agrees(together(driver, inputs if signal_first else inputs[::-1]))

    expected = "signal 3" if signal_first else "timeout, then 3"
    assert driver.replayed().signal("end").result == expected


async def gathers() -> str:
    try:
        outcome = str(await asyncio.gather(act(1), act(2)))
    except Exception as error:  # noqa: BLE001 - what users write
        outcome = type(error).__name__
    await workflow.signal("end")
    return outcome


async def groups() -> str:
    tasks: list[asyncio.Task[int]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(act(1)), group.create_task(act(2))]
    except ExceptionGroup:
        pass
    await workflow.signal("end")
    return " ".join("cancelled" if t.cancelled() else "done" for t in tasks)


@pytest.mark.parametrize("code", [gathers, groups])
@pytest.mark.parametrize("failure_first", [True, False])
def test_a_sibling_completes_in_the_commit_in_which_another_fails(
    code: Code, failure_first: bool
) -> None:
    driver = begin(code)
    inputs: list[Callable[[], object]] = [lambda: driver.fail(1), lambda: driver.complete(2, 2)]

    agrees(together(driver, inputs if failure_first else inputs[::-1]))

    result = driver.replayed().signal("end").result
    assert result == driver.signal("end").result
    if code is groups:
        assert result == ("done cancelled" if failure_first else "done done")
    cancelled = "CallCancelled" in driver.kinds()
    assert cancelled == (code is groups and failure_first)


def test_what_completes_after_it_was_cancelled_is_recorded_and_not_seen() -> None:
    async def cancels() -> str:
        task = asyncio.ensure_future(act(1))
        await workflow.signal("stop")
        task.cancel()
        await asyncio.wait([task])
        await workflow.signal("end")
        return f"cancelled: {task.cancelled()}"

    driver = begin(cancels)

    agrees(together(driver, [lambda: driver.signal("stop"), lambda: driver.complete(1, 1)]))

    assert driver.replayed().signal("end").result == "cancelled: True"


def test_a_shielded_call_completes_in_the_commit_in_which_its_waiter_is_cancelled() -> None:
    async def shields() -> str:
        task = asyncio.ensure_future(act(1))
        try:
            async with asyncio.timeout(5):
                await asyncio.shield(task)
        except TimeoutError:
            pass
        await workflow.signal("end")
        return f"{task.done()} {task.result() if task.done() else 0}"

    driver = begin(shields)

    agrees(together(driver, [fire(driver), lambda: driver.complete(1, 8)]))

    assert "CallCancelled" not in driver.kinds()
    assert driver.replayed().signal("end").result == "True 8"


def test_a_cancellation_and_a_result_in_one_commit_follow_one_another() -> None:
    async def undoes() -> str:
        try:
            outcome = await act(1)
        except asyncio.CancelledError:
            return "cancelled"
        try:
            await act(outcome)
        except asyncio.CancelledError:
            return "cancelled later"
        return "done"

    first, second = begin(undoes), begin(undoes)

    together(first, [lambda: first.complete(1, 1), first.cancel])
    together(second, [second.cancel, lambda: second.complete(1, 1)])

    assert (first.result, second.result) == ("cancelled later", "cancelled")


def test_a_timer_set_and_cancelled_before_its_commit_writes_nothing() -> None:
    driver = begin(in_time)
    quick = begin(_two_steps)

    together(quick, [lambda: quick.complete(1, 1), lambda: quick.complete(2, 2)])

    assert "TimerSet" in driver.kinds()
    assert not {"TimerSet", "TimerCancelled"} & set(quick.kinds())
    agrees(quick)


async def _two_steps() -> int:
    n = await act(1)
    async with asyncio.timeout(5):
        n += await act(2)
    return n + await act(3)


PROGRAM = """
import asyncio
from counterpoint import Service
from counterpoint.model.records import encode_records
from tests.unit.kernel.driving import run_workflow

shop = Service("shop")

@shop.activity
async def act(n: int) -> int:
    return n

async def child(n: int) -> int:
    return await act(n)

async def code() -> list[int]:
    order = []
    for call in {act(n) for n in range(20)}:
        order.append(await call)
    tasks = {asyncio.ensure_future(child(n)) for n in range(20, 40)}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done | pending:
        order.append(await task)
    for next_one in asyncio.as_completed({act(n) for n in range(40, 60)}):
        order.append(await next_one)
    futures = {asyncio.get_running_loop().create_future() for _ in range(20)}
    for n, future in enumerate(futures):
        future.set_result(n)
    order += [await future for future in futures]
    await asyncio.wait({asyncio.ensure_future(asyncio.sleep(n)) for n in range(1, 20)})
    return order

driver = run_workflow(code, service=shop)
while driver.state.open_steps:
    step = next(iter(driver.state.open_steps))
    n = int(bytes(driver.state.calls[step].arguments).rsplit(b":")[-1].strip(b" }"))
    driver.complete(step, n)
driver.advance(30)
assert driver.status == "completed", driver.state.error
print(encode_records(driver.journal).decode())
"""


def test_journals_do_not_depend_on_the_seed_of_hashes() -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
        )
        for seed in ("0", "1", "31337")
    ]
    journals = {process.communicate()[0] for process in running}

    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(journals) == 1
