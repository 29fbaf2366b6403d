"""The table of the mix: it names tests that exist, and every test of its files."""

import re
from pathlib import Path

import pytest
from tests.design.test_table_execution import CELLS, functions_of

FOLDER = Path(__file__).parent
TABLE = FOLDER / "THE_MIX.md"
FILES = sorted(FOLDER.glob("test_mix_*.py"))


def rows() -> list[tuple[str, set[tuple[str, str]]]]:
    """Return each clause with the files and names of its tests."""
    found: list[tuple[str, set[tuple[str, str]]]] = []
    for line in TABLE.read_text().splitlines():
        if line.startswith("| ") and line != "| clause | tests |":
            _, clause, cell, _ = CELLS.split(line)
            parts = [part.strip().partition(": ") for part in cell.split("<br>")]
            names = {(file, one) for file, _, all_ in parts for one in re.findall(r"`(\w+)`", all_)}
            found.append((clause.strip(), names))
    return found


@pytest.mark.parametrize(("clause", "tests"), [pytest.param(*row, id=row[0]) for row in rows()])
def test_a_clause_has_tests_and_each_of_them_exists(
    clause: str, tests: set[tuple[str, str]]
) -> None:
    there = {(file.name, name) for file in FILES for name in functions_of(file)}

    assert tests, clause
    assert tests - there == set()


def test_each_test_of_these_files_is_in_the_table() -> None:
    named = {test for _, tests in rows() for test in tests}
    there = {(file.name, name) for file in FILES for name in functions_of(file)}

    assert there - named == set()
