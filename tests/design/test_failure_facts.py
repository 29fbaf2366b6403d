"""DESIGN 3.1, Failure: what the code sees of a failed step, live and on replay."""

import asyncio
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from counterpoint import (
    ActivityFailed,
    App,
    ArgumentsError,
    BusinessError,
    ExecutionFailed,
    NotDone,
    Retry,
    RetryAfter,
    Service,
    workflow,
)
from counterpoint.errors import CounterpointError
from counterpoint.testing import Harness

desk = Service("desk")
SEEN: list[tuple[Any, ...]] = []
"""What the code saw, each time that it ran: live, and on every replay."""


class Line(BaseModel):
    sku: str
    count: int


class Declined(BusinessError):
    reason: str
    amount: Decimal
    lines: tuple[Line, ...] = ()
    day: date | None = None


class Short(BusinessError):
    sku: str


class NearlyShort(Short):
    left: int


class Named(BusinessError, name="partner.Refused"):
    code: int


FULL = {
    "reason": "over the limit",
    "amount": Decimal("9.50"),
    "lines": (Line(sku="tea", count=2),),
    "day": date(2026, 1, 2),
}


@desk.activity(retry=Retry(max_attempts=2, first=timedelta(seconds=1), jitter=0), timeout=None)
async def act(how: str) -> int:
    return 1


@desk.activity(retry=Retry(max_attempts=2), timeout=timedelta(seconds=1))
async def slow(how: str) -> int:
    return 1


@desk.activity(retry=Retry(max_attempts=1))
async def wrong_result(how: str) -> int:
    value: Any = how
    return value  # type: ignore[no-any-return]


def facts_of(error: BaseException) -> tuple[Any, ...]:
    """Return everything that code can read from an error of a step."""
    if isinstance(error, ActivityFailed):
        return (
            type(error),
            str(error),
            error.activity,
            error.call,
            error.attempts,
            error.outcome_unknown,
            error.type,
            error.message,
            error.facts,
        )
    if isinstance(error, BusinessError):
        return type(error), str(error), error.facts, error.args
    if isinstance(error, ExecutionFailed):
        return type(error), str(error), error.status, error.execution_id, repr(error.error)
    return type(error), str(error)


@desk.workflow
async def look(name: str) -> str:
    """Call something, note what is seen of its failure, and go on."""
    called: Callable[[str], Any] = {"act": act, "slow": slow, "wrong": wrong_result}[name]
    try:
        await called("text")
    except CounterpointError as error:
        SEEN.append(facts_of(error))
    await workflow.signal("go")
    return "seen"


@desk.workflow
async def child_that_fails() -> None:
    await act("text")


@desk.workflow
async def look_at_a_child() -> str:
    try:
        await child_that_fails()
    except CounterpointError as error:
        SEEN.append(facts_of(error))
    await workflow.signal("go")
    return "seen"


@desk.workflow
async def fail_with_it(name: str) -> None:
    await act(name)


async def see(harness: Harness, flow: Any, *args: Any) -> tuple[Any, ...]:
    """Return what the code saw, after it has been the same live and on three kinds of replay."""
    SEEN.clear()
    execution = await harness.start(flow, *args)
    await harness.advance(seconds=30)
    live = SEEN[0]
    await harness.evict()
    await execution.signal("other")
    await harness.settle()
    await harness.crash()
    await harness.restart()
    await execution.signal("go")

    assert await harness.result(execution) == "seen"
    assert len(SEEN) >= 3
    assert all(seen == live for seen in SEEN)
    return live


def failed_with_facts() -> Exception:
    return ActivityFailed(
        "other.call",
        call=7,
        attempts=3,
        outcome_unknown=False,
        type="builtins.OSError",
        message="no route",
        facts={"host": "a"},
    )


# ---- the facts of a business error ---------------------------------------------------------------


