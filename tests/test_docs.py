"""The documents say what is so: code runs, links lead somewhere, references are complete."""

import importlib.util
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from counterpoint import App, Settings

ROOT = Path(__file__).resolve().parent.parent
FOUND = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/**/*.md")]
PAGES = sorted(page for page in FOUND if page.name != "template.md")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[str]:
    return PYTHON.findall(page.read_text())


def load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    targets = [t for t in LINK.findall(page.read_text()) if "://" not in t]

    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_the_readme_program_prints_what_the_readme_says(tmp_path: Path) -> None:
    (program,) = blocks(ROOT / "README.md")
    (tmp_path / "shop.py").write_text(program)

    runs = [
        subprocess.run(
            [sys.executable, "shop.py"], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]

    assert runs == ["authorization order-1/1/2\n"] * 2


def test_the_app_of_the_tutorial_can_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (program,) = blocks(ROOT / "docs/tutorial/first-saga.md")
    (tmp_path / "trip.py").write_text(program)
    monkeypatch.chdir(tmp_path)

    module = load(tmp_path / "trip.py", "trip")

    assert isinstance(module.app, App)


@pytest.mark.parametrize("number", range(len(blocks(ROOT / "docs/guides/activities.md"))))
def test_code_of_the_guide_to_activities_runs(number: int) -> None:
    code = blocks(ROOT / "docs/guides/activities.md")[number]

    exec(compile(code, f"activities.md block {number}", "exec"), {"__name__": "guide"})  # noqa: S102


def test_every_setting_is_in_the_reference_with_its_variable_and_default() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text()

    for setting in fields(Settings):
        row = next((li for li in page.splitlines() if li.startswith(f"| `{setting.name}`")), "")
        assert f"COUNTERPOINT_{setting.name.upper()}" in row
        shown = setting.default
        if isinstance(shown, int | str):
            assert str(shown) in row


def test_the_page_of_errors_is_made_from_the_source() -> None:
    reference = load(ROOT / "tools/reference.py", "reference")

    assert reference.ERRORS.read_text() == reference.errors_page(), "run python tools/reference.py"
