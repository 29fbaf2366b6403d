"""Whether a node's store is shared with other nodes."""

from typing import cast

from counterpoint.ports.cluster import ClusterStore
from counterpoint.ports.store import Store


def cluster_of(store: Store) -> ClusterStore | None:
    """Return what a store does for several nodes; None if it has one."""
    return cast("ClusterStore", store) if store.features.many_nodes else None
