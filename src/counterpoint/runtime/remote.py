"""Calls that travel: to a node that hosts the activity, and back to the execution's owner.

An attempt of a step *travels* if its owner does not host what it runs, or if a limit holds for it
over all nodes. The life of its row in `calls`:

    offered     by the owner, in the commit of the record with which the attempt begins
    claimed     by one node that hosts it (`store.claim`), which runs it
    ended       by that node, in the commit that posts the letter which says how it ended; or by the
                node that finds it, after that one was declared lost (then the letter says so)
    over        deleted by the owner, in the commit that records the outcome and takes the letter

Safety argument:

1. *Nothing is forgotten (P9).* The row begins with the record and ends with the record of the
   outcome, each in one transaction. While it is there, exactly one of these will happen: somebody
   claims it; its claim is ended by the node that holds it; or that node is declared lost, or stops,
   and another takes the claim over and ends it. A letter is durable and routed to whoever owns the
   execution when it is read. So an owner that dies, before or after any of these, changes nothing:
   the next one reads the rows of the execution (`calls_of`) and knows which steps are elsewhere.
2. *A recorded step is not executed again (P2).* The outcome is recorded only if its letter names
   the row of the attempt that is under way (`began`: the number of a record, never used twice).
   The letter is deleted in the same commit, so it is taken once. Any other letter is about what has
   settled, and only its row is deleted.
3. *At most once (P3).* A row is claimed once: a claim that is lost is never offered again. Its node
   begins it at most once, because only what its own claim call returned is begun. A node that stops
   ends what it has not begun by saying so (`postponed`), and the owner begins it anew; what it has
   begun and cuts off is lost. It stops claiming first, and waits for the claim that is under way,
   so that each of its claims is one or the other. A claim whose
   answer did not arrive is one of an incarnation whose store has failed, and that one is declared
   lost. Only the owner begins another attempt, with a new record, as the step's policy allows; the
   policy is the host's, and comes with the letter. If nobody who hosts the step can say it (its
   node is gone and the finder does not host it), the owner offers a question instead of an attempt
   (`began` below zero), which whoever hosts the step answers. What an earlier attempt may have done
   is in the offer, so that a host refuses to make a call of which that is said and which may be
   made only once.
4. *A node that was declared dead reports nothing (P7).* Its end of the claim is a commit, which is
   fenced; and the row says `ended` only once. Its attempts are cut off as soon as it learns it.
5. *Cancelling.* A cancelled call is marked in the commit that records the cancellation: if nobody
   had claimed the row, it is deleted, and nobody will; if somebody had, he learns it, and his
   letter settles the call. Which of both it was the owner sees after the commit: the row is there
   or not. An owner that dies before it has seen it leaves an execution that is due; the next owner
   finds no row and settles the call as one that may have happened.
6. *Timeouts and heartbeats* are the host's: an attempt is never ended by its owner. A host that
   hangs keeps its lease, and its attempt's timeout; one that is frozen loses its lease.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from counterpoint.model.cluster import CallRow
from counterpoint.model.outcomes import Outcome
from counterpoint.model.records import Record
from counterpoint.model.rows import ExecutionRow, MailRow
from counterpoint.runtime.attempt import Attempt
from counterpoint.runtime.batch import Note
from counterpoint.runtime.call_changes import CallChanges
from counterpoint.runtime.cluster import cluster_of
from counterpoint.runtime.host import Host
from counterpoint.runtime.mail import AttemptEndedMail, AttemptMail
from counterpoint.runtime.remote_call import Elsewhere
from counterpoint.runtime.remote_calls import RemoteOffers
from counterpoint.runtime.remote_claims import RemoteClaims
from counterpoint.runtime.resident import Resident
from counterpoint.runtime.unhosted_calls import UnhostedCalls


class RemoteCalls:
    """Both sides of a node: what its executions offer, and what it claims of others'."""

    def __init__(self, node: Host) -> None:
        self.node = node
        store = cluster_of(node.store)
        self.offers: RemoteOffers | None = None
        self.claims: RemoteClaims | None = None
        self.unhosted: UnhostedCalls | None = None
        if store is not None:
            self.offers = RemoteOffers(node, store)
            self.claims = RemoteClaims(node, store)
            self.unhosted = UnhostedCalls(node, store)
            node.committer.calls_of = self.offers.changes_by

    @property
    def active(self) -> bool:
        """Whether the store has other nodes, to which calls can travel."""
        return self.offers is not None

    @property
    def names(self) -> list[str]:
        """What this node can claim, by recorded name: activities, and what undoes calls of some."""
        return [] if self.claims is None else self.claims.names

    @property
    def quiet(self) -> bool:
        """Whether nothing is being looked for."""
        return self.claims is None or self.claims.quiet

    @property
    def waiting(self) -> bool:
        """Whether an attempt that was claimed here, or offered by what is in memory, goes on."""
        if self.claims is None:
            return False
        return bool(self.claims.claims) or any(r.elsewhere for r in self.node.residents.values())

    def poke(self) -> None:
        """Look for calls to claim, and for claims that were cancelled."""
        if self.claims is not None:
            self.claims.poke()

    @property
    def runs(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What runs for as long as the node does."""
        return [part.run for part in (self.claims, self.unhosted) if part is not None]

    async def any_out(self) -> bool:
        """Whether a call of any execution of this node is elsewhere, be it in memory or not.

        A stopping node leaves them to others.

        Raises:
            StoreError: the store cannot be read.
        """
        offers = None if self.node.stopping else self.offers
        return offers is not None and await offers.store.calls_out()

    def drop(self) -> None:
        """Cut off what was claimed: the store failed, or this node is not what it was."""
        if self.claims is not None:
            self.claims.drop()

    def hand_back(self) -> None:
        """Give back what was claimed and has not begun: this node stops."""
        if self.claims is not None:
            self.claims.hand_back()

    async def cut_off(self) -> None:
        """Say of what a stopping node has cut off that it is lost, once it knows all its claims."""
        if self.claims is not None:
            await self.claims.cut_off()

    def lost(self, rows: Sequence[CallRow]) -> None:
        """Tell the owners of calls that the nodes are gone which had claimed them."""
        if self.claims is not None:
            self.claims.lost(rows)

    # ---- what other parts of the node hand over -----------------------------------------------

    async def calls_of(self, row: ExecutionRow) -> Sequence[CallRow]:
        """Return the rows of an execution that is being read."""
        return () if self.offers is None else await self.offers.store.calls_of(row.key)

    def recall(
        self, resident: Resident, records: Sequence[Record], rows: Sequence[CallRow], now: int
    ) -> None:
        """Note which attempts of an execution other nodes look after."""
        if self.offers is not None:
            self.offers.recall(resident, records, rows, now)

    def ask(self, resident: Resident, step: int, began: int, now: int) -> None:
        """Ask whoever hosts a step how it is tried."""
        if self.offers is not None:
            self.offers.ask(resident, step, began, now)

    def offered(self, there: Elsewhere) -> None:
        """An offer is durable: other nodes hear of it from the store, this one here."""
        if there.here:
            self.poke()

    def withdraw(self, resident: Resident, step: int, there: Elsewhere) -> None:
        """The cancellation of a call that is elsewhere is durable."""
        if self.offers is not None:
            self.offers.withdraw(resident, step, there)

    def attempt_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt of a claim has ended."""
        if self.claims is not None:
            self.claims.attempt_ended(attempt, outcome)

    def drop_letter(self, letter: MailRow, mail: AttemptMail) -> None:
        """Delete a letter to an execution that has ended, with the row that it is about."""
        note = Note()
        note.taken = [letter.position]
        if isinstance(mail, AttemptEndedMail):
            note.calls = CallChanges()
            note.calls.over.append((mail.key, mail.step, mail.began))
        self.node.committer.add(note)
