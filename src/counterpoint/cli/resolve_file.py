"""Answers in a file: CSV with a header, or JSON Lines; one for each call that waits for a person.

The columns (or keys) are `id`, `call`, `outcome`, `result`, `error`, `facts` and `reason`. `id` is
always needed, and `call` unless the command line names the call of all: the answer to one call
must never reach another. `outcome` is `done` or `not-done`; with `result` or `error` it may be left
out. The whole file is read before the first answer is sent: one wrong line stops all of it.
"""

import csv
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from counterpoint.cli.arguments import read_value
from counterpoint.cli.failures import CommandError
from counterpoint.cli.resolve_answer import Answer, Outcome, read_facts

COLUMNS = ("id", "call", "outcome", "result", "error", "facts", "reason")
LINES_MAX = 100_000
_WRITE = f"write the columns {', '.join(COLUMNS)}; id is needed, and call unless --call-of names it"


@dataclass(frozen=True, slots=True)
class Line:
    """One answer of a file."""

    number: int
    """Where it stands, from 1."""
    id: str
    call: int | str | None
    """Its number, or the recorded name of its activity; None where the command line has it."""
    answer: Answer | None
    """None where the line has none: the one of the command line counts."""
    reason: str | None


def read_lines(path: str, *, needs_call: bool = True) -> list[Line]:
    """Return the answers of a file, or of stdin for `-`.

    Raises:
        CommandError: it cannot be read, or does not name a call that is needed; names the line.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CommandError(f"--from {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise CommandError(f"--from {path}: it is not UTF-8") from None
    rows = _json_rows(text) if text.lstrip().startswith("{") else _csv_rows(text)
    lines: list[Line] = []
    places: dict[tuple[str, int | str | None], int] = {}
    for number, row in rows:
        line = _line(number, row)
        if needs_call and line.call is None:
            raise CommandError(
                f"line {number} names no call of {line.id}: write its number, or the name of its "
                "activity, into the column call, or pass --call-of ACTIVITY for all lines"
            )
        first = places.setdefault((line.id, line.call), number)
        if first != number:
            raise CommandError(f"line {number}: {line.id} is answered in line {first} already")
        lines.append(line)
        if len(lines) > LINES_MAX:
            raise CommandError(f"--from {path} has more than {LINES_MAX:,} answers: split it")
    return lines


def _json_rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise CommandError(f"line {number} is no JSON object: {error}") from None
        _check_columns(number, set(row))
        facts = row.get("facts")
        if facts is not None and not isinstance(facts, dict):
            raise CommandError(f"line {number}: facts are a JSON object")
        if row.get("result") is None:
            row.pop("result", None)
        yield number, row


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True, skipinitialspace=True)
    try:
        _check_columns(1, set(reader.fieldnames or ()))
        for cells in reader:
            number = reader.line_num
            if None in cells or any(cell is None for cell in cells.values()):
                raise CommandError(f"line {number} has more or fewer cells than the header")
            row: dict[str, Any] = {name: cell for name, cell in cells.items() if cell.strip()}
            if "result" in row:
                raw = read_value(row["result"], f"line {number}: the result")
                row |= {"text": row["result"], "result": msgspec.json.decode(raw)}
            if "facts" in row:
                row["facts"] = read_facts(row["facts"], f"line {number}: facts")
            if row:
                yield number, row
    except csv.Error as error:
        raise CommandError(f"line {reader.line_num} is not CSV: {error}") from None


def _check_columns(number: int, names: set[str]) -> None:
    unknown = sorted(str(name) for name in names if name not in COLUMNS)
    if unknown:
        raise CommandError(f"line {number}: there is no column {', '.join(unknown)}: {_WRITE}")
    if "id" not in names:
        raise CommandError(f"line {number} has no id: {_WRITE}")


def _line(number: int, row: dict[str, Any]) -> Line:
    call = row.get("call")
    if isinstance(call, str):
        call = call.strip()
        call = int(call) if call.isdecimal() else call or None
    elif isinstance(call, bool) or not isinstance(call, int | None):
        raise CommandError(f"line {number}: call is a number, or the name of an activity")
    for name in ("id", "outcome", "error", "reason"):
        if not isinstance(row.get(name, ""), str):
            raise CommandError(f"line {number}: {name} is text")
    if not row.get("id"):
        raise CommandError(f"line {number} has no id: {_WRITE}")
    return Line(number, row["id"].strip(), call, _answer(number, row), row.get("reason"))


def _answer(number: int, row: dict[str, Any]) -> Answer | None:
    word = row.get("outcome", "").strip()
    given = [name for name in ("result", "error") if name in row]
    if word in (Outcome.DONE, Outcome.NOT_DONE):
        if given:
            raise CommandError(f"line {number}: {word} has no {given[0]}")
        return Answer(Outcome(word))
    if word and word not in given and not (word == Outcome.RESULT and not given):
        raise CommandError(
            f"line {number}: outcome {word!r}: write done or not-done, or fill result or error"
        )
    if len(given) > 1:
        raise CommandError(f"line {number}: it has a result and an error")
    if "facts" in row and given != ["error"]:
        raise CommandError(f"line {number}: facts belong to an error")
    if given == ["error"]:
        return Answer(Outcome.ERROR, error=row["error"], facts=row.get("facts"))
    if given or word:
        return Answer(Outcome.RESULT, row.get("result"), row.get("text"))
    return None
