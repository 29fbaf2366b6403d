"""What nodes that share one store know of each other, as plain tuples.

Times are integer microseconds UTC; those of leases are in the time of the store's own clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

ALL_SLOTS = range(256)
"""Every slot of a service; see `model.messages.slot_of`."""


@dataclass(frozen=True, slots=True)
class Hosting:
    """What a node is and hosts, as it tells the others."""

    node: str
    """The node's name, for people."""
    app: str = ""
    host: str = ""
    pid: int = 0
    services: Sequence[str] = ()
    workflows: Sequence[tuple[str, int]] = ()
    """Recorded names with the versions that this node's code has."""
    activities: Sequence[str] = ()
    subscriptions: Sequence[str] = ()
    """Recorded names of reactions, and of workflows that events start."""


class NodeRow(NamedTuple):
    """One incarnation of a node."""

    incarnation: int
    """Never used twice."""
    node: str
    app: str
    host: str
    pid: int
    services: Sequence[str]
    workflows: Sequence[tuple[str, int]]
    activities: Sequence[str]
    subscriptions: Sequence[str]
    started_at: int
    seen_at: int
    """When it last renewed its lease."""
    lease_until: int
    draining: bool
    """It hands over and stops, or is asked to."""
    stopped_at: int | None
    """It handed over and stopped by itself."""
    lost_at: int | None
    """Another node declared it dead."""

    @property
    def alive(self) -> bool:
        """Whether it may commit."""
        return self.stopped_at is None and self.lost_at is None


class NodeLoad(NamedTuple):
    """How much of the store's work one incarnation owns."""

    incarnation: int
    executions: int
    """Live ones."""
    slots: int
    calls: int
    """Calls of others' executions that it has claimed and not ended."""


class SlotRow(NamedTuple):
    """Who delivers the events of one slot to one service; nobody: None."""

    service: str
    slot: int
    owner: int | None


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a node learns when it renews its lease."""

    draining: bool = False
    others: int = 0
    """Other incarnations that may commit."""
    mail: bool = False
    """There are letters for this node."""
    unrouted: bool = False
    """There are letters for which nobody is responsible."""
    last_position: int = 0
    """Of the event log."""
    calls: bool = False
    """There are calls that nobody has claimed, of activities that this node hosts."""
    cancelled: bool = False
    """Claims of this node were cancelled by those who called."""
    orphans: bool = False
    """There are executions, or claims, of incarnations that may not commit any more."""
    expired: Sequence[int] = ()
    """Incarnations whose lease is over and that nobody has declared lost."""
    membership: int = 0
    """Changes whenever a node comes, goes, hosts something else, or slots change hands."""


class CallRow(NamedTuple):
    """An attempt of a step for a node that hosts the activity, from one that owns the execution."""

    execution_key: int
    step: int
    """The call's number; negative for what undoes it."""
    attempt: int
    """Tells the attempts of a step apart: the number of the record with which it began, not how
    many there were before; negative if nothing is to be run, and only asked how the step is tried
    (see `runtime.remote`)."""
    execution_id: str
    workflow: str
    """The recorded name: claims are fair between workflows."""
    service: str
    activity: str
    """The recorded name of the activity that is called, or of the compensation."""
    offered_at: int
    codec: str
    body: bytes
    """What the attempt needs to know; see `runtime.remote_call`."""
    claimed_by: int | None = None
    claimed_at: int | None = None
    cancelled: bool = False
    """Whoever called does not wait for it any more."""
    ended: bool = False
    """Its outcome was sent; the row stays until that was taken over."""


Step = tuple[int, int, int]
"""(execution key, step, attempt) of a `CallRow`."""


class Limit(NamedTuple):
    """How much of an activity, or of a whole service, may run at once or begin, on all nodes."""

    name: str
    """The recorded name of an activity or of a service."""
    concurrency: int | None
    rate: float | None
    """Attempts that may begin per second, on average."""
    burst: int = 1
    """How many of them may begin at one moment."""


@dataclass(frozen=True, slots=True)
class Calls:
    """What a commit writes about calls between nodes; every part may be empty."""

    offered: Sequence[CallRow] = ()
    """New ones; of a (key, step, attempt) that is there already nothing is written."""
    cancelled: Sequence[Step] = ()
    """Nobody waits for them: unclaimed ones are deleted, claimed ones marked."""
    ended: Sequence[Step] = ()
    """Their outcomes are in the same commit's mail."""
    over: Sequence[Step] = ()
    """Deleted: their outcomes are in a journal now."""


class Progress(NamedTuple):
    """How far a node has come in the log with one subscription, for all slots that it owns."""

    subscription: int
    position: int


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a node has taken over from incarnations that may not commit any more."""

    executions: int = 0
    first_wake_at: int | None = None
    """The earliest time at which one of them needs a node."""
    claims: Sequence[CallRow] = field(default_factory=tuple)
    """Calls that such an incarnation had claimed and not ended: they are lost attempts."""
    more: bool = False
    """There may be more to take over."""
