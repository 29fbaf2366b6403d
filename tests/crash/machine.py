"""Rounds in which the machine fails, not only the process: both styles, under every trouble."""

from collections import Counter
from pathlib import Path

from tests.crash.choreographed import ChoreographedRound
from tests.crash.disk import is_loaded
from tests.crash.orchestrated import OrchestratedRound
from tests.crash.rounds import Result, Round, Trouble
from tests.crash.troubles import (
    CommitPauses,
    CutLogs,
    FullDisks,
    Pauses,
    PowerCuts,
    SyncErrors,
)

STYLE = "machine"
TROUBLES: tuple[type[Trouble], ...] = (CommitPauses, FullDisks, SyncErrors, PowerCuts, CutLogs)
WITHOUT_SHIM: tuple[type[Trouble], ...] = (Pauses, CutLogs)
SHOWN = (
    "pauses",
    "pauses within a commit",
    "second nodes refused",
    "disks full",
    "writes that found no room",
    "nodes that did not start",
    "syncs that failed",
    "nodes that stayed down",
    "nodes killed at such a sync",
    "power cuts",
    "writes not synced at a cut",
    "  of these lost or torn",
    "logs cut",
    "commits in them",
    "  of these lost",
    "acknowledged starts lost with the log",
    "rules of the books broken by what was lost",
    "acknowledged starts, all ended",
    "batches acknowledged",
)


def run_round(seed: int, number: int, template: Path, *, kept: bool) -> Result:
    """Run one round; its number says which trouble it has, and in which style."""
    troubles = TROUBLES if is_loaded() else WITHOUT_SHIM
    trouble = troubles[number % len(troubles)]
    chosen: Round
    # A log that was cut has lost acknowledged work: only an orchestrated round can tell how much.
    if trouble.loses or number // len(troubles) % 2 == 0:
        chosen = OrchestratedRound(seed, number, template, trouble, kept=kept)
    else:
        chosen = ChoreographedRound(seed, number, trouble, kept=kept)
    result = chosen.run()
    counted = Counter({f"rounds with {one.name}": 0 for one in troubles})
    counted[f"rounds with {trouble.name}"] = 1
    counted.update({name: result.figures[name] for name in SHOWN})
    return Result(1, counted, result.violations)
