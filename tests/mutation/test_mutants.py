"""The mutants fit today's code: who moves what one of them changes moves the mutant, too."""

import re
from pathlib import Path

import pytest
from tests.mutation.catalog import MUTANTS
from tests.mutation.mutant import PACKAGE, ROOT, Mutant
from tests.mutation.workspace import CannotRunError, Workspace

LINES_MAX = 4
SUITES = "".join(path.read_text() for path in (PACKAGE / "testing/conformance").glob("*.py"))
"""What the classes in `tests/conformance` inherit."""
MUTANTS_MIN = 25


def wrong_with(mutant: Mutant) -> str | None:
    """Return why a mutant cannot be tried, or None."""
    try:
        mutant.apply(PACKAGE)
    except LookupError as error:
        return str(error)
    if mutant.old.count("\n") > LINES_MAX:
        return f"{mutant.name}: a shorter text moves less often"
    if not mutant.why.endswith("."):
        return f"{mutant.name}: say in a sentence what would happen"
    return None if mutant.tests else f"{mutant.name}: name the tests that are expected to notice"


def test_what_each_mutant_changes_stands_once_in_the_engine() -> None:
    assert [wrong for mutant in MUTANTS if (wrong := wrong_with(mutant))] == []


def test_the_tests_that_mutants_name_exist() -> None:
    for test in {test for mutant in MUTANTS for test in mutant.tests}:
        file, *inside = test.partition("[")[0].split("::")
        text = (ROOT / file).read_text() + (SUITES if "conformance" in file else "")
        for name in inside:
            assert re.search(rf"(def|class) {name}\b", text), f"{file} has no {name}"


def test_there_is_a_mutant_for_every_promise() -> None:
    promises = {f"P{number}" for number in range(1, 11)}

    assert {mutant.promise for mutant in MUTANTS} == promises
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= MUTANTS_MIN


def package_of_one_file(folder: Path, text: str) -> Mutant:
    (folder / "one.py").write_text(text)
    return Mutant("wrong", "P1", "one.py", "1 + 1", "1 - 1", (), "Nothing adds up.")


@pytest.mark.parametrize("text", ["two = 2", "two = 1 + 1\nthree = 1 + 1 + 1"])
def test_a_mutant_without_its_one_place_is_refused(tmp_path: Path, text: str) -> None:
    mutant = package_of_one_file(tmp_path, text)

    with pytest.raises(LookupError, match="not once"):
        mutant.apply(tmp_path)


def test_tests_run_against_the_copy_and_not_against_the_sources(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    ids = workspace.package / "model" / "ids.py"
    ids.write_text(ids.read_text().replace('else f"/{run}/{-step}c"', 'else "/never"'))

    test = "tests/unit/model/test_ids.py::test_keys_can_be_read_where_the_id_is_short"
    failed = workspace.run([test], 60)

    assert [one.test for one in failed] == [test]


def test_a_test_that_does_not_exist_catches_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)

    with pytest.raises(CannotRunError, match="no such"):
        workspace.run(["tests/unit/model/test_ids.py::no such"], 60)
