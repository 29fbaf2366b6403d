"""What follows an attempt that ended without a result: another one, or the end of the call."""

from datetime import timedelta

from counterpoint.kernel.steps import Step
from counterpoint.model import records as r
from counterpoint.model.outcomes import Raised
from counterpoint.model.policies import Retry, StepPolicy
from counterpoint.model.times import microseconds

LOST_IN_A_ROW_MAX = 3
"""After so many nodes died during a step, it waits for a person: it may be what kills them."""
LOST = r.Failure("counterpoint.NodeLost", "the node died while the attempt was under way")
CANCELLED = r.Failure("asyncio.CancelledError", "the call was cancelled")


def after_failed_attempt(
    number: int,
    step: Step,
    raised: Raised,
    policy: StepPolicy,
    now: int,
    share: float,
    *,
    pivoted: bool,
) -> r.AttemptFailed | r.CallFailed:
    """Return the record of a call's failed attempt: with its next time, or the call's failure.

    Without a next time (`retry_at` is None) the call waits for a person: an at-most-once call whose
    outcome is unknown, or any that is out of attempts past the pivot. *share* in [0, 1) is the
    dice that the policy's jitter uses.
    """
    retry = policy.retry
    unknown = policy.at_most_once and raised.may_have_happened
    if not unknown and not raised.final and step.attempts < retry.max_attempts:
        return _again(number, step, raised, retry.delay_after(step.attempts, share), now)
    asks = unknown and policy.on_unknown == "incident"
    if asks or (pivoted and not raised.error.business):
        return r.AttemptFailed(
            now, number, step.attempts, raised.error, raised.may_have_happened, None
        )
    return r.CallFailed(
        now,
        number,
        raised.error,
        step.attempts,
        step.may_have_happened or raised.may_have_happened,
    )


def after_failed_compensation(
    number: int, step: Step, raised: Raised, policy: Retry, now: int, share: float
) -> r.AttemptFailed:
    """Return the record of a compensation's failed attempt: there is always another one."""
    patience_over = step.attempts >= policy.max_attempts
    delay = policy.cap if patience_over else policy.delay_after(step.attempts, share)
    return _again(number, step, raised, delay, now)


def after_lost_attempt(
    number: int, step: Step, policy: StepPolicy, now: int, *, pivoted: bool
) -> r.AttemptLost | r.CallFailed:
    """Return the record of an attempt whose node died: it counts like a timeout.

    One without a next time waits for a person; see `after_failed_attempt`.
    """
    if policy.at_most_once:
        asks = policy.on_unknown == "incident" or pivoted
        if not asks:
            return r.CallFailed(now, number, LOST, step.attempts, outcome_unknown=True)
        return r.AttemptLost(now, number, step.attempts, None)
    if number > 0 and step.attempts >= policy.retry.max_attempts:
        if not pivoted:
            return r.CallFailed(now, number, LOST, step.attempts, outcome_unknown=True)
        return r.AttemptLost(now, number, step.attempts, None)
    wait = step.lost_in_a_row + 1 >= LOST_IN_A_ROW_MAX
    return r.AttemptLost(now, number, step.attempts, None if wait else now)


def _again(number: int, step: Step, raised: Raised, delay: timedelta, now: int) -> r.AttemptFailed:
    if raised.retry_after is not None:
        delay = raised.retry_after
    at = now + max(0, microseconds(delay))
    return r.AttemptFailed(now, number, step.attempts, raised.error, raised.may_have_happened, at)
