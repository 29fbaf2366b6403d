"""Reviewed replays: of executions in every state, as far as is recorded and no further."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.kernel.driving import Driver, divergence_of, execution_of, run_workflow

from counterpoint import Service, workflow
from counterpoint.kernel.review import Review
from counterpoint.model import records as r
from counterpoint.model.states import Cause

shop = Service("shop")


@shop.activity
async def book(what: str) -> str:
    return what


@book.compensation
async def unbook(what: str) -> None: ...


async def one() -> str:
    return await book("a")


async def two() -> str:
    return await book("a") + await book("b")


async def waits() -> str:
    await book("a")
    return await workflow.signal("go", str)


async def waits_in_time() -> str:
    await book("a")
    async with asyncio.timeout(60):
        return await workflow.signal("go", str)


def begin(code: Any, *, saga: bool = False) -> Driver:
    return run_workflow(code, service=new_shop(), saga=saga)


def new_shop() -> Service:
    service = Service("shop")
    service.activities.update(shop.activities)
    return service


def reviewed(driver: Driver, journal: Sequence[r.Record], code: Any, *, saga: bool = False) -> Any:
    """Review a journal on other code; return how it differs, if it does."""
    service = new_shop()
    decorate: Any = service.saga if saga else service.workflow
    other = Driver(service, decorate(name="shop.main")(code))
    review = Review()
    execution = execution_of(other.program)
    execution.review = review
    before = r.encode_records(journal)
    execution.replay(journal)
    assert r.encode_records(journal) == before
    assert execution.take_pending() == []
    return execution.divergence


END = 1_700_000_000_000_000
TERMINATED: list[r.Record] = [r.TerminateRequested(END, "x"), r.Ended(END, "terminated")]


def test_an_ended_execution_is_followed_to_its_end() -> None:
    driver = begin(one).complete(1, "a")

    assert reviewed(driver, driver.journal, one) is None
    assert reviewed(driver, driver.journal, two).found == "call 2 of shop.book"


def test_a_saga_that_undoes_or_has_undone_itself_is_followed_to_its_failure() -> None:
    driver = begin(two, saga=True).complete(1, "a").fail(2)

    for journal in (driver.journal, driver.complete(-2).complete(-1).journal):
        assert reviewed(driver, journal, two, saga=True) is None
        assert reviewed(driver, journal, one, saga=True).expected == "call 2 of shop.book"


def test_the_end_of_a_terminated_execution_was_not_decided_by_its_code() -> None:
    driver = begin(waits).complete(1, "a")
    journal: list[r.Record] = [*driver.journal, *TERMINATED]

    assert reviewed(driver, journal, waits) is None
    assert reviewed(driver, journal, one).expected == "a wait for the signal 'go'"


def test_code_that_has_not_begun_is_asked_for_nothing() -> None:
    driver = begin(one)
    delayed: list[r.Record] = [driver.journal[0], r.Delayed(END + 5)]

    assert reviewed(driver, driver.journal[:1], one) is None
    assert reviewed(driver, delayed, one) is None
    assert reviewed(driver, [*delayed, r.CancelRequested(END, "x")], one) is not None
    ended = r.Ended(END, "cancelled", error=r.Failure("asyncio.CancelledError", ""))
    assert reviewed(driver, [*delayed, r.CancelRequested(END, "x"), ended], one) is None
    assert reviewed(driver, [*delayed, *TERMINATED], one) is None


def test_what_the_code_would_do_after_a_retry_is_not_asked_for() -> None:
    async def bug() -> str:
        await book("a")
        raise ValueError("bug")

    driver = begin(bug).complete(1, "a")
    journal: list[r.Record] = [*driver.journal, r.RetryRequested(driver.now, "x")]

    assert reviewed(driver, journal, two) is None
    assert reviewed(driver, journal, waits) is None
    assert reviewed(driver, journal, waits_in_time) is None
    assert reviewed(driver, journal, bug) is None


def test_inputs_that_came_during_an_incident_are_not_decided_upon() -> None:
    driver = begin(waits).complete(1, "a")
    journal = [
        *driver.journal,
        r.IncidentRaised(driver.now, Cause.NON_DETERMINISM, "other code"),
        r.SignalReceived(driver.now, "go", r.Payload(b'"go"'), "x"),
    ]

    assert reviewed(driver, journal, waits) is None
    assert reviewed(driver, journal, two).expected == "a wait for the signal 'go'"


def test_a_timer_that_was_never_set_is_found_where_the_execution_goes_on() -> None:
    driver = begin(waits).complete(1, "a")

    assert reviewed(driver, driver.journal, waits_in_time).found == "a wait for a timer"
    assert reviewed(driver, [*driver.journal, *TERMINATED], waits_in_time) is None


def test_a_value_that_cannot_be_read_is_told_from_other_decisions() -> None:
    async def numbers() -> int:
        return await count("a")

    service = Service("shop")

    @service.activity(name="shop.book")
    async def count(what: str) -> int:
        return 1

    driver = begin(one).complete(1, "a")
    other = Driver(service, service.workflow(name="shop.main")(numbers))
    execution = execution_of(other.program)
    execution.review = review = Review()
    execution.replay(driver.journal)

    assert review.unreadable == "the recorded result of call 1"
    assert execution.divergence is not None


def test_other_arguments_are_noted_with_their_line() -> None:
    async def other() -> str:
        return await book("other")

    driver = begin(one).complete(1, "a")
    service = new_shop()
    execution = execution_of(Driver(service, service.workflow(name="shop.main")(other)).program)
    execution.review = review = Review()
    execution.replay(driver.journal)

    assert execution.divergence is None
    (difference,) = review.differences
    assert (bytes(difference.recorded), bytes(difference.found)) == (
        b'{"what":"a"}',
        b'{"what":"other"}',
    )
    assert difference.line == f"{__file__}:{other.__code__.co_firstlineno + 1}"


def test_each_input_is_announced_before_it_is_applied_and_none_after_a_divergence() -> None:
    driver = begin(two).complete(1, "a").complete(2, "b")
    seen: list[str] = []

    async def ends() -> str:
        return await book("a")

    service = new_shop()
    execution = execution_of(Driver(service, service.workflow(name="shop.main")(ends)).program)
    execution.review = Review(before=lambda record: seen.append(type(record).__name__))
    execution.replay(driver.journal)

    assert seen == ["Started", "CallCompleted"]


@pytest.mark.parametrize("run", [2, 3])
def test_a_later_run_takes_over_the_children_of_an_earlier_one(run: int) -> None:
    service = new_shop()

    @service.workflow(deadline=timedelta(days=1))
    async def leg() -> str:
        return "x"

    @service.workflow(name="shop.main")
    async def trip() -> str:
        return await leg()

    driver = Driver(service, trip).start()
    driver.journal.append(r.ResetFrom(driver.now, run - 1, len(driver.journal), "x"))
    again = execution_of(driver.program)
    again.run = run
    again.replay(driver.journal)

    assert again.divergence is None
    assert again.state.calls[1].child == "order-1/1"


def test_a_child_under_an_id_of_another_call_is_a_divergence() -> None:
    def code(name: str) -> tuple[Service, Any]:
        service = new_shop()

        @service.workflow
        async def leg() -> str:
            return "x"

        @service.workflow(name="shop.main")
        async def trip() -> str:
            return await workflow.child(leg, id=name)

        return service, trip

    driver = Driver(*code("one")).start()

    assert divergence_of(driver.journal, *code("one-more")).expected.endswith("as 'one'")


def test_chance_stays_the_same_in_every_run_that_a_reset_begins() -> None:
    async def rolls() -> str:
        return await book(str(workflow.random().random()))

    driver = begin(rolls).complete(1, "a")
    first = driver.journal[:2]
    reset = [*first, r.ResetFrom(driver.now, 1, 2, "x")]
    again = [*reset, r.ResetFrom(driver.now, 1, 3, "y")]

    for run, journal in enumerate((first, reset, again), 1):
        execution = execution_of(driver.program)
        execution.run = run
        execution.review = review = Review()
        execution.replay(journal)
        assert (execution.divergence, review.differences) == (None, [])
