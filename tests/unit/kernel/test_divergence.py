"""Replaying a journal on code that does something else: reported, not swallowed."""

import asyncio
import inspect
import sys
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.unit.kernel.driving import Box, Driver, alive, divergence_of, execution_of

from counterpoint import BusinessError, Service, workflow
from counterpoint.errors import NonDeterminismError
from counterpoint.model import records as r

Code = Callable[..., Awaitable[Any]]
service = Service("shop")


class Declined(BusinessError):
    reason: str


@service.activity
async def first(n: int) -> int:
    return n


@service.activity
async def second(n: int) -> int:
    return n


def begin(code: Code, *args: Any) -> Driver:
    return Driver(service, declare(code)).start(*args)


def declare(code: Code) -> Any:
    service.workflows.clear()
    decorate: Any = service.workflow
    return decorate(name="shop.main")(code)


def replay_on(driver: Driver, code: Code) -> NonDeterminismError:
    return divergence_of(driver.journal, service, declare(code))


def line_of(code: Code, text: str) -> str:
    """Return `file:line` of the line of *code* that contains *text*."""
    lines, start = inspect.getsourcelines(code)
    offset = next(index for index, line in enumerate(lines) if text in line)
    return f"{inspect.getsourcefile(code)}:{start + offset}"


async def one_then_two() -> int:
    return await first(1) + await second(2)


async def two_then_one() -> int:
    return await second(2) + await first(1)


async def one_only() -> int:
    n = await first(1)
    await asyncio.Event().wait()  # for ever
    return n


async def one_and_returns() -> int:
    return await first(1)


async def one_beside_two() -> int:
    one, two = await asyncio.gather(first(1), second(2))
    return one + two


async def sleeps_first() -> int:
    await asyncio.sleep(5)
    return await first(1)


async def waits_in_time() -> int:
    async with asyncio.timeout(60):
        return await first(1)


async def waits_for_yes() -> int:
    await workflow.signal("yes")
    return 1


async def waits_for_no() -> int:
    await workflow.signal("no")
    return 1


def test_changed_order_is_reported_where_the_code_calls() -> None:
    divergence = replay_on(begin(one_then_two), two_then_one)

    assert divergence.expected == "call 1 of shop.first"
    assert divergence.found == "call 1 of shop.second"
    assert divergence.line == line_of(two_then_one, "await second")
    assert divergence.line in str(divergence)
    assert divergence.expected in str(divergence)
    assert divergence.found in str(divergence)


def test_a_changed_name_is_reported() -> None:
    divergence = replay_on(begin(one_then_two).complete(1, 1), one_then_one)

    assert divergence.expected == "call 2 of shop.second"
    assert divergence.found == "call 2 of shop.first"
    assert divergence.line == line_of(one_then_one, "return")


async def one_then_one() -> int:
    return await first(1) + await first(2)


def test_an_added_call_is_reported() -> None:
    divergence = replay_on(begin(one_then_two), one_beside_two)

    assert (divergence.expected, divergence.found) == ("nothing", "call 2 of shop.second")
    assert divergence.line == line_of(one_beside_two, "await asyncio.gather")


def test_a_removed_call_is_reported_where_the_code_waits() -> None:
    divergence = replay_on(begin(one_then_two).complete(1, 1), one_only)

    assert (divergence.expected, divergence.found) == ("call 2 of shop.second", "nothing")
    assert divergence.line == line_of(one_only, "for ever")


def test_an_end_instead_of_a_call_is_reported() -> None:
    divergence = replay_on(begin(one_then_two).complete(1, 1), one_and_returns)

    assert divergence.expected == "call 2 of shop.second"
    assert divergence.found == "the end (completed)"


def test_an_added_timer_is_reported() -> None:
    divergence = replay_on(begin(one_and_returns), waits_in_time)

    assert (divergence.expected, divergence.found) == ("nothing", "a wait for a timer")
    assert divergence.line == line_of(waits_in_time, "await first")


def test_a_sleep_added_in_front_is_reported() -> None:
    divergence = replay_on(begin(one_and_returns), sleeps_first)

    assert (divergence.expected, divergence.found) == ("call 1 of shop.first", "nothing")
    assert divergence.line == line_of(sleeps_first, "asyncio.sleep")


def test_a_removed_timer_is_reported() -> None:
    divergence = replay_on(begin(waits_in_time), one_and_returns)

    assert (divergence.expected, divergence.found) == ("timer 1", "call 1 of shop.first")
    assert divergence.line == line_of(one_and_returns, "await first")


def test_a_timer_that_fired_and_is_gone_is_reported() -> None:
    divergence = replay_on(begin(sleeps_first).advance(5), one_and_returns)

    assert divergence.expected == "timer 1"


