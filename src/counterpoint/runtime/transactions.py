"""Attempts in a transaction of the store's database: what a user writes, and the step, or neither.

An attempt whose function has a parameter for it begins a transaction, the function writes in it,
and when it has returned, the records of its execution (or the note of its reaction) are written in
the same transaction, which then commits.

Safety argument (P2, P3, P5):

1. *All or nothing.* The rows of the user and those that say that the step is done are written by
   one transaction of one database. There is no moment at which one of them is durable and the
   other is not; so a crash anywhere leaves both or neither, and after a crash that leaves neither
   the attempt is a lost one and the next one finds nothing of it.
2. *Nothing is left of what failed.* A transaction is committed in one place, `OpenTransaction.
   commit`, with what its success records. Every other way out of the attempt (it raised, timed
   out, was cancelled, its result cannot be encoded, a deferred constraint is broken) rolls it back,
   before the outcome is reported. An outcome that nobody takes (its step has settled meanwhile,
   its execution has ended or was dropped, the store has failed) is abandoned: rolled back too. What
   is neither committed nor rolled back, because the process died, is undone by the database.
3. *One writer per execution.* From the turn that applies the outcome on, the execution belongs to
   the transaction (`Resident.transaction`): the committer gathers nothing of it for a group commit,
   and what it records meanwhile waits until the transaction has been committed. Records of it that
   are in a group commit under way come first: the transaction waits for that commit. A second
   transaction of the same execution is applied when the first is committed (`later`). So the rows
   of one journal are written in the order in which they were decided, by one commit at a time.
4. *Unknown ends.* If it is unknown whether the transaction was committed, everything in memory is
   dropped and the store is read again, as after any commit: `runtime.committer`, 3. The store makes
   sure that a commit under way is over before it is read (its connection is closed; a store with
   several nodes declares the incarnation lost, which waits for it).
5. *Fencing.* The store fences the commit of a transaction as any other, with the incarnation that
   began it.

*No deadlock.* On a store where a transaction is alone, nobody commits while it is open, so that it
must never wait for a commit: the committer waits for its turn before it gathers anything, and so no
record of any execution is in a commit that waits for a transaction (3 never waits there). The turn
is first come, first served: between two transactions the committer gets one. On other stores
commits and reads do not wait for transactions: they find a connection while `transactions_at_once`
of them are open, and more are not begun.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from counterpoint.authoring.failures import failure_of
from counterpoint.authoring.registry import Registry
from counterpoint.authoring.transactions import Kind, TransactionParameter
from counterpoint.errors import DefinitionError, StoreError
from counterpoint.model.outcomes import Outcome, Raised, Returned
from counterpoint.model.rows import Commit
from counterpoint.ports.cluster import Transaction
from counterpoint.ports.store import Store, StoreFeatures
from counterpoint.runtime.attempt import Attempt, Work
from counterpoint.runtime.log import logger

if TYPE_CHECKING:
    from counterpoint.runtime.sessions import Sessions


class OpenTransaction:
    """A transaction that an attempt has begun, until it is committed or rolled back."""

    def __init__(self, inner: Transaction, over: Callable[[], None]) -> None:
        self._inner = inner
        self._over: Callable[[], None] | None = over
        self._ending: asyncio.Task[None] | None = None
        self.expired: StoreError | None = None
        """Why the store has ended it by itself."""

    @property
    def connection(self) -> Any:
        """What the user writes with."""
        return self._inner.connection

    def watch(self, attempt: Attempt) -> None:
        """End the attempt, too, if the store ends the transaction by itself."""

        def expired(error: StoreError) -> None:
            self.expired = error
            self._is_over()
            if attempt.task is not None:
                attempt.task.cancel()

        self._inner.expires(expired)

    async def check(self) -> None:
        """Raise what the commit would raise for the user's own statements."""
        await self._inner.check()

    async def commit(self, commit: Commit) -> int:
        """Write *commit* and what the user wrote; see `ports.cluster.Transaction`."""
        try:
            return await self._inner.commit(commit)
        except asyncio.CancelledError:
            self.abandon()
            raise
        finally:
            if self._ending is None:
                self._is_over()

    async def roll_back(self) -> None:
        """Undo what the user wrote; who is cancelled meanwhile does not stop it."""
        self.abandon()
        if self._ending is not None:
            await asyncio.shield(self._ending)

    def abandon(self) -> None:
        """Begin to undo what the user wrote, if it is neither committed nor being undone."""
        if self._over is not None and self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end())

    async def _end(self) -> None:
        try:
            await self._inner.rollback()
        except Exception:
            logger.exception("a transaction could not be rolled back; the database undoes it")
        finally:
            self._is_over()

    def _is_over(self) -> None:
        over, self._over = self._over, None
        if over is not None:
            over()


