"""Group commit: everything that became ready is written in one transaction, then performed.

Safety argument (P1, P2, P4):

1. Inputs are applied to executions in memory; what they decide is only collected. Nothing is
   performed, answered, logged or shown before the commit that contains it has returned.
2. One commit at a time (`_turn`), also when the node stops: who flushes waits for the commit under
   way. What becomes ready while it is being written waits for the next one, so the journal rows of
   one execution are written in the order in which they were decided.
3. If a commit does not clearly succeed, nothing of it is performed and every execution in memory is
   dropped: some of it may be in the store. The store is opened again and what it says is the
   truth. A start that was not acknowledged may then exist or not; its caller got an error that
   says so.
4. The store may fail for somebody else while a commit is under way. Everything in memory is dropped
   then, what the commit is about too: when it returns nobody is left for whom to perform anything.
5. A commit that is refused for what one execution wrote is written again one execution at a time,
   so that one culprit stops nobody else.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType

from counterpoint.errors import (
    ConflictError,
    NodeStoppedError,
    StoreBrokenError,
    StoreBusyError,
    StoreCorruptError,
    StoreFullError,
    StoreReadOnlyError,
)
from counterpoint.model.messages import ContractRow, EventRow
from counterpoint.model.outcomes import Outcome
from counterpoint.model.records import Record
from counterpoint.model.rows import ExecutionRow, MailRow
from counterpoint.model.times import microseconds
from counterpoint.ports.clock import Clock
from counterpoint.ports.codec import Codec
from counterpoint.ports.store import Store
from counterpoint.runtime.apart import Apart, What
from counterpoint.runtime.attempt import Attempt
from counterpoint.runtime.batch import Batch, Note
from counterpoint.runtime.event_rows import wait_rows
from counterpoint.runtime.gathering import CallsOf, Gathering, Stored, add_stored
from counterpoint.runtime.journals import journal_row
from counterpoint.runtime.log import logger, workflow_logger
from counterpoint.runtime.resident import Resident
from counterpoint.runtime.transactions import OpenTransaction, Transactions

BATCH_MAX = 2_000
"""Executions in one commit, and letters, and executions that are only stored."""

NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})
UNWRITABLE = (
    StoreBusyError,
    StoreFullError,
    StoreReadOnlyError,
    StoreBrokenError,
    StoreCorruptError,
)
"""What a store says when nobody could write now, whatever the commit holds."""

Perform = Callable[[Resident, list[Record]], None]


class Committer:
    """The one writer of a node."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        codec: Codec,
        *,
        perform: Perform,
        refused: Callable[[Resident, Exception], None],
        failed: Callable[[BaseException], None],
        committed: Callable[[], None],
        posted: Callable[[], None],
        appended: Callable[[list[EventRow]], None],
        contracts: Callable[[Sequence[EventRow]], list[ContractRow]],
        settle: timedelta,
        transactions: Transactions | None = None,
        again: Callable[[Attempt, Outcome], None] | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.codec = codec
        self._perform = perform
        self._refused = refused
        self._failed = failed
        self._committed = committed
        self._posted = posted
        self._appended = appended
        self._contracts = contracts
        self.calls_of: CallsOf | None = None
        """What an execution's records, from a number on, decide now about attempts elsewhere; None
        on stores with one node."""
        self._again = again
        self.transactions = transactions or Transactions(store)
        self._apart = Apart(self._gather_apart, self._write_and_perform)
        self._held: dict[Resident, None] = {}
        """Executions that recorded something while a transaction of theirs is committed."""
        self._gathering = Gathering(codec, microseconds(settle))
        self._dirty: dict[Resident, None] = {}
        self._mail: list[tuple[MailRow, asyncio.Future[None]]] = []
        self._taken: list[int] = []
        self._answers: list[tuple[int, MailRow]] = []
        self._notes: list[Note] = []
        self._stored: list[Stored] = []
        self._woken: asyncio.Event = asyncio.Event()
        self._turn = asyncio.Lock()
        self.writing = False
        self._life = 0
        """How often everything was dropped: what was gathered before is not performed after it."""
        self.commits = 0
        self.newest = 0
        """The latest time in the store: events are recorded then or later, also if the clock was
        set back, so that no execution that began before finds one too old."""

    # ---- what the node does -------------------------------------------------------------------

    @property
    def quiet(self) -> bool:
        """Whether everything that became ready is written and performed."""
        return not (self.writing or self._anything or self._apart)

    @property
    def _anything(self) -> bool:
        return bool(
            self._dirty or self._notes or self._mail or self._taken or self._answers or self._stored
        )

    def touch(self, resident: Resident) -> None:
        """Write what *resident* has pending with the next commit."""
        if resident.transaction is not None:
            self._held[resident] = None  # it goes on when the transaction is committed
            return
        self._dirty[resident] = None
        self._woken.set()

    def commit_in(self, transaction: OpenTransaction, resident: Resident) -> None:
        """Write what *resident* has pending in that transaction, and what it records later then."""
        self._dirty.pop(resident, None)
        self._held.pop(resident, None)
        self._apart.add(resident, transaction)

    def refuse(self, resident: Resident) -> None:
        """Refuse a start whose id is in memory already."""
        self._refused(resident, ConflictError([resident.id]))

    def is_dirty(self, resident: Resident) -> bool:
        """Whether *resident* waits for the next commit, or is in the one under way."""
        return (
            resident in self._dirty
            or resident in self._apart.in_group
            or resident.transaction is not None
        )

    def post(self, mail: MailRow) -> "asyncio.Future[None]":
        """Write mail with the next commit; the future is set when it is durable."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._mail.append((mail, future))
        self._woken.set()
        return future

    def take(self, position: int) -> None:
        """Delete mail that leaves no record."""
        self._taken.append(position)
        self._woken.set()

    def answer(self, position: int, mail: MailRow) -> None:
        """Delete mail, and write the answer to it in the same commit."""
        self._answers.append((position, mail))
        self._woken.set()

    def add(self, note: Note) -> None:
        """Write what is to be written about events with the next commit, or in its transaction."""
        if note.transaction is not None:
            self._apart.add(note, note.transaction)
            return
        self._notes.append(note)
        self._woken.set()

    def store_only(
        self,
        row: ExecutionRow,
        records: Sequence[Record],
        taken: int | None,
        attributes: Mapping[str, str] = NO_ATTRIBUTES,
    ) -> "asyncio.Future[None]":
        """Write an execution that nobody holds in memory yet, with its journal so far."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        journal = journal_row(row.key, 1, list(records), self.codec)
        waits = wait_rows(row, records)
        self._stored.append((row, journal, taken, attributes, waits, future))
        self._woken.set()
        return future

    async def run(self) -> None:
        """Commit whenever something is ready, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self._flush_ready()

    async def flush(self) -> None:
        """Commit until nothing is ready, in transactions neither."""
        await self._flush_ready()
        while self._apart:
            await self._apart.over()
            await self._flush_ready()

    async def _flush_ready(self) -> None:
        async with self._turn:
            while self._anything:
                if self.transactions.alone:
                    async with self.transactions.gate:  # before anything is gathered: it takes long
                        await self._flush()
                else:
                    await self._flush()
                if self._anything:
                    await asyncio.sleep(0)  # a store may answer without ever giving others a turn

    def drop(self, error: BaseException) -> None:
        """Forget everything that waits for a commit; those who wait for it get *error*."""
        self._life += 1
        for resident in self._dirty:
            _fail(resident.started, error)
        for _, future in self._mail:
            _fail(future, error)
        for *_, future in self._stored:
            _fail(future, error)
        notes, self._notes = self._notes, []
        for note in notes:
            if note.failed is not None:
                note.failed(error)
        self._apart.drop(error)
        self._held.clear()
        self._dirty.clear()
        self._mail.clear()
        self._taken.clear()
        self._answers.clear()
        self._stored.clear()

    # ---- inside -------------------------------------------------------------------------------

    async def _flush(self) -> None:
        batch = self._gather()
        if batch.empty:
            return
        self.writing = True
        self._apart.in_group.update(resident for resident, _ in batch.performed)
        try:
            await self._write_and_perform(batch)
        finally:
            self.writing = False
            self._apart.in_group.clear()
            self._apart.look()

    async def _write_and_perform(
        self, batch: Batch, transaction: OpenTransaction | None = None
    ) -> None:
        """Write a batch, in a transaction if one is given, and perform what it decided."""
        sends = bool(batch.mail_of or batch.mail or any(note.mail for note in batch.notes))
        life = self._life
        try:
            if transaction is None:
                first = await self._write(batch)
            else:
                first = await self._write_in(batch, transaction, life)
        except asyncio.CancelledError:
            _disappoint(batch, _left_behind("stopped"))
            raise
        except UNWRITABLE as error:
            self._give_up(batch, error, life)
        except Exception as culprit:
            logger.exception("a commit was refused")
            if transaction is None:
                await self._write_singly(batch, life)
            elif life == self._life:
                self._refuse(batch, culprit)
        else:
            self._acknowledge(batch, first, life)
        if sends:
            self._posted()
        # After the callbacks of the futures set above: some of them find the next thing to do.
        asyncio.get_running_loop().call_soon(self._committed)

    async def _write_in(self, batch: Batch, transaction: OpenTransaction, life: int) -> int:
        """Write the batch of one execution, or of one note, in a transaction, and let it go on."""
        try:
            first = await transaction.commit(batch.commit(self._contracts))
        finally:
            if life == self._life:
                for resident, _ in batch.performed:
                    self._go_on(resident)
        self.commits += 1
        return first

    def _go_on(self, resident: Resident) -> None:
        resident.transaction = None
        if resident in self._held:
            del self._held[resident]
            self.touch(resident)
        if resident.later and self._again is not None:
            self._again(*resident.later.popleft())

    def _gather_apart(self, what: What) -> Batch:
        """Return the batch of one execution, or of one note, that is written in a transaction."""
        batch = Batch()
        now = self.clock.now()
        self.newest = max(now, self.newest)
        if isinstance(what, Note):
            batch.notes = [what]
        else:
            self._add(batch, what, now)
        batch.record_events(self.newest)
        return batch

    def _turn_away(self, resident: Resident, error: Exception) -> None:
        """Tell that nothing of an execution could be written; what it recorded since is lost."""
        self._dirty.pop(resident, None)
        self._held.pop(resident, None)
        self._apart.leave_out(resident)
        self._refused(resident, error)

    def _gather(self) -> Batch:
        batch = Batch()
        now = self.clock.now()
        if len(self._dirty) <= BATCH_MAX:
            dirty, self._dirty = self._dirty, {}
        else:
            dirty = dict.fromkeys(list(self._dirty)[:BATCH_MAX])
            for resident in dirty:
                del self._dirty[resident]
            self._woken.set()
        for resident in dirty:
            self._add(batch, resident, now)
        for mail, future in self._mail[:BATCH_MAX]:
            batch.mail.append(mail)
            batch.waiters.append(future)
        batch.taken += self._taken
        for position, mail in self._answers:
            batch.taken.append(position)
            batch.mail.append(mail)
        for stored in self._stored[:BATCH_MAX]:
            add_stored(batch, *stored)
        self.newest = max(now, self.newest, *(row.created_at for row in batch.starts))
        batch.notes = self._notes[:BATCH_MAX]
        batch.record_events(self.newest)
        del self._notes[:BATCH_MAX]
        del self._mail[:BATCH_MAX]
        self._taken.clear()
        self._answers.clear()
        del self._stored[:BATCH_MAX]
        return batch

    def _add(self, batch: Batch, resident: Resident, now: int) -> None:
        records = resident.execution.take_pending()
        if not records:
            batch.add_unrecorded(resident)
            return
        try:
            journal = journal_row(resident.key, resident.seq + 1, records, self.codec)
        except Exception as culprit:
            logger.exception("execution %s recorded what cannot be encoded", resident.id)
            self._turn_away(resident, culprit)
        else:
            self._gathering.add(batch, resident, records, journal, now, self.calls_of)

    async def _write(self, batch: Batch) -> int:
        """Write a batch; return the position of its first event."""
        while True:
            try:
                first = await self.store.commit(batch.commit(self._contracts))
            except ConflictError as error:
                self._leave_out(batch, error)
                if batch.empty:
                    return 0
            else:
                self.commits += 1
                return first

    def _leave_out(self, batch: Batch, error: ConflictError) -> None:
        """Take the starts whose ids exist already out of the batch; their callers learn that."""
        refused = batch.refused_starts(error.ids)
        batch.leave_out(refused)
        for key in refused:  # a letter that asked for it is read again, and meets what is there
            batch.taken_of.pop(key, None)
        kept: list[tuple[Resident, list[Record]]] = []
        for resident, records in batch.performed:
            if resident.key in refused and resident.started is not None:
                self._turn_away(resident, error)
            else:
                kept.append((resident, records))
        batch.performed = kept
        for key in refused:
            _fail(batch.stored.pop(key, None), error)
        taken = set(error.events)
        if taken:
            again = [n for n in batch.notes if any((e.source, e.id) in taken for e in n.events)]
            batch.notes = [note for note in batch.notes if note not in again]
            for note in again:
                note.refused(error)

    async def _write_singly(self, batch: Batch, life: int) -> None:
        """Write each execution in a commit of its own; the culprit is refused, nobody else."""
        left = list(batch.parts())
        while left:
            one = left.pop(0)
            try:
                first = await self._write(one)
            except UNWRITABLE as error:
                for part in (one, *left):
                    self._give_up(part, error, life)
                return
            except Exception as culprit:
                logger.exception("a commit of one execution was refused")
                self._refuse(one, culprit)
            else:
                self._acknowledge(one, first, life)

    def _refuse(self, one: Batch, error: Exception) -> None:
        for future in (*one.waiters, *one.stored.values()):
            _fail(future, error)
        for resident, _ in one.performed:
            self._turn_away(resident, error)
        for note in one.notes:
            note.refused(error)

    def _acknowledge(self, batch: Batch, first: int, life: int) -> None:
        if life != self._life:
            _disappoint(batch, _left_behind("met another failure of its store"))
            return
        self._apart.in_group.difference_update(resident for resident, _ in batch.performed)
        self._acknowledge_events(batch, first)
        for future in (*batch.waiters, *batch.stored.values()):
            if not future.done():
                future.set_result(None)
        for resident, records in batch.performed:
            started = resident.started
            if started is not None:
                resident.started = None
                if not started.done():
                    started.set_result(None)
            if resident.execution.speech:
                _speak(resident)
            try:
                self._perform(resident, records)
            except Exception as defect:
                logger.exception("what execution %s decided could not be done", resident.id)
                self._turn_away(resident, defect)

    def _acknowledge_events(self, batch: Batch, first: int) -> None:
        if first:
            self._appended(batch.appended(first))
        for note in batch.notes:
            try:
                note.written(note.events)
            except Exception:
                logger.exception("what followed from an event could not be done")

    def _give_up(self, batch: Batch, error: BaseException, life: int) -> None:
        _disappoint(batch, error)
        if life == self._life:  # else the store has failed since, and is being opened again
            self.drop(error)
            self._failed(error)


def _left_behind(how: str) -> NodeStoppedError:
    """Return what those hear who will not learn here whether their commit was written."""
    return NodeStoppedError(f"the node {how} during a commit: look again later")


def _disappoint(batch: Batch, error: BaseException) -> None:
    for future in (*batch.waiters, *batch.stored.values()):
        _fail(future, error)
    for resident, _ in batch.performed:
        _fail(resident.started, error)
    for note in batch.notes:
        if note.failed is not None:
            note.failed(error)


def _fail(future: "asyncio.Future[None] | None", error: BaseException) -> None:
    if future is not None and not future.done():
        future.set_exception(error)


def _speak(resident: Resident) -> None:
    speech = resident.execution.speech
    resident.execution.speech = []
    for level, text in speech:
        workflow_logger.log(level, "%s: %s", resident.id, text, extra={"execution_id": resident.id})
