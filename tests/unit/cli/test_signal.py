"""`counterpoint signal`: a name that nobody waits for may be misspelt."""

from pathlib import Path

import pytest
from tests.unit.cli.recorded import counterpoint, make_shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("counterpoint.cli.posting.PATIENCE_SECONDS", 0.01)
    return make_shop(tmp_path, monkeypatch)


def test_a_name_that_it_does_not_wait_for_is_sent_with_a_hint(shop: Path) -> None:
    result = counterpoint("signal", "waiting", "og")
    shown = counterpoint("show", "waiting")

    assert (result.exit_code, result.stdout) == (0, "waiting: the signal 'og' is sent\n")
    assert "waiting waits for 'go', not 'og'; it is kept until it is read\n" in result.stderr
    assert "a node to take a signal 'og'" in shown.stdout


def test_a_name_that_it_waits_for_has_no_hint(shop: Path) -> None:
    result = counterpoint("signal", "waiting", "go")

    assert result.exit_code == 0
    assert "waits for" not in result.stderr


def test_json_stays_alone_on_stdout(shop: Path) -> None:
    result = counterpoint("signal", "waiting", "og", "--json")

    assert result.stdout == '{"id": "waiting", "taken": false}\n'
    assert "waits for 'go', not 'og'" in result.stderr
