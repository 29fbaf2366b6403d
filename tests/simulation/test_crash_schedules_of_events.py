"""A crash changes nothing but time: the same events, in the same order, wherever a node dies."""

import asyncio
import os
from dataclasses import dataclass, field, replace
from typing import get_args

from hypothesis import given
from tests.simulation.batch import few
from tests.simulation.choreographies import Case, Joins, Reacts, even_cases
from tests.simulation.events import Driver
from tests.simulation.events_judge import judge
from tests.simulation.plans import Crash
from tests.simulation.things import name_in

from counterpoint.testing.faults import When

CASES = int(os.environ.get("COUNTERPOINT_SIMULATION", "1"))
WHENS: tuple[When, ...] = get_args(When)


@dataclass
class Told:
    """What a run of a case came to, but for when."""

    names: set[str] = field(default_factory=set[str])
    """Of every event."""
    ends: dict[str, str] = field(default_factory=dict[str, str])
    """Status of what events and reactions started, by the names of these."""
    orders: dict[tuple[str, str], list[str]] = field(
        default_factory=dict[tuple[str, str], list[str]]
    )
    """By reaction and key, in which order it took what came from outside."""


class Counting(Driver):
    """Knows after how many commits nothing happened any more by itself."""

    commits_alone = 0

    async def _deploy_all(self) -> None:
        self.commits_alone = self.harness.store.commits
        await super()._deploy_all()


def run(runner: asyncio.Runner, case: Case) -> tuple[int, Told]:
    """Run a case, which must be right by itself; return how many commits it took, and more."""
    driver = Counting(case, judge)
    violations = runner.run(driver.run())
    assert not violations, (case, violations)
    store, told = driver.world.store, Told()
    names = {(event.source, event.id): name_in(event.data) for event in store._events.values()}
    told.names = set(names.values())
    for row in store._executions.values():
        workflow, _, event = row.id.partition(":")
        source, _, event_id = event.partition("/")
        told.ends[f"{workflow}:{names.get((source, event_id))}"] = row.status.value
    reactions = {row.number: row.name for row in store._subscriptions.values()}
    for mark in store.done:
        event_row = store._events[mark.position]
        name, reaction = name_in(event_row.data), reactions[mark.subscription]
        number = reaction.partition(".r")[2]
        if ">" not in name and number and case.reactions[int(number)].on_dead == "park":
            told.orders.setdefault((reaction, event_row.key), []).append(name)
    return driver.commits_alone, told


def check_every_crash(runner: asyncio.Runner, case: Case) -> int:
    """Let the node die once at every commit, in every way; return how many commits there are."""
    commits, expected = run(runner, case)
    for commit in range(1, commits + 1):
        for when in WHENS:
            crashed = replace(case, crashes=(Crash(commit, when),))
            _, found = run(runner, crashed)
            assert found == expected, crashed
    return commits


@few(CASES)
@given(case=even_cases)
def test_the_events_and_their_order_are_the_same_wherever_the_node_dies(
    runner: asyncio.Runner, case: Case
) -> None:
    check_every_crash(runner, case)


def test_a_fan_out_that_a_saga_joins_is_the_same_wherever_the_node_dies(
    runner: asyncio.Runner,
) -> None:
    fan_out = (
        Reacts(0, 0, (1,), returns="one", faults=("error",)),
        Reacts(1, 0, (2, 3), returns="tuple", starts=True),
    )
    both = Joins(0, 0, waits=(1, 2), emits=(3,))
    undone = Joins(1, 0, waits=(2,), fails=True)
    case = Case(fan_out, ((0, 0),), joins=(both, undone))

    assert check_every_crash(runner, case) >= 8
