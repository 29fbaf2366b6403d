"""Going back in a journal: which records a new run may begin from, and what has happened since."""

import itertools
from collections.abc import Sequence

from counterpoint.kernel.replay import fold
from counterpoint.model import records as r
from counterpoint.model.rows import ExecutionRow
from counterpoint.model.states import Status


def refused_reset(row: ExecutionRow, records: Sequence[r.Record], to: int) -> str | None:
    """Return why an execution cannot begin anew from its records up to *to*, or None."""
    if row.status.live:
        return f"it is {row.status}: cancel or terminate it first"
    if row.status is Status.CONTINUED:
        return "it continues as new"
    if not 1 <= to <= len(records):
        return f"its journal has the records 1 to {len(records)}, not {to}"
    steps = _steps(records[:to])
    for seq, record in enumerate(records, 1):
        if isinstance(record, r.CompensationCompleted) and record.call in steps:
            return f"call {record.call} was compensated (record {seq}): choose a record before it"
    end = _end(records[:to])
    return None if end is None else f"record {end} is its end: choose one before it"


def prefix_of(records: Sequence[r.Record], to: int) -> Sequence[r.Record]:
    """Return the records that a new run begins with: up to *to*, and whole beginnings only.

    What an execution took over from an earlier run, and whose child it is, belongs to every run.
    """
    beginning = itertools.takewhile(lambda record: isinstance(record, r.PREAMBLE), records)
    return records[: max(to, len(list(beginning)))]


def run_of(row: ExecutionRow, records: Sequence[r.Record], to: int) -> int:
    """Return the run in which record *to* was made: an earlier one, if resets have kept it."""
    later = (record.run for record in records[to:] if isinstance(record, r.ResetFrom))
    return next(later, row.run)


def happened_since(records: Sequence[r.Record], to: int) -> list[int]:
    """Return the calls after record *to* that happened or may have: they will happen again.

    A child that was under way then, and has completed since, answers again and does not run again.
    """
    before = fold(records[:to]).calls
    return [
        number
        for number, call in fold(records).calls.items()
        if call.may_have_happened
        and not call.registered
        and not (
            number in before
            and (before[number].step is None or call.child_status == Status.COMPLETED)
        )
    ]


def kept_signals(records: Sequence[r.Record], to: int) -> list[str]:
    """Return the names of the signals that the code of a new run finds without waiting, in order.

    They are those that record *to* leaves unread, and all that came later.
    """
    prefix = prefix_of(records, to)
    unread = [name for name, found in fold(prefix).unread.items() for _ in found]
    later = records[len(prefix) :]
    return unread + [record.name for record in later if isinstance(record, r.SignalReceived)]


def _end(records: Sequence[r.Record]) -> int | None:
    """Return the number of the record with which the code was over; None where it goes on."""
    end: int | None = None
    undoing = False
    for seq, record in enumerate(records, 1):
        if isinstance(record, (r.CompensationStarted, r.Ended, r.Stopped)):
            end = seq
            undoing |= isinstance(record, r.CompensationStarted)
        elif isinstance(record, r.RetryRequested) and not undoing:
            end = None  # it was taken back
    return end


def _steps(records: Sequence[r.Record]) -> set[int]:
    kinds = (r.CallScheduled, r.ChildScheduled, r.UndoRegistered)
    return {record.call for record in records if isinstance(record, kinds)}