def test_a_changed_signal_name_is_reported() -> None:
    divergence = replay_on(begin(waits_for_yes), waits_for_no)

    assert divergence.expected == "a wait for the signal 'yes'"
    assert divergence.found == "a wait for the signal 'no'"
    assert divergence.line == line_of(waits_for_no, "workflow.signal")


def test_a_signal_that_is_no_longer_taken_is_reported() -> None:
    async def takes_late() -> int:
        await first(1)
        await workflow.signal("yes")
        return await second(2)

    driver = begin(takes_late).signal("yes").complete(1, 1)

    divergence = replay_on(driver, one_then_two)

    assert divergence.expected == "a wait for the signal 'yes'"
    assert divergence.found == "call 2 of shop.second"


def test_a_call_that_is_no_longer_cancelled_is_reported() -> None:
    async def gives_up() -> int:
        try:
            async with asyncio.timeout(5):
                await first(1)
        except TimeoutError:
            await second(2)
        return 0

    async def goes_on() -> int:
        try:
            async with asyncio.timeout(5):
                await asyncio.shield(first(1))
        except TimeoutError:
            await second(2)
        return 0

    divergence = replay_on(begin(gives_up).advance(5), goes_on)

    assert divergence.expected == "call 1 cancelled"
    assert divergence.found == "call 2 of shop.second"


async def takes_text(text: str) -> int:
    return await first(len(text))


async def takes_a_number(text: int) -> int:
    return await first(text)


def test_recorded_arguments_that_no_longer_validate_are_reported() -> None:
    divergence = replay_on(begin(takes_text, "many"), takes_a_number)

    assert "recorded arguments" in divergence.expected
    assert "text" in divergence.found


def test_a_recorded_result_that_no_longer_validates_is_reported_where_it_is_awaited() -> None:
    other = Service("shop")

    @other.activity(name="shop.first")
    async def renamed(n: int) -> str:
        return str(n)

    @other.workflow(name="shop.main")
    async def main() -> int:
        await renamed(1)
        return 1

    driver = begin(one_then_two).complete(1, 7)

    divergence = divergence_of(driver.journal, other, main)

    assert "recorded result of call 1" in divergence.expected
    assert divergence.line == line_of(main.function, "await renamed")


def test_a_recorded_error_that_no_longer_validates_is_reported() -> None:
    driver = begin(one_and_returns)
    driver.execution.deliver(
        r.CallFailed(driver.now, 1, failure(b'{"reason": 5}'), 1, outcome_unknown=False)
    )
    driver.commit()

    divergence = replay_on(driver, one_and_returns)

    assert "recorded error of call 1" in divergence.expected
    assert "reason" in divergence.found


def failure(facts: bytes) -> r.Failure:
    return r.Failure("shop.Declined", "", business=True, facts=r.Payload(facts))


async def except_exception() -> int:
    try:
        return await second(1)
    except Exception as error:  # noqa: BLE001 - what users write
        caught.append(type(error))
        return 0


async def except_base_exception() -> int:
    try:
        return await second(1)
    except BaseException as error:  # noqa: BLE001 - what users write
        caught.append(type(error))
        return await first(1)


async def bare_except() -> int:
    try:
        return await second(1)
    except:  # noqa: E722 - what users write
        caught.append(sys.exc_info()[0])
        return 0


async def in_a_task() -> int:
    done, _ = await asyncio.wait([asyncio.ensure_future(second(1))])
    caught.extend(type(error) for task in done if (error := task.exception()))
    return 0


caught: list[type[BaseException] | None] = []


@pytest.mark.parametrize("code", [except_exception, except_base_exception, bare_except, in_a_task])
def test_code_cannot_catch_a_divergence(code: Code) -> None:
    caught.clear()
    driver = begin(one_and_returns)
    program = Driver(service, declare(code)).program
    execution = execution_of(program)

    execution.replay(driver.journal)

    assert execution.divergence is not None
    assert set(caught) <= {GeneratorExit}  # its frames were dropped
    assert execution.take_pending() == []
    assert execution.state == driver.state


def test_code_that_agrees_is_not_reported() -> None:
    driver = begin(one_then_two).complete(1, 1)

    assert driver.replayed().execution.divergence is None


def test_a_timer_within_one_turn_may_be_added() -> None:
    async def with_timeout() -> int:
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        return await first(1)

    driver = begin(one_and_returns)
    replayed = Driver(service, declare(with_timeout))
    replayed.execution.replay(driver.journal)

    assert replayed.execution.divergence is None
    assert replayed.state == driver.state


# ---- after a divergence -----------------------------------------------------------------------


