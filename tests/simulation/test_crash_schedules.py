"""A crash changes nothing but time: the same calls, the same end, wherever the node dies once."""

import asyncio
import os
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from tests.simulation import judge
from tests.simulation.batch import few
from tests.simulation.driver import Driver
from tests.simulation.judge import read, rows
from tests.simulation.plans import Case, Crash, even_cases
from tests.simulation.services import hear

from counterpoint.model import records as r
from counterpoint.model.states import Status
from counterpoint.testing.faults import When

PLANS = int(os.environ.get("COUNTERPOINT_SIMULATION", "2"))
WHENS: tuple[When, ...] = get_args(When)

pytestmark = pytest.mark.filterwarnings(  # what `finally` makes at eviction and cannot run
    "ignore:coroutine .* was never awaited:RuntimeWarning",
)


@dataclass
class Told:
    """What a run of a case came to, but for when."""

    calls: dict[tuple[str, int], list[tuple[int, str, str, Any]]] = field(default_factory=dict)
    """By execution and run: number, kind, name and arguments of each call."""
    ends: dict[tuple[str, int], tuple[str, str | None]] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)
    """What the services have at the end."""

    def differs(self, other: "Told") -> str:
        """Return what another run has otherwise; empty if it is the same."""
        for what in ("calls", "ends"):
            mine, its = getattr(self, what), getattr(other, what)
            for name in mine.keys() | its.keys():
                if mine.get(name) != its.get(name):
                    return f"{what} of {name}: {mine.get(name)} and {its.get(name)}"
        if self.there != other.there:
            return f"there are {sorted(self.there)} and {sorted(other.there)}"
        return ""


class Counting(Driver):
    """Knows after how many commits nothing happened any more by itself."""

    commits_alone = 0

    async def _put_right(self) -> None:
        self.commits_alone = self.ledger.commits
        await super()._put_right()


def run(runner: asyncio.Runner, case: Case) -> tuple[Counting, Told]:
    """Run a case, which must be right by itself."""
    driver = Counting(case)
    verdict = runner.run(driver.run())
    assert not verdict.violations, (case, verdict.violations, judge.in_words(driver.ledger))
    return driver, tell_of(driver)


def tell_of(driver: Driver) -> Told:
    told = Told(there={key for key, there in driver.world.there.items() if there})
    for row in rows(driver.ledger):
        found = read(driver.ledger, row)
        name = (row.id, row.run)
        told.calls[name] = [_call(one) for one in found.records if isinstance(one, _CALLS)]
        told.calls[name].sort(key=lambda call: call[0])
        status, error = found.known.status, found.known.error_type
        # Whether there is something to undo depends on attempts that were lost.
        undone = status is Status.COMPENSATED or (found.saga and status is Status.FAILED)
        told.ends[name] = ("undone" if undone else status.value, error)
    return told


_CALLS = (r.CallScheduled, r.ChildScheduled, r.UndoRegistered)


def _call(record: r.CallScheduled | r.ChildScheduled | r.UndoRegistered) -> Any:
    arguments = msgspec.json.decode(record.arguments)
    if record.name == hear.name:
        del arguments["values"]  # who is told what first is up to people
    return record.call, type(record).__name__, record.name, arguments


def check_every_crash(runner: asyncio.Runner, case: Case) -> int:
    """Let the node die once at every commit, in every way; return how many runs that took."""
    driver, expected = run(runner, case)
    for commit in range(1, driver.commits_alone + 1):
        for when in WHENS:
            crashed = replace(case, crashes=(Crash(commit, when),))
            other, found = run(runner, crashed)
            assert not expected.differs(found), "\n".join(
                [
                    repr(crashed),
                    expected.differs(found),
                    judge.in_words(driver.ledger),
                    judge.in_words(other.ledger),
                ]
            )
    return 1 + driver.commits_alone * len(WHENS)


@few(PLANS)
@given(case=even_cases())
def test_the_calls_and_the_end_are_the_same_wherever_the_node_dies(
    runner: asyncio.Runner, case: Case
) -> None:
    check_every_crash(runner, case)


def test_other_calls_and_other_ends_are_told_apart(runner: asyncio.Runner) -> None:
    _, one = run(runner, Case(["seq", [["act", 1]]]))
    _, two = run(runner, Case(["seq", [["act", 1], ["act", 2]]]))
    _, three = run(runner, Case(["seq", [["act", 1]]], faults={1: ["broken"] * 9}))

    assert not one.differs(one)
    assert "calls of ('r', 1)" in one.differs(two)
    assert "ends of ('r', 1)" in one.differs(three)
