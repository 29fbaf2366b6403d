"""DESIGN 3.1, App and Execution: executions that begin later, or are found by attributes."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.runtime.shop import GOOD, called, place_order, shop

from counterpoint import (
    App,
    ArgumentsError,
    Execution,
    ExecutionExistsError,
    ExecutionFailed,
    Service,
    workflow,
)
from counterpoint.model.states import Status
from counterpoint.testing import Harness
from counterpoint.testing.clock import NEW_YEAR
from counterpoint.testing.faults import When

desk = Service("desk")
HOUR = timedelta(hours=1)


class Level(Enum):
    GOLD = "gold"


@desk.activity
async def note(text: str) -> str:
    return text


@desk.workflow
async def remind(text: str) -> str:
    return await note(text)


@desk.workflow
async def began_at() -> str:
    return workflow.now().isoformat()


@desk.workflow
async def answers() -> list[str]:
    return [await workflow.signal("answer", str) for _ in range(2)]


@desk.workflow(deadline=HOUR)
async def hurry() -> str:
    return await workflow.signal("go", str)


@desk.saga
async def labelled(customer: str, amount: Decimal) -> str:
    workflow.set_attributes(customer=customer, amount=amount, state="new")
    await note("one")
    workflow.set_attributes(state="done", customer=None if customer == "nobody" else customer)
    return customer


@desk.workflow
async def typed() -> None:
    workflow.set_attributes(
        text="a",
        number=5,
        yes=True,
        day=date(2026, 1, 2),
        id=UUID(int=7),
        level=Level.GOLD,
        amount=Decimal("9.50"),
    )


async def found(harness: Harness, **attributes: object) -> list[str]:
    return [one.id async for one in harness.app.executions(attributes=attributes)]


# ---- delay and at --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"delay": 3600},
        {"delay": 3600.0},
        {"delay": HOUR},
        {"at": NEW_YEAR + HOUR},
        {"at": (NEW_YEAR + HOUR).astimezone(timezone(timedelta(hours=5)))},
    ],
)
async def test_a_delayed_execution_begins_at_its_moment_and_not_before(
    options: dict[str, Any],
) -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(began_at, id="one", **options)
        await harness.advance(minutes=59, seconds=59)
        before = await execution.describe()
        await harness.advance(seconds=1)
        after = await execution.describe()

        assert (before.status, before.begins_at) == (Status.RUNNING, NEW_YEAR + HOUR)
        assert (after.status, after.begins_at) == (Status.COMPLETED, None)
        assert after.result == (NEW_YEAR + HOUR).isoformat()


@pytest.mark.parametrize(
    "options", [{"delay": 0}, {"delay": timedelta(0)}, {"at": NEW_YEAR}, {"at": NEW_YEAR - HOUR}]
)
async def test_a_moment_that_is_not_in_the_future_is_now(options: dict[str, Any]) -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(remind, "tea", **options)

        assert await execution.result(timeout=30) == "tea"
        assert "delayed" not in [entry.type for entry in await execution.journal()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delay": 5, "at": NEW_YEAR}, "delay= or at=, not both"),
        ({"delay": -1}, "cannot be negative"),
        ({"delay": timedelta(seconds=-1)}, "cannot be negative"),
        ({"at": datetime(2027, 1, 1)}, "no time zone"),  # noqa: DTZ001
    ],
)
async def test_a_moment_that_makes_no_sense_is_refused(options: dict[str, Any], words: str) -> None:
    async with Harness(services=[desk]) as harness:
        with pytest.raises(ArgumentsError, match=words):
            await harness.app.start(remind, "tea", id="one", **options)

        assert [one async for one in harness.app.executions()] == []


async def test_run_waits_for_a_delayed_execution() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(remind, "tea", delay=HOUR)

        assert await harness.result(execution) == "tea"
        assert harness.now == NEW_YEAR + HOUR


async def test_a_delay_of_years_is_kept() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(began_at, at=datetime(2031, 5, 1, tzinfo=UTC))

        assert await harness.result(execution) == "2031-05-01T00:00:00+00:00"


async def test_a_second_start_of_a_delayed_id_gives_the_first_one() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.app.start(remind, "tea", id="one", delay=HOUR)
        again = await harness.app.start(remind, "tea", id="one", delay=2 * HOUR)
        with pytest.raises(ExecutionExistsError):
            await harness.app.start(remind, "coffee", id="one", delay=HOUR)
        await harness.advance(hours=1)

        assert await again.result(timeout=30) == "tea"
        assert called(harness) == ["note"]


async def test_a_deadline_counts_from_the_beginning() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(hurry, delay=5 * HOUR)
        planned = (await execution.describe()).deadline_at
        await harness.advance(hours=5, minutes=59)
        before = (await execution.describe()).status
        await harness.advance(minutes=1)

        assert planned == NEW_YEAR + 6 * HOUR
        assert (before, (await execution.describe()).status) == (Status.RUNNING, Status.FAILED)


async def test_a_delayed_saga_that_fails_is_undone_as_ever() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.app.start(place_order, "tea", GOOD, delay=HOUR)
        harness.fail("shop.charge", TypeError("wrong"))
        with pytest.raises(ExecutionFailed, match="compensated"):
            await harness.result(execution)

        assert called(harness)[-3:] == ["refund", "release", "withdraw"]


# ---- before its beginning ------------------------------------------------------------------------


async def test_signals_before_the_beginning_are_kept_in_order() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(answers, delay=HOUR)
        await execution.signal("answer", "first")
        await harness.settle()
        await execution.signal("answer", "second")
        await harness.settle()
        unread = list((await execution.describe()).unread_signals)

        assert unread == ["answer", "answer"]
        assert await harness.result(execution) == ["first", "second"]


async def test_a_cancel_before_the_beginning_ends_it_and_no_code_runs() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(remind, "tea", delay=HOUR)
        await execution.cancel(actor="ann")
        await harness.settle()
        known = await execution.describe()
        await harness.advance(hours=2)

        assert (known.status, known.error) == (Status.CANCELLED, "cancelled before it began")
        assert harness.calls == []


async def test_a_signal_and_then_a_cancel_before_the_beginning() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(answers, delay=HOUR)
        await execution.signal("answer", "first")
        await execution.cancel()
        await harness.settle()

        assert (await execution.describe()).status is Status.CANCELLED


@pytest.mark.parametrize("signalled", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_a_delayed_execution_survives_a_crash(
    number: int, when: When, signalled: bool
) -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(answers, id="one", delay=HOUR)
        if signalled:
            await execution.signal("answer", "first")
        harness.crash_at_commit(number, when=when)
        await harness.advance(hours=1)
        harness.store.heal()
        if not harness.running:
            await harness.restart()
        for text in ["second"] if signalled else ["first", "second"]:
            await execution.signal("answer", text)

        assert await harness.result(execution) == ["first", "second"]


async def test_a_delayed_execution_begins_late_where_no_node_ran_at_its_moment() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(began_at, delay=HOUR)
        await harness.crash()
        await harness.advance(hours=3)
        await harness.restart()

        assert await execution.result(timeout=30) == (NEW_YEAR + 3 * HOUR).isoformat()


async def test_a_delayed_execution_takes_no_memory_until_something_arrives() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.app.start(remind, "tea", delay=HOUR)
        await harness.settle()

        assert len(harness.app.node.residents) == 0


async def test_a_delayed_execution_does_not_keep_the_app_from_being_idle() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.app.start(remind, "tea", delay=HOUR)
        await harness.idle()

        assert harness.now == NEW_YEAR


@pytest.mark.parametrize("to", [1, 2, 3])
async def test_a_delayed_execution_that_is_reset_begins_at_once(to: int) -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(remind, "tea", id="one", delay=HOUR)
        await harness.result(execution)
        await execution.reset(to=to)

        assert await execution.result(timeout=30) == "tea"
        assert called(harness) == ["note", "note"]


async def test_a_client_delays_a_start_too(tmp_path: Path) -> None:
    app = App("desk", services=[desk], store=f"sqlite:///{tmp_path / 'desk.db'}")
    async with app.client() as client:  # no node runs yet
        execution = await client.start(answers, id="one", delay=0.2)
        late = await client.start(remind, "tea", id="two", at=datetime(2100, 1, 1, tzinfo=UTC))
        await execution.signal("answer", "first")
        async with app:
            await execution.signal("answer", "second")
            result = await execution.result(timeout=30)
            known = await late.describe()
            await late.cancel()
            with pytest.raises(ExecutionFailed, match="cancelled before it began"):
                await late.result(timeout=30)

    assert result == ["first", "second"]
    assert known.begins_at == datetime(2100, 1, 1, tzinfo=UTC)


async def test_a_posted_delay_counts_from_when_it_was_asked_for() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.crash()
        async with harness.app.client() as client:
            await client.start(began_at, id="one", delay=HOUR)
        await harness.advance(minutes=30)
        await harness.restart()
        execution: Execution[str] = harness.execution("one")

        assert await harness.result(execution) == (NEW_YEAR + HOUR).isoformat()


# ---- attributes ----------------------------------------------------------------------------------


async def test_executions_are_found_by_attributes_that_all_have_to_match() -> None:
    async with Harness(services=[desk]) as harness:
        for name, amount in (("ann", 1), ("ann", 2), ("bob", 2)):
            await harness.run(labelled, name, Decimal(amount), id=f"{name}-{amount}")

        assert await found(harness, customer="ann") == ["ann-2", "ann-1"]
        assert await found(harness, customer="ann", amount=2) == ["ann-2"]
        assert await found(harness, customer="ann", amount=3) == []
        assert await found(harness, state="done") == ["bob-2", "ann-2", "ann-1"]


async def test_attributes_are_combined_with_other_filters() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.run(labelled, "ann", Decimal(1), id="one")
        harness.hang(note)
        await harness.start(labelled, "ann", Decimal(2), id="two")
        listing = harness.app.executions(attributes={"customer": "ann"}, status="running")

        assert [one.id async for one in listing] == ["two"]
        assert await found(harness, state="new") == ["two"]


async def test_an_attribute_that_was_taken_back_or_changed_is_found_no_more() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.run(labelled, "nobody", Decimal(1), id="one")

        assert await found(harness, customer="nobody") == []
        assert await found(harness, state="new") == []
        assert await found(harness, state="done") == ["one"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", "a"),
        ("number", 5),
        ("yes", True),
        ("day", date(2026, 1, 2)),
        ("id", UUID(int=7)),
        ("level", Level.GOLD),
        ("amount", Decimal("9.50")),
    ],
)
async def test_an_attribute_of_every_type_is_found_by_the_value_that_was_set(
    name: str, value: object
) -> None:
    async with Harness(services=[desk]) as harness:
        await harness.run(typed, id="one")

        assert await found(harness, **{name: value}) == ["one"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(2, 5))
async def test_attributes_survive_a_crash_with_the_step_that_set_them(
    number: int, when: When
) -> None:
    async with Harness(services=[desk]) as harness:
        harness.crash_at_commit(number, when=when)
        execution = await harness.start(labelled, "ann", Decimal(1), id="one")
        if not harness.running:
            await harness.restart()
        await harness.result(execution)
        known = await execution.describe()

        assert dict(known.attributes) == {"customer": "ann", "amount": "1", "state": "done"}
        assert await found(harness, **dict(known.attributes)) == ["one"]
