"""What a node tells of its health about calls that no living node hosts.

Asked of the store now and then, because health is told from any thread and waits for nothing.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from counterpoint.errors import StoreError
from counterpoint.ports.cluster import ClusterStore
from counterpoint.runtime.host import Host

LOOK_EVERY_SECONDS = 5.0


class UnhostedCalls:
    """The calls that wait for a node that hosts them, as of the last look."""

    def __init__(self, node: Host, store: ClusterStore) -> None:
        self.node = node
        self.store = store
        self.found: Sequence[tuple[str, int, int]] = ()
        """Recorded names, how many calls wait for each, and since when the oldest does."""

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            if self.node.fault is None:
                with suppress(StoreError):  # whoever cannot do without the store meets it, too
                    await self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def look(self) -> None:
        """Ask the store.

        Raises:
            StoreError: it cannot be read; what was found before stays.
        """
        self.found = tuple(await self.store.unhosted_calls())
