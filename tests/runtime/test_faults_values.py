"""Values that cannot be taken: refused where they appear, named, and nothing else is stopped."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from counterpoint import (
    ActivityFailed,
    App,
    ArgumentsError,
    ExecutionFailed,
    PayloadError,
    Retry,
    Service,
    activity,
    workflow,
)
from counterpoint.errors import PayloadTooLargeError

LIMIT = 1_000
LONG = "x" * 2_000
ONCE = Retry(max_attempts=1)
desk = Service("desk")


class Unshowable(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Fatal(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


@desk.activity(retry=ONCE)
async def give(what: str) -> Any:
    ring: list[Any] = []
    ring.append(ring)
    values: dict[str, Any] = {"object": object(), "ring": ring, "long": LONG, "nan": float("nan")}
    return values[what]


@desk.activity(retry=ONCE)
async def count(what: str) -> int:
    value: Any = what
    return value  # type: ignore[no-any-return]


@desk.activity(retry=ONCE)
async def swallow(text: str) -> None:
    """Take anything."""


@desk.activity(retry=ONCE)
async def beat() -> None:
    activity.heartbeat(LONG)


@desk.activity(retry=ONCE)
async def fail(fatal: bool) -> None:
    raise Fatal if fatal else Unshowable


@desk.workflow
async def get(what: str) -> str:
    return str(await give(what))


@desk.workflow
async def total(amount: int) -> int:
    return amount + await count("many")


@desk.workflow
async def pass_on(text: str) -> None:
    await swallow(text * 3)


@desk.workflow
async def beating() -> None:
    await beat()


@desk.workflow
async def failing(fatal: bool) -> None:
    await fail(fatal)


@desk.workflow
async def raising(fatal: bool) -> None:
    raise Fatal if fatal else Unshowable


@desk.workflow
async def calling_back() -> str:
    def callback() -> None:
        raise Unshowable

    asyncio.get_running_loop().call_soon(callback)
    await asyncio.sleep(0)
    return "went on"


@desk.workflow
async def returning(what: str) -> Any:
    return object() if what == "object" else LONG


@desk.workflow
async def waiting() -> str:
    return await workflow.signal("word", type=str)


@pytest.fixture
async def app() -> AsyncIterator[App]:
    app = App("desk", services=[desk], store="memory:", payload_bytes_max=LIMIT)
    async with app:
        yield app
        assert await app.run(calling_back, timeout=30) == "went on"  # whatever happened before
        assert app.health().accepting


async def failure(app: App, id: str) -> ExecutionFailed:
    with pytest.raises(ExecutionFailed) as caught:
        await app.execution(id).result(timeout=30)
    return caught.value


async def test_arguments_that_do_not_validate_are_refused_at_start_with_the_field_named(
    app: App,
) -> None:
    wrong: Any = "three"

    with pytest.raises(ArgumentsError, match=r"desk\.total.*amount") as caught:
        await app.start(total, wrong, id="one")

    assert caught.value.fields == ("amount",)
    assert [row async for row in app.executions()] == []


async def test_arguments_over_the_limit_are_refused_at_start(app: App) -> None:
    with pytest.raises(PayloadTooLargeError, match=r"arguments of desk\.get.*payload_bytes_max"):
        await app.start(get, LONG, id="one")

    assert [row async for row in app.executions()] == []


@pytest.mark.parametrize("what", ["object", "ring"])
async def test_activity_result_that_cannot_be_written_fails_the_call_for_good(
    app: App, what: str
) -> None:
    await app.start(get, what, id="one")

    error = (await failure(app, "one")).error

    assert isinstance(error, ActivityFailed)
    assert error.type == "counterpoint.errors.PayloadError"
    assert "the result of desk.give cannot be recorded" in error.message
    assert error.outcome_unknown


async def test_activity_result_of_another_type_than_declared_fails_the_call(app: App) -> None:
    await app.start(total, 1, id="one")

    error = (await failure(app, "one")).error

    assert isinstance(error, ActivityFailed)
    assert "desk.count returned 'many', which is not what its annotation says" in error.message


async def test_activity_result_over_the_limit_fails_the_call(app: App) -> None:
    await app.start(get, "long", id="one")

    error = (await failure(app, "one")).error

    assert isinstance(error, ActivityFailed)
    assert "the result of desk.give takes 2,002 bytes and payload_bytes_max is 1,000" in str(error)


async def test_arguments_of_a_call_over_the_limit_fail_the_workflow(app: App) -> None:
    await app.start(pass_on, "x" * 500, id="one")

    failed = await failure(app, "one")

    assert failed.status == "failed"
    assert "the arguments of desk.swallow takes 1,5" in str(failed)


async def test_heartbeat_over_the_limit_fails_the_attempt_for_good(app: App) -> None:
    await app.start(beating, id="one")

    assert "the heartbeat's detail takes 2,002 bytes" in str(await failure(app, "one"))


async def test_signal_over_the_limit_is_refused_and_the_execution_still_waits(app: App) -> None:
    execution = await app.start(waiting, id="one")

    with pytest.raises(PayloadTooLargeError, match="the signal 'word'"):
        await execution.signal("word", LONG)
    await execution.signal("word", "short")

    assert await execution.result(timeout=30) == "short"


async def test_signal_that_cannot_be_written_is_refused(app: App) -> None:
    execution = await app.start(waiting, id="one")

    with pytest.raises(PayloadError):
        await execution.signal("word", object())
    await execution.cancel()

    assert (await failure(app, "one")).status == "cancelled"


@pytest.mark.parametrize(("what", "message"), [("object", "recorded"), ("long", "2,002 bytes")])
async def test_workflow_result_that_cannot_be_recorded_fails_the_workflow(
    app: App, what: str, message: str
) -> None:
    await app.start(returning, what, id="one")

    failed = await failure(app, "one")

    assert failed.status == "failed"
    assert "the result of desk.returning" in str(failed)
    assert message in str(failed)


@pytest.mark.parametrize("fatal", [False, True])
async def test_error_of_an_activity_that_cannot_be_shown_is_recorded_by_its_type(
    app: App, fatal: bool
) -> None:
    await app.start(failing, fatal, id="one")

    error = (await failure(app, "one")).error

    assert isinstance(error, ActivityFailed)
    assert error.type.endswith("Fatal" if fatal else "Unshowable")
    assert "its message cannot be shown" in error.message


@pytest.mark.parametrize("fatal", [False, True])
async def test_error_of_a_workflow_that_cannot_be_shown_is_recorded_by_its_type(
    app: App, fatal: bool
) -> None:
    await app.start(raising, fatal, id="one")

    failed = await failure(app, "one")

    assert failed.status == "failed"
    assert "its message cannot be shown" in str(failed)


async def test_error_of_a_callback_that_cannot_be_shown_is_logged(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    assert await app.run(calling_back, id="one", timeout=30) == "went on"

    assert "one: a callback of the workflow raised Unshowable" in caplog.text


def test_the_limit_is_a_mebibyte_unless_set() -> None:
    app = App("desk", services=[desk], store="memory:")

    assert app.settings.payload_bytes_max == 2**20
    assert app.settings.block_warning <= timedelta(seconds=1)
