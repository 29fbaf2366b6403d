"""What nodes that share a PostgreSQL store do with each other.

*Model.* An incarnation is a row of `nodes`. It is alive while the row says neither that it stopped
nor that it was declared lost; nothing ever makes it alive again. Owners of executions, targets of
letters, owners of slots and holders of claims are incarnations, and what belongs to one that is not
alive may be taken over. A lease is a row of `leases`, apart, so that renewing one touches nothing
that commits look at.

*Safety argument (P7).* Every write for a node is one transaction that (1) takes, shared, the
advisory lock of its incarnation, which PostgreSQL keeps to the end of the transaction, and (2) in a
later statement looks whether the incarnation is alive. Who declares an incarnation lost (3) takes
the same lock exclusively and (4) writes `lost_at` in the same transaction. The isolation level is
READ COMMITTED: each statement sees all that was committed before the statement began.

A. *No write of an incarnation commits after it was declared lost.* Let W be a write and D the
   declaration. If W had the lock first, (3) waits until W has committed or rolled back. If D had it
   first, (1) waits until D has committed, and (2) begins after that: it sees `lost_at` and raises.
B. *Who adopts sees all that the former owner wrote.* PostgreSQL lets a transaction's changes be
   seen before it gives up its locks. So after (3) all writes of the incarnation are seen, D commits
   later, and a statement that sees it dead, as every adoption does, sees them, too.
C. *Two nodes never own the same thing.* An owner is changed only by an UPDATE whose condition is
   the former, dead owner. PostgreSQL locks the row, and looks at the condition again if the row was
   changed meanwhile; then the owner is the living node that was quicker.

From A, B and C: at any time at most one incarnation can commit for an execution, and it knows all
that was committed before.

*Interleavings considered.*

- *A commit is under way while its node is declared lost.* A: the declaration waits for it.
- *A node is stopped (SIGSTOP, or its machine hangs) between a statement and the end of its
  transaction.* The transaction stays open and holds the shared lock. Who declares waits half a
  second, says no, and tries again at its next pulse. Once the lease has been over for another whole
  lease, it has the server end the sessions that hold the lock (`pg_locks` has them), which rolls
  them back, and takes it. A commit of one statement has no such gap; a transaction in which a user
  writes has one, and holds the lock from its beginning, so that the rows it has locked come free.
- *The stopped node goes on.* Its session is gone, or its next statement fails at (2).
- *Two nodes declare the same one.* The second gets the lock after the first has committed and finds
  nothing to change; to both it is lost.
- *A node renews its lease while it is declared lost.* The pulse is fenced like a write. Either it
  commits first, and the declaration, which looks at the lease again under the lock, says no; or it
  raises `NodeLostError`. A lease that is over and was not declared lost can be renewed.
- *Two nodes adopt at once.* `FOR UPDATE SKIP LOCKED`: each takes what the other does not hold; C.
- *A letter is posted while its execution changes its owner.* Who posts looks for the owner under
  the lock on the log. If the owner dies after that, the letter has a dead target and counts as not
  routed. A dead incarnation is put aside for good (`emptied`) under the same lock, after a look for
  such letters. Order is kept by the rules in `004_letters.sql`.
- *A client of the server gave up and connected again, and its old session is still committing (a
  zombie).* A store that is opened again has a new incarnation, and declares its old one lost
  first, lease or not: A holds for the zombie, too. Adopting, or reading, comes after.
- *A slot is taken while its former owner's last commit is under way.* A living owner gives a slot
  back itself, when nothing of it is under way; a dead one was declared so, which waited (A, B).
- *A position is moved while a slot changes hands.* Both hold the subscription's row; see
  `005_slots.sql`.
- *The server restarts with all leases over.* A lease lasts at least its own length from the moment
  at which the server started, so that every node has the time for a pulse.
- *The server's clock jumps.* Leases may be over early, or late. Nodes may be declared lost that are
  well: they stop and come back as new incarnations. A, B and C do not speak of time.
- *A standby takes over that has not all commits* (asynchronous replication). Nothing here helps:
  commits that were acknowledged are lost, incarnations among them. Use synchronous replication.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

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
from counterpoint.ports.cluster import Heard
from counterpoint.stores.queries import queries_of

_HEARD = {kind.value: kind for kind in (Heard.EVENTS, Heard.CALLS, Heard.NODES)}
_BACK_OFF_SECONDS = 10.0
"""How long orphans that this node cannot adopt are not looked at again."""


class PostgresCluster(ABC):
    """The part of `PostgresStore` that is about nodes, slots and calls."""

    _name: str
    _schema: str
    """As it stands in SQL."""
    _lease: float
    """How long a lease lasts, in seconds."""
    _incarnation: int = 0
    _others: bool = True
    """Whether other nodes may be there that have to be told what this one commits."""
    _listener: Callable[[Heard], None] | None = None
    _left_over: tuple[object, float] | None = None
    """With which dead and hosting all was adopted that can be, and until when to believe it."""
    _dead: Sequence[int] = ()
    _hosting: Hosting | None = None

    @abstractmethod
    async def _rows(self, text: str, *values: Any) -> Sequence[Any]:
        """Return what a statement reads."""

    @abstractmethod
    async def _act(self, text: str, *values: Any) -> Sequence[Any]:
        """Execute a statement that writes, in a transaction of its own."""

    @property
    def incarnation(self) -> int:
        return self._incarnation

    async def announce(self, hosting: Hosting) -> None:
        names = [name for name, _ in hosting.workflows]
        versions = [version for _, version in hosting.workflows]
        await self._act(
            self._cluster["announce"],
            self._incarnation,
            hosting.node,
            hosting.app,
            hosting.host,
            hosting.pid,
            list(hosting.services),
            names,
            versions,
            list(hosting.activities),
            list(hosting.subscriptions),
        )
        self._hosting = hosting

    async def beat(self) -> Pulse:
        (row,) = await self._act(self._cluster["pulse"], self._incarnation, _micros(self._lease))
        *columns, dead = row
        pulse = _pulse(columns)
        self._others = pulse.others > 0
        self._dead = tuple(dead)
        if self._dead and not pulse.orphans:
            await self._act(self._cluster["settle"], self._incarnation)
        if pulse.orphans and self._is_left_over():
            return replace(pulse, orphans=False)
        return pulse

    async def declare_lost(self, incarnation: int) -> bool:
        return bool(await self._value("declare_lost", incarnation, False))

    async def adopt(self, limit: int) -> Adopted:
        claims = await self._act(self._cluster["adopt_claims"], self._incarnation, limit)
        ((taken, first),) = await self._act(self._cluster["adopt"], self._incarnation, limit)
        more = limit in (taken, len(claims))
        if not more:
            await self._act(self._cluster["settle"], self._incarnation)
            self._left_over = (self._situation(), time.monotonic() + _BACK_OFF_SECONDS)
        return Adopted(taken, first, _calls(claims), more)

    async def route(self, limit: int) -> int:
        return int(await self._value("route", self._incarnation, limit))

    async def ended(self, ids: Sequence[str]) -> list[str]:
        return [row[0] for row in await self._rows(self._cluster["ended"], list(ids))]

    async def nodes(self, *, dead_too: bool = False) -> list[NodeRow]:
        rows = await self._rows(self._cluster["nodes"], dead_too)
        return [_node_row(tuple(row)) for row in rows]

    async def loads(self) -> list[NodeLoad]:
        return [NodeLoad(*row) for row in await self._rows(self._cluster["loads"])]

    async def drain(self, incarnation: int) -> bool:
        return bool(await self._value("drain", incarnation))

    async def clock_skew(self) -> int:
        before = time.time_ns()
        ((theirs,),) = await self._rows(self._cluster["clock"])
        ours = (before + time.time_ns()) // 2_000
        return int(ours - theirs)

    def listen(self, heard: Callable[[Heard], None]) -> None:
        self._listener = heard

    async def slots(self, services: Sequence[str]) -> list[SlotRow]:
        return [SlotRow(*row) for row in await self._rows(self._cluster["slots"], list(services))]

    async def take_slots(self, service: str, count: int) -> list[int]:
        return list(await self._value("take_slots", self._incarnation, service, count))

    async def give_slots(self, service: str, slots: Sequence[int]) -> None:
        await self._value("give_slots", self._incarnation, service, list(slots))

    async def advance(self, service: str, progress: Sequence[Progress]) -> None:
        numbers = [said.subscription for said in progress]
        positions = [said.position for said in progress]
        await self._value("advance", self._incarnation, service, numbers, positions)

    async def claim(
        self, activities: Sequence[str], limits: Sequence[Limit], limit: int
    ) -> list[CallRow]:
        rows = await self._act(
            self._cluster["claim"],
            self._incarnation,
            list(activities),
            [each.name for each in limits],
            [each.concurrency for each in limits],
            [each.rate for each in limits],
            [each.burst for each in limits],
            limit,
        )
        return _calls(rows)

    async def cancelled_claims(self) -> list[Step]:
        rows = await self._rows(self._cluster["cancelled_claims"], self._incarnation)
        return [(key, step, attempt) for key, step, attempt in rows]

    async def calls_of(self, execution_key: int) -> list[CallRow]:
        return _calls(await self._rows(self._cluster["calls_of"], execution_key))

    async def calls_out(self) -> bool:
        ((out,),) = await self._rows(self._cluster["calls_out"], self._incarnation)
        return bool(out)

    async def unhosted_calls(self) -> list[tuple[str, int, int]]:
        rows = await self._rows(self._cluster["unhosted_calls"])
        return [(activity, count, since) for activity, count, since in rows]

    async def _enter(self) -> None:
        """Become a new incarnation; the one that this object had before is lost from now on."""
        if self._incarnation:
            await self._value("declare_lost", self._incarnation, True)
        self._incarnation = int(await self._value("enter", _micros(self._lease)))
        self._others = True
        self._left_over = None

    async def _leave(self) -> None:
        """Stop being alive, if the store can still be told."""
        try:
            if self._incarnation:
                await self._value("leave", self._incarnation)
        except (StoreError, OSError):
            return  # its lease ends, and the others see it

    def _hear(self, payload: str) -> None:
        """Tell who listens what another process has said, if it concerns this node."""
        if self._listener is None:
            return
        word, _, number = payload.partition(" ")
        if word != Heard.MAIL.value:
            heard = _HEARD.get(word)
        elif number == "0":
            heard = Heard.UNROUTED
        else:
            heard = Heard.MAIL if number == str(self._incarnation) else None
        if heard is not None:
            self._listener(heard)

    @property
    def _cluster(self) -> Mapping[str, str]:
        return queries_of(self._schema, "postgres/cluster.sql")

    async def _value(self, query: str, *values: Any) -> Any:
        ((value,),) = await self._act(self._cluster[query], *values)
        return value

    def _situation(self) -> object:
        return self._incarnation, self._dead, self._hosting

    def _is_left_over(self) -> bool:
        if self._left_over is None:
            return False
        situation, until = self._left_over
        return situation == self._situation() and time.monotonic() < until


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _calls(rows: Sequence[Any]) -> list[CallRow]:
    return [CallRow(*row) for row in rows]


def _pulse(columns: list[Any]) -> Pulse:
    pulse = Pulse(*columns)
    return replace(pulse, expired=tuple(pulse.expired))


def _node_row(row: tuple[Any, ...]) -> NodeRow:
    workflows = tuple(zip(row[6], row[7], strict=True))
    services, activities, subscriptions = tuple(row[5]), tuple(row[8]), tuple(row[9])
    lists = (services, workflows, activities, subscriptions)
    return NodeRow._make((*row[:5], *lists, *row[10:]))
