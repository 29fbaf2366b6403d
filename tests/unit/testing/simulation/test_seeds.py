"""A seed reproduces a run exactly."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.unit.testing.simulation.cafe import an_evening, app

from counterpoint.testing.simulation import run_seed

ROOT = Path(__file__).parents[4]
SEEDS = 2
PRINTED = (
    "from tests.unit.testing.simulation.test_seeds import digests; print(*digests(), sep='\\n')"
)


def digests() -> list[str]:
    """Return a digest of everything that happened, for each of some seeds."""
    traces = ("\n".join(run_seed(app, an_evening, seed).trace) for seed in range(SEEDS))
    return [hashlib.sha256(trace.encode()).hexdigest() for trace in traces]


def test_a_seed_gives_the_same_commits_attempts_and_times_again() -> None:
    first, second = (run_seed(app, an_evening, 5).trace for _ in range(2))

    assert first == second
    assert any("commit " in line and "JournalRow" in line for line in first)
    assert any("begins" in line for line in first)


def test_another_process_with_other_hashes_runs_a_seed_alike() -> None:
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    printed = subprocess.check_output(
        [sys.executable, "-c", PRINTED],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": other, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )

    assert printed.splitlines() == digests()


def test_seeds_differ() -> None:
    assert len(set(digests())) == SEEDS
