"""Turns hand on what was pushed, in order, and let others run in between."""

import asyncio

import pytest

from counterpoint.runtime import turns
from counterpoint.runtime.turns import Turns
from counterpoint.testing import VirtualClock

COUNT = 1_234


class Host:
    """Takes what is handed on."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def check_idle(self) -> None:
        self.seen.append("idle?")


def note(host: Host, _now: int, what: object) -> None:
    host.seen.append(what)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
async def inbox(host: Host) -> Turns:
    def raised(_: tuple[object, ...], error: Exception) -> None:
        raise error

    return Turns(VirtualClock(), host, raised)


async def test_others_run_between_the_turns_of_a_crowd(host: Host, inbox: Turns) -> None:
    for number in range(COUNT):
        inbox.push(note, number)
    asyncio.get_running_loop().call_soon(host.seen.append, "another")

    await inbox.last()

    assert [one for one in host.seen if isinstance(one, int)] == list(range(COUNT))
    assert host.seen.index("another") < turns.INPUTS_MAX + 2
    assert inbox.quiet


async def test_what_is_pushed_first_is_next_also_before_the_rest_of_a_crowd(
    host: Host, inbox: Turns
) -> None:
    for number in range(COUNT):
        inbox.push(note, number)
    await asyncio.sleep(0)

    inbox.push_first(note, "first")
    await inbox.last()

    assert host.seen.index("first") == turns.INPUTS_MAX + 1
    assert host.seen.count("first") == 1


async def test_last_waits_for_what_a_turn_has_not_reached(host: Host, inbox: Turns) -> None:
    for number in range(3 * turns.INPUTS_MAX):
        inbox.push(note, number)

    await inbox.last()

    assert host.seen.count("idle?") >= 3
    assert 3 * turns.INPUTS_MAX - 1 in host.seen
