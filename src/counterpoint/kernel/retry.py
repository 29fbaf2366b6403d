"""What follows an attempt that ended without a result: another one, or the end of the call."""

from datetime import timedelta

from counterpoint.kernel.state import Step
from counterpoint.model import records as r
from counterpoint.model.outcomes import Raised
from counterpoint.model.policies import Retry
from counterpoint.model.times import microseconds

LOST_IN_A_ROW_MAX = 3
"""After so many nodes died during a step, it waits for a person: it may be what kills them."""
LOST = r.Failure("counterpoint.NodeLost", "the node died while the attempt was under way")
CANCELLED = r.Failure("asyncio.CancelledError", "the call was cancelled")


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
    return _again(number, step, raised, policy.delay_after(step.attempts, share), now)


def after_failed_compensation(
    number: int, step: Step, raised: Raised, policy: Retry, now: int, share: float
) -> r.AttemptFailed:
    """Return the record of a compensation's failed attempt: there is always another one."""
    patience_over = step.attempts >= policy.max_attempts
    delay = policy.cap if patience_over else policy.delay_after(step.attempts, share)
    return _again(number, step, raised, delay, now)


def after_lost_attempt(
    number: int, step: Step, policy: Retry, now: int
) -> r.AttemptLost | r.CallFailed:
    """Return the record of an attempt whose node died: it counts like a timeout."""
    if number > 0 and step.attempts >= policy.max_attempts:
        return r.CallFailed(now, number, LOST, step.attempts, outcome_unknown=True)
    wait = step.lost_in_a_row + 1 >= LOST_IN_A_ROW_MAX
    return r.AttemptLost(now, number, step.attempts, None if wait else now)


def _again(number: int, step: Step, raised: Raised, delay: timedelta, now: int) -> r.AttemptFailed:
    if raised.retry_after is not None:
        delay = raised.retry_after
    at = now + max(0, microseconds(delay))
    return r.AttemptFailed(now, number, step.attempts, raised.error, raised.may_have_happened, at)
