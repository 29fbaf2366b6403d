"""After every commit, an execution that was never replaced is what its journal makes of it.

The harness can replace every execution by its replay; here it does not, so that what lives grows
old, and what a replay would know otherwise is found although the code goes on alike.
"""

import asyncio
import os
from collections import Counter
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from tests.simulation import judge
from tests.simulation.batch import few
from tests.simulation.driver import Driver
from tests.simulation.plans import Case, cases

from counterpoint.kernel.execution import Execution
from counterpoint.model import records as r
from counterpoint.runtime import inputs
from counterpoint.runtime.host import Host
from counterpoint.runtime.resident import Resident

CASES = int(os.environ.get("COUNTERPOINT_SIMULATION", "60"))

pytestmark = pytest.mark.filterwarnings(  # what `finally` makes at eviction and cannot run
    "ignore:coroutine .* was never awaited:RuntimeWarning",
)


class Comparison:
    """Stands in for the harness's rehearsal: it compares, and replaces nothing."""

    def __init__(self) -> None:
        self.compared: Counter[str] = Counter()

    def __call__(self, node: Host, now: int, resident: Resident) -> None:
        """Compare what lives with its replay, if a commit holds all of it."""
        del node, now
        live = resident.execution
        if live.pending or live.divergence is not None or resident.reload or live.replaying:
            self.compared["too early"] += 1
            return
        if all(isinstance(record, r.PREAMBLE) for record in resident.history):
            return
        replayed = Execution(resident.id, resident.row.run, resident.program)
        replayed.replay(resident.history)
        try:
            if replayed.divergence is not None:
                raise replayed.divergence
            assert replayed.state == live.state, f"{replayed.state} and {live.state}"
            mine, its = known_to_code(live), known_to_code(replayed)
            for what, value in mine.items():
                assert value == its[what], f"{resident.id}: {what}: {value}, replayed {its[what]}"
            self.compared["alive" if live.state.code_lives else "over"] += 1
        finally:
            replayed.evict()


def known_to_code(execution: Execution) -> dict[str, Any]:
    """Return what the kernel knows beside the fold of the journal: what the code waits for."""
    if not execution.state.code_lives:
        return {}
    calls, signals, events = execution.calls, execution.signals, execution.events
    chance = execution._random
    return {
        "calls waited for": list(calls._waiting),
        "calls made": calls._number,
        "what would be undone": calls._undoable,
        "ids of children": calls.child_ids,
        "signals waited for": {n: name for n, (name, _) in signals._waits.items()},
        "signals unread": {name: list(kept) for name, kept in signals._unread.items() if kept},
        "waits for signals": signals._wait_number,
        "events waited for": list(events._waits),
        "events read": events._read,
        "waits for events": events._wait_number,
        "events published": events._published,
        "timers": {n: handle.when() for n, handle in execution._timers.items()},
        "timers set": execution._timer_number,
        "patches": execution.patches,
        "pivot": execution.pivoted,
        "chance": None if chance is None else chance.getstate(),
        "now": execution.now,
    }


def run(runner: asyncio.Runner, case: Case) -> tuple[Comparison, list[str], str]:
    """Run a case and compare after every commit; return what was found, and the journals."""
    comparison = Comparison()
    with patch.object(inputs, "rehearse", comparison):
        driver = Driver(case)
        verdict = runner.run(driver.run())
    return comparison, verdict.violations, judge.in_words(driver.ledger)


@few(CASES)
@given(case=cases(rehearsed=1))
def test_state_rebuilt_by_replay_equals_the_live_state_after_every_commit(
    runner: asyncio.Runner, case: Case
) -> None:
    _, violations, journals = run(runner, case)

    assert not violations, "\n".join([*violations, journals])


PLAN = [
    "seq",
    [
        ["act", 1],
        ["gather", [["event", "k", 9, 0], ["signal", "a", None], ["act", 2], ["sleep", 3]]],
        ["fail"],
    ],
]


def test_every_commit_is_compared_while_the_code_lives_and_when_it_is_over(
    runner: asyncio.Runner,
) -> None:
    comparison, violations, _ = run(runner, Case(PLAN, rehearse=True))

    assert not violations
    assert comparison.compared["alive"] >= 2
    assert comparison.compared["over"] >= 2


def test_code_that_knows_more_than_its_journal_is_found(runner: asyncio.Runner) -> None:
    set_timer = Execution.set_timer

    def forgetful(execution: Execution, handle: Any) -> None:
        set_timer(execution, handle)
        if not execution.replaying:
            execution.patches["secret"] = True

    with patch.object(Execution, "set_timer", forgetful):
        _, violations, _ = run(runner, Case(PLAN, rehearse=True))

    assert any("patches: {'secret': True}, replayed {}" in what for what in violations)
