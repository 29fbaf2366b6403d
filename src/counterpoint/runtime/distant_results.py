"""Tells those who wait here how executions ended that run on other nodes.

What ends on this node is told at once (`results`). Everything else that somebody waits for is
looked up now and then, many executions in one query.
"""

import asyncio

from counterpoint.errors import StoreError
from counterpoint.ports.cluster import ClusterStore
from counterpoint.runtime.host import Host
from counterpoint.runtime.recovery import tell_end
from counterpoint.runtime.starts import about_to_begin

SHORTEST_SECONDS = 0.05
LONGEST_SECONDS = 1.0
IDS_MAX = 500
"""Executions that are looked up at once; of more, each gets its turn."""


class DistantResults:
    """Looks after the results that are decided on other nodes."""

    def __init__(self, node: Host, store: ClusterStore) -> None:
        self.node = node
        self.store = store
        self._begin = 0
        self._pause = SHORTEST_SECONDS

    async def run(self) -> None:
        """Look for ends, more and more rarely while there are none, until cancelled."""
        while True:
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 1.5, LONGEST_SECONDS)
            if self.node.fault is None:
                try:
                    await self._look()
                except StoreError as error:
                    self.node.store_failed(error)

    def look_soon(self) -> None:
        """Somebody waits for what does not run here."""
        self._pause = SHORTEST_SECONDS

    async def _look(self) -> None:
        node = self.node
        ids = [id_ for id_ in node.results.ids() if id_ not in node.residents]
        if not ids:
            return
        if len(ids) > IDS_MAX:
            self._begin %= len(ids)
            ids = [*ids[self._begin :], *ids][:IDS_MAX]
            self._begin += IDS_MAX
        for execution_id in await self.store.ended(ids):
            await self._tell(execution_id)

    async def _tell(self, execution_id: str) -> None:
        node = self.node
        if await about_to_begin(node.store, execution_id):
            return  # it was asked to go on, or to begin again
        if node.fault is None and await tell_end(
            node.store, node.codec, node.results, execution_id
        ):
            self._pause = SHORTEST_SECONDS
