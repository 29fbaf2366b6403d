"""A handle on one execution: wait for its result, look at it, act on it."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

import msgspec
from pydantic import ValidationError

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.failures import error_of, failure_of, in_words
from counterpoint.authoring.registry import AnyWorkflow
from counterpoint.errors import (
    ArgumentsError,
    ExecutionFailed,
    ExecutionRefusedError,
    NotDone,
    PayloadError,
    PayloadTooLargeError,
)
from counterpoint.kernel.replay import fold
from counterpoint.kernel.state import ExecutionState
from counterpoint.kernel.steps import Call
from counterpoint.model.ids import check_signal_name
from counterpoint.model.records import Failure
from counterpoint.model.states import Status
from counterpoint.runtime.access import (
    Access,
    check_reachable,
    check_retryable,
    existing,
)
from counterpoint.runtime.acts import open_step
from counterpoint.runtime.describing import describe, open_children
from counterpoint.runtime.description import (
    CallDescription,
    Description,
    JournalEntry,
    journal_entries,
)
from counterpoint.runtime.journals import records_of
from counterpoint.runtime.mail import (
    CancelMail,
    ResetMail,
    ResolveMail,
    RetryMail,
    SignalMail,
    TerminateMail,
)
from counterpoint.runtime.resetting import happened_since, kept_signals, refused_reset

R = TypeVar("R")
UNSET: Any = object()
"""No result was given; None is one."""


@dataclass(frozen=True, slots=True)
class ResetReport:
    """What a reset does: the new run, and what will happen a second time."""

    id: str
    run: int
    """The number of the new run."""
    to: int
    happened: Sequence[CallDescription]
    """Calls after that record which had happened, or may have; they are made again."""
    kept_signals: Sequence[str] = ()
    """Names of the signals that the new run reads without anybody being asked, in order: those that
    were unread at that record, and all that came later."""


class Execution(Generic[R]):
    """One execution, wherever it runs; made by `app.start` and `app.execution`.

    execution = await app.start(place_order, order, id="order-1")
    receipt = await execution.result()
    """

    def __init__(
        self,
        access: Callable[[], Access],
        execution_id: str,
        workflow: AnyWorkflow | None = None,
    ) -> None:
        self.id = execution_id
        self._access = access
        self._workflow = workflow

    def __repr__(self) -> str:
        return f"<execution {self.id}>"

    async def result(self, timeout: float | timedelta | None = None) -> R:
        """Wait for the execution's end and return its result.

        Raises:
            ExecutionFailed: it ended without one; `.status` says how and `.error` why.
            TimeoutError: it did not end within *timeout* (seconds or a timedelta).
            ExecutionNotFoundError: there is no such execution.
            NodeStoppedError: the node stopped first; the execution goes on at the next start.
        """
        access = self._access()
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        try:
            finished = await access.finished(self.id, seconds)
        except TimeoutError:
            if seconds is None:
                raise
            raise TimeoutError(f"{self.id} did not end within {seconds:g} s; it goes on") from None
        workflow = self._workflow
        if workflow is None:
            row = await existing(access.store, self.id)
            workflow = access.registry.workflows.get(row.name)
        if finished.status is Status.COMPLETED and finished.result is not None:
            if workflow is None:
                plain: R = msgspec.json.decode(finished.result)
                return plain
            result: R = workflow.signature.result.decode(finished.result)
            return result
        failure = finished.error or Failure("", "")
        near = workflow.function if workflow is not None else _nowhere
        error = error_of(failure, near) if failure.type else None
        why = in_words(failure) if failure.type else ""
        raise ExecutionFailed(self.id, finished.status.value, error, why) from error

    async def describe(self) -> Description:
        """Return everything that the journal tells: status, calls, waits, error.

        Raises:
            ExecutionNotFoundError: there is no such execution.
        """
        access = self._access()
        row = await existing(access.store, self.id)
        records = await records_of(access.store, access.codec, row)
        children: dict[str, Status] = {}
        for child in open_children(records) if row.status.live else ():
            found = await access.store.execution(child)
            if found is not None:
                children[child] = found.status
        return describe(row, records, children)

    async def journal(self) -> list[JournalEntry]:
        """Return the records of the execution's journal, oldest first.

        Raises:
            ExecutionNotFoundError: there is no such execution.
        """
        access = self._access()
        row = await existing(access.store, self.id)
        return journal_entries(await records_of(access.store, access.codec, row))

    async def signal(self, name: str, value: Any = None) -> None:
        """Hand *value* (anything that can be written as JSON) to the execution under *name*.

        It is kept until the workflow reads it with `workflow.signal(name)`.

        Raises:
            ExecutionNotFoundError: there is no such execution.
            ExecutionRefusedError: it has ended.
            PayloadError: the value cannot be recorded.
        """
        access = self._access()
        wrong = check_signal_name(name)
        if wrong is not None:
            raise ArgumentsError(wrong, fields=["name"])
        payload = _encode(value)
        limit = access.registry.payload_bytes_max
        if len(payload) > limit:
            raise PayloadTooLargeError(
                f"the signal {name!r}", size_bytes=len(payload), limit_bytes=limit
            )
        await check_reachable(access.store, self.id, "signalled")
        await access.post(self.id, SignalMail(name, msgspec.Raw(payload)))

    async def cancel(self, *, actor: str | None = None, reason: str | None = None) -> None:
        """Ask the execution to stop: `CancelledError` is raised in it, and a saga is undone.

        During compensation it changes nothing.

        Raises:
            ExecutionNotFoundError: there is no such execution.
            ExecutionRefusedError: it has ended, or has passed its pivot.
        """
        access = self._access()
        await check_reachable(access.store, self.id, "cancelled")
        state = await self._state(access)
        if state is not None and state.pivoted:
            raise ExecutionRefusedError(
                self.id, "it has passed its pivot and cannot be cancelled, only terminated"
            )
        await access.post(self.id, CancelMail(actor, reason))

    async def terminate(self, *, actor: str | None = None, reason: str | None = None) -> None:
        """End the execution at once, and its children; nothing is undone.

        Afterwards `describe().left` lists what was left. It works whatever the execution waits
        for, also where its code no longer exists.

        Raises:
            ExecutionNotFoundError: there is no such execution.
            ExecutionRefusedError: it has ended.
        """
        access = self._access()
        await check_reachable(access.store, self.id, "terminated")
        await access.post(self.id, TerminateMail(actor, reason))

    async def retry(self, *, actor: str | None = None, reason: str | None = None) -> None:
        """Try again at once what stopped (an incident) or failed (a failed workflow) the execution.

        It goes on with today's code, new attempts and the same idempotency keys. It does nothing
        where nothing has to be retried.

        Raises:
            ExecutionNotFoundError: there is no such execution.
            ExecutionRefusedError: it was compensated, cancelled, terminated or continued, waits for
                a person's word about an at-most-once call, or is a failed child: retry its parent.
        """
        access = self._access()
        row = await existing(access.store, self.id)
        check_retryable(row)
        if row.status is Status.COMPLETED:
            return
        state = await self._state(access) if row.status is Status.INCIDENT else None
        if state is not None and not waits_for_retry(state):
            calls = ", ".join(str(abs(step)) for step in state.incidents if step is not None)
            raise ExecutionRefusedError(
                self.id,
                f"call {calls} may be made only once, and nobody knows whether it happened: look, "
                f"then state its outcome with resolve({calls}, ...)",
            )
        await access.post(self.id, RetryMail(actor, reason))

    async def resolve(
        self,
        call: int,
        *,
        result: Any = UNSET,
        error: BaseException | None = None,
        done: bool = False,
        actor: str | None = None,
        reason: str | None = None,
    ) -> None:
        """State the outcome of a call, or of its compensation, that is unknown or stuck.

        For a person who has looked. Of a call: its *result*; the *error* with which it failed
        without having happened (`NotDone()`: try it again); or *done*, where it returns None. Of a
        compensation: *done*.

            await execution.resolve(2, result=Authorization("a-17"), reason="seen in the console")

        Raises:
            ExecutionNotFoundError: there is no such execution.
            ExecutionRefusedError: it has ended, has no such call, the call has settled, or an
                attempt of it is under way.
            ArgumentsError: the result is not what the activity returns, or not one of the three is
                given.
            PayloadError: the result cannot be recorded, or is too large.
        """
        access = self._access()
        mail = await self._resolution(access, call, result=result, error=error, done=done)
        await access.post(self.id, msgspec.structs.replace(mail, actor=actor, reason=reason))

    async def _resolution(
        self,
        access: Access,
        number: int,
        *,
        result: Any,
        error: BaseException | None,
        done: bool,
    ) -> ResolveMail:
        if (result is not UNSET) + (error is not None) + done != 1:
            raise ArgumentsError("resolve takes one of result=, error= and done=True")
        await check_reachable(access.store, self.id, "resolved")
        row = await existing(access.store, self.id)
        state = fold(await records_of(access.store, access.codec, row))
        found, step = resolvable(self.id, state, number)
        if isinstance(error, NotDone):
            return ResolveMail(number, not_done=True)
        if step < 0:
            if not done:
                raise ArgumentsError(
                    f"call {number} is being undone by {found.undo_name}: say done=True when it "
                    "is, or retry()"
                )
            return ResolveMail(number, done=True)
        if error is not None:
            return ResolveMail(number, error=failure_of(error, found.name.partition(".")[0]))
        value = None if done else result
        activity = access.registry.callee(found.name)
        payload = _encode(value) if activity is None else _result_of(activity, value)
        limit = access.registry.payload_bytes_max
        if len(payload) > limit:
            what = f"the result of {found.name}"
            raise PayloadTooLargeError(what, size_bytes=len(payload), limit_bytes=limit)
        return ResolveMail(number, returned=True, result=msgspec.Raw(payload))

    async def reset(
        self,
        *,
        to: int,
        dry_run: bool = False,
        actor: str | None = None,
        reason: str | None = None,
    ) -> ResetReport:
        """Begin a new run of the same id from the records up to number *to* of the journal.

        What comes later runs again, under new idempotency keys: the report lists the calls that had
        happened already. Signals that came later are kept. With *dry_run* nothing is done: the
        report says what would be.

        Raises:
            ExecutionNotFoundError: there is no such execution.
            ArgumentsError: that is no number.
            ExecutionRefusedError: it is live, has no such record, had ended or failed before it,
                or a call before it was compensated.
        """
        if type(to) is not int:
            raise ArgumentsError(f"to= is the number of a record, not {to!r}", fields=["to"])
        access = self._access()
        row = await existing(access.store, self.id)
        records = await records_of(access.store, access.codec, row)
        why = refused_reset(row, records, to)
        if why is not None:
            raise ExecutionRefusedError(self.id, why)
        happened = set(happened_since(records, to))
        calls = [call for call in describe(row, records).calls if call.call in happened]
        if not dry_run:
            await access.post(self.id, ResetMail(to, actor, reason))
        return ResetReport(self.id, row.run + 1, to, calls, kept_signals(records, to))

    async def _state(self, access: Access) -> ExecutionState | None:
        """Return what the journal says; None where the execution is about to begin."""
        row = await access.store.execution(self.id)
        if row is None:
            return None
        return fold(await records_of(access.store, access.codec, row))


def waits_for_retry(state: ExecutionState) -> bool:
    """Whether anything of an incident is tried again by `retry()`: not what only a word settles."""
    steps = [None if n is None else state.open_steps.get(n) for n in state.incidents]
    return not steps or any(step is None or not step.asks for step in steps)


def resolvable(execution_id: str, state: ExecutionState, number: int) -> tuple[Call, int]:
    """Return the call whose outcome a person may state, and the number of its open step.

    Raises:
        ExecutionRefusedError: there is none, or an attempt of it is under way.
    """
    call = state.calls.get(number)
    if call is None:
        raise ExecutionRefusedError(execution_id, f"it has no open call {number}")
    step = open_step(call)
    if step is None:
        if call.child is not None and (call.step or call.undo):
            raise ExecutionRefusedError(
                execution_id, f"call {number} is the child {call.child}: resolve or end that"
            )
        raise ExecutionRefusedError(execution_id, f"call {number} has settled")
    if step in state.under_way and step not in state.incidents:
        raise ExecutionRefusedError(
            execution_id, f"an attempt of call {number} is under way: wait for its end"
        )
    return call, step


def _result_of(activity: Activity[..., Any], value: Any) -> bytes:
    """Return a result as it is recorded; JSON values are taken for what they stand for."""
    signature = activity.signature
    with contextlib.suppress(PayloadError, ValidationError):
        payload = signature.encode_result(value)
        signature.result.decode(payload)  # some values are written that could not be read again
        return bytes(payload)
    try:
        decoded = signature.result.decode(msgspec.Raw(_encode(value)))
        return bytes(signature.encode_result(decoded))
    except (ValidationError, PayloadError) as refused:
        raise ArgumentsError(
            f"that is not what {activity.name} returns: {refused}", fields=["result"]
        ) from None


def _encode(value: Any) -> bytes:
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(value, inf_nan_mode="strings", bytes_mode="base64")
    except (PydanticSerializationError, ValueError) as error:
        raise PayloadError(f"the value cannot be written as JSON: {error}") from error


def _nowhere() -> None:
    """Stands for the unknown function whose module would be searched for an error's class."""
