"""How far a long command is: a bar on a terminal, lines elsewhere, nothing between results."""

import io
import sys

import pytest
from rich.console import Console

from counterpoint.cli import counting


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What is written to stderr, which is a terminal."""
    file = Terminal()
    console = Console(file=file, force_terminal=True, width=80)
    monkeypatch.setattr(counting, "err", lambda: console)
    return file


def test_a_terminal_gets_a_bar(terminal: Terminal) -> None:
    with counting.counting(2) as advance:
        advance()
        advance()

    assert "2/2" in terminal.getvalue()


def test_a_terminal_that_gets_the_results_gets_no_bar(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())

    with counting.counting(2, bar=False) as advance:
        advance()

    assert terminal.getvalue() == ""


def test_a_bar_is_shown_while_results_go_elsewhere(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    with counting.counting(1, bar=False) as advance:
        advance()

    assert "1/1" in terminal.getvalue()


def test_what_is_piped_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(counting, "LINE_EVERY", 2)

    with counting.counting(5) as advance:
        for _ in range(5):
            advance()

    assert capsys.readouterr().err == "2 of 5\n4 of 5\n"
