"""What surrounds an activation is neither seen by workflow code nor changed by it."""

import asyncio
import contextvars
import decimal
import gc
import sys
import weakref
from collections.abc import AsyncGenerator, Callable

import pytest
from tests.unit.kernel.driving import Box, alive, run_workflow

from counterpoint import Service, workflow
from counterpoint.kernel import loop as kernel_loop

ambient: contextvars.ContextVar[str] = contextvars.ContextVar("ambient", default="nothing")


async def from_a_callback(do: Callable[[], object]) -> list[object]:
    """Run *do* as a node does: in a plain callback of the surrounding loop."""
    loop = asyncio.get_running_loop()
    seen: list[object] = []

    def callback() -> None:
        try:
            seen.append(do())
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            seen.append(error)
        seen.append(asyncio.get_running_loop() is loop)
        seen.append(sys.get_asyncgen_hooks())

    hooks = sys.get_asyncgen_hooks()
    loop.call_soon(callback)
    await asyncio.sleep(0)
    assert seen.pop() == hooks
    return seen


async def test_the_surrounding_loop_is_the_running_one_again_after_an_activation() -> None:
    async def code() -> str:
        await asyncio.sleep(0)
        return type(asyncio.get_running_loop()).__name__

    (driver, same) = await from_a_callback(lambda: run_workflow(code))

    assert same is True
    assert getattr(driver, "result", None) == "WorkflowLoop"


async def test_the_surrounding_loop_is_intact_after_an_activation_that_raised() -> None:
    async def code() -> None:
        raise KeyboardInterrupt

    error, same = await from_a_callback(lambda: run_workflow(code))

    assert isinstance(error, KeyboardInterrupt)
    assert same is True


async def test_the_surrounding_loop_is_intact_after_an_eviction() -> None:
    async def code() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            raise SystemExit

    driver = run_workflow(code)
    _, same = await from_a_callback(driver.evict)

    assert same is True


async def test_context_variables_of_the_starter_do_not_reach_the_workflow() -> None:
    async def code() -> str:
        return f"{ambient.get()} {decimal.getcontext().prec}"

    ambient.set("the request of somebody")
    with decimal.localcontext(prec=3):
        driver = run_workflow(code)

    assert driver.result == f"nothing {decimal.DefaultContext.prec}"


def test_context_variables_of_one_execution_do_not_reach_another() -> None:
    async def code() -> str:
        before = ambient.get()
        ambient.set("mine")
        await asyncio.sleep(1)
        return f"{before}, {ambient.get()}"

    first, second = run_workflow(code), run_workflow(code)

    assert [d.advance(1).result for d in (first, second)] == ["nothing, mine", "nothing, mine"]
    assert ambient.get() == "nothing"


def test_tasks_copy_context_variables_as_asyncio_does() -> None:
    async def child() -> str:
        seen = ambient.get()
        ambient.set("child")
        return seen

    async def code() -> list[str]:
        ambient.set("parent")
        seen = await asyncio.ensure_future(child())
        own = contextvars.Context()
        other = await asyncio.get_running_loop().create_task(child(), context=own)
        return [seen, other, ambient.get()]

    assert run_workflow(code).result == ["parent", "nothing", "parent"]


def test_a_dropped_async_generator_is_not_closed_by_anybody() -> None:
    closed: list[str] = []

    async def numbers() -> AsyncGenerator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("closed")

    async def code() -> None:
        iterator = numbers()
        await anext(iterator)
        del iterator
        gc.collect()
        await asyncio.sleep(1)

    driver = run_workflow(code).advance(1)

    assert driver.status == "completed"
    assert closed == []


def test_system_exit_fails_its_workflow_only() -> None:
    async def code() -> None:
        raise SystemExit(3)

    driver = run_workflow(code)

    assert (driver.status, driver.error.type) == ("failed", "builtins.SystemExit")


def test_system_exit_of_a_task_is_raised_where_the_task_is_awaited() -> None:
    async def task() -> None:
        raise SystemExit(3)

    async def code() -> str:
        try:
            await asyncio.ensure_future(task())
        except SystemExit as error:
            return f"exit {error.code}"
        return "nothing"

    assert run_workflow(code).result == "exit 3"


def test_an_endless_loop_fails_its_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_loop, "STEPS_MAX", 1_000)

    async def code() -> None:
        while True:  # noqa: ASYNC110 - what users write
            await asyncio.sleep(0)

    driver = run_workflow(code)

    assert driver.status == "failed"
    assert "1,000 steps without waiting" in driver.error.message
    assert "workflow.sleep(1)" in driver.error.message


def test_an_endless_loop_of_a_task_left_over_fails_its_workflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernel_loop, "STEPS_MAX", 1_000)

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(0 if workflow.now().year < 1970 else 1)
            except asyncio.CancelledError:
                while True:  # noqa: ASYNC110 - what users write
                    await asyncio.sleep(0)

    async def code() -> int:
        task = asyncio.ensure_future(stubborn())
        await asyncio.sleep(0)
        return id(task) and 1

    driver = run_workflow(code)

    assert driver.status == "failed"
    assert "1,000 steps" in driver.error.message


def test_a_failed_callback_is_logged_and_changes_nothing() -> None:
    async def code() -> int:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        return 1

    driver = run_workflow(code)

    assert driver.result == 1
    assert "division by zero" in driver.execution.speech[0][1]


def test_an_error_kept_in_its_own_frame_holds_nothing_alive() -> None:
    watched: list[weakref.ref[Box]] = []

    async def code() -> None:
        box = Box(watched)
        try:
            raise ValueError(type(box).__name__)
        except ValueError as error:
            kept = error
            raise kept  # noqa: B904 - what users write

    gc.collect()
    gc.disable()
    try:
        driver = run_workflow(code)
        held = watched[0]()
    finally:
        gc.enable()

    assert driver.status == "failed"
    assert held is None


@pytest.mark.parametrize("ending", ["returns", "raises", "chains", "keeps its error"])
def test_what_a_frame_held_dies_with_its_end(ending: str) -> None:
    watched: list[weakref.ref[Box]] = []
    service = Service("shop")

    @service.activity
    async def act() -> None: ...

    async def code() -> None:
        box = Box(watched)
        try:
            await act()
        except Exception as error:
            if ending == "raises":
                raise
            if ending == "chains":
                raise ValueError(str(box)[:3]) from error
            kept = error
            raise kept from None

    driver = run_workflow(code, service=service)
    if ending == "returns":
        driver.complete(1)
    else:
        driver.fail(1)

    assert driver.status == ("completed" if ending == "returns" else "failed")
    assert alive(watched) == 0
