"""The judge of random sagas: the one that ships, and what only those who wrote the case know."""

from collections import Counter

from tests.simulation.services import app
from tests.simulation.world import World

from counterpoint.model.rows import ExecutionRow
from counterpoint.testing.simulation.judge import (
    Executions,
    Run,
    covered,
    in_words,
    read,
    taken_over,
)
from counterpoint.testing.simulation.ledger import LedgerStore

__all__ = ["Run", "in_words", "judge", "newest_rows", "read", "rows"]


def rows(ledger: LedgerStore) -> list[ExecutionRow]:
    """Return every run of every execution, oldest first."""
    return ledger.rows()


def newest_rows(ledger: LedgerStore) -> list[ExecutionRow]:
    """Return the newest run of every execution."""
    return ledger.newest_rows()


def judge(
    world: World, ledger: LedgerStore, counts: Counter[str], *, over: bool = False
) -> list[str]:
    """Return what is wrong; *over*: everything that people can do has been done, too."""
    executions = Executions(ledger, app.registry, world)
    found = [*ledger.findings, *executions.judge()]
    if over:
        found += (
            f"{run.name}: it has not ended: {run.known.waits_for}" for run in executions.alive()
        )
    for act, execution_id in world.accepted:
        live = executions.newest[execution_id].known.status.live
        if live and not taken_over(act, execution_id, executions.runs):
            found.append(f"{execution_id}: a {act} was acknowledged, and nothing says so")
    status = executions.newest["r"].known.status
    if over:
        counts[f"root at last: {status}"] += 1
    else:
        counts[f"root at first: {status}"] += 1
        counts.update({f"cases with {what}": 1 for what in covered(executions.runs)})
        counts["executions (runs of them)"] += len(executions.runs)
    return found
