"""Those who wait for a node to have nothing to do.

Whatever ends in a node asks `check`, so that they wake at once. A missed end would let them wait
for ever, and which of them is the last depends on timing; so they look now and then themselves.
"""

import asyncio
from collections.abc import Callable

from counterpoint.errors import NodeStoppedError

LOOK_EVERY_SECONDS = 0.05


class Idlers:
    """Futures that are set when the node is idle; asked about only while somebody waits."""

    def __init__(self, is_idle: Callable[[], bool]) -> None:
        self._is_idle = is_idle
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Wait until the node is idle."""
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
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_exception(NodeStoppedError(why))
