"""Back-pressure on starts: very many at once wait in line, each as little more than its task.

A start that has been let in holds its arguments three times (given, recorded, decoded), its rows
and its futures until it is durable. So at most `INSIDE_MAX` are let in; the others wait in order,
with what their callers gave them and nothing else.
"""

import asyncio
from collections import deque

INSIDE_MAX = 8_000
"""Several commits' worth, so that the line never keeps the disk waiting."""


class Entrance:
    """Counts the starts under way on one node."""

    def __init__(self, inside_max: int = INSIDE_MAX) -> None:
        self.inside_max = inside_max
        self.inside = 0
        self._line: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Starts that stand in line."""
        return len(self._line)

    async def enter(self) -> None:
        """Wait for a place and take it; whoever has entered leaves."""
        if self.inside < self.inside_max:
            self.inside += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()  # the place was given just before its owner gave up
            raise

    def leave(self) -> None:
        """Give the place to the next in line, or back."""
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.inside -= 1
