"""The table of clauses and tests: it names tests that exist, and every test of its files."""

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
TABLE = FOLDER / "EVENTS_AND_REACTIONS.md"
FILES = sorted(FOLDER.glob("test_events_*.py"))
CELLS = re.compile(r"(?<!\\)\|")


def rows() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each clause with the files and names of its tests."""
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for line in TABLE.read_text().splitlines():
        if line.startswith("| ") and line != "| clause | tests |":
            _, clause, cell, _ = CELLS.split(line)
            tests: list[tuple[str, str]] = []
            for part in cell.split("<br>"):
                file, _, names = part.strip().partition(": ")
                tests += [(file, name) for name in re.findall(r"`(\w+)`", names)]
            found.append((clause.strip(), tests))
    return found


def functions_of(file: Path) -> set[str]:
    """Return the names of the test functions of a file."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    body = ast.parse(file.read_text()).body
    return {f.name for f in body if isinstance(f, functions) and f.name.startswith("test_")}


@pytest.mark.parametrize(("clause", "tests"), [pytest.param(*row, id=row[0]) for row in rows()])
def test_a_clause_has_tests_and_each_of_them_exists(
    clause: str, tests: list[tuple[str, str]]
) -> None:
    missing = [
        f"{file}::{name}"
        for file, name in tests
        if not (FOLDER / file).is_file() or name not in functions_of(FOLDER / file)
    ]

    assert tests, clause
    assert missing == []


def test_each_test_of_these_files_is_in_the_table() -> None:
    named = {test for _, tests in rows() for test in tests}
    there = {(file.name, name) for file in FILES for name in functions_of(file)}

    assert there - named == set()


def test_the_table_has_every_paragraph() -> None:
    headings = ("Promises", "Contracts", "Reactions", "Subscriptions", "Dead letters")

    assert len(rows()) > 40
    assert {f"## {one}" for one in headings} <= set(TABLE.read_text().splitlines())
