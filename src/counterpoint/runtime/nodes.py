"""Who hosts a store, as data: `app.nodes()`, `counterpoint nodes`."""

import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from counterpoint.authoring.registry import Registry
from counterpoint.errors import ArgumentsError
from counterpoint.model.cluster import NodeLoad, NodeRow
from counterpoint.runtime.cluster import cluster_of
from counterpoint.runtime.description import time_of

if TYPE_CHECKING:
    from counterpoint.runtime.access import Access


class NodeState(StrEnum):
    """How a node stands."""

    ALIVE = "alive"
    DRAINING = "draining"
    """It hands over and stops, or is asked to."""
    LATE = "late"
    """Its lease is over; it goes on unless another node declares it lost."""
    STOPPED = "stopped"
    """It handed over and stopped by itself."""
    LOST = "lost"
    """Another node declared it dead: it does not commit any more."""


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """One incarnation of a node: a process that hosts services of the store, or did."""

    name: str
    """For people; several nodes may have the same."""
    incarnation: int
    """Its number, never used twice; 0 on a store that one node hosts."""
    state: NodeState
    alive: bool
    """Whether it may commit."""
    app: str
    host: str
    pid: int
    """Its process on that host; 0 if it is not known."""
    services: Sequence[str]
    workflows: Mapping[str, int]
    """Recorded names of the workflows that it hosts, with the version of its code."""
    activities: Sequence[str]
    subscriptions: Sequence[str]
    """Recorded names of reactions, and of workflows that events start."""
    started_at: datetime | None
    seen_at: datetime | None
    """When it last renewed its lease."""
    lease_until: datetime | None
    ended_at: datetime | None
    """When it stopped, or was declared lost."""
    executions: int
    """Live ones that it owns."""
    slots: Mapping[str, int]
    """By service: of how many of the 256 slots of keys it delivers the events."""
    calls: int
    """Calls of other nodes' executions that it runs."""

    @property
    def place(self) -> str:
        """Where it runs, as `host:pid`."""
        return f"{self.host}:{self.pid}"

    @property
    def label(self) -> str:
        """Its number, and what people call it."""
        what = self.place if self.name == self.place else f"{self.name}, {self.place}"
        return f"node {self.incarnation} ({what})"


async def store_time(access: "Access") -> int:
    """Return the present in microseconds, by the clock of a store that has one of its own."""
    cluster = cluster_of(access.store)
    return access.now() - (0 if cluster is None else await cluster.clock_skew())


async def read_nodes(access: "Access", now: int, *, all_of_them: bool) -> list[NodeInfo]:
    """Return the nodes that may commit; or all that are remembered, or own something still."""
    cluster = cluster_of(access.store)
    if cluster is None:
        return await _only_node(access)
    rows = await cluster.nodes(dead_too=all_of_them)
    loads = {load.incarnation: load for load in await cluster.loads()}
    services = sorted({service for row in rows if row.alive for service in row.services})
    slots: dict[int, Counter[str]] = {}
    for slot in await cluster.slots(services):
        if slot.owner is not None:
            slots.setdefault(slot.owner, Counter())[slot.service] += 1
    if all_of_them:
        known = {row.incarnation for row in rows}
        rows = [*rows, *(_forgotten(number) for number in sorted(loads) if number not in known)]
    return [
        node_info(row, loads.get(row.incarnation), slots.get(row.incarnation, {}), now)
        for row in rows
    ]


def node_info(row: NodeRow, load: NodeLoad | None, slots: Mapping[str, int], now: int) -> NodeInfo:
    """Return a row of a node, and what it owns, for people and programs."""
    ended_at = row.stopped_at if row.lost_at is None else row.lost_at
    return NodeInfo(
        row.node,
        row.incarnation,
        _state(row, now),
        row.alive,
        row.app,
        row.host,
        row.pid,
        sorted(row.services),
        dict(sorted(row.workflows)),
        sorted(row.activities),
        sorted(row.subscriptions),
        _time(row.started_at),
        _time(row.seen_at),
        _time(row.lease_until),
        _time(ended_at),
        0 if load is None else load.executions,
        dict(sorted(slots.items())),
        0 if load is None else load.calls,
    )


def find_nodes(nodes: Sequence[NodeInfo], wanted: str | int) -> list[NodeInfo]:
    """Return the nodes of that incarnation, or else of that name, or at that `host:pid`."""
    text = str(wanted)
    numbered = [node for node in nodes if str(node.incarnation) == text]
    return numbered or [node for node in nodes if text in (node.name, node.place)]


def find_node(nodes: Sequence[NodeInfo], wanted: str | int) -> NodeInfo:
    """Return the only node that is meant.

    Raises:
        ArgumentsError: there is none, or there are several; says which there are.
    """
    found = find_nodes(nodes, wanted)
    if len(found) == 1:
        return found[0]
    if found:
        words = node_words(found)
        raise ArgumentsError(f"{wanted!r} may be {words}: name its number", fields=["node"])
    known = node_words(nodes) or "none"
    raise ArgumentsError(f"no node is called {wanted!r}; there are {known}", fields=["node"])


def node_words(nodes: Sequence[NodeInfo]) -> str:
    """Return what nodes are called, for people."""
    return ", ".join(node.label for node in nodes)


async def _only_node(access: "Access") -> list[NodeInfo]:
    pid = await access.store.hosted_by()
    if pid is None:
        return []
    counts = await access.store.counts()
    registry = access.registry if pid == os.getpid() else Registry([], payload_bytes_max=0)
    host = socket.gethostname() if pid else ""
    return [
        NodeInfo(
            f"{host}:{pid}" if pid else "a process that is not known",
            0,
            NodeState.ALIVE,
            alive=True,
            app="",
            host=host,
            pid=pid,
            services=sorted(registry.services),
            workflows={name: found.version for name, found in sorted(registry.workflows.items())},
            activities=sorted(registry.activities),
            subscriptions=sorted(registry.subscription_names),
            started_at=None,
            seen_at=None,
            lease_until=None,
            ended_at=None,
            executions=sum(count for status, count in counts.items() if status.live),
            slots={},
            calls=0,
        )
    ]


def _state(row: NodeRow, now: int) -> NodeState:
    if row.lost_at is not None:
        return NodeState.LOST
    if row.stopped_at is not None:
        return NodeState.STOPPED
    if row.lease_until < now:
        return NodeState.LATE
    return NodeState.DRAINING if row.draining else NodeState.ALIVE


def _forgotten(incarnation: int) -> NodeRow:
    """Return a row for an incarnation that owns something, and of which nothing else is known."""
    row = NodeRow(incarnation, "a node that is forgotten", "", "", 0, (), (), (), (), 0, 0, 0, *_NO)
    return row._replace(lost_at=0)


_NO = (False, None, None)


def _time(at: int | None) -> datetime | None:
    return time_of(at) if at else None