def test_inputs_recorded_while_the_code_was_stopped_are_applied_when_it_agrees_again() -> None:
    async def two_calls_and_a_signal() -> int:
        total = 0
        for result in await asyncio.gather(first(1), workflow.signal("more", int)):
            total += result
        return total + await second(total)

    driver = begin(two_calls_and_a_signal)
    stopped = Driver(service, declare(two_then_one))
    stopped.execution.replay(driver.journal)
    stopped.journal = driver.journal
    message = str(stopped.execution.divergence)
    stopped.execution.evict()
    stopped.execution.note(r.IncidentRaised(driver.now, "non-determinism", message))
    stopped.commit()
    stopped.signal("more", 4).complete(1, 3)
    assert stopped.status == "incident"

    mended = Driver(service, declare(two_calls_and_a_signal))
    mended.execution.replay(stopped.journal)
    mended.journal = [*stopped.journal]
    mended.commit()

    assert mended.execution.divergence is None
    assert mended.kinds()[-2:] == ["IncidentResolved", "CallScheduled"]
    assert mended.replayed().state == mended.state
    assert mended.replayed().complete(2, 8).result == 15


def test_an_error_that_cannot_be_read_live_stops_the_execution_visibly() -> None:
    async def catches_all() -> int:
        try:
            return await first(1)
        except BaseException:  # noqa: BLE001 - what users write
            return 0

    driver = begin(catches_all)
    driver.execution.deliver(
        r.CallFailed(driver.now, 1, failure(b'{"reason": 5}'), 1, outcome_unknown=False)
    )
    driver.commit()

    assert driver.status == "incident"
    assert driver.state.incident is not None
    assert "recorded error of call 1" in driver.state.incident.message
    again = driver.replayed()
    assert again.execution.divergence is not None
    assert str(again.execution.divergence) == driver.state.incident.message


def test_code_that_can_read_what_stopped_it_goes_on() -> None:
    async def reads_any_error() -> str:
        try:
            return str(await first(1))
        except BusinessError as error:
            return f"declined {await second(2)} {error.facts}"

    driver = begin(reads_any_error)
    driver.execution.deliver(
        r.CallFailed(driver.now, 1, failure(b'{"reason": 5}'), 1, outcome_unknown=False)
    )
    driver.commit()
    assert driver.status == "incident"
    mended = [
        r.CallFailed(driver.now, 1, failure(b'{"reason": "5"}'), 1, outcome_unknown=False)
        if isinstance(record, r.CallFailed)
        else record
        for record in driver.journal
    ]

    again = driver._on(mended)
    again.commit()

    assert again.execution.divergence is None
    assert again.kinds()[-2:] == ["IncidentResolved", "CallScheduled"]
    assert again.replayed().state == again.state


def test_code_that_can_read_its_arguments_at_last_begins() -> None:
    driver = begin(takes_text, "many")
    started = driver.journal[0]
    stopped = [started, r.IncidentRaised(driver.now, "non-determinism", "")]

    again = driver._on(stopped)
    again.commit()

    assert again.kinds()[2:] == ["IncidentResolved", "CallScheduled"]


def test_no_code_runs_after_a_divergence() -> None:
    ran: list[str] = []

    async def beside() -> None:
        ran.append("beside")

    async def calls_later() -> None:
        watched = asyncio.ensure_future(first_then(ran))
        await asyncio.sleep(0)
        later = asyncio.ensure_future(beside())
        await asyncio.wait([watched, later])

    driver = begin(one_and_returns)
    replay_on(driver, calls_later)

    assert ran == ["before"]


async def first_then(ran: list[str]) -> None:
    ran.append("before")
    asyncio.get_running_loop().call_soon(ran.append, "after")
    await second(1)


def test_what_a_frame_held_dies_with_a_divergence() -> None:
    watched: list[weakref.ref[Box]] = []

    async def code() -> None:
        box = Box(watched)
        await second(1)
        del box

    driver = begin(one_and_returns)
    replay_on(driver, code)

    assert len(watched) == 1
    assert alive(watched) == 0


def test_an_execution_that_ends_is_no_incident_any_more() -> None:
    async def gives_up_on_a_call() -> int:
        task = asyncio.ensure_future(first(1))
        n = await workflow.signal("enough", int)
        task.cancel()
        return n

    driver = begin(gives_up_on_a_call)
    driver.execution.note(r.AttemptLost(driver.now, 1, 1, None))
    driver.execution.note(r.IncidentRaised(driver.now, "lost-attempts", "", 1))
    driver.commit()
    driver.signal("enough", 5)

    assert driver.kinds()[-2:] == ["IncidentResolved", "Ended"]
    assert driver.result == 5
