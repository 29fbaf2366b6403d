"""What follows an attempt that ended without a result: another one, or the end of the call."""

from datetime import timedelta
from typing import Any

from counterpoint.errors import ActivityFailed
from counterpoint.kernel.state import Step
from counterpoint.model import records as r
from counterpoint.model.outcomes import Raised
from counterpoint.model.policies import Retry

LOST_IN_A_ROW_MAX = 3
"""After so many nodes died during a step, it waits for a person: it may be what kills them."""
LOST = r.Failure("counterpoint.NodeLost", "the node died while the attempt was under way")
CANCELLED = r.Failure("asyncio.CancelledError", "the call was cancelled")
FAILED_CALL = "_counterpoint_call"
"""Where an error of a call that crosses as itself keeps the call's number."""

CHAIN_MAX = 100
"""Errors of one chain that are looked at; chains can be circular."""


def parts_of(error: BaseException) -> tuple[BaseException, ...]:
    """Return the errors that a group holds; none for any other error."""
    anything: Any = error
    return anything.exceptions if isinstance(error, BaseExceptionGroup) else ()


def call_of(error: BaseException) -> int | None:
    """Return the number of the call whose failure *error* is, groups, or was raised because of."""
    looked_at: list[BaseException] = [error]
    for found in looked_at:  # which grows
        if isinstance(found, ActivityFailed):
            return found.call
        number: int | None = found.__dict__.get(FAILED_CALL)
        if number is not None or len(looked_at) > CHAIN_MAX:
            return number
        looked_at += parts_of(found)
        because = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
        if because is not None:
            looked_at.append(because)
    return None


def microseconds(delay: timedelta) -> int:
    """Return a duration as integer microseconds."""
    return delay // timedelta(microseconds=1)


def after_failed_attempt(
    number: int, step: Step, raised: Raised, policy: Retry, now: int, share: float
) -> r.AttemptFailed | r.CallFailed:
    """Return the record of a call's failed attempt: with its next time, or the call's failure.

    *share* in [0, 1) is the dice that the policy's jitter uses.
    """
    if raised.final or step.attempts >= policy.max_attempts:
        return r.CallFailed(
            now,
            number,
            raised.error,
            step.attempts,
            step.may_have_happened or raised.may_have_happened,
        )
    delay = raised.retry_after
    if delay is None:
        delay = policy.delay_after(step.attempts, share)
    return r.AttemptFailed(
        now,
        number,
        step.attempts,
        raised.error,
        raised.may_have_happened,
        now + max(0, microseconds(delay)),
    )


def after_failed_compensation(
    number: int, step: Step, raised: Raised, policy: Retry, now: int, share: float
) -> r.AttemptFailed:
    """Return the record of a compensation's failed attempt: there is always another one."""
    delay = raised.retry_after
    if delay is None:
        patient = step.attempts >= policy.max_attempts
        delay = policy.cap if patient else policy.delay_after(step.attempts, share)
    return r.AttemptFailed(
        now,
        number,
        step.attempts,
        raised.error,
        raised.may_have_happened,
        now + max(0, microseconds(delay)),
    )


def after_lost_attempt(
    number: int, step: Step, policy: Retry, now: int
) -> r.AttemptLost | r.CallFailed:
    """Return the record of an attempt whose node died: it counts like a timeout."""
    if number > 0 and step.attempts >= policy.max_attempts:
        return r.CallFailed(now, number, LOST, step.attempts, outcome_unknown=True)
    wait = step.lost_in_a_row + 1 >= LOST_IN_A_ROW_MAX
    return r.AttemptLost(now, number, step.attempts, None if wait else now)
