"""The proof with several nodes: one small round, with a planted defect and no other."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.timeout(300), pytest.mark.postgres]
ROOT = Path(__file__).parent.parent.parent
PLANTED = ("recorded 2 times", "wrote a journal", "its files are in")
"""What a step that is recorded twice leads to: nobody who has a name has written it."""


def test_a_step_that_is_recorded_twice_is_all_that_is_found_in_a_round_of_three_nodes() -> None:
    work = ["--rounds", "1", "--orders", "10", "--form", "orchestrated", "--layout", "own"]
    command = [sys.executable, "-m", "tests.nodes.run", "--seed", "2", *work]

    done = subprocess.run(
        [*command, "--trouble", "none", "--plant", "recorded-twice"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert done.returncode == 1, done.stdout + done.stderr
    told = " ".join(done.stdout.split()).split("round 0 of seed 2: ")[2:]
    assert "recorded 2 times" in done.stdout
    assert all(any(words in line for words in PLANTED) for line in told), told
