"""The table of clauses and tests: it names tests that exist, and every test of its files."""

import pytest
from tests.design.clause_tables import FOLDER, NamedTest, defined_in, missing, named_in, rows

TABLE = FOLDER / "EVENTS_AND_REACTIONS.md"
FILES = sorted(FOLDER.glob("test_events_*.py"))


@pytest.mark.parametrize(
    ("clause", "tests"), [pytest.param(*row, id=row[0]) for row in rows(TABLE)]
)
def test_a_clause_has_tests_and_each_of_them_exists(clause: str, tests: list[NamedTest]) -> None:
    assert tests, clause
    assert missing(tests) == []


def test_each_test_of_these_files_is_in_the_table() -> None:
    assert defined_in(FILES) - named_in(TABLE) == set()


def test_the_table_has_every_paragraph() -> None:
    headings = ("Promises", "Contracts", "Reactions", "Subscriptions", "Dead letters")

    assert len(rows(TABLE)) > 40
    assert {f"## {one}" for one in headings} <= set(TABLE.read_text().splitlines())
