"""DESIGN 3.1, Failure: how often, how late and for how long an attempt is made."""

import inspect
import itertools
from datetime import timedelta
from typing import Any

import pytest
from tests.runtime.shop import called

from counterpoint import (
    ActivityFailed,
    BusinessError,
    DefinitionError,
    ExecutionFailed,
    Retry,
    RetryAfter,
    Service,
)
from counterpoint.authoring.activity import Activity
from counterpoint.testing import Harness

desk = Service("desk")
SECOND = timedelta(seconds=1)
STEADY = Retry(max_attempts=3, first=SECOND, factor=1, jitter=0)


class Declined(BusinessError):
    reason: str


@desk.activity
async def by_default() -> str:
    return "done"


@desk.activity(retry=STEADY)
async def steadily() -> str:
    return "done"


@desk.activity(retry=Retry(max_attempts=3, first=SECOND, jitter=0, stop_on=(OSError, KeyError)))
async def stops_on_io() -> str:
    return "done"


@desk.activity(retry=Retry(max_attempts=6, first=SECOND, factor=2, cap=5 * SECOND, jitter=0))
async def capped() -> str:
    return "done"


@desk.activity(timeout=SECOND, retry=STEADY)
async def bounded() -> str:
    return "done"


@desk.activity(timeout=None)
async def unbounded() -> str:
    return "done"


@desk.activity(retry=STEADY)
def in_a_thread() -> str:
    return "done"


@desk.workflow
async def run_default() -> str:
    return await by_default()


@desk.workflow
async def run_steadily() -> str:
    return await steadily()


@desk.workflow
async def run_stops_on_io() -> str:
    return await stops_on_io()


@desk.workflow
async def run_capped() -> str:
    return await capped()


@desk.workflow
async def run_bounded() -> str:
    return await bounded()


@desk.workflow
async def run_unbounded() -> str:
    return await unbounded()


@desk.workflow
async def run_in_a_thread() -> str:
    return await in_a_thread()


def delays(harness: Harness) -> list[float]:
    """Return the seconds between one attempt and the next."""
    times = [call.at for call in harness.calls]
    return [(b - a).total_seconds() for a, b in itertools.pairwise(times)]


async def failure(harness: Harness, flow: Any) -> ActivityFailed:
    """Run a workflow and return the failed activity that ended it."""
    with pytest.raises(ExecutionFailed) as caught:
        await harness.run(flow)
    assert isinstance(caught.value.error, ActivityFailed)
    return caught.value.error


# ---- Retry ---------------------------------------------------------------------------------------


def test_retry_has_the_defaults_of_the_design() -> None:
    retry = Retry()

    assert retry.max_attempts == 10
    assert retry.first == timedelta(milliseconds=100)
    assert retry.factor == 2
    assert retry.cap == timedelta(minutes=1)
    assert 0 < retry.jitter < 1
    assert TypeError in retry.stop_on
    assert by_default.retry == retry


async def test_a_call_has_at_most_max_attempts_and_the_first_one_counts() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(by_default, OSError("no route"), times=None)
        harness.fail(steadily, OSError("no route"), times=None)

        assert (await failure(harness, run_default)).attempts == 10
        assert (await failure(harness, run_steadily)).attempts == 3
        assert (called(harness).count("by_default"), called(harness).count("steadily")) == (10, 3)


async def test_delays_begin_with_first_and_grow_by_factor_up_to_cap() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(capped, OSError("no route"), times=None)
        await failure(harness, run_capped)

        assert delays(harness) == [1, 2, 4, 5, 5]


async def test_default_delays_double_from_a_tenth_of_a_second_less_their_jitter() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(by_default, OSError("no route"), times=None)
        await failure(harness, run_default)
        full = [min(0.1 * 2**n, 60) for n in range(9)]
        jitter = Retry().jitter

        measured = delays(harness)
        assert all(d * (1 - jitter) <= m <= d + 1e-6 for d, m in zip(full, measured, strict=True))


def test_jitter_takes_a_random_share_off_a_delay() -> None:
    retry = Retry(first=10 * SECOND, jitter=0.5)

    assert retry.delay_after(1, 0.0) == 10 * SECOND
    assert retry.delay_after(1, 0.5) == 7.5 * SECOND
    assert Retry(first=10 * SECOND, jitter=0).delay_after(1, 0.9) == 10 * SECOND


@pytest.mark.parametrize("error", [TypeError, AttributeError, NameError, KeyError, AssertionError])
async def test_an_error_of_the_program_stops_a_call_at_once_by_default(
    error: type[Exception],
) -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(by_default, error("wrong"))
        failed = await failure(harness, run_default)

        assert failed.attempts == 1
        assert failed.type == f"builtins.{error.__name__}"


async def test_stop_on_names_the_errors_that_are_final_and_their_subclasses() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(stops_on_io, ConnectionError("no route"))
        failed = await failure(harness, run_stops_on_io)

        assert failed.attempts == 1
        assert failed.outcome_unknown


async def test_stop_on_that_was_given_takes_the_place_of_the_default() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(stops_on_io, TypeError("wrong"), times=2)

        assert await harness.run(run_stops_on_io) == "done"
        assert len(harness.calls) == 3


