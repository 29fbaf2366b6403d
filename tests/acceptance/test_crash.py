"""The crash proof, a few rounds of it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ROUNDS = 3  # the first kill of each is in another phase


def test_every_promise_holds_in_a_few_rounds_of_crashes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.run", "--rounds", str(ROUNDS), "--seed", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise held" in done.stdout
