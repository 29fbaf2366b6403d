"""A handle on one execution: wait for its result, look at it, act on it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Generic, TypeVar

import msgspec

from counterpoint.authoring.failures import error_of, in_words
from counterpoint.authoring.registry import AnyWorkflow
from counterpoint.errors import ArgumentsError, ExecutionFailed, PayloadError, PayloadTooLargeError
from counterpoint.model.ids import check_signal_name
from counterpoint.model.records import Failure
from counterpoint.model.states import Status
from counterpoint.runtime.access import (
    Access,
    check_reachable,
    check_retryable,
    existing,
    records_of,
)
from counterpoint.runtime.description import Description, JournalEntry, describe, journal_entries
from counterpoint.runtime.mail import CancelMail, RetryMail, SignalMail

R = TypeVar("R")


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
        return describe(row, await records_of(access.store, access.codec, row))

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

        Raises:
            ExecutionNotFoundError: there is no such execution.
            ExecutionRefusedError: it has ended.
        """
        access = self._access()
        await check_reachable(access.store, self.id, "cancelled")
        await access.post(self.id, CancelMail(actor, reason))

    async def retry(self, *, actor: str | None = None, reason: str | None = None) -> None:
        """Try again at once what stopped (an incident) or failed (a failed workflow) the execution.

        It goes on with today's code, new attempts and the same idempotency keys. It does nothing
        where nothing has to be retried.

        Raises:
            ExecutionNotFoundError: there is no such execution.
            ExecutionRefusedError: it was compensated, cancelled, terminated or continued.
        """
        access = self._access()
        row = await existing(access.store, self.id)
        check_retryable(row)
        if row.status is Status.COMPLETED:
            return
        await access.post(self.id, RetryMail(actor, reason))


def _encode(value: Any) -> bytes:
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(value, inf_nan_mode="strings", bytes_mode="base64")
    except (PydanticSerializationError, ValueError) as error:
        raise PayloadError(f"the value cannot be written as JSON: {error}") from error


def _nowhere() -> None:
    """Stands for the unknown function whose module would be searched for an error's class."""
