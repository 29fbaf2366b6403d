"""What a process can do about nodes: see who hosts the store, ask one to stop, look for trouble."""

from typing import TYPE_CHECKING

from counterpoint.errors import ArgumentsError, StoreError
from counterpoint.runtime.cluster import cluster_of
from counterpoint.runtime.doctor import Diagnosis, diagnose
from counterpoint.runtime.lags import SubscriptionLag, read_lags
from counterpoint.runtime.nodes import NodeInfo, find_node, read_nodes, store_time
from counterpoint.runtime.survey import read_survey
from counterpoint.runtime.unhosted import UnhostedWork, read_letters, read_unhosted

if TYPE_CHECKING:
    from counterpoint.runtime.access import Access


class Operations:
    """Looks after the nodes that host a store."""

    def _access(self) -> "Access":
        raise NotImplementedError

    async def nodes(self, *, all_of_them: bool = False) -> list[NodeInfo]:
        """Return the nodes that host the store, oldest first: what they host, and own.

        With *all_of_them* also those that stopped or were lost, as far as they are remembered. A
        store with one node knows its process only.
        """
        access = self._access()
        return await read_nodes(access, await store_time(access), all_of_them=all_of_them)

    async def lags(self) -> list[SubscriptionLag]:
        """Return how far each subscription is behind the log, and since when.

        Running nodes write positions once a second.
        """
        access = self._access()
        nodes = await read_nodes(access, access.now(), all_of_them=False)
        return await read_lags(access.store, nodes)

    async def unhosted(self) -> list[UnhostedWork]:
        """Return the work that waits because no living node hosts what it needs."""
        access = self._access()
        nodes = await read_nodes(access, access.now(), all_of_them=False)
        lags = await read_lags(access.store, nodes)
        return await read_unhosted(access, nodes, lags, await read_letters(access))

    async def drain(self, node: str | int) -> NodeInfo:
        """Ask a node to hand over what it owns and to stop; return how it stood before.

        *node* is its number, its name, or `host:pid`. It takes no more work, lets attempts finish
        for `stop_within`, and is `stopped` once the others may have the rest.

        Raises:
            ArgumentsError: no living node, or several, are called so.
            StoreError: the store has one node, which is stopped by ending its process.
        """
        access = self._access()
        cluster = cluster_of(access.store)
        if cluster is None:
            raise StoreError(_one_process(await access.store.hosted_by()))
        found = find_node(await read_nodes(access, access.now(), all_of_them=False), node)
        if not await cluster.drain(found.incarnation):
            raise ArgumentsError(f"the node {node!r} has just stopped", fields=["node"])
        return found

    async def doctor(self) -> Diagnosis:
        """Look for whatever is wrong with the store, its nodes and its work; change nothing."""
        return diagnose(await read_survey(self._access()))


def _one_process(pid: int | None) -> str:
    what = "one node at a time hosts this store, and nothing can take over from it: "
    if pid is None:
        return what + "none does now"
    if not pid:
        return what + "end its process with SIGTERM or Ctrl-C"
    return what + f"end its process with SIGTERM (kill {pid}); activities may finish first"
