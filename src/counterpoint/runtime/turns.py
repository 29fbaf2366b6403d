"""Turns: one plain callback of the event loop hands what was pushed to its executions.

When very much was pushed (ten thousand timers of one moment) it takes several turns, between which
the loop does other things. A turn is never inside a task (see `kernel.loop`), and runs in a context
of its own, so that no context variable of whoever pushed reaches a workflow: a replay could not
repeat it.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

from counterpoint.ports.clock import Clock

INPUTS_MAX = 500
"""How many inputs one turn applies: some tens of milliseconds, and one commit."""

Handler = Callable[..., None]
Defect = Callable[[tuple[Any, ...], Exception], None]


class Turns:
    """The inbox of a node, on the event loop that runs when it is made."""

    def __init__(self, clock: Clock, host: Any, defect: Defect) -> None:
        self.clock = clock
        self.context = Context()
        self._host = host
        self._defect = defect
        self._loop = asyncio.get_running_loop()
        self._inbox: list[tuple[Handler, tuple[Any, ...]]] = []
        self._due = False

    @property
    def quiet(self) -> bool:
        """Whether nothing waits for the next turn."""
        return not self._inbox

    def push(self, handle: Handler, *args: Any) -> None:
        """Call `handle(host, now, *args)` in the next turn."""
        self._inbox.append((handle, args))
        if not self._due:
            self._due = True
            self._loop.call_soon(self._turn, context=self.context)

    def push_first(self, handle: Handler, *args: Any) -> None:
        """Call it in the next turn before everything else."""
        self.push(handle, *args)
        self._inbox.insert(0, self._inbox.pop())

    def clear(self) -> None:
        """Forget what waits for the next turn."""
        self._inbox.clear()

    async def last(self) -> None:
        """Wait until everything that was pushed so far has had its turn."""
        for _ in range(0, len(self._inbox) + 1, INPUTS_MAX):
            done: asyncio.Future[None] = self._loop.create_future()
            self._loop.call_soon(self._turn, context=self.context)
            self._loop.call_soon(done.set_result, None)
            await done

    def _turn(self) -> None:
        self._due = False
        inbox, self._inbox = self._inbox[:INPUTS_MAX], self._inbox[INPUTS_MAX:]
        if self._inbox:
            self._due = True
            self._loop.call_soon(self._turn, context=self.context)
        now = self.clock.now()
        for handle, args in inbox:
            try:
                handle(self._host, now, *args)  # a workflow's code runs in here
            except Exception as error:  # noqa: BLE001 - one defect must not stop the others
                self._defect(args, error)
        self._host.check_idle()
