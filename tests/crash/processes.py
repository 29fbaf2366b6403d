"""The processes of a round: a node that is killed, and sometimes a client beside it.

They are forked, so that a start is Counterpoint's own and not the imports of Python's. A child
writes a line for everything that it has done to a pipe; what it wrote before a SIGKILL can be read
after it.
"""

import asyncio
import os
import random
import select
import signal
import time
import traceback
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from examples.shop.app import execution_id, make_app, place_order
from examples.shop.catalog import Order

from counterpoint import App, ExecutionFailed, Status

IN_FLIGHT = 32
LATEST_END_SECONDS = 60.0
IDLE_WITHIN_SECONDS = 30.0
PAUSE_SECONDS_MAX = 0.008
Say = Callable[[str], None]
Program = Callable[[Say], Coroutine[Any, Any, None]]


class ChildFailedError(Exception):
    """A child ended by itself with an error, or did not end at all."""


class Child:
    """A forked process and the lines that it wrote."""

    def __init__(self, program: Program) -> None:
        self.lines: list[str] = []
        self.closed = False
        self.status: int | None = None
        self._rest = b""
        self._pipe, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._pipe)
            _run(program, writer)
        os.close(writer)

    def read(self, seconds: float, until: str | None = None) -> bool:
        """Read lines for so long, or until *until* comes; return whether it came."""
        end = time.monotonic() + seconds
        while until is None or until not in self.lines:
            left = end - time.monotonic()
            if self.closed or left <= 0 or not select.select([self._pipe], [], [], left)[0]:
                return False
            data = os.read(self._pipe, 65_536)
            self.closed = not data
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.lines += [line.decode() for line in lines]
        return True

    def kill(self) -> None:
        """SIGKILL it, and read what it had written."""
        self.signal(signal.SIGKILL)
        self._reap()

    def signal(self, number: int) -> None:
        """Send a signal; a process that has ended does not mind until it is waited for."""
        os.kill(self.pid, number)

    def finish(self) -> None:
        """Wait for its end.

        Raises:
            ChildFailedError: it failed, or is still there after a minute.
        """
        self.read(LATEST_END_SECONDS, until="done")
        if not self.closed and "done" not in self.lines:
            self.kill()
            raise ChildFailedError("a process does not end:\n" + "\n".join(self.lines[-20:]))
        self._reap()
        self.check()

    def check(self) -> None:
        """Raise if it ended by an error of its own.

        Raises:
            ChildFailedError: it did; the message has its traceback.
        """
        if "error" in self.lines:
            after = self.lines.index("error") + 1
            raise ChildFailedError("a process failed:\n" + "\n".join(self.lines[after:]))

    def told(self, word: str) -> list[str]:
        """Return what it said after a word: `ack` an id whose start was confirmed to it."""
        return [line.removeprefix(f"{word} ") for line in self.lines if line.startswith(f"{word} ")]

    def _reap(self) -> None:
        while not self.closed:
            self.read(LATEST_END_SECONDS)
        os.close(self._pipe)
        _, self.status = os.waitpid(self.pid, 0)


def _run(program: Program, writer: int) -> NoReturn:
    """Be the child: run the program, never return to the code of the parent."""

    def say(line: str) -> None:
        os.write(writer, line.encode() + b"\n")

    try:
        asyncio.run(program(say))
        say("done")
    except BaseException:  # noqa: BLE001 - told to the parent
        say("error")
        say(traceback.format_exc())
    os._exit(0)


def host(directory: Path, orders: Sequence[Order]) -> Program:
    """Be a node that starts orders, until SIGTERM."""

    async def program(say: Say) -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        async with make_app(directory) as app:
            say("ready")
            submitting = asyncio.create_task(_submit(app, orders, say))
            await stop.wait()
            say("stopping")
            submitting.cancel()
        say("stopped")

    return program


def host_until_idle(directory: Path, orders: Sequence[Order]) -> Program:
    """Be a node that starts orders, retries incidents, and ends when all executions have ended."""

    async def program(say: Say) -> None:
        async with make_app(directory) as app:
            submitting = asyncio.create_task(_submit(app, orders, say))
            await app.idle(timeout=IDLE_WITHIN_SECONDS)  # incidents do not count
            for summary in [s async for s in app.executions(status=Status.INCIDENT)]:
                say(f"incident {summary.id}")
                await app.execution(summary.id).retry(reason="the crashes are over")
            await submitting
            await app.idle(timeout=IDLE_WITHIN_SECONDS)

    return program


def post(directory: Path, orders: Sequence[Order], seed: str) -> Program:
    """Be a client that starts orders at an uneven pace, whether a node is there or not."""

    async def program(say: Say) -> None:
        dice = random.Random(seed)
        async with make_app(directory).client() as client:
            for order in orders:
                execution = await client.start(place_order, order, id=execution_id(order))
                say(f"ack {execution.id}")
                await asyncio.sleep(dice.uniform(0, PAUSE_SECONDS_MAX))

    return program


async def _submit(app: App, orders: Sequence[Order], say: Say) -> None:
    places = asyncio.Semaphore(IN_FLIGHT)

    async def one(order: Order) -> None:
        async with places:
            execution = await app.start(place_order, order, id=execution_id(order))
            say(f"ack {execution.id}")
            with suppress(ExecutionFailed):
                await execution.result()

    await asyncio.gather(*(one(order) for order in orders))
