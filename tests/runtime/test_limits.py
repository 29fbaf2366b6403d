"""Rates of activities, and limits of whole services, on a node that counts for itself."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.runtime.test_bounds import Meter

from counterpoint import Event, Rate, Service
from counterpoint.errors import ExecutionFailed
from counterpoint.model.cluster import Limit
from counterpoint.ports.clock import Alarm, Clock
from counterpoint.testing import Harness

bank = Service("bank", concurrency=3)
post = Service("post", rate=Rate(2, burst=2))
desk = Service("desk")


@bank.event(key="n")
class Booked(Event):
    n: int


@bank.on(Booked)
async def note(event: Booked) -> None: ...


@bank.activity
async def pay(number: int) -> int:
    return number


@bank.activity(concurrency=2)
async def book(number: int) -> int:
    return number


@book.compensation
async def cancel_booking(number: int) -> None: ...


@post.activity
async def send(number: int) -> int:
    return number


@send.compensation
async def call_back(number: int) -> None: ...


@desk.activity(rate=Rate(4, per=timedelta(minutes=1)))
async def ask(number: int) -> int:
    return number


@desk.activity(rate=Rate(10, burst=5))
async def ask_many(number: int) -> int:
    return number


@desk.activity(rate=Rate(1), concurrency=1)
async def ask_slowly(number: int) -> int:
    return number


@desk.activity
async def stamp(number: int) -> int:
    return number


@desk.activity
async def refuse() -> None:
    raise TypeError("no")


@desk.workflow
async def through(what: str, number: int) -> int:
    activities: dict[str, Any] = {
        one.name.partition(".")[2]: one
        for one in (pay, book, send, ask, ask_many, ask_slowly, stamp)
    }
    result: int = await activities[what](number)
    return result


@desk.saga
async def undone(number: int) -> None:
    await send(number)
    await refuse()


SERVICES = [bank, post, desk]


async def started(harness: Harness, what: str, count: int) -> None:
    for n in range(count):
        await harness.start(through, what, n)


def seconds(harness: Harness, name: str) -> list[float]:
    """Return when attempts began, in seconds since the first call of all."""
    first = harness.calls[0].at
    return [(c.at - first).total_seconds() for c in harness.calls if c.name == name]


# ---- rates ------------------------------------------------------------------------------------


async def test_attempts_begin_at_the_rate_of_their_activity_in_order() -> None:
    async with Harness(services=SERVICES) as harness:
        await started(harness, "ask", 4)
        await harness.idle()

        assert seconds(harness, "desk.ask") == [0, 15, 30, 45]
        assert [call.arguments["number"] for call in harness.calls] == [0, 1, 2, 3]


async def test_a_burst_begins_at_once_and_the_rest_at_the_rate() -> None:
    async with Harness(services=SERVICES) as harness:
        await started(harness, "ask_many", 8)
        await harness.idle()

        assert seconds(harness, "desk.ask_many") == [0, 0, 0, 0, 0, 0.1, 0.2, 0.3]


async def test_what_was_not_used_is_saved_up_to_the_burst_only() -> None:
    async with Harness(services=SERVICES) as harness:
        await harness.start(through, "ask_many", 0)
        await harness.advance(timedelta(hours=1))
        await started(harness, "ask_many", 7)
        await harness.idle()

        later = [round(s - 3600, 3) for s in seconds(harness, "desk.ask_many")[1:]]
        assert later == [0, 0, 0, 0, 0, 0.1, 0.2]


async def test_in_any_time_no_more_begin_than_the_rate_and_the_burst_allow() -> None:
    async with Harness(services=SERVICES, seed=3) as harness:
        for gap in (0.0, 0.05, 0.3, 0.0, 0.0, 0.01, 1.0, 0.0, 0.25) * 3:
            await harness.start(through, "ask_many", 1)
            await harness.start(through, "ask_many", 2)
            await harness.advance(timedelta(seconds=gap))
        await harness.idle()

        began = seconds(harness, "desk.ask_many")
        for i, first in enumerate(began):
            for j in range(i, len(began)):
                assert j - i + 1 <= 5 + 10 * (began[j] - first) + 1e-3


class Later:
    """A clock that is ahead of the alarms that it has set."""

    def __init__(self, clock: Clock, ahead: timedelta) -> None:
        self.clock = clock
        self.ahead = ahead // timedelta(microseconds=1)

    def now(self) -> int:
        return self.clock.now() + self.ahead

    def call_at(self, at: int, callback: Callable[[], object]) -> Alarm:
        return self.clock.call_at(at, callback)


async def test_what_could_begin_does_not_overtake_what_waits() -> None:
    async with Harness(services=SERVICES) as harness:
        await started(harness, "ask", 2)
        limits = harness.app.node.activities.limits
        limits.clock = Later(harness.clock, timedelta(seconds=20))
        await harness.start(through, "ask", 2)
        limits.clock = harness.clock
        await harness.idle()

        assert [call.arguments["number"] for call in harness.calls] == [0, 1, 2]


async def test_a_rate_does_not_keep_other_activities_from_running() -> None:
    async with Harness(services=SERVICES) as harness:
        await started(harness, "ask", 3)

        assert await harness.run(through, "stamp", 5, within=timedelta(0)) == 5


async def test_a_rate_and_a_concurrency_both_hold() -> None:
    async with Harness(services=SERVICES) as harness:
        harness.delay(ask_slowly, timedelta(seconds=2.5), times=1)
        await started(harness, "ask_slowly", 3)
        await harness.idle()

        assert seconds(harness, "desk.ask_slowly") == [0, 2.5, 3.5]


async def test_retries_count_to_the_rate() -> None:
    async with Harness(services=SERVICES) as harness:
        harness.fail(ask, ConnectionError("no line"), times=2)
        await harness.run(through, "ask", 0)

        assert seconds(harness, "desk.ask") == [0, 15, 30]


async def test_a_node_is_not_idle_while_an_attempt_waits_for_its_rate() -> None:
    async with Harness(services=SERVICES) as harness:
        await started(harness, "ask", 2)

        assert harness.app.health().waiting == 1
        with pytest.raises(TimeoutError):
            await harness.app.idle(0.01)


async def test_a_node_that_stops_puts_off_what_waits_for_a_rate() -> None:
    async with Harness(services=SERVICES) as harness:
        await started(harness, "ask", 2)
        await harness.restart()
        await harness.idle()

        assert Counter(call.arguments["number"] for call in harness.calls) == {0: 1, 1: 1}


# ---- services ---------------------------------------------------------------------------------


async def test_the_activities_of_a_service_share_its_concurrency() -> None:
    async with Harness(services=SERVICES) as harness:
        meter = Meter(harness)
        harness.replace(pay, meter.measure)
        harness.replace(book, meter.measure)
        async with asyncio.timeout(30):
            for number in range(6):
                await harness.start(through, "pay", number)
                await harness.start(through, "book", number)
            waiting = harness.app.health().waiting
            await harness.idle()

    assert (meter.most, waiting) == (3, 9)


async def test_an_activity_has_its_own_limit_within_its_services() -> None:
    async with Harness(services=SERVICES) as harness:
        meter = Meter(harness)
        harness.replace(book, meter.measure)
        await started(harness, "book", 6)
        await harness.idle()

    assert meter.most == 2


async def test_compensations_count_to_the_rate_of_their_service() -> None:
    async with Harness(services=SERVICES) as harness:
        for number in range(3):
            await harness.start(undone, number)
        with pytest.raises(ExecutionFailed):
            await harness.run(undone, 3)
        await harness.idle()
        names = ("post.send", "post.call_back")
        began = sorted(seconds(harness, names[0]) + seconds(harness, names[1]))

    assert len(began) == 8
    assert began[:2] == [0, 0]
    assert all(later - earlier >= 0.499 for earlier, later in pairwise(began[1:]))


async def test_reactions_do_not_count_to_the_limit_of_their_service() -> None:
    async with Harness(services=SERVICES) as harness:
        hold = harness.hang(note, times=None)
        for number in range(5):
            await harness.publish(Booked(n=number))
        assert hold.waiting == 5

        assert await harness.run(through, "pay", 1) == 1


async def test_a_store_that_counts_for_all_nodes_is_left_to_do_it() -> None:
    async with Harness(services=SERVICES) as harness:
        harness.app.node.activities.limits.shared = True
        await started(harness, "ask", 3)

        assert seconds(harness, "desk.ask") == [0, 0, 0]


def test_the_registry_says_which_limits_hold_for_what() -> None:
    registry = Harness(services=SERVICES).app.registry
    of_bank, of_post = Limit("bank", 3, None), Limit("post", None, 2.0, 2)

    assert registry.limits_of("bank.pay") == (of_bank,)
    assert registry.limits_of("bank.book") == (Limit("bank.book", 2, None), of_bank)
    assert registry.limits_of("bank.cancel_booking") == (of_bank,)
    assert registry.limits_of("post.call_back") == (of_post,)
    assert registry.limits_of("desk.ask_many") == (Limit("desk.ask_many", None, 10.0, 5),)
    assert registry.limits_of("desk.stamp") == ()
    assert registry.limits_of("unknown") == ()
    assert registry.hosted_by(["desk"]).limits_of("bank.pay") == (of_bank,)
