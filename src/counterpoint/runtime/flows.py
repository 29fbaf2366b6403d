"""Flows, as a process reads them: what became of an order, across services and styles."""

from typing import TYPE_CHECKING

from counterpoint.runtime.flow import Flow
from counterpoint.runtime.flow_rows import read_flow
from counterpoint.runtime.flow_tree import flow_of

if TYPE_CHECKING:
    from counterpoint.runtime.access import Access


class Flows:
    """Reads flows."""

    def _access(self) -> "Access":
        raise NotImplementedError

    async def flow(self, correlation_id: str) -> Flow:
        """Return everything with one correlation id, as a tree of what led to what.

        The id of any execution, reaction or event of the flow does as well; `source/id` names an
        event of a source outside. What happens meanwhile may be in it or not.

            flow = await app.flow("order-7")
            print(flow.counts()["dead_letters"])

        Raises:
            ExecutionNotFoundError: no flow, execution, reaction or event has the id.
            StoreError: something of it cannot be read.
        """
        access = self._access()
        return flow_of(await read_flow(access.store, access.codec, correlation_id), access.codec)
