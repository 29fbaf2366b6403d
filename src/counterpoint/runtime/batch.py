"""What one commit writes, in pieces: a refused batch is written again piece by piece."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from counterpoint.model.cluster import Calls
from counterpoint.model.messages import (
    ActRow,
    ContractRow,
    DeadLetterRow,
    EventRow,
    EventWaitRow,
    HoldRow,
    Messages,
    ReactionRow,
    SubscriptionRow,
)
from counterpoint.model.records import Record
from counterpoint.model.rows import (
    AttributeRow,
    Commit,
    ExecutionRow,
    ExecutionUpdate,
    JournalRow,
    MailRow,
)
from counterpoint.runtime.call_changes import CallChanges
from counterpoint.runtime.resident import Resident

T = TypeVar("T")


def _nothing(_: object) -> None:
    """Nobody waits for it."""


class Note:
    """What is written about events in one piece: all of it or nothing, with no execution's records.

    `written(events)` is called after the commit, with the events and their positions; `failed` when
    it is unknown whether it was written (then everything is read again); `refused` when it was not.
    """

    __slots__ = (
        "acts",
        "calls",
        "changed",
        "dead",
        "done",
        "events",
        "failed",
        "held",
        "journal",
        "mail",
        "positions",
        "refused",
        "released",
        "revived",
        "subscriptions",
        "taken",
        "transaction",
        "unsubscribed",
        "written",
    )

    def __init__(
        self,
        written: Callable[[Sequence[EventRow]], None] = _nothing,
        refused: Callable[[Exception], None] = _nothing,
        failed: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.written = written
        self.refused = refused
        self.failed = failed
        self.events: Sequence[EventRow] = ()
        self.done: ReactionRow | None = None
        self.changed: ReactionRow | None = None
        self.dead: DeadLetterRow | None = None
        self.revived: tuple[int, int] | None = None
        self.held: HoldRow | None = None
        self.released: tuple[str, str, str] | None = None
        self.positions: Sequence[tuple[int, int]] = ()
        self.subscriptions: Sequence[SubscriptionRow] = ()
        self.unsubscribed: Sequence[int] = ()
        self.acts: Sequence[ActRow] = ()
        self.mail: Sequence[MailRow] = ()
        self.journal: JournalRow | None = None
        self.taken: Sequence[int] = ()
        self.calls: CallChanges | None = None
        self.transaction: Any = None
        """The `OpenTransaction` in which it is written, in a commit of its own."""


class _Gathered:
    """The lists of `Messages`, while they grow."""

    def __init__(self) -> None:
        self.events: list[EventRow] = []
        self.done: list[ReactionRow] = []
        self.changed: list[ReactionRow] = []
        self.positions: list[tuple[int, int]] = []
        self.dead: list[DeadLetterRow] = []
        self.revived: list[tuple[int, int]] = []
        self.held: list[HoldRow] = []
        self.released: list[tuple[str, str, str]] = []
        self.waits: list[EventWaitRow] = []
        self.waits_over: list[tuple[int, int]] = []
        self.contracts: list[ContractRow] = []
        self.subscriptions: list[SubscriptionRow] = []
        self.unsubscribed: list[int] = []
        self.acts: list[ActRow] = []

    def add(self, note: Note) -> None:
        """Add what a note writes."""
        if note.done is not None:
            self.done.append(note.done)
        self.events += note.events
        if note.changed is not None:
            self.changed.append(note.changed)
            self._add_failure(note)
        self.positions += note.positions
        if note.subscriptions or note.unsubscribed or note.acts:
            self.subscriptions += note.subscriptions
            self.unsubscribed += note.unsubscribed
            self.acts += note.acts
        if note.released is not None:
            self.released.append(note.released)

    def _add_failure(self, note: Note) -> None:
        if note.dead is not None:
            self.dead.append(note.dead)
        if note.revived is not None:
            self.revived.append(note.revived)
        if note.held is not None:
            self.held.append(note.held)

    def messages(self) -> Messages | None:
        """Return all of it, or None where it is nothing."""
        parts = tuple(vars(self).values())
        if not any(parts):
            return None
        return Messages(**vars(self))


class Batch:
    """What one commit writes, and who waits for it."""

    __slots__ = (
        "attributes_of",
        "calls",
        "calls_of",
        "events_of",
        "journal",
        "mail",
        "mail_of",
        "notes",
        "performed",
        "starts",
        "stored",
        "taken",
        "taken_of",
        "updates",
        "waiters",
        "waits_of",
        "waits_over_of",
    )

    def __init__(self) -> None:
        self.starts: list[ExecutionRow] = []
        self.journal: list[JournalRow] = []
        self.updates: list[ExecutionUpdate] = []
        self.taken: list[int] = []
        self.taken_of: dict[int, list[int]] = {}
        """Positions of letters by the execution whose records are their effect."""
        self.mail_of: dict[int, list[MailRow]] = {}
        """Letters by the execution whose records send them."""
        self.attributes_of: dict[int, list[AttributeRow]] = {}
        self.events_of: dict[int, list[EventRow]] = {}
        """Events by the execution that publishes them."""
        self.waits_of: dict[int, list[EventWaitRow]] = {}
        self.waits_over_of: dict[int, list[tuple[int, int]]] = {}
        self.calls_of: dict[int, CallChanges] = {}
        """What is written about attempts elsewhere, by the execution whose records decide it."""
        self.calls = CallChanges()
        """The same of executions that record nothing."""
        self.mail: list[MailRow] = []
        self.waiters: list[asyncio.Future[None]] = []
        self.stored: dict[int, asyncio.Future[None]] = {}
        self.performed: list[tuple[Resident, list[Record]]] = []
        self.notes: list[Note] = []

    @property
    def empty(self) -> bool:
        """Whether nothing would be written."""
        return not (
            self.performed
            or self.mail
            or self.taken
            or self.starts
            or self.notes
            or self.journal
            or self.calls
        )

    def add_unrecorded(self, resident: Resident) -> None:
        """Add what an execution that records nothing writes: letters that came too late."""
        self.taken += resident.taken
        resident.taken = []
        if resident.changes is not None:
            self.calls.add(resident.changes)
            resident.changes = None

    def commit(self, contracts: Callable[[Sequence[EventRow]], list[ContractRow]]) -> Commit:
        """Return everything as the store takes it; *contracts* finds those of first events."""
        taken = [*self.taken, *(p for positions in self.taken_of.values() for p in positions)]
        mail = self.mail
        if self.mail_of:
            mail = [*mail, *(letter for sent in self.mail_of.values() for letter in sent)]
        journal = self.journal
        messages = None
        if self.notes:
            mail = [*mail, *(letter for note in self.notes for letter in note.mail)]
            taken += [position for note in self.notes for position in note.taken]
            journal = [*journal, *(n.journal for n in self.notes if n.journal is not None)]
        if self.notes or self.events_of or self.waits_of or self.waits_over_of:
            messages = self._messages(contracts)
        attributes = [row for rows in self.attributes_of.values() for row in rows]
        calls = self._calls()
        return Commit(self.starts, journal, self.updates, taken, mail, attributes, messages, calls)

    def _calls(self) -> Calls | None:
        if not (self.calls_of or self.notes or self.calls):
            return None
        gathered = CallChanges()
        gathered.add(self.calls)
        for changes in self.calls_of.values():
            gathered.add(changes)
        for note in self.notes:
            if note.calls is not None:
                gathered.add(note.calls)
        return gathered.calls()

    def _messages(
        self, contracts: Callable[[Sequence[EventRow]], list[ContractRow]]
    ) -> Messages | None:
        gathered = _Gathered()
        for events in self.events_of.values():
            gathered.events += events
        for waits in self.waits_of.values():
            gathered.waits += waits
        for over in self.waits_over_of.values():
            gathered.waits_over += over
        for note in self.notes:
            gathered.add(note)
        if gathered.events:
            gathered.contracts += contracts(gathered.events)
        return gathered.messages()

    def record_events(self, at: int) -> None:
        """Say when the events are appended to the log."""
        for key, events in self.events_of.items():
            self.events_of[key] = [_recorded(event, at) for event in events]
        for note in self.notes:
            if note.events:
                note.events = [_recorded(event, at) for event in note.events]

    def appended(self, first: int) -> list[EventRow]:
        """Give the events of a written batch their positions, from *first* on; return them all."""
        rows: list[EventRow] = []
        for number, events in self.events_of.items():
            self.events_of[number] = placed = _placed(events, first + len(rows))
            rows += placed
        for note in self.notes:
            if note.events:
                note.events = placed = _placed(note.events, first + len(rows))
                rows += placed
        return rows

    def refused_starts(self, ids: Sequence[str]) -> set[int]:
        """Return the keys of the starts of *ids*, which exist or are in the batch twice.

        Of several starts of one id the first is not refused yet: it may be the one that is new.
        """
        starts: dict[str, list[int]] = {}
        for row in self.starts:
            starts.setdefault(row.id, []).append(row.key)
        refused: set[int] = set()
        for execution_id in ids:
            keys = starts.get(execution_id, [])
            refused.update(keys[1:] if len(keys) > 1 else keys)
        return refused

    def leave_out(self, keys: set[int]) -> None:
        """Take executions out that cannot be written, with all that goes with their records."""
        self.starts = [row for row in self.starts if row.key not in keys]
        self.journal = [row for row in self.journal if row.execution_key not in keys]
        for key in keys:
            for of in (self.mail_of, self.attributes_of, self.events_of, self.waits_of):
                of.pop(key, None)
            self.calls_of.pop(key, None)
            self.waits_over_of.pop(key, None)

    def parts(self) -> "Iterator[Batch]":
        """Split into batches of one execution each, of one note each, and one with the mail."""
        starts = {row.key: row for row in self.starts}
        updates = {row.key: row for row in self.updates}
        journal = {row.execution_key: row for row in self.journal}
        performed = {resident.key: (resident, records) for resident, records in self.performed}
        for key, row in journal.items():
            one = Batch()
            one.journal = [row]
            one.starts = [starts[key]] if key in starts else []
            one.updates = [updates[key]] if key in updates else []
            one.performed = [performed[key]] if key in performed else []
            one.stored = {key: self.stored[key]} if key in self.stored else {}
            one.taken_of = _only(self.taken_of, key)
            one.mail_of = _only(self.mail_of, key)
            one.attributes_of = _only(self.attributes_of, key)
            one.events_of = _only(self.events_of, key)
            one.waits_of = _only(self.waits_of, key)
            one.waits_over_of = _only(self.waits_over_of, key)
            one.calls_of = _only(self.calls_of, key)
            yield one
        for note in self.notes:
            alone = Batch()
            alone.notes = [note]
            yield alone
        rest = Batch()
        rest.mail, rest.taken, rest.waiters = self.mail, self.taken, self.waiters
        rest.calls = self.calls
        yield rest


def _recorded(event: EventRow, at: int) -> EventRow:
    return event if event.recorded_at == at else event._replace(recorded_at=at)


def _placed(rows: Sequence[EventRow], first: int) -> list[EventRow]:
    return [EventRow(place, *row[1:]) for place, row in enumerate(rows, first)]


def _only(of: dict[int, T], key: int) -> dict[int, T]:
    return {key: of[key]} if key in of else {}
