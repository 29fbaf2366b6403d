"""Every example is a program that runs here, and prints what it says at its end."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
LINES_MAX = 80
MARK = "\n# Output:\n"


def expected(example: Path) -> list[str]:
    """Return the lines that an example says it prints."""
    _, mark, output = example.read_text().partition(MARK)
    assert mark, f"{example.name} does not end with its output"
    return [line.removeprefix("#").removeprefix(" ") for line in output.splitlines()]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_prints_what_it_says(example: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", example],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )

    assert "Traceback" not in done.stderr  # where there may be the log of attempts that failed
    assert done.stdout.splitlines() == expected(example)
    assert done.returncode == 0


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short(example: Path) -> None:
    assert len(example.read_text().splitlines()) <= LINES_MAX


def test_examples_are_numbered_without_gaps() -> None:
    assert [int(path.stem[:2]) for path in EXAMPLES] == list(range(1, len(EXAMPLES) + 1))


@pytest.mark.timeout(120)  # the first run has no cache
def test_examples_have_right_types() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--scripts-are-modules", *EXAMPLES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
