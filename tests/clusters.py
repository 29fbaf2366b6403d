"""A store in memory that says of itself that several nodes host it, as tests set them."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from counterpoint.model.cluster import ALL_SLOTS, NodeLoad, NodeRow, SlotRow
from counterpoint.model.findings import Examination
from counterpoint.stores.memory import MemoryStore

SECOND = 1_000_000
LEASE = 10 * SECOND


def present() -> int:
    return time.time_ns() // 1_000


def row(
    incarnation: int, name: str, *services: str, at: int | None = None, **facts: Any
) -> NodeRow:
    """Return a node that started a minute ago and hosts everything of *services* that it names."""
    now = present() if at is None else at
    plain = NodeRow(
        incarnation,
        name,
        "shop",
        f"{name}.example",
        4000 + incarnation,
        services,
        [(f"{service}.place", 1) for service in services],
        [f"{service}.book" for service in services],
        [f"{service}.note" for service in services],
        now - 60 * SECOND,
        now - SECOND,
        now + LEASE - SECOND,
        draining=False,
        stopped_at=None,
        lost_at=None,
    )
    return plain._replace(**facts)


class ClusterInMemory(MemoryStore):
    """What the nodes are, own and leave waiting is what a test puts here."""

    def __init__(self, *rows: NodeRow) -> None:
        super().__init__()
        self.features = replace(self.features, many_nodes=True)
        self.rows = list(rows)
        self.owned: list[NodeLoad] = []
        self.slot_owners: dict[str, int | None] = {}
        """By service, who has all its slots."""
        self.calls_waiting: list[tuple[str, int, int]] = []
        self.skew = 0
        self.examination = Examination({"store": "a cluster in memory"})
        self.drained: list[int] = []
        self.polls: list[NodeRow] = []
        """What takes the place of the node of its number, one with each look at the nodes."""
        self.forgets = False
        """Nodes that ended are not remembered."""

    async def nodes(self, *, dead_too: bool = False) -> list[NodeRow]:
        if self.drained and self.polls:
            found = self.polls.pop(0)
            self.rows = [
                found if one.incarnation == found.incarnation else one for one in self.rows
            ]
        return [one for one in self.rows if one.alive or (dead_too and not self.forgets)]

    async def loads(self) -> list[NodeLoad]:
        return list(self.owned)

    async def slots(self, services: Sequence[str]) -> list[SlotRow]:
        return [
            SlotRow(service, slot, self.slot_owners[service])
            for service in services
            if service in self.slot_owners
            for slot in ALL_SLOTS
        ]

    async def drain(self, incarnation: int) -> bool:
        self.drained.append(incarnation)
        return any(one.incarnation == incarnation and one.alive for one in self.rows)

    async def clock_skew(self) -> int:
        return self.skew

    async def unhosted_calls(self) -> list[tuple[str, int, int]]:
        return self.calls_waiting

    async def examine(self) -> Examination:
        return self.examination

    async def hosted_by(self) -> int | None:
        return 0
