"""Everything that an examination looks at, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from counterpoint.errors import ContractError
from counterpoint.model.findings import Examination
from counterpoint.model.messages import DeadLetterGroup, HoldRow
from counterpoint.model.rows import MailRow, Query
from counterpoint.model.states import Status
from counterpoint.runtime.cluster import cluster_of
from counterpoint.runtime.lags import SubscriptionLag, read_lags
from counterpoint.runtime.messaging.log_pages import all_holds
from counterpoint.runtime.messaging.opening import check_contracts
from counterpoint.runtime.nodes import NodeInfo, NodeState, read_nodes
from counterpoint.runtime.unhosted import UnhostedWork, read_letters, read_unhosted

if TYPE_CHECKING:
    from counterpoint.runtime.access import Access

INCIDENTS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Survey:
    """A store and those who share it, as they stood at one moment."""

    now: int
    """In microseconds, by the store's clock where it has one."""
    many_nodes: bool
    skew: int
    """How many microseconds this machine's clock is ahead of the store's."""
    store: Examination
    nodes: Sequence[NodeInfo]
    """Those that may commit, those that own something still, and those that are remembered."""
    lags: Sequence[SubscriptionLag]
    letters: Sequence[MailRow]
    unhosted: Sequence[UnhostedWork]
    counts: Mapping[Status, int]
    incidents: Sequence[str]
    """The ids of the newest of them."""
    dead: Sequence[DeadLetterGroup]
    holds: Sequence[HoldRow]
    contract_error: str | None
    """Why no node of this app would start, if it is because of its contracts."""

    @property
    def alive(self) -> list[NodeInfo]:
        """The nodes that may commit."""
        return [node for node in self.nodes if node.alive]

    @property
    def working(self) -> list[NodeInfo]:
        """Those of them that renew their lease."""
        return [node for node in self.alive if node.state is not NodeState.LATE]


async def read_survey(access: "Access") -> Survey:
    """Read what an examination looks at."""
    store = access.store
    cluster = cluster_of(store)
    skew = 0 if cluster is None else await cluster.clock_skew()
    now = access.now() - skew
    nodes = await read_nodes(access, now, all_of_them=True)
    lags = await read_lags(store, nodes)
    letters = await read_letters(access)
    incidents = await store.executions(Query((Status.INCIDENT,), limit=INCIDENTS_NAMED))
    return Survey(
        now,
        cluster is not None,
        skew,
        await store.examine(),
        nodes,
        lags,
        letters,
        await read_unhosted(access, nodes, lags, letters),
        await store.counts(),
        [row.id for row in incidents],
        await store.dead_letter_groups(),
        await all_holds(store),
        await _contract_error(access),
    )


async def _contract_error(access: "Access") -> str | None:
    try:
        await check_contracts(access.store, access.registry)
    except ContractError as error:
        return str(error)
    return None
