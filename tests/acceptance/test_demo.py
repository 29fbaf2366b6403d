"""The demo as its user runs it: a real node that is killed in the middle."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "shop"


@pytest.fixture(scope="module")
def demo(shop: Path) -> "subprocess.CompletedProcess[str]":
    return run("examples.shop.demo", "--orders", "60", "--keep", str(shop))


def test_demo_survives_the_kill_and_its_books_balance(
    demo: "subprocess.CompletedProcess[str]",
) -> None:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "(SIGKILL)" in demo.stdout
    assert "all 60 orders have ended" in demo.stdout
    assert "The books of the three services balance" in demo.stdout
    assert "No recorded step was repeated." in demo.stdout
    assert demo.stderr == ""


def test_demo_is_readable_without_a_terminal(demo: "subprocess.CompletedProcess[str]") -> None:
    assert "\x1b" not in demo.stdout
    assert "\r" not in demo.stdout
    assert len(demo.stdout.splitlines()) < 90


def test_books_of_the_demo_can_be_checked_again(
    demo: "subprocess.CompletedProcess[str]", shop: Path
) -> None:
    again = run("examples.shop.books", str(shop))

    assert again.returncode == 0, demo.stdout + again.stdout
    assert again.stdout.splitlines()[-1] == "the books balance"


def test_demo_leaves_the_files_of_others_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")

    refused = run("examples.shop.demo", "--keep", str(tmp_path))

    assert refused.returncode == 2
    assert "is not empty" in refused.stderr
