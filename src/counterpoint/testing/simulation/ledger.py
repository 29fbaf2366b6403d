"""A store that knows at once what is durable, so that everything else can be held against it.

What is said twice, out of turn or without a cause is found in the commit that says it:

* P2: a step's outcome is recorded once (unless a person's retry took it back).
* P4: an event in the log has its cause in the same commit, and a cause has its event.
* P5: an inbox mark that says "done" is never changed again.
* P8: the records of a journal follow one another without a gap.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from counterpoint.model import records as r
from counterpoint.model.messages import (
    DeadLetterRow,
    EventRow,
    EventWaitRow,
    HoldRow,
    Messages,
    ReactionRow,
    ReactionStatus,
    SubscriptionRow,
)
from counterpoint.model.rows import Commit, ExecutionRow, JournalRow, MailRow
from counterpoint.stores.memory import MemoryStore

Name = tuple[str, int]
"""An execution's id and run."""


@dataclass
class Durable:
    """What the journal of one run says by now, as far as attempts have to know."""

    announced: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    """Steps and attempts that may begin."""
    settled: set[int] = field(default_factory=set[int])
    """Steps whose outcome is recorded."""
    failed: set[int] = field(default_factory=set[int])
    """Those of them that failed."""
    cancelled: set[int] = field(default_factory=set[int])
    """Calls that the code gave up."""
    blamed: set[int] = field(default_factory=set[int])
    """The call whose failure ended the run."""
    over: bool = False
    """The code has ended; a retry takes that back, with the failures that go with it."""
    open: set[int] = field(default_factory=set[int])
    """Calls that have not settled."""
    results: set[int] = field(default_factory=set[int])
    """Calls that completed: their results are there."""
    names: dict[int, str] = field(default_factory=dict[int, str])
    """What each step runs."""
    records: int = 0
    twice: list[int] = field(default_factory=list[int])
    """Steps whose outcome was recorded although it had been."""

    def note(self, record: r.Record) -> None:
        """Take one record to know."""
        self.records += 1
        self._announce(record)
        match record:
            case r.CallCompleted(call=call) | r.ChildCompleted(call=call):
                self._settle(call)
                self.results.add(call)
            case r.CallFailed(call=call) | r.ChildFailed(call=call):
                self._settle(call)
                self.failed.add(call)
            case r.CompensationCompleted(call=call):
                self._settle(-call)
            case r.CallCancelled(call=call):
                self.cancelled.add(call)
            case r.Ended(failed_call=call) | r.Stopped(failed_call=call):
                self.over = True
                self.blamed = set() if call is None else {call}
            case r.RetryRequested() if self.over:
                self.settled -= self.failed & (self.cancelled | self.blamed)
                self.over = False
            case r.UndoRequested():
                self.open.clear()  # nobody waited for those when the code ended
            case _:
                pass

    def _announce(self, record: r.Record) -> None:
        match record:
            case r.CallScheduled(call=call, name=name) | r.ChildScheduled(call=call, name=name):
                self.announced.add((call, 1))
                self.open.add(call)
                self.names[call] = name
            case r.UndoRegistered(call=call, name=name):
                self.names[call] = name
            case r.CompensationScheduled(call=call, name=name):
                self.announced.add((-call, 1))
                self.names[-call] = name
            case r.AttemptStarted(step=step, attempt=attempt):
                self.announced.add((step, attempt))
            case r.AttemptPostponed(step=step, attempt=attempt):
                self.announced.discard((step, attempt))
            case _:
                pass

    def _settle(self, step: int) -> None:
        if step in self.settled:
            self.twice.append(step)
        self.settled.add(step)
        self.open.discard(step)


