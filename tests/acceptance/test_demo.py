"""The demo as its user runs it: real nodes that are killed in the middle."""

import subprocess
import sys
from pathlib import Path

import pytest
from examples.shop.forms import FORMS

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parent.parent.parent
ORDERS = 40


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "shop"


@pytest.fixture(scope="module")
def demo(shop: Path) -> "subprocess.CompletedProcess[str]":
    return run("examples.shop.demo", "--orders", f"{ORDERS}", "--keep", str(shop))


def test_demo_survives_a_kill_in_each_form_and_its_books_balance(
    demo: "subprocess.CompletedProcess[str]",
) -> None:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stdout.count("(SIGKILL)") == len(FORMS)
    assert demo.stdout.count(f"all {ORDERS} orders have ended") == len(FORMS)
    assert "Every order ended alike, orchestrated, choreographed and mixed." in demo.stdout
    assert "All books balance, and no recorded step was repeated" in demo.stdout
    assert demo.stderr == ""


def test_demo_shows_what_led_to_what_in_each_form(
    demo: "subprocess.CompletedProcess[str]",
) -> None:
    assert "payments.void" in demo.stdout
    assert "payments.refund ✓ completed" in demo.stdout
    assert "shipping.send_parcel ✓ completed" in demo.stdout


def test_demo_draws_a_flow_of_each_form(
    demo: "subprocess.CompletedProcess[str]", shop: Path
) -> None:
    assert str(shop / "diagrams") in demo.stdout
    for form in FORMS:
        assert (shop / "diagrams" / f"{form.name}.puml").read_text().startswith("@startuml")
        assert (shop / "diagrams" / f"{form.name}.mmd").read_text().startswith("sequenceDiagram")


def test_demo_is_readable_without_a_terminal(demo: "subprocess.CompletedProcess[str]") -> None:
    assert "\x1b" not in demo.stdout
    assert "\r" not in demo.stdout
    assert len(demo.stdout.splitlines()) < 120


@pytest.mark.parametrize("form", [form.name for form in FORMS])
def test_books_of_the_demo_can_be_checked_again(
    demo: "subprocess.CompletedProcess[str]", shop: Path, form: str
) -> None:
    again = run("examples.shop.books", str(shop / form))

    assert again.returncode == 0, demo.stdout + again.stdout
    assert again.stdout.splitlines()[-1] == "the books balance"


def test_demo_leaves_the_files_of_others_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")

    refused = run("examples.shop.demo", "--keep", str(tmp_path))

    assert refused.returncode == 2
    assert "is not empty" in refused.stderr
