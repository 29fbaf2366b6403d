"""Keys of executions, reserved in the store by the thousand."""

import asyncio
import math
from collections.abc import Callable

from counterpoint.ports.store import Store

RESERVED = 10_000
FRESH_SECONDS = 1.0
"""How long keys are used that were reserved beside other nodes: keys grow with time, about."""


class Keys:
    """The keys that one node has reserved and not used."""

    def __init__(self, store: Store, check: Callable[[], None]) -> None:
        self.store = store
        self._check = check
        """Raises where no more may be reserved."""
        self._left = iter(range(0))
        self._until = math.inf
        self._one = asyncio.Lock()

    def forget(self) -> None:
        """Use none of those that were reserved: the store was opened again."""
        self._left = iter(range(0))

    async def next(self) -> int:
        """Return a key that nobody else has."""
        key = next(self._left, None)
        if key is not None and (self._until == math.inf or self._now() <= self._until):
            return key
        async with self._one:  # many starts of one moment reserve once
            key = next(self._left, None)
            if key is None or self._now() > self._until:
                self._check()
                self._left = iter(await self.store.reserve_keys(RESERVED))
                shared = self.store.features.many_nodes
                self._until = self._now() + FRESH_SECONDS if shared else math.inf
                key = next(self._left)
            return key

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