class LedgerStore(MemoryStore):
    """A memory store that folds what it is given into `Durable`, and tells of every commit."""

    def __init__(self) -> None:
        super().__init__()
        self.durable: dict[Name, Durable] = {}
        self.on_commit: Callable[[int], None] = _nothing
        """Called with the number of each commit, after it."""
        self.commits = 0
        self.newest_commit = Commit()
        self.findings: list[str] = []
        """What a commit said that it may not say."""
        self.done: list[ReactionRow] = []
        """Marks of what was done, in that order."""
        self.died: set[tuple[int, int]] = set()
        """Subscription and position of what has ever been a dead letter."""
        self.touched: dict[int, None] = {}
        """Keys of the runs that were written since somebody emptied this."""
        self._names: dict[int, Name] = {}

    async def commit(self, commit: Commit) -> int:
        over = self._marks_over(commit.messages)
        first = await super().commit(commit)
        for start in commit.starts:
            self._names[start.key] = (start.id, start.run)
            self.durable[start.id, start.run] = Durable()
        records = {row: r.decode_records(row.body) for row in commit.journal}
        for row, decoded in records.items():
            self._note(row, decoded)
        if commit.messages is not None:
            for mark in over:
                self.findings.append(
                    f"P5: subscription {mark.subscription} takes the event at {mark.position} "
                    f"again, which was {mark.status}"
                )
            marks = (*commit.messages.done, *commit.messages.changed)
            self.done += [row for row in marks if row.status is ReactionStatus.COMPLETED]
            self.died |= {(one.subscription, one.position) for one in commit.messages.dead}
        self._check_causes(commit, records)
        self.commits += 1
        self.newest_commit = commit
        self.on_commit(self.commits)
        return first

    # ---- what is there ------------------------------------------------------------------------

    def knows(self, execution_id: str) -> bool:
        """Whether an execution of that id was ever started."""
        return (execution_id, 1) in self.durable

    def ids(self) -> list[str]:
        """Return the ids of all executions, sorted."""
        return sorted(self._keys)

    def rows(self) -> list[ExecutionRow]:
        """Return every run of every execution, oldest first."""
        return [self._executions[key] for key in sorted(self._executions)]

    def newest_rows(self) -> list[ExecutionRow]:
        """Return the newest run of every execution."""
        return [self._executions[runs[max(runs)]] for runs in self._keys.values() if runs]

    def newest(self, execution_id: str) -> ExecutionRow | None:
        """Return the newest run of one execution, or None."""
        runs = self._keys.get(execution_id)
        return self._executions[runs[max(runs)]] if runs else None

    def records(self, key: int) -> list[r.Record]:
        """Return the whole journal of one run."""
        found = self._journal.get(key, {})
        return [one for seq in sorted(found) for one in r.decode_records(found[seq].body)]

    def letters(self) -> list[MailRow]:
        """Return what is in the mailbox."""
        return list(self._mail.values())

    def log(self) -> list[EventRow]:
        """Return every event, in the order of the log."""
        return [self._events[position] for position in sorted(self._events)]

    def marks(self) -> Iterator[ReactionRow]:
        """Yield the inbox."""
        for marks in self._reactions.values():
            yield from marks.values()

    def mark(self, subscription: int, position: int) -> ReactionRow | None:
        """Return the mark of one subscription at one event."""
        return self._reactions.get(position, {}).get(subscription)

    def subscribed(self) -> list[SubscriptionRow]:
        """Return the subscriptions, replays among them."""
        return list(self._subscriptions.values())

    def holds_left(self) -> list[HoldRow]:
        """Return the keys that are held."""
        return list(self._holds.values())

    def letters_dead(self) -> list[DeadLetterRow]:
        """Return the dead letters."""
        return list(self._dead.values())

    def waits_left(self) -> list[EventWaitRow]:
        """Return the waits for events."""
        return list(self._waits.values())

    def waits_of(self, key: int) -> list[EventWaitRow]:
        """Return the waits for events of one run."""
        return [row for (its_key, _), row in sorted(self._waits.items()) if its_key == key]

    def attributes_of(self, key: int) -> dict[str, str]:
        """Return the attributes of one run."""
        return dict(self._attributes.get(key, {}))

    def set_back(self, subscription: int, position: int) -> bool:
        """Let a subscription have come less far; say whether that is less than it had."""
        known = self._subscriptions[subscription]
        oldest = next(iter(self._events), 1) - 1
        position = max(position, known.first, oldest)
        if position >= known.position:
            return False
        self._subscriptions[subscription] = known._replace(position=position)
        return True

    # ---- inside -------------------------------------------------------------------------------

    def _note(self, row: JournalRow, records: list[r.Record]) -> None:
        name = self._names.get(row.execution_key)
        if name is None:
            return  # the journal of a reaction
        known = self.durable[name]
        if row.first_seq != known.records + 1:
            self.findings.append(
                f"P8: record {row.first_seq} of {name[0]} (run {name[1]}) follows {known.records}"
            )
        self.touched[row.execution_key] = None
        for record in records:
            known.note(record)
        for step in known.twice:
            self.findings.append(
                f"P2: the outcome of step {step} of {name[0]} (run {name[1]}) is recorded twice"
            )
        known.twice.clear()

    def _marks_over(self, messages: Messages | None) -> list[ReactionRow]:
        """Return the marks in the store that say "over" and are about to be replaced."""
        if messages is None:
            return []
        known = (self.mark(row.subscription, row.position) for row in messages.changed)
        return [mark for mark in known if mark is not None and mark.status.over]

    def _check_causes(self, commit: Commit, records: dict[JournalRow, list[r.Record]]) -> None:
        """Hold the events of a commit against what else is in it."""
        causes: Counter[tuple[str, str | None]] = Counter()
        outboxes: set[tuple[str, str | None]] = set()
        for row, decoded in records.items():
            name = self._names.get(row.execution_key)
            if name is not None:
                self._add_causes(name, self._executions[row.execution_key].name, decoded, causes)
                outboxes |= self._outboxes(name, decoded)
        messages = commit.messages or Messages()
        for mark in (*messages.done, *messages.changed):
            subscription = self._subscriptions.get(mark.subscription)
            event = self._events.get(mark.position)
            if mark.status is ReactionStatus.COMPLETED and subscription and event:
                outboxes.add((subscription.name, event.id))
        for event in messages.events:
            cause = (event.publisher or "", event.causation_id)
            if event.publisher is None or cause in outboxes:
                continue
            causes[cause] -= 1
        for (publisher, cause_id), difference in causes.items():
            what = f"an event that {publisher} published because of {cause_id}"
            if difference < 0:
                self.findings.append(
                    f"P4: {what} is in the log, and nothing in its commit led to it"
                )
            elif difference > 0:
                self.findings.append(f"P4: {what} is recorded and not in the log")

    def _add_causes(
        self,
        name: Name,
        workflow: str,
        records: list[r.Record],
        causes: Counter[tuple[str, str | None]],
    ) -> None:
        published = sum(isinstance(record, r.Published) for record in records)
        if published:
            causes[workflow, name[0]] += published

    def _outboxes(self, name: Name, records: list[r.Record]) -> set[tuple[str, str | None]]:
        """Return the activities whose outcome a journal row records: they may have published."""
        names = self.durable[name].names
        found: set[tuple[str, str | None]] = set()
        for record in records:
            if isinstance(record, r.CallCompleted):
                found.add((names.get(record.call, ""), name[0]))
            elif isinstance(record, r.CompensationCompleted):
                found.add((names.get(-record.call, ""), name[0]))
        return found


def _nothing(_: int) -> None:
    """Nobody wants to know of commits."""
