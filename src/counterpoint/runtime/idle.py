"""Those who wait for a node to have nothing to do.

Whatever ends in a node asks `check`, so that they wake at once. A missed end would let them wait
for ever, and which of them is the last depends on timing; so they look now and then themselves.

Of calls that other nodes look after only the store knows, where their executions are not in memory
(after a restart, or because memory was full). So who waits is told that nothing is to be done here,
asks the store, and is done if then still nothing is.
"""

import asyncio
from collections.abc import Awaitable, Callable

from counterpoint.errors import NodeStoppedError, StoreError

LOOK_EVERY_SECONDS = 0.05


class Idlers:
    """Futures that are set when the node is idle; asked about only while somebody waits."""

    def __init__(self, is_idle: Callable[[], bool]) -> None:
        self._is_idle = is_idle
        self._waiting: list[asyncio.Future[None]] = []
        self._stopped: str | None = None

    async def wait(self, any_out: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Wait until the node is idle; *any_out* asks the store whether others do work of it.

        Raises:
            NodeStoppedError: it never will be.
        """
        await self._wait_here()
        if any_out is not None:
            while await _is_out(any_out) or not self._is_idle():
                await asyncio.sleep(LOOK_EVERY_SECONDS)
                await self._wait_here()

    async def _wait_here(self) -> None:
        if self._stopped is not None:
            raise NodeStoppedError(self._stopped)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        loop.call_soon(self.check)
        while not future.done():
            await asyncio.wait([future], timeout=LOOK_EVERY_SECONDS)
            self.check()
        await future

    def check(self) -> None:
        """Wake those who wait, if the node is idle."""
        if self._waiting and self._is_idle():
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    def stop(self, why: str) -> None:
        """Tell those who wait that the node never will be."""
        self._stopped = why
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_exception(NodeStoppedError(why))


async def _is_out(any_out: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await any_out()
    except StoreError:
        return True  # it is not known; the node learns of it by itself
