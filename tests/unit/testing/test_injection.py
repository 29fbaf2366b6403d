"""Threads that hang in a harness: they are counted when they are seen, and let go beside others."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from counterpoint import Service
from counterpoint.testing import Harness, injection

shop = Service("shop")


@shop.activity
def compute(number: int) -> int:
    return number


@shop.workflow
async def count(number: int) -> int:
    return await compute(number)


async def test_a_thread_that_hangs_is_counted_once_the_harness_sees_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    park: Callable[..., None] = vars(injection.Injection)["_park"]

    def parked(self: injection.Injection, parking: object) -> None:
        seen.append(hold.waiting)
        park(self, parking)

    monkeypatch.setattr(injection.Injection, "_park", parked)
    async with Harness(services=[shop]) as harness:
        hold = harness.hang(compute)
        execution = await harness.start(count, 1)
        await harness.settle()
        hold.release()

        assert await harness.result(execution) == 1
        assert seen == [1]


async def test_threads_that_leave_while_others_are_let_go_do_not_disturb(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = threading.Event()
    parking: Any = vars(injection)["_Parking"]
    release = parking.release
    unpark: Callable[..., None] = vars(injection.Injection)["_unpark"]

    def released(self: Any, **options: bool) -> None:
        left.clear()
        release(self, **options)
        assert left.wait(30)

    def unparked(self: injection.Injection, parking: object) -> None:
        unpark(self, parking)
        left.set()

    monkeypatch.setattr(injection.Injection, "_unpark", unparked)
    async with Harness(services=[shop]) as harness:
        hold = harness.hang(compute, times=None)
        for number in range(3):
            await harness.start(count, number)
        await harness.settle()
        assert hold.waiting == 3
        monkeypatch.setattr(parking, "release", released)

    assert hold.waiting == 0
