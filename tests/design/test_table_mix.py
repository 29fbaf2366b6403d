"""The table of the mix: it names tests that exist, and every test of its files."""

import pytest
from tests.design.clause_tables import FOLDER, NamedTest, defined_in, named_in, rows

TABLE = FOLDER / "THE_MIX.md"
FILES = sorted(FOLDER.glob("test_mix_*.py"))


@pytest.mark.parametrize(
    ("clause", "tests"), [pytest.param(*row, id=row[0]) for row in rows(TABLE)]
)
def test_a_clause_has_tests_and_each_of_them_exists(clause: str, tests: list[NamedTest]) -> None:
    assert tests, clause
    assert set(tests) - defined_in(FILES) == set()


def test_each_test_of_these_files_is_in_the_table() -> None:
    assert defined_in(FILES) - named_in(TABLE) == set()
