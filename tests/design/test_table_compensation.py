"""The table of clauses and tests: it names tests that exist, and every test of its files."""

import ast
import functools
from itertools import chain
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
TABLE = FOLDER / "COMPENSATION_AND_CHILDREN.md"
PATTERNS = (
    "test_compensation*.py",
    "test_children*.py",
    "test_pivot*.py",
    "test_deadline_and_cancel.py",
    "test_continue_as_new*.py",
    "test_terminate_and_left.py",
)
FILES = sorted(chain.from_iterable(FOLDER.glob(pattern) for pattern in PATTERNS))
NOT_YET = {"and event positions go with it;"}
"""Clauses about what does not exist yet."""
NamedTest = tuple[str, str]


def rows() -> list[tuple[str, list[NamedTest]]]:
    """Return each clause with the files and names of its tests."""
    found: list[tuple[str, list[NamedTest]]] = []
    for line in TABLE.read_text().splitlines():
        if line.startswith("| ") and line != "| clause | tests |":
            clause, cell = line.removeprefix("| ").removesuffix(" |").rsplit(" | ", 1)
            found.append((clause, list(named_in(cell)) if clause not in NOT_YET else []))
    return found


def named_in(cell: str) -> list[NamedTest]:
    """Return what a cell names: the tests, in backticks, behind each file."""
    found: list[NamedTest] = []
    for part in cell.split("<br>"):
        file, _, names = part.partition(": ")
        found += [(file, name.strip("`")) for name in names.split(", ")]
    return found


@functools.cache
def there() -> set[NamedTest]:
    """Return the tests that exist in these files."""
    return {(file.name, name) for file in FILES for name in defined_in(file)}


def defined_in(file: Path) -> set[str]:
    """Return the names of the test functions of a file."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    body = ast.parse(file.read_text()).body
    return {f.name for f in body if isinstance(f, functions) and f.name.startswith("test_")}


@pytest.mark.parametrize(("clause", "tests"), [pytest.param(*row, id=row[0]) for row in rows()])
def test_clause_of_the_table_has_tests_and_each_of_them_exists(
    clause: str, tests: list[NamedTest]
) -> None:
    assert bool(tests) == (clause not in NOT_YET)
    assert set(tests) - there() == set()


def test_each_test_of_these_files_is_in_the_table() -> None:
    named = {test for _, tests in rows() for test in tests}

    assert there() - named == set()


def test_the_table_has_both_paragraphs() -> None:
    headings = {line for line in TABLE.read_text().splitlines() if line.startswith("## ")}

    assert headings == {"## Compensation", "## Children, pivot, deadline, cancel"}
    assert len(rows()) > 60
