"""The processes of a round: nodes that are killed, and clients beside them.

They are forked, so that a start is Counterpoint's own and not the imports of Python's. A child
writes a line for everything that it has done to a pipe; what it wrote before a SIGKILL can be read
after it.
"""

import asyncio
import logging
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

LATEST_END_SECONDS = 60.0
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

    # What the engine logs is not shown among the figures, unless a program listens itself.
    logger = logging.getLogger("counterpoint")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    try:
        asyncio.run(program(say))
        say("done")
    except BaseException:  # noqa: BLE001 - told to the parent
        say("error")
        say(traceback.format_exc())
    os._exit(0)
