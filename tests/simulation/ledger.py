"""A store that knows at once what is durable, so that every attempt can be held against it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from counterpoint.model import records as r
from counterpoint.model.rows import Commit
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

    def note(self, record: r.Record) -> None:
        """Take one record to know."""
        self._announce(record)
        match record:
            case r.CallCompleted(call=call) | r.ChildCompleted(call=call):
                self._settle(call)
                self.results.add(call)
            case r.CallFailed(call=call) | r.ChildFailed(call=call):
                self._settle(call)
                self.failed.add(call)
            case r.CompensationCompleted(call=call):
                self.settled.add(-call)
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
            case r.CallScheduled(call=call) | r.ChildScheduled(call=call):
                self.announced.add((call, 1))
                self.open.add(call)
            case r.CompensationScheduled(call=call):
                self.announced.add((-call, 1))
            case r.AttemptStarted(step=step, attempt=attempt):
                self.announced.add((step, attempt))
            case r.AttemptPostponed(step=step, attempt=attempt):
                self.announced.discard((step, attempt))
            case _:
                pass

    def _settle(self, call: int) -> None:
        self.settled.add(call)
        self.open.discard(call)


class LedgerStore(MemoryStore):
    """A memory store that folds what it is given into `Durable`, and tells of every commit."""

    def __init__(self) -> None:
        super().__init__()
        self.durable: dict[Name, Durable] = {}
        self.on_commit: Callable[[int], None] = _nothing
        """Called with the number of each commit, after it."""
        self.commits = 0
        self._names: dict[int, Name] = {}

    async def commit(self, commit: Commit) -> int:
        first = await super().commit(commit)
        for start in commit.starts:
            self._names[start.key] = (start.id, start.run)
            self.durable[start.id, start.run] = Durable()
        for row in commit.journal:
            name = self._names.get(row.execution_key)
            if name is None:
                continue  # of the start of a saga by an event, which failed at first
            known = self.durable[name]
            for record in r.decode_records(row.body):
                known.note(record)
        self.commits += 1
        self.on_commit(self.commits)
        return first


def _nothing(_: int) -> None:
    """Nobody wants to know of commits."""
