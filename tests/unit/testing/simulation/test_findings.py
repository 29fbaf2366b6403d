"""Each check can fail: a fault is planted in the engine or the store, and found, and named."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.testing.simulation.cafe import an_evening, app, evening

from counterpoint.authoring.attempt import current_attempt
from counterpoint.kernel import saga
from counterpoint.model import records as r
from counterpoint.model.messages import Messages
from counterpoint.model.policies import StepPolicy
from counterpoint.model.rows import Commit, JournalRow
from counterpoint.runtime import attempt as attempts
from counterpoint.runtime.committer import Committer
from counterpoint.runtime.effects import Effects
from counterpoint.runtime.messaging.queues import KeyQueue, Lane
from counterpoint.runtime.node import Node
from counterpoint.testing.simulation import (
    Faults,
    Simulation,
    SimulationFailed,
    run_seed,
    simulate,
)
from counterpoint.testing.simulation.disk import Connection
from counterpoint.testing.simulation.ledger import LedgerStore

SEEDS = 12
Change = Callable[[Commit], Commit]
Plant = Callable[[pytest.MonkeyPatch], None]


def alter(patch: pytest.MonkeyPatch, change: Change) -> None:
    """Let the disk get something else than what the node commits."""
    commit = Connection.commit

    async def altered(self: Connection, given: Commit) -> int:
        return await commit(self, change(given))

    patch.setattr(Connection, "commit", altered)


def of_messages(given: Commit, **changes: Any) -> Commit:
    return replace(given, messages=replace(given.messages or Messages(), **changes))


def without(given: Commit, key: int) -> Commit:
    kept = [row for row in given.journal if row.execution_key != key]
    return replace(given, starts=[s for s in given.starts if s.key != key], journal=kept)


# ---- what is planted -----------------------------------------------------------------------------


def lose_a_start(patch: pytest.MonkeyPatch) -> None:
    def change(given: Commit) -> Commit:
        lost = [row.key for row in given.starts if row.id == "guest-1"]
        return without(given, lost[0]) if lost else given

    alter(patch, change)


def acknowledge_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    async def write(self: Committer, batch: Any) -> int:
        return 0

    patch.setattr(Committer, "_write", write)


def lose_a_journal_row(patch: pytest.MonkeyPatch) -> None:
    def change(given: Commit) -> Commit:
        return replace(given, journal=[row for row in given.journal if row.first_seq != 3])

    alter(patch, change)


def forget_what_was_recorded(patch: pytest.MonkeyPatch) -> None:
    read = LedgerStore.journal

    async def journal(self: LedgerStore, key: int, *, after_seq: int = 0) -> list[JournalRow]:
        return (await read(self, key, after_seq=after_seq))[:1]

    patch.setattr(LedgerStore, "journal", journal)


def run_what_has_ended_again(patch: pytest.MonkeyPatch) -> None:
    ended = Effects.attempt_ended

    async def again(attempt: attempts.Attempt) -> None:
        await asyncio.sleep(5)
        current_attempt.set(attempt)
        function: Any = attempt.work.function
        await function(**attempt.decode())

    def attempt_ended(self: Effects, attempt: attempts.Attempt, outcome: Any) -> None:
        ended(self, attempt, outcome)
        self.node.spawn(again(attempt))

    patch.setattr(Effects, "attempt_ended", attempt_ended)


def reuse_a_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(attempts, "idempotency_key", lambda id, run, step: f"same/{run}/{step}")


def try_again_what_is_called_once(patch: pytest.MonkeyPatch) -> None:
    policy = property(lambda self: StepPolicy(self.work.retry))
    patch.setattr(attempts.Attempt, "policy", policy)


def lose_a_published_event(patch: pytest.MonkeyPatch) -> None:
    def change(given: Commit) -> Commit:
        events = given.messages.events if given.messages else ()
        kept = [event for event in events if event.publisher != evening.name]
        return of_messages(given, events=kept) if len(kept) < len(events) else given

    alter(patch, change)


def skip_an_inbox_mark(patch: pytest.MonkeyPatch) -> None:
    def change(given: Commit) -> Commit:
        return of_messages(given, done=()) if given.messages else given

    alter(patch, change)


def queue_by_something_else_than_the_key(patch: pytest.MonkeyPatch) -> None:
    queue, numbers = Lane.queue, itertools.count()

    def any_queue(self: Lane, key: str) -> KeyQueue:
        return queue(self, f"{key}{next(numbers) % 2}")

    patch.setattr(Lane, "queue", any_queue)


def let_the_dead_write(patch: pytest.MonkeyPatch) -> None:
    crash, left = Node.crash, list[asyncio.Future[None]]()

    async def crashed(self: Node) -> None:
        async def write() -> None:
            await asyncio.sleep(5)
            await self.store.commit(Commit())

        await crash(self)
        if self.store.dead:  # type: ignore[attr-defined]
            left.append(asyncio.ensure_future(write()))

    patch.setattr(Node, "crash", crashed)


def forget_the_row(patch: pytest.MonkeyPatch) -> None:
    alter(patch, lambda given: replace(given, updates=()))


def drop_a_timer(patch: pytest.MonkeyPatch) -> None:
    perform = Effects.perform

    def performed(self: Effects, resident: Any, records: list[r.Record]) -> None:
        perform(self, resident, records)
        if any(isinstance(record, r.TimerSet) for record in records):
            resident.execution.state.timers.clear()

    patch.setattr(Effects, "perform", performed)


def drop_a_compensation(patch: pytest.MonkeyPatch) -> None:
    undo = saga._undo
    patch.setattr(
        saga, "_undo", lambda call, *rest: None if call.number == 1 else undo(call, *rest)
    )


def undo_the_oldest_first(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(saga, "range", lambda *_: range(1, 10), raising=False)


def leave_a_letter(patch: pytest.MonkeyPatch) -> None:
    alter(patch, lambda given: replace(given, taken=()))


def drop_a_dead_letter(patch: pytest.MonkeyPatch) -> None:
    def change(given: Commit) -> Commit:
        return of_messages(given, dead=()) if given.messages and given.messages.dead else given

    alter(patch, change)


OFTEN = Faults().but(error=0.4)


@pytest.mark.parametrize(
    ("plant", "faults", "expected"),
    [
        (lose_a_start, Faults.none(), "P1: the start of guest-1 was acknowledged"),
        (acknowledge_before_the_commit, Faults.none(), "P1: the start of guest-0"),
        (lose_a_journal_row, Faults.none(), "P8: record "),
        (forget_what_was_recorded, Faults(), "the node does not come to rest"),
        (run_what_has_ended_again, Faults.none(), "is attempted again after its outcome"),
        (reuse_a_key, Faults.none(), "P3: same/1/1 came with"),
        (
            try_again_what_is_called_once,
            Faults.none().but(lost_result=0.4),
            "may be called at most once, and is called",
        ),
        (lose_a_published_event, Faults.none(), "is recorded and not in the log"),
        (skip_an_inbox_mark, Faults.none(), "and nothing in its commit led to it"),
        (skip_an_inbox_mark, Faults(), "P5: kitchen.cook made 1 events"),
        (queue_by_something_else_than_the_key, Faults(), "P6: "),
        (let_the_dead_write, Faults(), "P7: a node that has died commits"),
        (forget_the_row, Faults.none(), "P8: its row says running"),
        (drop_a_timer, Faults.none(), "P8: guest-0: timers is {} in memory, and {1: "),
        (drop_a_compensation, Faults.none(), "P9: call 1 (bar.seat) is still there"),
        (undo_the_oldest_first, Faults.none(), "P9: it undoes in the order [1, 2]"),
        (leave_a_letter, Faults.none().but(outside=1), "P10: a letter is left"),
        (drop_a_dead_letter, OFTEN, "P10: reaction "),
    ],
)
def test_a_planted_fault_is_found_and_named(
    monkeypatch: pytest.MonkeyPatch, plant: Plant, faults: Faults, expected: str
) -> None:
    plant(monkeypatch)

    findings: list[str] = []
    for seed in range(SEEDS):
        findings += run_seed(app, an_evening, seed, faults=faults, traced=False).findings
        if any(expected in one for one in findings):
            return
    pytest.fail(f"nobody says {expected!r}: {findings}")


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    report = simulate(app, an_evening, seeds=SEEDS)

    assert report.seeds == SEEDS
    assert report.faults.total() > 100


def test_what_the_check_of_an_app_yields_is_a_finding() -> None:
    def check(simulation: Simulation) -> Iterator[str]:
        yield f"guest-0 is {simulation.status('guest-0')}"

    with pytest.raises(SimulationFailed, match=r"seed 0 .*\n  ! guest-0 is completed\n"):
        simulate(app, an_evening, seeds=3, faults=Faults.none(), check=check)
