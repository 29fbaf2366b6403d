"""What a reset says before it is done: calls that happen again, and signals that are kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.recorded import counterpoint, make_shop

from counterpoint.cli import reset

KEPT = "the signal 'go' is kept and will be read again"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("counterpoint.cli.posting.PATIENCE_SECONDS", 0.01)
    return make_shop(tmp_path, monkeypatch)


def below_the_counts(text: str) -> list[str]:
    lines = text.splitlines()
    return lines[lines.index("  done: 3 calls happen again") :]


def test_a_preview_says_that_a_later_signal_is_read_again(shop: Path) -> None:
    preview = counterpoint("reset", "done", "--to", "1")
    plain: Any = json.loads(counterpoint("reset", "done", "--to", "1", "--json").stdout)

    assert preview.stdout.splitlines()[-1] == KEPT
    assert plain["kept_signals"] == ["go"]


def test_a_signal_that_was_read_before_is_not_told_of(shop: Path) -> None:
    records: Any = json.loads(counterpoint("journal", "done", "--json").stdout.splitlines()[-1])

    preview = counterpoint("reset", "done", "--to", str(records["seq"] - 1))

    assert preview.exit_code == 0
    assert "kept" not in preview.stdout


def test_a_preview_of_many_names_the_calls_and_the_signals(shop: Path) -> None:
    preview = counterpoint("reset", "--to", "1", "--where", "id=done")

    assert below_the_counts(preview.stdout) == [
        "  done: 3 calls happen again",
        "    call 1, orders.book: completed",
        "    call 2, orders.send: completed",
        "    call 3, orders.send: completed",
        f"    {KEPT}",
    ]


def test_a_preview_of_many_names_the_first_calls_of_each(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reset, "CALLS_SHOWN", 2)

    preview = counterpoint("reset", "--to", "1", "--where", "id=done")

    assert below_the_counts(preview.stdout)[1:4] == [
        "    call 1, orders.book: completed",
        "    call 2, orders.send: completed",
        "    and 1 more",
    ]
