"""What an activity, compensation or reaction writes in a transaction, and the step, or neither."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.design.services_transactions import (
    Declined,
    Plan,
    bank,
    entries,
    hang,
    open_books,
    work,
)

from counterpoint import (
    ExecutionFailed,
    Service,
    Transaction,
)
from counterpoint.model import records as r
from counterpoint.runtime import acts
from counterpoint.runtime.resident import Resident
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing import Harness

BOUGHT = ["charge o 5", "charge o 7"]


@asynccontextmanager
async def opened(path: Path, plan: Plan | None = None, **options: Any) -> AsyncIterator[Harness]:
    """Open a bank whose books are in the store's file."""
    store = SqliteStore(path, **options)
    async with Harness(services=bank(plan or Plan()), store=store) as harness:
        open_books(path)
        yield harness


def at(harness: Harness, name: str) -> Any:
    return work(harness.app, name)


async def published(harness: Harness) -> list[int]:
    return sorted(event.cents for event in await harness.published(at(harness, "Paid")))


def terminate(node: Any, now: int, resident: Resident) -> None:
    """End an execution in a turn, as a letter does."""
    acts.terminate(resident.execution, r.TerminateRequested(now, "", ""))
    node.committer.touch(resident)


# ---- what fails leaves nothing --------------------------------------------------------------


async def test_an_attempt_that_fails_leaves_nothing_and_the_next_one_writes(tmp_path: Path) -> None:
    plan, path = Plan(), tmp_path / "bank.db"
    plan.next("charge o 5", ValueError("once"), Declined(reason="no money"))
    async with opened(path, plan) as harness:
        execution = await harness.start(at(harness, "buy_or_leave"), "o", id="it")
        assert entries(path) == []
        await harness.advance(seconds=1)

        with pytest.raises(ExecutionFailed):
            await harness.result(execution)
        assert plan.began.count("charge o 5") == 2
        assert entries(path) == []
        assert await published(harness) == []


async def test_a_reaction_that_fails_leaves_nothing_and_the_next_attempt_writes(
    tmp_path: Path,
) -> None:
    plan, path = Plan(), tmp_path / "bank.db"
    plan.next("take o", ValueError("once"))
    async with opened(path, plan) as harness:
        await harness.publish(at(harness, "Ordered")(order_id="o"))
        assert entries(path) == []
        await harness.idle()

        assert plan.began == ["take o", "take o"]
        assert entries(path) == ["take o"]
        assert await published(harness) == [3]


async def test_an_outcome_that_nobody_waits_for_any_more_is_not_written(tmp_path: Path) -> None:
    plan, path = Plan(), tmp_path / "bank.db"
    async with opened(path, plan) as harness:

        async def end(_: Any) -> None:
            harness.app.node.push(terminate, harness.app.node.residents["it"])

        plan.next("charge o 5", end)
        execution = await harness.start(at(harness, "buy_or_leave"), "o", id="it")
        await harness.idle()

        assert (await execution.describe()).status == "terminated"
        assert plan.began == ["charge o 5"]
        assert entries(path) == []


async def test_a_result_that_cannot_be_recorded_is_not_written(tmp_path: Path) -> None:
    service, path = Service("bank"), tmp_path / "bank.db"

    @service.activity
    async def lie(tx: Transaction) -> int:
        await tx.execute("INSERT INTO books VALUES ('lie', 1)")
        value: Any = "many"
        return value  # type: ignore[no-any-return]

    @service.workflow
    async def run() -> int:
        return await lie()

    async with Harness(services=[service], store=SqliteStore(path)) as harness:
        open_books(path)
        with pytest.raises(ExecutionFailed, match="lie returned 'many'"):
            await harness.run(run)

        assert entries(path) == []


async def test_a_deferred_constraint_that_is_broken_fails_the_attempt_and_not_the_commit(
    tmp_path: Path,
) -> None:
    plan, path = Plan(), tmp_path / "bank.db"

    async def refer(tx: Any) -> None:
        await tx.execute("INSERT INTO lines VALUES (1)")

    plan.next("charge o 5", refer)
    async with opened(path, plan) as harness:
        open_books(
            path,
            "CREATE TABLE heads (id INTEGER PRIMARY KEY)",
            "CREATE TABLE lines (head INTEGER REFERENCES heads DEFERRABLE INITIALLY DEFERRED)",
        )
        execution = await harness.start(at(harness, "buy"), "o", id="it")
        (failed,) = (await execution.describe()).calls[1].failed_attempts
        assert "a row of lines refers to a row of heads" in str(failed.error)

        assert await harness.result(execution) == 12
        assert entries(path) == BOUGHT


# ---- one writer -----------------------------------------------------------------------------


async def test_transactions_of_one_execution_follow_one_another_while_others_wait_for_their_turn(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bank.db"
    async with opened(path) as harness:
        executions = [
            await harness.app.start(at(harness, "buy"), f"o{n}", id=f"it{n}") for n in range(20)
        ]
        results = [await harness.result(one) for one in executions]

        assert results == [12] * 20
        assert len(entries(path)) == len(set(entries(path))) == 40
        for one in executions:
            assert [entry.type for entry in await one.journal()].count("completed") == 5


async def test_nothing_is_committed_while_a_transaction_is_open_and_all_of_it_after(
    tmp_path: Path,
) -> None:
    plan, path = Plan(), tmp_path / "bank.db"
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def pause(_: Any) -> None:
        inside.set()
        await go_on.wait()

    plan.next("charge o 5", pause)
    async with opened(path, plan, transaction_timeout=timedelta(hours=1)) as harness:
        bought = await harness.app.start(at(harness, "buy"), "o", id="it")
        await inside.wait()
        before = harness.store.commits
        other = asyncio.ensure_future(harness.app.start(at(harness, "wait"), "!", id="other"))
        await asyncio.wait([other], timeout=0.02)
        assert not other.done()
        assert harness.store.commits == before
        go_on.set()

        await other
        assert await harness.result(bought) == 12
        assert entries(path) == BOUGHT


async def test_a_stop_lets_a_transaction_end_and_commits_it(tmp_path: Path) -> None:
    plan, path = Plan(), tmp_path / "bank.db"

    async def stop(_: Any) -> None:
        stopping.append(asyncio.ensure_future(harness.app.stop(timedelta(seconds=30))))
        asked.set()
        await asyncio.sleep(0)

    asked = asyncio.Event()
    stopping: list[asyncio.Future[None]] = []
    plan.next("charge o 5", stop)
    async with opened(path, plan) as harness:
        execution = await harness.app.start(at(harness, "buy_or_leave"), "o", id="it")
        await asked.wait()
        await stopping[0]
        assert entries(path) == ["charge o 5"]
        await harness.restart()

        assert await harness.result(harness.execution(execution.id)) == "paid"
        assert plan.began == ["charge o 5"]


# ---- its bounds -----------------------------------------------------------------------------


async def test_a_transaction_that_is_open_for_too_long_fails_its_attempt_and_blocks_nobody(
    tmp_path: Path,
) -> None:
    plan, path = Plan(), tmp_path / "bank.db"
    plan.next("charge o 5", hang)
    async with opened(path, plan, transaction_timeout=timedelta(milliseconds=5)) as harness:
        bought = await harness.app.start(at(harness, "buy"), "o", id="it")
        await harness.app.start(at(harness, "wait"), "!", id="other")
        assert await harness.result(bought) == 12
        failed = (await bought.describe()).calls[1].failed_attempts
        assert "open for longer than 0.005 s" in str(failed[0].error)
        assert entries(path) == BOUGHT
