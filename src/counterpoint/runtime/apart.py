"""Commits of their own: what is written in a transaction that a user has written in, too.

The safety argument is in `runtime.transactions`. An execution that waits here, or is being written,
has `Resident.transaction` set; what it records meanwhile is *held* and goes on after the commit.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeAlias

from counterpoint.runtime.batch import Batch, Note
from counterpoint.runtime.resident import Resident
from counterpoint.runtime.transactions import OpenTransaction

What: TypeAlias = Resident | Note
Gather = Callable[[What], Batch]
Write = Callable[[Batch, OpenTransaction], Coroutine[Any, Any, None]]


class Apart:
    """What waits to be written in a transaction of its own, and what is being written."""

    def __init__(self, gather: Gather, write: Write) -> None:
        self._gather = gather
        self._write = write
        self._waiting: dict[What, OpenTransaction] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._called = False
        self.in_group: set[Resident] = set()
        """Executions whose records are in the group commit that is being written."""

    def __bool__(self) -> bool:
        return bool(self._waiting or self._tasks)

    def add(self, what: What, transaction: OpenTransaction) -> None:
        """Write it soon: after this turn, and after the group commit that it is in."""
        self._waiting[what] = transaction
        if not self._called:
            self._called = True
            asyncio.get_running_loop().call_soon(self.look)

    def look(self) -> None:
        """Begin what need not wait any more."""
        self._called = False
        for what, transaction in list(self._waiting.items()):
            if what not in self.in_group:
                del self._waiting[what]
                self._begin(what, transaction)

    def _begin(self, what: What, transaction: OpenTransaction) -> None:
        batch = self._gather(what)
        if batch.empty:  # it was given up meanwhile
            transaction.abandon()
            return
        writing = self._write(batch, transaction)
        task = asyncio.get_running_loop().create_task(writing, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def over(self) -> None:
        """Wait until nothing waits or is being written."""
        while self:
            if self._tasks:
                await asyncio.wait(self._tasks)
            else:
                await asyncio.sleep(0)

    def leave_out(self, what: What) -> None:
        """Write nothing of it: it is given up."""
        if (transaction := self._waiting.pop(what, None)) is not None:
            transaction.abandon()

    def drop(self, error: BaseException) -> None:
        """Write nothing more; a commit under way is cut off, and nobody knows of it."""
        for what, transaction in self._waiting.items():
            transaction.abandon()
            if isinstance(what, Note) and what.failed is not None:
                what.failed(error)
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
