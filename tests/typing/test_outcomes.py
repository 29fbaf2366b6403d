"""What users read from the outcomes that they catch, as both type checkers see it."""

from datetime import timedelta
from typing import assert_type

from counterpoint.errors import ActivityFailed, ExecutionFailed, RetryAfter


def test_a_failed_activity_has_typed_facts() -> None:
    failed = ActivityFailed(
        "payments.authorize",
        call=1,
        attempts=2,
        outcome_unknown=True,
        type="builtins.TimeoutError",
        message="too late",
    )

    assert_type(failed.attempts, int)
    assert_type(failed.outcome_unknown, bool)
    assert_type(failed.facts, dict[str, object])


def test_a_failed_execution_says_how_and_why() -> None:
    failed = ExecutionFailed("order-1", "compensated", None, "")

    assert_type(failed.status, str)
    assert_type(failed.error, BaseException | None)


def test_a_retry_has_a_delay() -> None:
    assert_type(RetryAfter(timedelta(seconds=1)).delay, timedelta)
