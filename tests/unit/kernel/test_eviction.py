"""Dropping an execution's frames: their `finally` blocks run, and nothing comes of it."""

import asyncio
import gc
import warnings
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.unit.kernel.driving import Box, Driver, alive, made, run_workflow

from counterpoint import Service, workflow
from counterpoint.kernel import loop as kernel_loop

Code = Callable[..., Awaitable[Any]]


class Shop:
    """A service whose activity counts real executions."""

    def __init__(self) -> None:
        self.service = Service("shop")
        self.executed: list[str] = []
        self.seen: list[str] = []
        self.watched: list[weakref.ref[Box]] = []

        @self.service.activity
        async def act(name: str) -> str:
            self.executed.append(name)
            return name

        self.act = act

    def saw(self, what: str) -> None:
        """Note a moment, and on which loop it was."""
        self.seen.append(f"{what} on {type(asyncio.get_running_loop()).__name__}")


def evict_inside_asyncio(shop: Shop, code: Code) -> Driver:
    """Start *code*, evict it from a callback of a running loop, and give leftovers a chance."""
    driver = run_workflow(code, service=shop.service)
    made = driver.execution.state.calls_made

    async def node() -> None:
        asyncio.get_running_loop().call_soon(driver.evict)
        for _ in range(5):
            await asyncio.sleep(0)
            gc.collect()

    asyncio.run(node())
    assert driver.execution.take_pending() == []
    assert driver.execution.state.calls_made == made
    return driver


def in_finally(shop: Shop) -> Code:
    async def code() -> None:
        try:
            await shop.act("before")
        finally:
            shop.saw("finally")
            await shop.act("in finally")
            shop.saw("never")

    return code


def in_finally_around_a_task_group(shop: Shop) -> Code:
    async def code() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(100))
                group.create_task(shop.act("before"))
        finally:
            shop.saw("finally")
            await shop.act("in finally")

    return code


def in_a_nested_task(shop: Shop) -> Code:
    async def nested() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            shop.saw("finally")
            await asyncio.shield(shop.act("in finally"))

    async def code() -> None:
        await asyncio.gather(asyncio.ensure_future(nested()), shop.act("before"))

    return code


def with_generator_exit_swallowed(shop: Shop) -> Code:
    async def code() -> None:
        for _ in range(3):
            try:
                await shop.act("before")
            except BaseException:  # noqa: BLE001 - what users write
                shop.saw("finally")
        await shop.act("after")

    return code


def with_everything_swallowed_for_ever(shop: Shop) -> Code:
    async def code() -> None:
        shop.saw("finally")
        while True:
            try:
                await shop.act("before")
            except BaseException:  # noqa: BLE001 - what users write
                await asyncio.sleep(1)

    return code


def in_an_async_generator(shop: Shop) -> Code:
    async def numbers() -> AsyncGenerator[int]:
        try:
            yield 1
            await asyncio.sleep(100)
            yield 2
        finally:
            shop.saw("finally")
            await shop.act("in finally")

    async def code() -> None:
        async for _ in numbers():
            pass

    return code


def in_a_context_manager(shop: Shop) -> Code:
    @asynccontextmanager
    async def reserved() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            shop.saw("finally")
            await shop.act("in finally")

    async def code() -> None:
        async with reserved(), asyncio.timeout(100):
            await workflow.signal("never")

    return code


def with_a_task_made_in_finally(shop: Shop) -> Code:
    async def code() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            shop.saw("finally")
            task = asyncio.ensure_future(shop.act("in finally"))
            workflow.log.error("%s", workflow.now())
            await asyncio.wait([task], timeout=5)

    return code


@pytest.mark.parametrize(
    "make",
    [
        in_finally,
        in_finally_around_a_task_group,
        in_a_nested_task,
        with_generator_exit_swallowed,
        with_everything_swallowed_for_ever,
        in_an_async_generator,
        in_a_context_manager,
        with_a_task_made_in_finally,
    ],
)
def test_nothing_asked_for_during_eviction_gets_through(make: Callable[[Shop], Code]) -> None:
    shop = Shop()

    driver = evict_inside_asyncio(shop, make(shop))

    assert shop.executed == []
    assert shop.seen or make is in_an_async_generator  # Python 3.11 drops those silently
    assert {"WorkflowLoop"} >= {seen.partition(" on ")[2] for seen in shop.seen}
    assert "never" not in " ".join(shop.seen)
    assert driver.execution.speech == []


@pytest.mark.parametrize("make", [in_finally, in_finally_around_a_task_group, in_a_nested_task])
def test_what_a_frame_held_dies_with_its_eviction(make: Callable[[Shop], Code]) -> None:
    shop = Shop()

    async def code() -> None:
        box = Box(shop.watched)
        inner = make(shop)
        await inner()
        del box

    driver = run_workflow(code, service=shop.service)
    before = alive(shop.watched)
    driver.evict()

    assert (before, alive(shop.watched)) == (1, 0)


def test_a_frame_that_was_closed_is_not_kept() -> None:
    shop = Shop()
    kept = len(kernel_loop._undead)

    evict_inside_asyncio(shop, in_finally_around_a_task_group(shop))

    assert len(kernel_loop._undead) == kept


def test_no_ordinary_error_is_raised_into_code_that_is_evicted() -> None:
    seen: list[str] = []

    async def inner() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(100))
            await asyncio.Event().wait()

    async def code() -> None:
        try:
            await inner()
        except Exception as error:  # noqa: BLE001 - what users write
            seen.append(repr(error))

    run_workflow(code).evict()

    assert seen == []


def test_calls_that_were_not_awaited_yet_do_not_warn_at_eviction() -> None:
    shop = Shop()

    async def code() -> None:
        later = shop.act("later")
        await asyncio.sleep(100)
        await later

    driver = run_workflow(code, service=shop.service)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        driver.evict()
        gc.collect()

    assert [str(warning.message) for warning in caught] == []


def test_evicting_twice_or_after_the_end_does_nothing() -> None:
    async def code() -> int:
        return 1

    driver = run_workflow(code).evict().evict()

    assert driver.result == 1


def test_an_evicted_execution_goes_on_from_its_replay() -> None:
    shop = Shop()

    async def code() -> str:
        try:
            return await shop.act("before")
        finally:
            await shop.act("in finally")

    driver = run_workflow(code, service=shop.service).evict().replayed()
    driver.complete(1, "done").complete(2, "x")

    assert driver.result == "done"


@pytest.mark.parametrize("ends", [True, False])
def test_an_execution_that_is_over_is_freed_without_the_garbage_collector(ends: bool) -> None:
    shop = Shop()

    async def code() -> str:
        await workflow.signal("go")
        return await shop.act("one")

    driver = run_workflow(code, service=shop.service).signal("go")
    if ends:
        driver.complete(1, "one")
    else:
        driver.evict()
    made.clear()
    watched = weakref.ref(driver.execution)
    gc.collect()
    gc.disable()
    try:
        del driver.execution
        assert watched() is None
    finally:
        gc.enable()
