"""The crash proof, a few rounds of it."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parent.parent.parent
ROUNDS = 3  # the first kill of each is in another phase


@pytest.mark.parametrize("style", ["orchestrated", "choreographed"])
def test_every_promise_holds_in_a_few_rounds_of_crashes(style: str) -> None:
    rounds = ["--style", style, "--rounds", str(ROUNDS), "--seed", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.run", *rounds],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise held" in done.stdout
