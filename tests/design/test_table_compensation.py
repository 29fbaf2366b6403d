"""The table of clauses and tests: it names tests that exist, and every test of its files."""

from itertools import chain

import pytest
from tests.design.clause_tables import FOLDER, NamedTest, defined_in, named_in, rows

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
ELSEWHERE = {("test_mix_waits_acts.py", "test_continue_as_new_takes_the_positions_along")}
"""What the files of another table test."""


@pytest.mark.parametrize(
    ("clause", "tests"), [pytest.param(*row, id=row[0]) for row in rows(TABLE)]
)
def test_clause_of_the_table_has_tests_and_each_of_them_exists(
    clause: str, tests: list[NamedTest]
) -> None:
    there = defined_in(FILES) | (ELSEWHERE & defined_in(FOLDER.glob("test_mix_*.py")))

    assert tests, clause
    assert set(tests) - there == set()


def test_each_test_of_these_files_is_in_the_table() -> None:
    assert defined_in(FILES) - named_in(TABLE) == set()


def test_the_table_has_both_paragraphs() -> None:
    headings = {line for line in TABLE.read_text().splitlines() if line.startswith("## ")}

    assert headings == {"## Compensation", "## Children, pivot, deadline, cancel"}
    assert len(rows(TABLE)) > 60
