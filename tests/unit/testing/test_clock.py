"""Virtual time: it stands still, and alarms ring when it is moved."""

import asyncio
from datetime import UTC, datetime
from functools import partial

from counterpoint.testing import VirtualClock


def test_time_stands_still_until_it_is_moved() -> None:
    clock = VirtualClock(datetime(2026, 3, 1, tzinfo=UTC))
    before = clock.now()

    clock.move_to(before + 5)

    assert clock.now() == before + 5
    assert clock.time == datetime(2026, 3, 1, microsecond=5, tzinfo=UTC)


def test_time_does_not_go_back() -> None:
    clock = VirtualClock()
    now = clock.now()

    clock.move_to(now - 1)

    assert clock.now() == now


def test_alarms_ring_in_the_order_of_their_times() -> None:
    clock, rung = VirtualClock(), list[str]()
    for name, at in (("c", 30), ("a", 10), ("b", 20), ("b2", 20), ("later", 99)):
        clock.call_at(clock.now() + at, partial(rung.append, name))

    clock.move_to(clock.now() + 30)

    assert rung == ["a", "b", "b2", "c"]


def test_cancelled_alarm_does_not_ring() -> None:
    clock, rung = VirtualClock(), list[str]()
    alarm = clock.call_at(clock.now() + 1, lambda: rung.append("a"))
    alarm.cancel()
    alarm.cancel()

    clock.move_to(clock.now() + 1)

    assert rung == []
    assert clock.next_alarm() is None


async def test_alarm_of_the_past_rings_soon_and_not_at_once() -> None:
    clock, rung = VirtualClock(), list[str]()
    clock.call_at(clock.now(), lambda: rung.append("a"))
    at_once = list(rung)
    await asyncio.sleep(0)

    assert (at_once, rung) == ([], ["a"])


def test_housekeeping_rings_late_and_does_not_stop_time() -> None:
    clock, rung = VirtualClock(), list[int]()
    background = clock.background()
    background.call_at(clock.now() + 1, lambda: rung.append(background.now()))

    assert clock.next_alarm() is None
    clock.move_to(clock.now() + 100)
    assert rung == [clock.now()]
