"""Failed attempts: when they are followed by others, what is recorded, what the workflow sees."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest

from counterpoint import (
    ActivityFailed,
    BusinessError,
    ExecutionFailed,
    NotDone,
    Retry,
    RetryAfter,
    Service,
)
from counterpoint.testing import Harness
from counterpoint.testing.injection import AttemptCall

service = Service("service")
STEADY = Retry(max_attempts=4, first=timedelta(seconds=1), jitter=0)


class Refused(BusinessError):
    """A business outcome."""


@service.activity(retry=STEADY)
async def send(text: str) -> str:
    return text


@service.activity(retry=Retry(max_attempts=3, jitter=0, stop_on=(ConnectionError,)))
async def connect() -> None: ...


@service.activity(retry=Retry(max_attempts=200))
async def jittery() -> None: ...


@service.workflow
async def deliver(text: str) -> str:
    return await send(text)


@service.workflow
async def reach() -> None:
    await connect()


@service.workflow
async def shake() -> None:
    await jittery()


@service.workflow
async def explain(text: str) -> dict[str, Any]:
    """Return the facts of a failed call as a workflow sees them."""
    try:
        await send(text)
    except ActivityFailed as failed:
        return {
            "activity": failed.activity,
            "call": failed.call,
            "attempts": failed.attempts,
            "outcome_unknown": failed.outcome_unknown,
            "type": failed.type,
            "message": failed.message,
            "str": str(failed),
        }
    return {}


def seconds_between(calls: list[AttemptCall]) -> list[float]:
    times = [call.at for call in calls]
    return [(b - a).total_seconds() for a, b in itertools.pairwise(times)]


async def test_failed_attempts_are_followed_by_others_ever_later() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(send, ConnectionError("no route"), times=3)

        assert await harness.run(deliver, "tea") == "tea"
        assert seconds_between(harness.calls) == [1, 2, 4]


async def test_every_attempt_carries_the_same_idempotency_key() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(send, ConnectionError("no route"), times=3)
        await harness.run(deliver, "tea", id="one")

        assert [c.attempt for c in harness.calls] == [1, 2, 3, 4]
        assert {c.idempotency_key for c in harness.calls} == {"one/1/1"}


async def test_journal_tells_each_failed_attempt_its_error_and_the_next_time() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(send, ConnectionError("no route"), times=1)
        execution = await harness.start(deliver, "tea")
        failed = (await execution.journal())[-1]
        call = (await execution.describe()).calls[0]

        assert failed.type == "attempt-failed"
        assert failed.data["error"]["type"] == "builtins.ConnectionError"
        assert failed.data["error"]["message"] == "no route"
        assert "ConnectionError: no route" in failed.data["error"]["traceback"]
        assert failed.data["may_have_happened"] is True
        assert failed.data["retry_at"] == "2026-01-01T00:00:01Z"
        assert call.state == "waiting for a retry"
        assert call.error == "builtins.ConnectionError: no route"
        assert call.next_attempt_at == harness.now + timedelta(seconds=1)


async def test_restart_neither_forgets_nor_shortens_a_back_off() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(send, ConnectionError("no route"), times=3)
        execution = await harness.start(deliver, "tea")
        await harness.advance(seconds=1.5)
        await harness.crash()
        await harness.restart()
        await harness.advance(seconds=1)
        await harness.crash()
        await harness.restart()

        assert await harness.result(execution) == "tea"
        assert [c.attempt for c in harness.calls] == [1, 2, 3, 4]
        assert seconds_between(harness.calls) == [1, 2, 4]


async def test_back_off_that_passed_while_no_node_ran_is_over_at_the_restart() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(send, ConnectionError("no route"))
        execution = await harness.start(deliver, "tea")
        await harness.crash()
        await harness.advance(hours=1)
        await harness.restart()

        assert await execution.result() == "tea"
        assert seconds_between(harness.calls) == [3600]


async def test_retry_after_sets_the_next_delay() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(send, RetryAfter(timedelta(minutes=7)))
        await harness.run(deliver, "tea")

        assert seconds_between(harness.calls) == [420]


async def test_retry_after_counts_as_an_attempt() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(send, RetryAfter(timedelta(seconds=1)), times=None)

        facts = await harness.run(explain, "tea")

        assert facts["attempts"] == 4
        assert facts["type"] == "counterpoint.errors.RetryAfter"


async def test_call_out_of_attempts_reaches_the_workflow_with_its_facts() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(send, ConnectionError("no route"), times=None)

        assert await harness.run(explain, "tea") == {
            "activity": "service.send",
            "call": 1,
            "attempts": 4,
            "outcome_unknown": True,
            "type": "builtins.ConnectionError",
            "message": "no route",
            "str": "service.send failed after 4 attempts, outcome unknown: "
            "builtins.ConnectionError: no route",
        }


async def test_facts_of_a_failed_call_are_the_same_after_a_restart() -> None:
    live, replayed = Service("service"), Service("service")
    told: list[dict[str, object]] = []

    async def both(text: str) -> None:
        try:
            await send(text)
        except ActivityFailed as failed:
            told.append({**vars(failed), "str": str(failed)})
        await send("later")

    for each in (live, replayed):
        each.activities = service.activities
        each.workflow(both)
    async with Harness(services=[live]) as harness:
        harness.fail(send, ConnectionError("no route"), times=4)
        harness.hang(send)
        await harness.start(live.workflows["service.both"], "tea", id="one")
        await harness.advance(seconds=8)
        await harness.restart(services=[replayed])

    assert len(told) > 1
    assert all(facts == told[0] for facts in told)


async def test_error_on_which_the_policy_stops_is_final_at_once() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(connect, ConnectionResetError("gone"), times=None)

        with pytest.raises(ExecutionFailed, match=r"after 1 attempt,.*gone"):
            await harness.run(reach)


async def test_error_of_the_program_is_final_at_once() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(send, TypeError("no such thing"), times=None)

        facts = await harness.run(explain, "tea")

        assert facts["attempts"] == 1
        assert facts["outcome_unknown"] is True


@pytest.mark.parametrize(
    ("errors", "unknown"),
    [
        ([NotDone("not now")] * 4, False),
        ([NotDone("not now"), Refused()], False),
        ([NotDone("not now"), ConnectionError("half way"), NotDone(), NotDone()], True),
        ([RetryAfter(timedelta(seconds=1))] * 4, True),
        ([SystemExit(1)], True),
    ],
    ids=["never begun", "refused", "half way once", "retry after", "exit"],
)
async def test_outcome_is_known_only_if_every_attempt_said_that_nothing_happened(
    errors: list[BaseException], unknown: bool
) -> None:
    async with Harness(services=[service]) as harness:
        for error in errors:
            harness.fail(send, error)
        execution = await harness.start(explain, "tea")
        await harness.idle()
        (call,) = (await execution.describe()).calls

        assert call.attempts == len(errors)
        assert call.outcome_unknown is unknown


async def test_not_done_is_recorded_as_its_cause() -> None:
    async def unreachable(text: str) -> str:
        raise NotDone from ConnectionError("no route")

    async with Harness(services=[service]) as harness:
        harness.replace(send, unreachable)

        facts = await harness.run(explain, "tea")

        assert facts["type"] == "builtins.ConnectionError"
        assert facts["outcome_unknown"] is False


async def test_activity_that_cancels_itself_is_tried_again() -> None:
    async def confused(text: str) -> str:
        raise asyncio.CancelledError

    async with Harness(services=[service]) as harness:
        harness.replace(send, confused)
        execution = await harness.start(deliver, "tea")
        (call,) = (await execution.describe()).calls
        harness.restore()

        assert call.error == "asyncio.CancelledError: the activity cancelled itself"
        assert await harness.result(execution) == "tea"


async def test_jitter_takes_up_to_its_share_off_the_delay() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(jittery, ConnectionError("no route"), times=100)
        await harness.run(shake)
        delays = seconds_between(harness.calls)[12:]

        assert all(48 <= delay <= 60 for delay in delays)
        assert max(delays) - min(delays) > 5
