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
        timeout=60,
        check=False,
    )

    assert "Traceback" not in done.stderr  # where there may be the log of attempts that failed
    assert done.stdout.splitlines() == expected(example)
    assert done.returncode == 0


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short(example: Path) -> None:
    assert len(example.read_text().splitlines()) <= LINES_MAX


@pytest.mark.slow
def test_trip_demo_shows_each_ending_and_its_books_balance(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "examples.trip.demo",
            "--keep",
            str(tmp_path / "trip"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert [done.stdout.count(f"  {end}") for end in ("COMPLETED", "COMPENSATED:")] == [3, 3]
    assert done.stdout.count("CANCELLED: the customer called") == 1
    assert "INCIDENT (past-pivot)" in done.stdout
    assert "INCIDENT (unknown-outcome)" in done.stdout
    assert "balance: each trip is kept as a whole, or undone as a whole" in done.stdout
    assert "\x1b" not in done.stdout


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
