"""The rehearsal of a bad deployment, a small one."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROOT = Path(__file__).parent.parent.parent


def test_a_bad_deployment_damages_nothing_and_a_fixed_one_goes_on() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.deployment.run", "--sagas", "12", "--unknown", "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=290,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "all of it held" in done.stdout
