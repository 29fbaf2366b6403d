"""Daemon threads for `def` activities: a thread that hangs never keeps the process from ending.

`concurrent.futures` joins its threads when the interpreter exits, so one activity that hangs would
hang the node's stop. Here a thread that outlives its attempt's timeout is counted as lost until it
comes back; when all are lost, the node says so, and `async def` activities go on. An attempt gets a
thread before its timeout begins, so none times out, or runs late, for want of one.
"""

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any

Job = tuple[
    asyncio.AbstractEventLoop, "asyncio.Future[Any]", contextvars.Context, Callable[[], Any]
]


class Threads:
    """At most `threads_max` threads, started when they are first needed."""

    def __init__(self, threads_max: int) -> None:
        self.threads_max = threads_max
        self.lost = 0
        """Threads whose attempt timed out and that still run."""
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._started = 0
        self._busy = 0

    @property
    def exhausted(self) -> bool:
        """Whether every thread is lost: no `def` activity can run now."""
        return self.lost >= self.threads_max

    def submit(self, function: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Run *function* in a thread, in a copy of the current context."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._busy += 1
        if self._busy > self._started and self._started < self.threads_max:
            self._started += 1
            name = f"counterpoint-activity-{self._started}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        self._jobs.put((loop, future, contextvars.copy_context(), function))
        return future

    def close(self) -> None:
        """Let idle threads end; those that run something end when it does."""
        for _ in range(self._started):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, future, context, function = job
            result: Any = None
            error: BaseException | None = None
            try:
                result = context.run(function)
            except BaseException as raised:  # noqa: BLE001 - handed to whoever awaits the future
                error = raised
            try:
                loop.call_soon_threadsafe(self._done, future, result, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more
            del job, future, context, function, result, error

    def _done(
        self, future: "asyncio.Future[Any]", result: Any, error: BaseException | None
    ) -> None:
        self._busy -= 1
        if future.done():
            return
        if isinstance(error, StopIteration):
            error = RuntimeError("the activity raised StopIteration")
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