class Transactions:
    """The open transactions of a node."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.gate = asyncio.Lock()
        """Who may use the store's one connection, where a transaction is alone."""
        self.open = 0
        self._reserved: set[Attempt] = set()
        """Attempts for which there is room, and that have not begun a transaction yet."""
        self._sessions: Sessions | None = None
        self.freed: Callable[[], None] = _nothing
        """Called when there is room for another one."""

    @property
    def room(self) -> bool:
        """Whether another transaction may begin."""
        return self.open < self.store.features.transactions_at_once

    @property
    def alone(self) -> bool:
        """Whether nothing else is committed while a transaction is open."""
        return self.store.features.transactions_alone

    def reserve(self, attempt: Attempt) -> None:
        """Keep room for an attempt that is about to begin."""
        self._reserved.add(attempt)
        self.open += 1

    def ended(self, attempt: Attempt) -> None:
        """An attempt has ended: give its room back if it has not begun its transaction."""
        if attempt in self._reserved:
            self._reserved.remove(attempt)
            self.open -= 1

    async def run(self, attempt: Attempt, arguments: dict[str, Any]) -> Outcome:
        """Run an attempt's function in a transaction.

        Where it returned, `attempt.transaction` is what the outcome has to be committed with.
        """
        self._reserved.remove(attempt)  # from here on `_begin` gives the room back
        try:
            opened = await self._begin()
        except StoreError as error:
            return Raised(failure_of(error, attempt.work.service), may_have_happened=False)
        try:
            opened.watch(attempt)
            outcome = await self._run_in(opened, attempt, arguments)
        except BaseException:
            await opened.roll_back()
            if opened.expired is not None and _only_expired(attempt):
                raise opened.expired from None
            raise
        if not isinstance(outcome, Returned):
            await opened.roll_back()
        return outcome

    async def _run_in(
        self, opened: OpenTransaction, attempt: Attempt, arguments: dict[str, Any]
    ) -> Outcome:
        parameter = attempt.work.transaction
        assert parameter is not None  # noqa: S101 - the runner looked
        function: Any = attempt.work.function
        async with self._given(opened.connection, parameter) as given:
            arguments[parameter.name] = given
            outcome = attempt.encode(await function(**arguments))
        if isinstance(outcome, Returned):
            await opened.check()
            attempt.transaction = opened  # nothing is awaited from here to the report
        return outcome

    def _given(
        self, connection: Any, parameter: TransactionParameter
    ) -> AbstractAsyncContextManager[Any]:
        """Return what the function is given for its parameter."""
        if parameter.kind != "sqlalchemy":
            return nullcontext(connection)
        if self._sessions is None:
            from counterpoint.runtime.sessions import Sessions

            self._sessions = Sessions()
        return self._sessions.on(connection, parameter.hint)

    async def _begin(self) -> OpenTransaction:
        try:
            if self.alone:
                await self.gate.acquire()
            try:
                inner = await self.store.begin()
            except BaseException:
                if self.alone:
                    self.gate.release()
                raise
        except BaseException:
            self._leave()
            raise
        return OpenTransaction(inner, self._over)

    def _over(self) -> None:
        if self.alone:
            self.gate.release()
        self._leave()

    def _leave(self) -> None:
        self.open -= 1
        self.freed()


def _nothing() -> None:
    """Nobody waits for room."""


def _only_expired(attempt: Attempt) -> bool:
    """Whether an attempt was cancelled because its transaction was too long, and for nothing else.

    It has to be uncancelled then: its task goes on.
    """
    if attempt.cancelled or attempt.timed_out or attempt.reported or attempt.task is None:
        return False
    attempt.task.uncancel()
    return True


# ---- what an app may ask for ------------------------------------------------------------------


def check_transactions(registry: Registry, store: Store) -> None:
    """Refuse functions that ask for a transaction which the store cannot give.

    Raises:
        DefinitionError: there is one; names it, and says what to do.
    """
    features = store.features
    for name, parameter in _asking(registry):
        if parameter.kind not in _given(features):
            raise DefinitionError(_refusal(name, parameter, features))


def _asking(registry: Registry) -> Sequence[tuple[str, TransactionParameter]]:
    works: tuple[Work, ...] = (
        *registry.activities.values(),
        *registry.compensations.values(),
        *registry.reactions.values(),
    )
    return [(work.name, work.transaction) for work in works if work.transaction is not None]


def _given(features: StoreFeatures) -> tuple[Kind, ...]:
    if not features.transactions:
        return ()
    if features.connection == "postgres":
        return ("any", "postgres", "sqlalchemy")
    return ("any", "sqlite")


def _refusal(name: str, parameter: TransactionParameter, features: StoreFeatures) -> str:
    asks = f"{name} takes {parameter.name}: {parameter.words}, and the app's store"
    if not features.transactions:
        return f"{asks} has no transactions: use an sqlite:/// or a postgresql:// store"
    if parameter.kind == "sqlite":
        return (
            f"{asks} is no SQLite file: annotate it with counterpoint.Transaction, which runs on "
            "both, or with counterpoint.postgres.Transaction"
        )
    return (
        f"{asks} is no PostgreSQL database: annotate it with counterpoint.Transaction, which runs "
        "on both, or use a postgresql:// store"
    )
