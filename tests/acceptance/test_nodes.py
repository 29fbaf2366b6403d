"""The proof with several nodes, two small rounds of it, and one with a planted defect."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.timeout(300), pytest.mark.postgres]
ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.nodes.run", "--seed", "2", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_every_promise_holds_while_a_node_of_several_stands_still_or_dies() -> None:
    rounds = ["--rounds", "2", "--orders", "120", "--rate", "60", "--lease", "1"]

    done = run(*rounds, "--layout", "pairs", "--trouble", "nodes")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise held" in done.stdout


def test_a_step_that_is_recorded_twice_is_found() -> None:
    planted = ["--plant", "recorded-twice", "--trouble", "none", "--form", "orchestrated"]

    done = run("--rounds", "1", "--orders", "10", "--layout", "own", *planted)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "is recorded 2 times" in done.stdout
