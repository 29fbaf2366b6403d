"""The letters that an execution's records send: to its children, to its parent, to its next run.

Safety argument (P1, P2, P9): parent and child are two executions, and in time perhaps of two nodes,
so neither writes the other's journal. What one decides about the other is a letter *in the same
transaction* as the decision, and its receiver deletes it in the one that records its effect:
no letter without its decision, no decision without its letter, each taken over once. A letter
names the run, the call and the attempt that it is about, so that one which comes too late (its
call has settled, its run is over) is recognised and dropped.
"""

from counterpoint.kernel.state import ExecutionState
from counterpoint.model import records as r
from counterpoint.model.rows import ExecutionRow, MailRow
from counterpoint.model.states import Status
from counterpoint.ports.codec import Codec
from counterpoint.runtime.mail import (
    CancelMail,
    ChildEndedMail,
    ChildLink,
    ChildUndoneMail,
    ContinueMail,
    Mail,
    StartMail,
    TerminateMail,
    UndoMail,
    mail_row,
)

UNDONE = (Status.COMPENSATED, Status.CANCELLED)


def letters(
    row: ExecutionRow,
    state: ExecutionState,
    records: list[r.Record],
    now: int,
    codec: Codec,
) -> list[MailRow]:
    """Return what *records*, in the order of their decisions, send."""
    sent: list[tuple[str, Mail]] = []
    for record in records:
        match record:
            case r.ChildScheduled():
                sent.append((record.id, _start(row, state, record.call, 1)))
            case r.AttemptStarted() if record.step > 0:
                child = state.calls[record.step].child if record.step in state.calls else None
                if child is not None:
                    sent.append((child, _start(row, state, record.step, record.attempt)))
            case r.CallCancelled():
                call = state.calls.get(record.call)
                if call is not None and call.child is not None:
                    why = f"{row.id} no longer waits for it"
                    sent.append((call.child, CancelMail(None, why, _step(row, call.number))))
            case r.ChildUndoScheduled():
                child = state.calls[record.call].child
                if child is not None:
                    sent.append((child, UndoMail(_step(row, record.call))))
            case r.Ended():
                sent += _ended(row, state, record)
            case _:
                pass
    return [mail_row(to, mail, now, codec) for to, mail in sent]


def is_step(state: ExecutionState, of: r.ChildOf | None) -> bool:
    """Whether a letter that is meant for one step of an execution reached that step."""
    parent = state.parent
    return of is None or (parent is not None and (parent.id, parent.call) == (of.id, of.call))


def _step(row: ExecutionRow, call: int) -> r.ChildOf:
    return r.ChildOf(row.id, row.run, call)


def _start(row: ExecutionRow, state: ExecutionState, number: int, attempt: int) -> StartMail:
    call = state.calls[number]
    link = ChildLink(r.ChildOf(row.id, row.run, number, attempt), row.key, row.root_key or row.key)
    return StartMail(
        call.name,
        call.arguments,
        row.correlation_id or row.id,
        child=link,
        again=attempt > 1,
        anew=attempt == 1 and state.began_in_run is not None,
        hops=state.hops,
    )


def _ended(row: ExecutionRow, state: ExecutionState, ended: r.Ended) -> list[tuple[str, Mail]]:
    sent: list[tuple[str, Mail]] = []
    if ended.status == Status.CONTINUED:
        return [(row.id, _continuation(row, state, ended))]
    for call in state.calls.values():
        if call.child is None:
            continue
        step, why = _step(row, call.number), f"{row.id} is {ended.status}"
        if ended.status == Status.TERMINATED:
            if call.step is not None or (call.undo is not None and call.undo.remote):
                sent.append((call.child, TerminateMail(None, why, step)))
        elif call.step is not None and not call.cancelled:  # the code was stopped where it was
            sent.append((call.child, CancelMail(None, why, step)))
    if state.parent is not None:
        sent.append((state.parent.id, answer(state, state.parent)))
    return sent


def answer(state: ExecutionState, parent: r.ChildOf) -> ChildEndedMail | ChildUndoneMail:
    """Return what a child that has ended says to its parent."""
    status = state.status
    if state.undo_asked:
        return ChildUndoneMail(parent, None if status in UNDONE else f"it was {status}")
    pivoted = state.pivoted or (state.carried is not None and state.carried.pivoted)
    undone = status is Status.COMPENSATED or (status is Status.CANCELLED and state.undoing)
    nothing_began = not state.calls_made
    return ChildEndedMail(
        parent,
        status.value,
        r.NULL if state.result is None else state.result,
        state.error,
        pivoted,
        not (undone or nothing_began),
        state.cancel_is_stale and status is Status.CANCELLED,
    )


def _continuation(row: ExecutionRow, state: ExecutionState, ended: r.Ended) -> ContinueMail:
    unread = [signal for signals in state.unread.values() for signal in signals]
    before = state.carried is not None and state.carried.pivoted
    carried = state.carried
    takes_over = r.Continued(
        row.run,
        row.deadline_at,
        state.attributes,
        unread,
        state.pivoted or before,
        [r.EventCursor(of, key, place) for (of, key), place in state.event_positions.items()],
        state.caused_by,
        carried.since if carried is not None and carried.since is not None else state.started_at,
        state.hops,
    )
    return ContinueMail(ended.result, takes_over, state.parent)
