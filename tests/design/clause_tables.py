"""The tables of clauses and their tests, as the tests of these tables read them."""

import ast
import functools
import re
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent
NamedTest = tuple[str, str]
"""A file and a test in it."""
_CELLS = re.compile(r"(?<!\\)\|")


def rows(table: Path) -> list[tuple[str, list[NamedTest]]]:
    """Return each clause with the files and names of its tests."""
    found: list[tuple[str, list[NamedTest]]] = []
    for line in table.read_text().splitlines():
        if line.startswith("| ") and line != "| clause | tests |":
            _, clause, cell, _ = _CELLS.split(line)
            tests: list[NamedTest] = []
            for part in cell.split("<br>"):
                file, _, names = part.strip().partition(": ")
                tests += [(file, name) for name in re.findall(r"`(\w+)`", names)]
            found.append((clause.strip(), tests))
    return found


def named_in(table: Path) -> set[NamedTest]:
    """Return every test that a table names."""
    return {test for _, tests in rows(table) for test in tests}


def defined_in(files: Iterable[Path]) -> set[NamedTest]:
    """Return the tests that exist in these files."""
    return {(file.name, name) for file in files for name in _functions_of(file)}


def missing(tests: Iterable[NamedTest]) -> list[str]:
    """Return those of *tests* that do not exist."""
    return [
        f"{file}::{name}"
        for file, name in tests
        if not (FOLDER / file).is_file() or name not in _functions_of(FOLDER / file)
    ]


@functools.cache
def _functions_of(file: Path) -> set[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    body = ast.parse(file.read_text()).body
    return {f.name for f in body if isinstance(f, functions) and f.name.startswith("test_")}
