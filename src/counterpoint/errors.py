"""Every error that Counterpoint raises, and the outcomes that users define or catch.

* CounterpointError
  x DefinitionError
    + ContractError
  x ArgumentsError
  x PayloadError
    + PayloadTooLargeError
    + EventFormatError
    + InvalidEventError
  x NotInWorkflowError
  x NotInActivityError
  x WorkflowRefusedError
  x NonDeterminismError
  x ExecutionNotFoundError
  x ExecutionExistsError
  x ExecutionRefusedError
  x NodeStoppedError
  x EventExistsError
  x UnknownVersionError
  x HopLimitError
  x AttemptsLostError
  x StoreError
    + ConflictError
    + StoreLockedError
    + StoreBusyError
    + StoreCorruptError
    + StoreVersionError
    + StoreFullError
    + StoreReadOnlyError
    + StoreBrokenError
      x NodeLostError
  . ExecutionFailed
  . ActivityFailed
  . DeadlineExceeded
  . RecordedError
  . BusinessError (`authoring.business`: it knows how facts are validated)
* NotDone
* RetryAfter
* NonDeterminismWarning

Names end in ``Error`` where something is wrong with the program or its surroundings; ``x`` marks
them. Plain names, marked ``.``, are outcomes of a process: users catch them as control flow.
``NotDone`` and ``RetryAfter`` are raised by users to say something about an attempt;
``NonDeterminismWarning`` is issued when an app is built.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta


class CounterpointError(Exception):
    """Base of every error raised on purpose by this package."""


class DefinitionError(CounterpointError):
    """A service, activity, workflow or app is declared in a way that cannot work."""


class ContractError(DefinitionError):
    """An event's contract is not the one under which it was published; says how they differ."""


