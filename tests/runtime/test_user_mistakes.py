"""Mistakes that a user makes in the first hour get an answer that says what to write instead."""

import logging
import warnings
from datetime import timedelta
from typing import Any

import pytest

from counterpoint import (
    ActivityFailed,
    App,
    ArgumentsError,
    BusinessError,
    DefinitionError,
    ExecutionFailed,
    ExecutionNotFoundError,
    Retry,
    Service,
    workflow,
)

shop = Service("shop")
QUICK = Retry(max_attempts=2, first=timedelta(milliseconds=1))


class SoldOut(BusinessError):
    hall: str

    def __init__(self, hall: str) -> None:
        self.hall = hall


class Forgetful(BusinessError):
    hall: str

    def __init__(self) -> None:
        pass


class Plain(BusinessError):
    reason: str


@shop.activity
async def raises(what: str) -> None:
    if what == "own init":
        raise SoldOut("main")
    if what == "forgetful":
        raise Forgetful
    if what == "positional":
        make: Any = Plain
        raise make("sold out")
    if what == "large":
        raise Plain(reason="x" * 5_000)


@shop.activity(retry=QUICK)
async def breaks() -> None:
    raise ConnectionError("the provider does not answer")


@shop.workflow
async def flow(what: str) -> None:
    await raises(what)


@shop.workflow
async def breaking() -> None:
    await breaks()


@shop.workflow
async def buggy() -> None:
    facts: dict[str, str] = {}
    facts["x"]


@shop.workflow
async def starts_another() -> None:
    await app_in_workflow.run(flow, "nothing", id="the-child")


@shop.workflow
async def forgets_await() -> None:
    raises("nothing")  # noqa: RUF100


@shop.workflow
async def waits() -> None:
    await workflow.signal("never")


def make_app(**settings: Any) -> App:
    return App("shop", services=[shop], store="memory:", **settings)


app_in_workflow = make_app()


async def test_a_business_error_with_an_init_of_its_own_crosses_with_its_facts() -> None:
    async with make_app() as app:
        with pytest.raises(ExecutionFailed) as caught:
            await app.run(flow, "own init", timeout=30)

    assert isinstance(caught.value.error, SoldOut)
    assert caught.value.error.hall == "main"


async def test_a_business_error_whose_facts_were_never_set_fails_its_call_and_says_so() -> None:
    async with make_app() as app:
        with pytest.raises(ExecutionFailed, match=r"facts cannot be recorded.*hall"):
            await app.run(flow, "forgetful", timeout=30)


async def test_facts_by_position_are_refused_once_with_the_right_way_to_write_them() -> None:
    async with make_app() as app:
        with pytest.raises(ExecutionFailed, match=r"by keyword \(reason=...\)") as caught:
            await app.run(flow, "positional", timeout=30)

    assert isinstance(caught.value.error, ActivityFailed)
    assert caught.value.error.attempts == 1


async def test_facts_above_the_limit_fail_the_call() -> None:
    async with make_app(payload_bytes_max=1_000) as app:
        with pytest.raises(ExecutionFailed, match="payload_bytes_max"):
            await app.run(flow, "large", timeout=30)


def test_limits_of_another_type_are_refused_where_they_are_written() -> None:
    declare: Any = Service("other").activity

    async def act() -> None: ...

    with pytest.raises(DefinitionError, match=r"Retry\(max_attempts=3\)"):
        declare(retry=3)(act)
    with pytest.raises(DefinitionError, match=r"timedelta\(seconds=5\)"):
        declare(timeout=5)(act)


def test_a_workflow_whose_arguments_could_never_be_given_is_refused() -> None:
    other = Service("other")

    async def act(*, must: int) -> None: ...

    with pytest.raises(DefinitionError, match="must could never be given"):
        other.workflow(act)


async def test_an_app_used_in_workflow_code_is_refused_before_anything_happens() -> None:
    async with app_in_workflow as app:
        with pytest.raises(ExecutionFailed, match="Do it in an activity"):
            await app.run(starts_another, timeout=30)
        with pytest.raises(ExecutionNotFoundError):
            await app.execution("the-child").describe()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("shop.flow", "not its name 'shop.flow'"),
        (raises, "shop.raises is an activity"),
        (make_app, "not a workflow: declare it"),
    ],
)
async def test_what_is_no_workflow_is_not_started(what: object, says: str) -> None:
    async with make_app() as app:
        start: Any = app.start
        with pytest.raises(DefinitionError, match=says):
            await start(what, "x")


async def test_missing_arguments_are_an_arguments_error_like_wrong_ones() -> None:
    async with make_app() as app:
        start: Any = app.start
        with pytest.raises(ArgumentsError, match="what"):
            await start(flow)


async def test_an_id_that_is_no_text_is_refused() -> None:
    async with make_app() as app:
        start: Any = app.start
        with pytest.raises(ArgumentsError, match="text, not 5"):
            await start(flow, "x", id=5)


async def test_a_result_that_does_not_come_in_time_says_whose_and_that_it_goes_on() -> None:
    async with make_app() as app:
        execution = await app.start(waits, id="patient")
        with pytest.raises(TimeoutError, match=r"patient did not end within 0\.01 s; it goes on"):
            await execution.result(timeout=0.01)


async def test_failed_attempts_and_defects_of_workflows_are_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with make_app() as app:
        for failing in (breaking, buggy):
            with pytest.raises(ExecutionFailed):
                await app.run(failing, id=failing.name, timeout=30)

    said = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert any(
        level == logging.WARNING and "attempt 1 of shop.breaks failed" in text
        for level, text in said
    )
    assert any(
        level == logging.ERROR and "KeyError: 'x'" in text and "test_user_mistakes.py" in text
        for level, text in said
    )


async def test_a_failure_names_its_type_and_has_its_cause() -> None:
    async with make_app() as app:
        with pytest.raises(ExecutionFailed, match=r"failed: KeyError: 'x'") as caught:
            await app.run(buggy, timeout=30)

    assert caught.value.__cause__ is caught.value.error


async def test_a_call_that_was_never_awaited_is_named_with_the_line_that_made_it() -> None:
    async with make_app() as app:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await app.run(forgets_await, timeout=30)

    (found,) = [warning for warning in caught if "never awaited" in str(warning.message)]
    assert found.filename == __file__
    assert "shop.raises" in str(found.message)
