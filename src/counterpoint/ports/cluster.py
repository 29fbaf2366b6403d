"""What the runtime needs from a store that several nodes host.

*Incarnations.* `open(node=True)` makes a new incarnation with a lease. What the store shows to a
node is what is that incarnation's: `due`, `mail`, `waits_for` and `fulfilled_waits` return what
belongs to executions that it owns; everything else is seen by all. A start is owned by who commits
it.

*Fencing.* Every write of a node raises `NodeLostError`, and writes nothing, once another node has
declared its incarnation lost, or it has stopped. Declaring waits for commits that are under way:
what was committed before is seen by whoever adopts after. A lease is lost when it has been declared
so, not when its time is over; its time is that of the store's clock, and does not run while the
store itself is down.

*Letters.* Each letter is routed to one incarnation: to the owner of the execution that it is
addressed to; a start of what does not exist to a node that hosts its workflow (`MailRow.about`); an
act on a dead letter to the owner of its slot (`about` is the service, `slot` the slot); every other
one to any node. It gets its position when it is routed, so that a node that has seen position p
never later finds a letter of its own below p, and letters to one execution keep their order.

*Slots.* The events of a slot of a service are delivered by its owner alone. A slot changes hands
when its owner gives it back, or is not alive any more.

*Calls.* An offered call is claimed once, by a node that hosts its activity, as its limits allow.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Protocol

from counterpoint.errors import StoreError
from counterpoint.model.cluster import (
    Adopted,
    CallRow,
    Hosting,
    Limit,
    NodeLoad,
    NodeRow,
    Progress,
    Pulse,
    SlotRow,
    Step,
)
from counterpoint.model.rows import Commit


class Heard(Enum):
    """What another process has just done to the store."""

    MAIL = "mail"
    """It posted or routed a letter to this node."""
    UNROUTED = "unrouted"
    """It posted a letter for which nobody is responsible yet."""
    EVENTS = "events"
    CALLS = "calls"
    """It offered or cancelled a call."""
    NODES = "nodes"
    """A node came, went or is to drain; slots changed hands; subscriptions changed."""


class Members(Protocol):
    """Who shares the store."""

    @property
    def incarnation(self) -> int:
        """This node's number since the store was opened; 0 for a client."""
        ...

    async def announce(self, hosting: Hosting) -> None:
        """Tell the others what this node hosts, from now on."""
        ...

    async def beat(self) -> Pulse:
        """Renew the lease and look around: one round trip.

        Raises:
            NodeLostError: this incarnation was declared lost.
        """
        ...

    async def declare_lost(self, incarnation: int) -> bool:
        """Declare an incarnation lost if its lease is over; whether it is lost now."""
        ...

    async def adopt(self, limit: int) -> Adopted:
        """Take over at most *limit* live executions that this node hosts, in their version, and
        the claims, of incarnations that may not commit any more. What needs a node first comes
        first. Their letters are routed again.
        """
        ...

    async def route(self, limit: int) -> int:
        """Route at most *limit* letters for which nobody is responsible; return how many."""
        ...

    async def ended(self, ids: Sequence[str]) -> list[str]:
        """Return those of *ids* whose newest run has ended, and does not continue as new."""
        ...

    async def nodes(self, *, dead_too: bool = False) -> list[NodeRow]:
        """Return the incarnations that may commit, oldest first; or all that are remembered."""
        ...

    async def loads(self) -> list[NodeLoad]:
        """Return what each incarnation owns, also those that are gone but not yet taken over."""
        ...

    async def drain(self, incarnation: int) -> bool:
        """Ask a node to hand over and stop; False if it is not alive. Clients may."""
        ...

    async def clock_skew(self) -> int:
        """Return how many microseconds this machine's clock is ahead of the store's."""
        ...

    def listen(self, heard: Callable[[Heard], None]) -> None:
        """Call *heard* soon after other processes did something; a hint that may not come."""
        ...


class Slots(Protocol):
    """Who delivers which events."""

    async def slots(self, services: Sequence[str]) -> list[SlotRow]:
        """Return who owns the slots of *services*; a slot without a row has no owner."""
        ...

    async def take_slots(self, service: str, count: int) -> list[int]:
        """Become the owner of at most *count* slots that no living node owns; return which.

        In the same transaction this node's progress with each subscription of the service goes
        back to the subscription's own position.
        """
        ...

    async def give_slots(self, service: str, slots: Sequence[int]) -> None:
        """Give slots back; nothing of them is under way here any more."""
        ...

    async def advance(self, service: str, progress: Sequence[Progress]) -> None:
        """Say how far this node has come with subscriptions of a service, for its own slots.

        A subscription's position becomes the least of what the owners of the service's slots say,
        if every slot has one.
        """
        ...


class RemoteCalls(Protocol):
    """Calls from the owner of an execution to nodes that host the activity."""

    async def claim(
        self, activities: Sequence[str], limits: Sequence[Limit], limit: int
    ) -> list[CallRow]:
        """Claim at most *limit* offered calls of *activities*, as *limits* allow.

        Fair between workflows: the oldest of each in turn.
        """
        ...

    async def cancelled_claims(self) -> list[Step]:
        """Return the claims of this node that nobody waits for."""
        ...

    async def calls_of(self, execution_key: int) -> list[CallRow]:
        """Return the calls of one execution, by step and attempt."""
        ...

    async def calls_out(self) -> bool:
        """Whether there are calls of live executions that this node owns, claimed or not."""
        ...

    async def unhosted_calls(self) -> list[tuple[str, int, int]]:
        """Return activities that no living node hosts, with how many calls wait for each and since
        when the oldest does."""
        ...


class Transaction(Protocol):
    """A database transaction in which a user writes and the store commits: all or nothing."""

    @property
    def connection(self) -> Any:
        """The driver's connection, for the user."""
        ...

    def expires(self, expired: Callable[[StoreError], None]) -> None:
        """Call *expired* if the store rolls it back by itself, because it is open for too long.

        Only before `check` was called: what follows that does not wait for the user.
        """
        ...

    async def check(self) -> None:
        """Raise what the commit would raise for the user's own statements (deferred constraints).

        Raises:
            Exception: the driver's; the transaction can only be rolled back.
        """
        ...

    async def commit(self, commit: Commit) -> int:
        """Write *commit* and what the user wrote; raises as `Store.commit` does, and rolls back."""
        ...

    async def rollback(self) -> None:
        """Undo what the user wrote; doing it twice, or after a commit, does nothing."""
        ...


class ClusterStore(Members, Slots, RemoteCalls, Protocol):
    """Everything that only a store with several nodes can do; see `StoreFeatures.many_nodes`."""