class ArgumentsError(CounterpointError):
    """Arguments do not fit the parameters of what was called; `fields` names the culprits."""

    def __init__(self, message: str, *, fields: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class PayloadError(CounterpointError):
    """A value cannot be written to, or read back from, the journal."""


class PayloadTooLargeError(PayloadError):
    """A value takes more bytes than the setting `payload_bytes_max` allows."""

    def __init__(self, what: str, *, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{what} takes {size_bytes:,} bytes and payload_bytes_max is {limit_bytes:,}: "
            "store the data elsewhere and pass a reference, or raise the setting"
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class InvalidEventError(PayloadError):
    """The data of an event does not fit its contract; `fields` names the culprits."""

    def __init__(self, message: str, *, fields: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class UnknownVersionError(CounterpointError):
    """An event is of a newer version than this app declares."""

    def __init__(self, event_type: str, version: int, declared: int) -> None:
        super().__init__(
            f"{event_type} version {version} is newer than version {declared}, which this app "
            "declares: deploy the newer contract here"
        )
        self.event_type = event_type
        self.version = version
        self.declared = declared


class HopLimitError(CounterpointError):
    """An event is the last of a chain of events that is longer than the setting `hop_limit`."""

    def __init__(self, event_type: str, hops: int, limit: int) -> None:
        super().__init__(
            f"{event_type} is event number {hops + 1} of a chain, each of which led to the next, "
            f"and hop_limit is {limit}: a reaction probably feeds itself"
        )
        self.hops = hops
        self.limit = limit


class AttemptsLostError(CounterpointError):
    """The node died during several attempts in a row: they may be what killed it."""

    def __init__(self, name: str, attempts: int) -> None:
        super().__init__(
            f"the node died {attempts} times in a row while {name} ran: redrive it once it is "
            "harmless"
        )
        self.attempts = attempts


class EventExistsError(CounterpointError):
    """An event of this source and id was published before, with other content."""

    def __init__(self, source: str, event_id: str, difference: str) -> None:
        super().__init__(
            f"the event {source}/{event_id} was published before, {difference}: give a new event "
            "an id of its own"
        )
        self.source = source
        self.event_id = event_id


class EventFormatError(PayloadError):
    """An event from outside, or one to be sent there, does not keep to CloudEvents 1.0.

    `attribute` names the culprit; it is empty if the event as a whole is wrong.
    """

    def __init__(self, problem: str, *, attribute: str = "") -> None:
        super().__init__(f"malformed CloudEvent: {attribute or 'the event'} {problem}")
        self.problem = problem
        self.attribute = attribute


class NotInWorkflowError(CounterpointError):
    """Something that only works inside a workflow was used elsewhere, or the other way round."""


class NotInActivityError(CounterpointError):
    """Something that only works inside an activity was used elsewhere, or the other way round."""


class WorkflowRefusedError(CounterpointError):
    """Workflow code asked its event loop for I/O, threads or processes."""


class NonDeterminismError(CounterpointError):
    """Replayed workflow code did something else than its journal says."""

    def __init__(self, message: str, *, expected: str, found: str, line: str | None = None) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found
        self.line = line


class NonDeterminismWarning(UserWarning):
    """Workflow code uses something that differs from run to run; says what to write instead."""


class ExecutionNotFoundError(CounterpointError):
    """No execution has this id."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"no execution has the id {execution_id!r}")
        self.execution_id = execution_id


class ExecutionExistsError(CounterpointError):
    """The id belongs to an execution of another workflow or with other arguments."""

    def __init__(self, execution_id: str, difference: str) -> None:
        super().__init__(f"the id {execution_id!r} is taken: {difference}")
        self.execution_id = execution_id


class ExecutionRefusedError(CounterpointError):
    """What was asked of an execution cannot be done in the state that it is in."""

    def __init__(self, execution_id: str, reason: str) -> None:
        super().__init__(f"{execution_id}: {reason}")
        self.execution_id = execution_id
        self.reason = reason


class NodeStoppedError(CounterpointError):
    """The node takes no more work: it is stopping, stopped, or its store failed."""


class StoreError(CounterpointError):
    """A store could not do what its port promises."""


class ConflictError(StoreError):
    """Executions or events with these ids exist already; nothing of the commit was written."""

    def __init__(self, ids: Sequence[str], events: Sequence[tuple[str, str]] = ()) -> None:
        names = [*ids, *(f"{source}/{event_id}" for source, event_id in events)]
        what = "events" if events and not ids else "executions"
        super().__init__(f"{what} exist already: " + ", ".join(names))
        self.ids = tuple(ids)
        self.events = tuple(events)
        """(source, id) of the events."""


class StoreLockedError(StoreError):
    """Another process hosts this store; use `app.client()` to reach it from here."""

    def __init__(self, store: str, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{store} is hosted by {who}: stop that node first, or talk to it from this process "
            "with `async with app.client() as client: ...`"
        )
        self.pid = pid


class StoreBusyError(StoreError):
    """Another process held the store for longer than the busy timeout; nothing was written."""


class StoreCorruptError(StoreError):
    """The store's content is damaged, or is not Counterpoint's."""


class StoreVersionError(StoreError):
    """The store was written by a newer Counterpoint than this one."""


class StoreFullError(StoreError):
    """The disk, a quota or the store's own limit is used up; nothing was written."""


class StoreReadOnlyError(StoreError):
    """The store cannot be written to; nothing was written."""


class StoreBrokenError(StoreError):
    """The store failed in the middle of a commit: whether it was written is unknown.

    `fatal` says that opening it again in this process would not tell: the system has reported that
    it could not make written data durable, and may report so only once.
    """

    fatal: bool = False


class NodeLostError(StoreBrokenError):
    """Another node has declared this one dead: what it held in memory is not its own any more."""

    def __init__(self, node: str) -> None:
        super().__init__(
            f"{node} was declared dead by another node, because it did not renew its lease in "
            "time; nothing was written, and it goes on as a new incarnation"
        )


class ExecutionFailed(CounterpointError):  # noqa: N818 - an outcome, not a mistake
    """An execution ended without a result; `status` says how and `error` why."""

    def __init__(
        self, execution_id: str, status: str, error: BaseException | None, message: str
    ) -> None:
        super().__init__(
            f"{execution_id} {status}: {message}" if message else f"{execution_id} {status}"
        )
        self.execution_id = execution_id
        self.status = status
        self.error = error


class ActivityFailed(CounterpointError):  # noqa: N818 - an outcome, not a mistake
    """A call of an activity failed for good.

    `attempts` counts the attempts that began, `type` and `facts` describe the last error, and
    `outcome_unknown` says that the activity may nevertheless have happened.
    """

    def __init__(
        self,
        activity: str,
        *,
        call: int,
        attempts: int,
        outcome_unknown: bool,
        type: str,
        message: str,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        times = "attempt" if attempts == 1 else "attempts"
        unknown = ", outcome unknown" if outcome_unknown else ""
        super().__init__(f"{activity} failed after {attempts} {times}{unknown}: {type}: {message}")
        self.activity = activity
        self.call = call
        self.attempts = attempts
        self.outcome_unknown = outcome_unknown
        self.type = type
        self.message = message
        self.facts = dict(facts or {})


class RecordedError(CounterpointError):
    """An error that was recorded by its name and message; its type does not cross the journal."""

    def __init__(self, type: str, message: str, facts: Mapping[str, object]) -> None:
        super().__init__(f"{type}: {message}")
        self.type = type
        self.message = message
        self.facts = dict(facts)


class DeadlineExceeded(CounterpointError, TimeoutError):  # noqa: N818 - an outcome
    """The workflow's own `deadline=` passed."""


class NotDone(Exception):  # noqa: N818 - a statement, not a mistake
    """Raised by an activity, usually `from` its cause, to say that nothing happened: try again."""


class RetryAfter(Exception):  # noqa: N818 - a statement, not a mistake
    """Raised by an activity to fail this attempt and set the delay before the next one."""

    def __init__(self, delay: timedelta, message: str = "") -> None:
        super().__init__(message or f"retry after {delay}")
        self.delay = delay
