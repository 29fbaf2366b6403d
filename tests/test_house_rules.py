"""Rules about the source that no linter has."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"
SOURCES = sorted(SRC.rglob("*.py"))
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
PORT_METHODS_MAX = 12
NAMELESS = {"utils", "util", "common", "helpers", "helper", "manager", "misc", "base"}
SUPPRESSION = re.compile(r"#\s*(type|pyright|mypy):\s*ignore", re.IGNORECASE)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def entry_points() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project.get("scripts", {}), *project.get("entry-points", {}).values()]
    return {target.partition(":")[0] for group in groups for target in group.values()}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_source_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)

    assert text.count("\n") <= FILE_LINES_MAX
    assert ast.get_docstring(tree), "every module says in a sentence what it is for"
    assert path.stem not in NAMELESS, "one idea a file, named by a full word"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_source_file_silences_no_type_checker(path: Path) -> None:
    lines = path.read_text().splitlines()

    silenced = [number for number, line in enumerate(lines, 1) if SUPPRESSION.search(line)]

    assert not silenced, f"lines {silenced}: make the types true instead"


@pytest.mark.parametrize("path", sorted((SRC / "counterpoint/ports").glob("*.py")), ids=relative)
def test_port_is_few_methods(path: Path) -> None:
    for port in ast.parse(path.read_text()).body:
        if isinstance(port, ast.ClassDef):
            methods = [
                node.name
                for node in port.body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and not node.decorator_list  # a property is not a method
            ]
            assert len(methods) <= PORT_METHODS_MAX, f"{port.name}: split it"


def test_every_source_file_is_used() -> None:
    readers = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]
    used = entry_points()
    for reader in readers:
        own = module_name(reader) if reader.is_relative_to(SRC) else ""
        used |= {name for name in imported_names(ast.parse(reader.read_text())) if name != own}

    unused = [
        relative(path)
        for path in SOURCES
        if path.stem not in {"__init__", "__main__"} and module_name(path) not in used
    ]

    assert not unused, "nothing imports these: neither source, nor tests, nor an entry point"
