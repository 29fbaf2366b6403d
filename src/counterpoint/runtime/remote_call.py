"""What travels with a call to another node, and what comes back: the bodies of rows and letters.

A row of `calls` is named by the execution's key, the step, and the number of the journal's record
with which the attempt began (`began`; the row calls it `attempt`). Attempts can have one number
twice (what never began is begun again under its number), records cannot.
"""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from counterpoint.kernel.steps import Call, Step
from counterpoint.model import cluster
from counterpoint.model.outcomes import (
    Outcome,
    Outgoing,
    Publication,
    Raised,
    Returned,
    StartRequest,
)
from counterpoint.model.policies import OnUnknown, Retry, StepPolicy
from counterpoint.model.records import NULL, Failure, Payload
from counterpoint.model.times import microseconds


class Elsewhere:
    """An attempt that another node looks after, in the memory of the execution's owner."""

    __slots__ = ("began", "here", "withdrawing")

    def __init__(self, began: int, *, here: bool = False) -> None:
        self.began = began
        """The number of the record with which it began; negative if its node is gone, and only its
        policy is asked for."""
        self.here = here
        """This node hosts it, too: it may claim the call itself."""
        self.withdrawing = False
        """It was cancelled, and the store is being asked whether somebody had claimed it."""


class RemoteCall(msgspec.Struct, frozen=True):
    """What an attempt needs to know, for the node that claims it."""

    run: int
    correlation_id: str
    call: int
    name: str
    """The recorded name of what was called, also where it is being undone."""
    attempt: int
    arguments: Payload
    registered: bool = False
    """It is what `compensate_with` named."""
    completed: bool = False
    result: Payload = NULL
    """What the call returned, if it completed: for its compensation."""
    error: Failure | None = None
    """How the call failed: for its compensation."""
    call_run: int | None = None
    """The run in which the call settled, if a reset has kept it since."""
    heartbeat: Payload = NULL
    """The newest detail of an earlier attempt; null if there is none."""
    in_doubt: bool = False
    """An earlier attempt may have happened."""


def remote_call(run: int, correlation_id: str, call: Call, step: Step, number: int) -> RemoteCall:
    """Return what the attempt of step *number* that has just begun needs to know."""
    undoes = number < 0
    return RemoteCall(
        run,
        correlation_id,
        call.number,
        call.name,
        step.attempts,
        call.arguments,
        call.registered,
        undoes and call.result is not None,
        NULL if call.result is None or not undoes else call.result,
        call.error if undoes else None,
        call.run,
        NULL if step.heartbeat is None else step.heartbeat,
        step.may_have_happened,
    )


def call_of(remote: RemoteCall) -> Call:
    """Return the call as the node that runs an attempt of it sees it."""
    step = Step(heartbeat=None if remote.heartbeat == NULL else remote.heartbeat)
    call = Call(remote.call, remote.name, remote.arguments, step)
    call.undo = step
    call.registered = remote.registered
    call.result = remote.result if remote.completed else None
    call.error = remote.error
    call.run = remote.call_run
    return call


class Policy(msgspec.Struct, frozen=True):
    """A `StepPolicy`, but for the types of errors: what they say is said with the outcome."""

    max_attempts: int
    first: int
    """Microseconds, as is `cap`."""
    factor: float
    cap: int
    jitter: float
    at_most_once: bool
    on_unknown: OnUnknown


def written_policy(policy: StepPolicy) -> Policy:
    """Return how a step is tried, to be told to the owner of its execution."""
    retry = policy.retry
    return Policy(
        retry.max_attempts,
        microseconds(retry.first),
        retry.factor,
        microseconds(retry.cap),
        retry.jitter,
        policy.at_most_once,
        policy.on_unknown,
    )


def read_policy(policy: Policy) -> StepPolicy:
    """Return how a step is tried, as whoever hosts it has said."""
    retry = Retry(
        policy.max_attempts,
        timedelta(microseconds=policy.first),
        policy.factor,
        timedelta(microseconds=policy.cap),
        policy.jitter,
    )
    return StepPolicy(retry, policy.at_most_once, policy.on_unknown)


class Ending(msgspec.Struct, frozen=True):
    """How an attempt ended: one of `returned`, `error`, `lost` and `postponed`."""

    returned: bool = False
    result: Payload = NULL
    publications: Sequence[Publication] = ()
    """What it publishes, if its outcome is recorded; the same for `starts`."""
    starts: Sequence[StartRequest] = ()
    error: Failure | None = None
    final: bool = False
    may_have_happened: bool = True
    retry_after: int | None = None
    """Microseconds."""
    lost: bool = False
    """Its node has died, or has cut it off when it stopped."""
    postponed: bool = False
    """It never began, because its node stopped."""


def written_ending(outcome: Outcome) -> Ending:
    """Return how an attempt ended, to be told to the owner of its execution."""
    if isinstance(outcome, Returned):
        return Ending(
            returned=True,
            result=outcome.result,
            publications=[one for one in outcome.outbox if isinstance(one, Publication)],
            starts=[one for one in outcome.outbox if isinstance(one, StartRequest)],
        )
    after = outcome.retry_after
    return Ending(
        error=outcome.error,
        final=outcome.final,
        may_have_happened=outcome.may_have_happened,
        retry_after=None if after is None else microseconds(after),
    )


def raised_by(ending: Ending, error: Failure) -> Raised:
    """Return the outcome of an attempt that ended with *error*."""
    after = ending.retry_after
    return Raised(
        error,
        ending.final,
        ending.may_have_happened,
        None if after is None else timedelta(microseconds=after),
    )


def outbox_of(ending: Ending) -> list[Outgoing]:
    """Return what a successful attempt publishes and starts."""
    return [*ending.publications, *ending.starts]


def place_of(row: cluster.CallRow) -> cluster.Step:
    """Return by what the store knows a call."""
    return row.execution_key, row.step, row.attempt