def test_a_business_error_takes_its_facts_by_keyword() -> None:
    error = Declined(reason="limit", amount=Decimal(5))

    assert (error.reason, error.amount, error.lines, error.day) == ("limit", Decimal(5), (), None)
    with pytest.raises(ArgumentsError, match="takes its facts by keyword"):
        Declined("limit", Decimal(5))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("facts", "culprit"),
    [
        ({"amount": Decimal(5)}, "reason"),
        ({"reason": 5, "amount": Decimal(5)}, "reason"),
        ({"reason": "limit", "amount": "much"}, "amount"),
        ({"reason": "limit", "amount": Decimal(5), "lines": [{"sku": "a"}]}, "lines"),
        ({"reason": "limit", "amount": Decimal(5), "day": "some day"}, "day"),
        ({"reason": "limit", "amount": Decimal(5), "colour": "red"}, "colour"),
    ],
)
def test_the_facts_of_a_business_error_are_validated(facts: dict[str, Any], culprit: str) -> None:
    with pytest.raises(ArgumentsError) as refused:
        Declined(**facts)

    assert culprit in str(refused.value)
    assert any(field.startswith(culprit) for field in refused.value.fields)


def test_facts_are_what_was_validated_not_what_was_given() -> None:
    error = Declined(reason="limit", amount="5.0", lines=[{"sku": "a", "count": 2}])  # type: ignore[arg-type]

    assert error.amount == Decimal("5.0")
    assert error.lines == (Line(sku="a", count=2),)


@pytest.mark.parametrize(
    "error",
    [
        Declined(**FULL),  # type: ignore[arg-type]
        Short(sku="tea"),
        NearlyShort(sku="tea", left=1),
        Named(code=7),
    ],
)
async def test_a_business_error_keeps_its_type_and_facts_across_the_journal(
    error: BusinessError,
) -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(act, error)
        seen = await see(harness, look, "act")

        assert seen == facts_of(error)
        assert seen[0] is type(error)
        assert len(harness.calls) == 1


async def test_a_business_error_keeps_its_type_from_a_child_to_its_parent() -> None:
    async with Harness(services=[desk]) as harness:
        error = Declined(**FULL)  # type: ignore[arg-type]
        harness.fail(act, error)

        assert await see(harness, look_at_a_child) == facts_of(error)


async def test_a_business_error_keeps_its_type_through_a_client(tmp_path: Path) -> None:
    app = App("desk", services=[failing], store=f"sqlite:///{tmp_path / 'desk.db'}")
    async with app, app.client() as client:
        with pytest.raises(ExecutionFailed) as caught:
            await client.run(decline, timeout=30)

    assert isinstance(caught.value.error, Declined)
    assert facts_of(caught.value.error) == facts_of(Declined(**FULL))  # type: ignore[arg-type]


async def test_a_business_error_reaches_its_compensation_as_itself() -> None:
    async with Harness(services=[failing]) as harness:
        harness.fail("failing.refuse", OSError("no route"))  # so that it may have happened
        with pytest.raises(ExecutionFailed, match="compensated"):
            await harness.run(decline_and_undo)
        (undo,) = [call for call in harness.calls if call.name == "failing.unrefuse"]

        assert isinstance(undo.arguments["error"], Declined)
        assert undo.arguments["error"].lines == FULL["lines"]


async def test_a_business_error_is_recorded_under_the_name_of_the_service_or_its_own() -> None:
    async with Harness(services=[desk]) as harness:
        names: list[str] = []
        for error in (Short(sku="tea"), Named(code=7)):
            harness.fail(act, error)
            execution = await harness.start(fail_with_it, "x")
            names.append(str((await execution.describe()).error_type))

        assert names == ["desk.Short", "partner.Refused"]


failing = Service("failing")


@failing.activity(retry=Retry(first=timedelta(seconds=1), jitter=0))
async def refuse() -> None:
    raise Declined(**FULL)  # type: ignore[arg-type]


@refuse.compensation
async def unrefuse(error: Exception | None) -> None: ...


@failing.workflow
async def decline() -> None:
    await refuse()


@failing.saga
async def decline_and_undo() -> None:
    await refuse()


