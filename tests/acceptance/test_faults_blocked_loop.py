"""Code that blocks the event loop is named, with its line and its execution, while it does so."""

import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from counterpoint import App, Retry, Service
from counterpoint.runtime.health import Health

desk = Service("desk")
free = threading.Event()
SECONDS = 15
PATIENCE = 60
TIMES = 5


def compute() -> None:
    """Blocks in the standard library, as most code that blocks does."""
    free.wait(SECONDS)


@desk.activity(retry=Retry(max_attempts=1))
async def freeze() -> str:
    compute()
    return "thawed"


@desk.activity
async def spin() -> str:
    while not free.is_set():
        pass
    return "stopped"


@desk.workflow
async def freezing() -> str:
    return await freeze()


@desk.workflow
async def spinning() -> str:
    return await spin()


@desk.workflow
async def blocking() -> str:
    compute()
    return "went on"


class Witness(logging.Handler):
    """Looks at the node's health, from the watchdog's thread, when the watchdog speaks; lets go.

    A machine that stands still blocks the loop too, anywhere: that is not what it is to see.
    """

    def __init__(self, app: App) -> None:
        super().__init__(logging.ERROR)
        self.app = app
        self.asked_at = time.monotonic()
        self.id = ""
        self.after = 0.0
        self.message = ""
        self.health: Health | None = None

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if self.message or "event loop has been blocked" not in said:
            return
        if f"({__file__}:" in said:
            self.after = time.monotonic() - self.asked_at
            self.message = said
            self.health = self.app.health()
        free.set()

    @property
    def saw(self) -> bool:
        """Whether this file's code was named, within two seconds."""
        return bool(self.message) and self.after < 2


async def witnessed(app: App, act: Callable[[str], Awaitable[str]]) -> tuple[str, Witness]:
    """Do something that blocks, under an id; again, a few times, if the machine was busy."""
    number = 0
    while True:
        number += 1
        with witness(app) as seen:
            seen.id = f"try-{number}"
            result = await act(seen.id)
        if seen.saw or number == TIMES:
            return result, seen


@contextmanager
def witness(app: App) -> Iterator[Witness]:
    free.clear()
    handler = Witness(app)
    logging.getLogger("counterpoint").addHandler(handler)
    yield handler
    logging.getLogger("counterpoint").removeHandler(handler)
    free.set()


def line_of(function: Callable[..., Any], text: str) -> str:
    lines, first = inspect.getsourcelines(function)
    offset = next(number for number, line in enumerate(lines) if text in line)
    return f"{function.__qualname__} ({__file__}:{first + offset})"


def make_app(**settings: Any) -> App:
    return App("desk", services=[desk], store="memory:", **settings)


async def test_async_activity_that_blocks_is_named_within_two_seconds_in_log_and_health() -> None:
    async with make_app() as app:
        result, seen = await witnessed(app, lambda id: app.run(freezing, id=id, timeout=PATIENCE))
        await app.run(blocking, timeout=PATIENCE)  # the node goes on
        healed = app.health()

    where = f"{line_of(compute, 'free.wait')}, run by desk.freeze of execution {seen.id}"
    assert result == "thawed"
    assert seen.after < 2
    assert where in seen.message
    assert "the node does nothing else until it yields" in seen.message
    assert seen.health is not None
    assert seen.health.problems == (f"the event loop is blocked by {where}",)
    assert healed.problems == ()


async def test_activity_that_computes_without_end_is_named() -> None:
    async with make_app(block_warning=timedelta(milliseconds=50)) as app:
        result, seen = await witnessed(app, lambda id: app.run(spinning, id=id, timeout=PATIENCE))

    assert result == "stopped"
    assert f"spin ({__file__}:" in seen.message
    assert f"run by desk.spin of execution {seen.id}" in seen.message


async def test_workflow_that_blocks_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async with make_app(block_warning=timedelta(milliseconds=50)) as app:
        result, seen = await witnessed(app, lambda id: app.run(blocking, id=id, timeout=PATIENCE))

    assert result == "went on"
    where = f"{line_of(compute, 'free.wait')}, run by desk.blocking of execution {seen.id}"
    assert where in seen.message
    assert seen.health is not None
    assert where in seen.health.problems[0]


async def compute_beside(_: str) -> str:
    compute()
    return "went on"


async def test_code_beside_the_app_that_blocks_is_named() -> None:
    async with make_app(block_warning=timedelta(milliseconds=50)) as app:
        _, seen = await witnessed(app, compute_beside)

    assert line_of(compute, "free.wait") in seen.message
    assert "run by" not in seen.message
