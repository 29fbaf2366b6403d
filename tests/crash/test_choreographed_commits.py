"""The choreographed proof in one process: the node dies at commits, on virtual time."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.crash import flow, judge
from tests.crash.evidence import Evidence, Seen
from tests.crash.ledger import Ledger, LifeIsOverError, read_ledger
from tests.crash.people import Person
from tests.crash.plan import Batch, make_plan
from tests.crash.stored import read_events

from counterpoint import CounterpointError
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

LIVES = 4
COMMITS_MAX = 30
LOOKS_MAX = 20
SEEDS = (0, 2, 3, 6)
"""Of plans so long that something dies: what fails depends on ids, which are new each time."""


@dataclass
class Proof:
    """A round in one process: what was published and seen so far."""

    directory: Path
    seed: str
    harness: Harness
    plan: Sequence[Batch]
    acknowledged: dict[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])
    tried: set[int] = field(default_factory=set[int])
    seen: list[Seen] = field(default_factory=list[Seen])

    async def publish(self, batch: Batch) -> None:
        """Publish a batch, unless it was tried and has no id under which to try it again."""
        if batch.number in self.tried and batch.id is None:
            return
        self.tried.add(batch.number)
        self.acknowledged[batch.number] = await self.harness.app.publish(*batch.events, id=batch.id)

    async def live(self, batches: Sequence[Batch]) -> int:
        """Publish batches at once, and look after dead letters; return how many there were."""
        app = self.harness.app
        done = await asyncio.gather(*map(self.publish, batches), return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException) and not isinstance(error, CounterpointError):
                raise error
        await self.harness.idle()
        person = Person(app.node.store, app.codec, flow.ledger(), app.node.post)
        return await person.look_after_letters()

    def evidence(self) -> Evidence:
        """Read the files."""
        stored, lines = read_events(self.directory), read_ledger(self.directory)
        return Evidence(stored, lines, self.plan, self.acknowledged, self.tried, self.seed)

    async def begin_again(self) -> None:
        """Look at the files, and start the node again."""
        flow.close_ledger()
        evidence = self.evidence()
        assert list(judge.check_restart(evidence, self.seen)) == []
        self.seen.append(Seen.of(evidence))
        self.harness.store.heal()
        flow.open_ledger(self.directory, self.seed)
        await self.harness.restart()


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_promise_holds_when_the_node_dies_at_commits(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "HANG_SECONDS", 0.0001)  # real time, which virtual time waits for
    dice = random.Random(seed)
    app = flow.make_app(tmp_path, str(seed))
    store = SqliteStore(str(tmp_path / flow.STORE))
    async with Harness(app, store=store, rehearse=False) as harness:
        proof = Proof(tmp_path, str(seed), harness, make_plan(dice))
        share = len(proof.plan) // LIVES + 1
        for life in range(LIVES):
            when: When = dice.choice(("before", "after"))
            harness.crash_at_commit(dice.randint(1, COMMITS_MAX), when=when)
            with suppress(CounterpointError):
                await proof.live(proof.plan[life * share : (life + 1) * share])
                await harness.idle()
            await proof.begin_again()

        for _ in range(LOOKS_MAX):
            if not await proof.live(proof.plan):
                break
        await harness.stop()
        evidence = proof.evidence()

    assert list(judge.check_end(evidence, proof.seen)) == []
    assert judge.figures(evidence)["dead letters redriven"]
    assert len(evidence.stored.executions) > len(proof.plan) / 4


def test_what_goes_on_in_a_thread_of_a_dead_node_does_nothing_any_more(tmp_path: Path) -> None:
    dead = Ledger(tmp_path, "0")
    assert dead.reserve("key", "shoes", "o1", 1, stock=1)

    dead.close()
    with pytest.raises(LifeIsOverError):
        dead.reserve("another key", "shoes", "o2", 1, stock=2)

    again = Ledger(tmp_path, "0")
    assert [line["order"] for line in again.effects.values()] == ["o1"]
