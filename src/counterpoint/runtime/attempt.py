"""One attempt of a step: what it runs and was given, and what the running function may ask."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

import msgspec

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.attempt import AttemptInfo
from counterpoint.authoring.compensation import Compensation
from counterpoint.authoring.event import Contract, Event
from counterpoint.authoring.failures import error_of, failure_of
from counterpoint.authoring.reaction import Reaction
from counterpoint.authoring.registry import Registry
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import (
    ArgumentsError,
    DefinitionError,
    PayloadError,
    PayloadTooLargeError,
)
from counterpoint.kernel.steps import Call
from counterpoint.model.ids import generate_id, idempotency_key
from counterpoint.model.outcomes import (
    Outcome,
    Outgoing,
    Publication,
    Raised,
    Returned,
    StartRequest,
)
from counterpoint.model.policies import StepPolicy
from counterpoint.model.records import NULL, Payload

NEVER = 1 << 62
Work: TypeAlias = Activity[..., Any] | Compensation | Reaction[Any, Any]
"""What an attempt runs."""
Beat = Callable[["Attempt", Payload], None]


class AttemptOwner(Protocol):
    """The execution that an attempt belongs to."""

    @property
    def id(self) -> str: ...
    @property
    def run(self) -> int: ...
    @property
    def correlation_id(self) -> str: ...


class Attempt:
    """An attempt under way, or waiting for its turn; its two kinds say how values are coded."""

    __slots__ = (
        "cancelled",
        "ends_at",
        "entered",
        "last_beat_at",
        "number",
        "on_beat",
        "outbox",
        "owner",
        "payload_bytes_max",
        "previous",
        "registry",
        "reported",
        "step",
        "task",
        "thread",
        "timed_out",
        "transaction",
        "work",
    )

    def __init__(
        self,
        owner: Any,
        step: int,
        number: int,
        work: Work,
        previous: Payload | None,
        payload_bytes_max: int,
        on_beat: Beat,
    ) -> None:
        self.owner = owner
        """An `AttemptOwner`; opaque to the runner."""
        self.step = step
        self.number = number
        self.work = work
        self.previous = previous
        """The newest heartbeat detail of an earlier attempt."""
        self.payload_bytes_max = payload_bytes_max
        self.on_beat = on_beat
        self.outbox: tuple[Outgoing, ...] = ()
        """What it publishes and starts, if it succeeds."""
        self.registry: Registry | None = None
        self.ends_at = NEVER
        self.last_beat_at = 0
        self.task: asyncio.Task[None] | None = None
        self.thread: asyncio.Future[Any] | None = None
        self.entered = False
        self.cancelled = False
        self.timed_out = False
        self.reported = False
        self.transaction: Any = None
        """The `OpenTransaction` that its result has to be committed with."""

    @property
    def policy(self) -> StepPolicy:
        """How the step is tried."""
        return self.work.policy

    def decode(self) -> dict[str, Any]:
        """Return the keyword arguments of the function, from what is recorded."""
        raise NotImplementedError

    def encode(self, value: Any) -> Outcome:
        """Return the outcome of an attempt whose function returned *value*."""
        raise NotImplementedError

    # ---- what the running function asks (authoring.attempt.RunningAttempt) --------------------

    def info(self) -> AttemptInfo:
        owner: AttemptOwner = self.owner
        deadline = None
        if self.ends_at != NEVER:
            deadline = datetime.fromtimestamp(self.ends_at / 1e6, tz=UTC)
        key = idempotency_key(owner.id, owner.run, self.step)
        undoes = self.undoes_key()
        return AttemptInfo(
            self.work.name,
            self.number,
            key,
            owner.id,
            owner.correlation_id,
            deadline,
            undoes_key=undoes,
        )

    def undoes_key(self) -> str | None:
        """Return the key of the call that is being undone; None for a call."""
        return None

    def beat(self, detail: Any) -> None:
        try:
            payload = msgspec.json.encode(detail)
        except (TypeError, ValueError) as error:
            raise PayloadError(f"a heartbeat's detail is a JSON value: {error}") from error
        self.check_size(payload, "the heartbeat's detail")
        self.on_beat(self, msgspec.Raw(payload))

    def previous_detail(self) -> Any:
        return None if self.previous is None else msgspec.json.decode(self.previous)

    def publish(self, event: Event) -> None:
        """Take an event that is published if the step is committed."""
        assert self.registry is not None  # noqa: S101 - set by whoever starts it
        contract, key, data = self.registry.event_data(event)
        self.check_publishes(contract)
        name, service = self.work.name, self.work.service
        publication = Publication(contract.type, contract.version, key, data, name, service)
        self.outbox = (*self.outbox, publication)

    def check_publishes(self, contract: Contract) -> None:
        """Refuse an event that the work does not declare.

        Raises:
            DefinitionError: it has declared others.
        """
        emits = getattr(self.work, "emits", None)
        if emits is not None and contract.event_class not in emits:
            raise DefinitionError(
                f"{self.work.name} publishes {contract.type}, which its emits= does not name: add "
                f"{contract.event_class.__name__} to it"
            )

    def start(self, workflow: Any, args: tuple[Any, ...], execution_id: str | None) -> str:
        """Take a workflow that is started if the step is committed; return its id."""
        assert self.registry is not None  # noqa: S101 - set by whoever starts it
        if not isinstance(workflow, Workflow) or (
            self.registry.whole.workflows.get(workflow.name) is not workflow
        ):
            raise DefinitionError(f"activity.start takes a workflow of this app, not {workflow!r}")
        try:
            arguments = workflow.signature.encode_arguments(args, {})
        except TypeError as error:
            raise ArgumentsError(str(error)) from None
        self.check_size(bytes(arguments), f"the arguments of {workflow.name}")
        workflow.signature.decode_arguments(arguments)
        its_id = execution_id or generate_id()
        self.outbox = (*self.outbox, StartRequest(workflow.name, its_id, arguments))
        return its_id

    def check_size(self, payload: bytes, what: str) -> None:
        """Refuse a payload above the limit.

        Raises:
            PayloadTooLargeError: it is.
        """
        if len(payload) > self.payload_bytes_max:
            raise PayloadTooLargeError(
                what, size_bytes=len(payload), limit_bytes=self.payload_bytes_max
            )


class CallAttempt(Attempt):
    """An attempt of a call: arguments as recorded, the result validated and measured."""

    __slots__ = ("activity", "call")

    def __init__(
        self,
        owner: Any,
        call: Call,
        number: int,
        activity: Activity[..., Any],
        payload_bytes_max: int,
        on_beat: Beat,
    ) -> None:
        previous = call.step.heartbeat if call.step is not None else None
        super().__init__(owner, call.number, number, activity, previous, payload_bytes_max, on_beat)
        self.call = call
        self.activity = activity

    def decode(self) -> dict[str, Any]:
        return self.activity.signature.decode_arguments(self.call.arguments)

    def encode(self, value: Any) -> Outcome:
        """An unrecordable result did happen: its outcome is unknown, and it is not tried again."""
        signature = self.activity.signature
        try:
            result = signature.encode_result(value)
            self.check_size(result, f"the result of {self.activity.name}")
            return Returned(msgspec.Raw(result), signature.result.decode(result), self.outbox)
        except Exception as error:  # noqa: BLE001 - whatever a user's type raises
            return Raised(failure_of(error, self.activity.service), final=True)


class UndoAttempt(Attempt):
    """An attempt of what undoes a call, whatever that is; nobody reads what it returns."""

    __slots__ = ("call",)

    def __init__(
        self,
        owner: Any,
        call: Call,
        number: int,
        work: Activity[..., Any] | Compensation,
        payload_bytes_max: int,
        on_beat: Beat,
    ) -> None:
        previous = call.undo.heartbeat if call.undo is not None else None
        super().__init__(owner, -call.number, number, work, previous, payload_bytes_max, on_beat)
        self.call = call

    def encode(self, value: Any) -> Outcome:  # noqa: ARG002 - what undoes a call gives no result
        return Returned(NULL, None, self.outbox)


class CompensationAttempt(UndoAttempt):
    """An attempt to undo a call: bound by name to what the call was given and what it returned."""

    __slots__ = ("compensation",)

    def __init__(
        self,
        owner: Any,
        call: Call,
        number: int,
        compensation: Compensation,
        payload_bytes_max: int,
        on_beat: Beat,
    ) -> None:
        super().__init__(owner, call, number, compensation, payload_bytes_max, on_beat)
        self.compensation = compensation

    def undoes_key(self) -> str | None:
        call, owner = self.call, self.owner
        return idempotency_key(owner.id, call.run or owner.run, call.number)

    def decode(self) -> dict[str, Any]:
        call = self.call
        error = None
        if call.error is not None:
            error = error_of(call.error, self.compensation.activity.function)
        return self.compensation.bind(call.arguments, call.result, error)


class RegisteredAttempt(UndoAttempt):
    """An attempt of what `compensate_with` named: an activity that runs as a compensation."""

    __slots__ = ("activity",)

    def __init__(
        self,
        owner: Any,
        call: Call,
        number: int,
        activity: Activity[..., Any],
        payload_bytes_max: int,
        on_beat: Beat,
    ) -> None:
        super().__init__(owner, call, number, activity, payload_bytes_max, on_beat)
        self.activity = activity

    @property
    def policy(self) -> StepPolicy:
        return StepPolicy(self.activity.retry)

    def decode(self) -> dict[str, Any]:
        return self.activity.signature.decode_arguments(self.call.arguments)