async def test_an_error_that_stops_comes_after_others_that_did_not() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(by_default, OSError("no route"), times=2)
        harness.fail(by_default, TypeError("wrong"))

        assert (await failure(harness, run_default)).attempts == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"first": -SECOND},
        {"cap": timedelta(0)},
        {"factor": 0.5},
        {"jitter": 2.0},
        {"jitter": -0.1},
    ],
)
def test_a_retry_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        Retry(**wrong)


# ---- RetryAfter ----------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0, 0.5, 7, 3600])
async def test_retry_after_sets_the_next_delay(delay: float) -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(steadily, RetryAfter(timedelta(seconds=delay)))
        harness.fail(steadily, OSError("no route"))

        assert await harness.run(run_steadily) == "done"
        assert delays(harness) == [delay, 1]


async def test_retry_after_may_go_beyond_the_cap() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(capped, RetryAfter(timedelta(hours=2)))
        await harness.run(run_capped)

        assert delays(harness) == [7200]


async def test_retry_after_counts_as_an_attempt() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(steadily, RetryAfter(SECOND), times=None)

        assert (await failure(harness, run_steadily)).attempts == 3


async def test_retry_after_with_a_cause_fails_with_the_cause() -> None:
    async def throttled() -> str:
        try:
            raise ConnectionError("429")
        except ConnectionError as error:
            raise RetryAfter(SECOND) from error

    async with Harness(services=[desk]) as harness:
        harness.replace(steadily, throttled)
        failed = await failure(harness, run_steadily)

        assert (failed.type, failed.message) == ("builtins.ConnectionError", "429")
        assert failed.outcome_unknown


async def test_retry_after_works_in_a_thread_and_survives_a_crash() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(in_a_thread, RetryAfter(timedelta(hours=1)))
        execution = await harness.start(run_in_a_thread)
        await harness.crash()
        await harness.restart()

        assert await harness.result(execution) == "done"
        assert delays(harness) == [3600]


async def test_retry_after_a_negative_delay_is_at_once() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(steadily, RetryAfter(-SECOND))
        await harness.run(run_steadily)

        assert delays(harness) == [0]


# ---- timeouts ------------------------------------------------------------------------------------


async def test_an_attempt_has_five_minutes_unless_told_otherwise() -> None:
    async with Harness(services=[desk]) as harness:
        harness.hang(by_default)
        execution = await harness.start(run_default)
        await harness.advance(minutes=4, seconds=59)
        attempts = len(harness.calls)
        await harness.advance(seconds=2)

        assert by_default.timeout == timedelta(minutes=5)
        assert (attempts, len(harness.calls)) == (1, 2)
        assert await harness.result(execution) == "done"


def test_no_timeout_has_to_be_written() -> None:
    parameters = inspect.signature(Service.activity).parameters

    assert parameters["timeout"].default == timedelta(minutes=5)
    assert by_default.timeout is not None
    assert unbounded.timeout is None


async def test_without_a_timeout_an_attempt_goes_on_for_days() -> None:
    async with Harness(services=[desk]) as harness:
        hold = harness.hang(unbounded)
        execution = await harness.start(run_unbounded)
        await harness.advance(days=30)
        hold.release()

        assert await harness.result(execution) == "done"
        assert len(harness.calls) == 1


async def test_a_timeout_bounds_each_attempt_and_is_retried_as_an_exception_is() -> None:
    async with Harness(services=[desk]) as harness:
        harness.hang(bounded, times=2)

        assert await harness.run(run_bounded) == "done"
        assert delays(harness) == [2, 2]


async def test_attempts_that_all_time_out_fail_the_call_with_a_timeout_error() -> None:
    async with Harness(services=[desk]) as harness:
        harness.hang(bounded, times=None)
        failed = await failure(harness, run_bounded)

        assert (failed.type, failed.attempts) == ("builtins.TimeoutError", 3)
        assert failed.message == "the attempt took longer than 1 s"
        assert failed.outcome_unknown


def test_a_timeout_is_positive() -> None:
    with pytest.raises(DefinitionError):

        @Service("other").activity(timeout=timedelta(0))
        async def never() -> None: ...


def test_an_activity_knows_its_policy() -> None:
    assert isinstance(steadily, Activity)
    assert steadily.policy.retry is STEADY
    assert not steadily.policy.at_most_once


# ---- business errors are not retried -------------------------------------------------------------


async def test_a_business_error_is_never_retried() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(by_default, Declined(reason="limit"), times=None)
        with pytest.raises(ExecutionFailed) as caught:
            await harness.run(run_default)

        assert isinstance(caught.value.error, Declined)
        assert len(harness.calls) == 1


async def test_a_business_error_after_other_errors_ends_the_call() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(by_default, OSError("no route"), times=2)
        harness.fail(by_default, Declined(reason="limit"), times=None)
        with pytest.raises(ExecutionFailed) as caught:
            await harness.run(run_default)

        assert isinstance(caught.value.error, Declined)
        assert len(harness.calls) == 3
