"""What the runtime needs from a store, and what a store may decline.

A store is one namespace: a file, a schema, an object in memory. One node hosts it at a time, or
several where its features say `many_nodes` (see `ports.cluster`); any number of clients read it and
post mail to it.

*Commit.* `commit` is atomic and durable: when it returns, everything in it survives a crash of the
process and, with the store's durable settings, of the machine. When it raises, the error says what
is known: `ConflictError`, `StoreBusyError`, `StoreFullError`, `StoreReadOnlyError` mean that
nothing was written; `StoreBrokenError` means that it is unknown, and that the store must be closed
and opened again before it is believed.

*Order.* Journal rows of one execution are read in the order of their first record. Mail is read in
the order of its positions; a reader that has seen position p never later finds mail below p.

*Who writes.* Only the node writes executions, journals and attributes. Everybody may post mail; the
node deletes mail in the commit that takes it over, so that each is taken exactly once.

*Attributes.* What a commit sets is found by from then on, by every reader; names and values are
compared exactly, character by character. Attributes go with their execution when it is forgotten.
"""

from dataclasses import dataclass
from typing import Protocol

from counterpoint.model.rows import Commit, DueRow, ExecutionRow, JournalRow, MailRow, Query
from counterpoint.model.states import Status
from counterpoint.ports.cluster import Transaction
from counterpoint.ports.examination import ExaminedStore
from counterpoint.ports.messages import MessageStore, ReadableMessages


@dataclass(frozen=True, slots=True)
class StoreFeatures:
    """Answers that the conformance suite asks of a store, never its name."""

    durable: bool = True
    """Committed data survives closing and reopening the store."""
    shared: bool = True
    """Other processes can open the same store as clients."""
    many_nodes: bool = False
    """Several nodes can host it at once: it is a `ports.cluster.ClusterStore`, too."""
    transactions: bool = False
    """Users can write to its database in the transaction of a commit: `begin` works."""
    nul: bool = True
    """Texts may hold the character NUL; else a commit that has one raises `StoreError`."""
    connection: str = ""
    """What `Transaction.connection` is: "sqlite" or "postgres", as the module of that name says."""
    transactions_at_once: int = 0
    """How many of them may be open; commits and reads find a connection all the same."""
    transactions_alone: bool = False
    """While one is open nothing else is committed."""


class ReadableStore(ReadableMessages, Protocol):
    """What everybody may read: executions, their journals and attributes, mail, and messages."""

    async def execution(self, execution_id: str) -> ExecutionRow | None:
        """Return the newest run of *execution_id*, or None."""
        ...

    async def executions(self, query: Query) -> list[ExecutionRow]:
        """Return one page of what matches all filters of *query*, newest first.

        Page on with `before=` the last row's key.
        """
        ...

    async def journal(self, key: int, *, after_seq: int = 0) -> list[JournalRow]:
        """Return the rows of an execution whose first record is above *after_seq*, oldest first.

        Raises:
            StoreCorruptError: a body does not match its digest.
        """
        ...

    async def attributes(self, key: int) -> dict[str, str]:
        """Return the attributes of an execution, by name; empty if it has none."""
        ...

    async def due(self, *, after: tuple[int, int], until: int, limit: int) -> list[DueRow]:
        """Return live executions with (wake_at, key) above *after* and wake_at at most *until*.

        Ordered by (wake_at, key), at most *limit*: pass the last row's pair as *after* to page on.
        Executions whose wake_at is None are never due; finished ones neither. An incident that has
        one (a compensation past its patience is tried on) is due like the others.
        """
        ...

    async def mail(
        self, *, after: int, limit: int, execution_id: str | None = None
    ) -> list[MailRow]:
        """Return mail with a position above *after*, in order, at most *limit*.

        With *execution_id* only what is addressed to it, found by an index.
        """
        ...

    async def changed(self) -> bool:
        """Whether another connection may have written since the last call; cheap enough to poll."""
        ...

    async def counts(self) -> dict[Status, int]:
        """Return how many executions stand in each live status, and in total in the others."""
        ...


class Store(ReadableStore, MessageStore, ExaminedStore, Protocol):
    """Executions, their journals and attributes, and the mail that others send to them."""

    @property
    def features(self) -> StoreFeatures:
        """What this store can do."""
        ...

    async def open(self, *, node: bool) -> None:
        """Open the store, creating or migrating it; as *node*, take the right to host it.

        Raises:
            StoreLockedError: *node* was asked for and another process hosts the store.
            StoreVersionError: a newer Counterpoint wrote it.
            StoreCorruptError: it is damaged or not Counterpoint's.
            StoreReadOnlyError, StoreFullError: it cannot be created or migrated.
        """
        ...

    async def close(self) -> None:
        """Give everything back; closing twice, or what was never opened, does nothing."""
        ...

    async def reserve_keys(self, count: int) -> range:
        """Return *count* execution keys, above all that were ever used or reserved."""
        ...

    async def commit(self, commit: Commit) -> int:
        """Write *commit* in one transaction; return the position of the first event in it.

        The events of a commit get positions one after the other; without events it returns 0.

        Raises:
            ConflictError: an (id, run) of `starts`, or a (source, id) of the events, exists; names
                all of them; nothing is written.
            StoreBusyError, StoreFullError, StoreReadOnlyError: nothing is written.
            StoreBrokenError: whether it was written is unknown.
        """
        ...

    async def begin(self) -> Transaction:
        """Begin a transaction for a user's own statements; see `StoreFeatures.transactions`.

        Raises:
            StoreError: it cannot begin.
        """
        ...

    async def forget(self, *, finished_before: int, limit: int) -> int:
        """Delete at most *limit* executions that finished before then; return how many.

        The oldest first, with their journals and attributes. One whose root (`root_key`) is an
        execution that has not finished is kept: its root may still want to undo what it did.
        """
        ...