# ---- what is left over: ActivityFailed -----------------------------------------------------------


async def test_activity_failed_tells_attempts_cause_and_doubt() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(act, ConnectionError("no route to host"), times=None)
        seen = await see(harness, look, "act")

        assert seen == (
            ActivityFailed,
            "desk.act failed after 2 attempts, outcome unknown: "
            "builtins.ConnectionError: no route to host",
            "desk.act",
            1,
            2,
            True,
            "builtins.ConnectionError",
            "no route to host",
            {},
        )


async def test_activity_failed_has_the_facts_of_a_cause_that_has_facts() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(act, failed_with_facts(), times=None)
        seen = await see(harness, look, "act")

        assert seen[6] == "counterpoint.ActivityFailed"
        assert seen[8]["facts"] == {"host": "a"}
        assert (seen[8]["activity"], seen[8]["attempts"]) == ("other.call", 3)


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (OSError("no route"), "no route"),
        (ValueError("a: b, c"), "a: b, c"),
        (TypeError("wrong"), "wrong"),
        (NotDone("busy"), "busy"),
        (RetryAfter(timedelta(seconds=1), "later"), "later"),
        (ExceptionGroup("two", [OSError("a"), OSError("b")]), "OSError: a; OSError: b"),
        (RuntimeError("ümläut — ✓"), "ümläut — ✓"),
    ],
)
async def test_str_of_activity_failed_ends_with_the_message_of_the_cause(
    error: Exception, end: str
) -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(act, error, times=None)
        seen = await see(harness, look, "act")

        assert seen[1].endswith(f": {end}")
        assert seen[7].endswith(end)


# ---- the same live and on replay -----------------------------------------------------------------


KINDS: dict[str, BaseException | type[BaseException]] = {
    "exception": OSError("no route"),
    "exception without a message": OSError(),
    "error of the program": TypeError("wrong"),
    "not done": NotDone("busy"),
    "retry after": RetryAfter(timedelta(seconds=1)),
    "group": ExceptionGroup("two", [OSError("a"), ValueError("b")]),
    "timeout of its own": TimeoutError("the provider took too long"),
    "cancelled itself": asyncio.CancelledError(),
    "exit": SystemExit(3),
    "key error": KeyError("name"),
    "business": Short(sku="tea"),
    "business with a parent": NearlyShort(sku="tea", left=0),
    "failed activity": failed_with_facts(),
    "long": OSError("x" * 100_000),
    "unprintable": OSError("\udc80"),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_failed_step_raises_the_same_live_and_on_replay(kind: str) -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(act, KINDS[kind], times=None)
        seen = await see(harness, look, "act")

        assert seen[0] in (ActivityFailed, Short, NearlyShort)
        assert len(seen[1]) < 10_000


async def test_a_timeout_raises_the_same_live_and_on_replay() -> None:
    async with Harness(services=[desk]) as harness:
        harness.hang(slow, times=None)
        seen = await see(harness, look, "slow")

        assert seen[4:7] == (2, True, "builtins.TimeoutError")


async def test_a_result_that_cannot_be_recorded_raises_the_same_live_and_on_replay() -> None:
    async with Harness(services=[desk]) as harness:
        seen = await see(harness, look, "wrong")

        assert seen[4:6] == (1, True)
        assert seen[6].startswith("counterpoint.errors.") or "Error" in seen[6]


async def test_a_failed_child_raises_the_same_live_and_on_replay() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(act, OSError("no route"), times=None)
        seen = await see(harness, look_at_a_child)

        assert seen[0] is ExecutionFailed
        assert seen[2] == "failed"
        assert seen[1].endswith("no route")


def test_facts_are_recorded_as_json() -> None:
    error = Declined(**FULL)  # type: ignore[arg-type]

    assert msgspec.json.decode(error.recorded_facts()) == {
        "reason": "over the limit",
        "amount": "9.50",
        "lines": [{"sku": "tea", "count": 2}],
        "day": "2026-01-02",
    }
