import io
import json
from datetime import UTC, datetime

import pytest
from rich.table import Table

from counterpoint.cli.failures import CommandError, Exit, exit_code
from counterpoint.cli.output import (
    clean,
    console,
    one_line,
    say,
    say_json,
    shorten,
    show_parts,
    status_text,
    value_words,
)
from counterpoint.errors import (
    CounterpointError,
    ExecutionFailed,
    ExecutionNotFoundError,
    NodeStoppedError,
    StoreBusyError,
)
from counterpoint.model.states import Status


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_would_steer_a_terminal_is_made_visible() -> None:
    assert clean("a\x1b[31mb\x07\tc\n\u202ed") == "a\\x1b[31mb\\x07\tc\n\\u202ed"
    assert one_line("a\nb\n") == "a b"


def test_long_values_are_shortened() -> None:
    assert shorten("abcdef", 4) == "abc…"
    assert value_words({"a": ["ü", None]}, 100) == '{"a": ["ü", null]}'


def test_json_has_iso_times_and_no_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"at": datetime(2026, 1, 2, tzinfo=UTC), "name": "Zoë"})

    written = capsys.readouterr().out
    assert json.loads(written) == {"at": "2026-01-02T00:00:00Z", "name": "Zoë"}
    assert "Zoë" in written


def test_piped_lines_are_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    say("word " * 100)

    assert capsys.readouterr().out.count("\n") == 1


def test_colours_are_for_terminals_and_not_where_no_color_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    written: list[str] = []
    for no_color in (False, True):
        if no_color:
            monkeypatch.setenv("NO_COLOR", "1")
        terminal = Terminal()
        console(terminal).print(status_text(Status.COMPLETED))
        written.append(terminal.getvalue())

    assert written == ["\x1b[32mcompleted\x1b[0m\n", "completed\n"]


def test_tables_have_no_blanks_at_the_ends_of_lines() -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("a")
    table.add_row("1")
    table.add_row("longer")
    file = io.StringIO()

    show_parts(console(file), table)

    assert file.getvalue() == "a\n1\nlonger\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("x"), Exit.USAGE),
        (CommandError("x", Exit.TIMEOUT), Exit.TIMEOUT),
        (ExecutionNotFoundError("x"), Exit.NOT_FOUND),
        (StoreBusyError("x"), Exit.STORE),
        (NodeStoppedError("x"), Exit.STORE),
        (ExecutionFailed("x", "failed", None, ""), Exit.FAILED),
        (CounterpointError("x"), Exit.FAILED),
    ],
)
def test_each_kind_of_error_has_its_exit_code(
    error: CounterpointError | CommandError, code: Exit
) -> None:
    assert exit_code(error) is code
