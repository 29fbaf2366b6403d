"""Every diagram is one that PlantUML and Mermaid really draw, with nothing lost: `make diagrams`.

It needs Java and Debian's `plantuml`, `chromium`, and npm's `mermaid`; pictures are left in the
folder that DIAGRAMS names, to be looked at.
"""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.diagrams import drawings
from tests.diagrams.drawings import LONG, Drawing

FOLDER = os.environ.get("DIAGRAMS", "")
MERMAID = "node_modules/mermaid/dist/mermaid.min.js"
NOT_DRAWN = {"draw-trips.book_trip"}
"""PlantUML 1.2020.2 has no `detach` in a `switch`: what goes on with a loop from there."""
CHROMIUM_OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
RENDER = """async ([id, text]) => {
    await mermaid.parse(text);
    const drawn = await mermaid.render(id, text);
    document.body.innerHTML = drawn.svg;
    return drawn.svg;
}"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not FOLDER, reason="it needs PlantUML and a browser: make diagrams"),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    folder = Path(FOLDER) / "pictures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def all_drawings(folder: Path) -> list[Drawing]:
    found = [*asyncio.run(drawings.flows()), *drawings.code()]
    drawings.write(found, folder)
    return found


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    """Open a page in which Mermaid is loaded."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium is not None, "Chromium is not installed"
    playwright: Any = import_module("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        page = browser.new_page()
        page.set_content("<body></body>")
        page.add_script_tag(path=str(Path(FOLDER) / MERMAID))
        page.evaluate(
            "mermaid.initialize({startOnLoad: false, maxTextSize: 10000000, maxEdges: 10000})"
        )
        yield page
        browser.close()


def plantuml(form: str, files: list[Path]) -> str:
    """Draw files; return what PlantUML says about what it cannot draw."""
    command = ["plantuml", f"-t{form}", "-failfast2", "-charset", "UTF-8", *map(str, files)]
    environment = {**os.environ, "PLANTUML_LIMIT_SIZE": "20000"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_plantuml_draws_every_diagram(folder: Path, all_drawings: list[Drawing]) -> None:
    names = {one.name for one in all_drawings if not one.long}
    files = [folder / f"{name}.puml" for name in sorted(names - NOT_DRAWN)]

    assert plantuml("png", files) == ""
    assert [file.name for file in files if not file.with_suffix(".png").exists()] == []


@pytest.mark.xfail(strict=True, reason="PlantUML 1.2020.2 has no `detach` in a `switch`")
@pytest.mark.parametrize("name", sorted(NOT_DRAWN))
def test_plantuml_draws_jumps_out_of_a_switch(
    folder: Path, all_drawings: list[Drawing], name: str
) -> None:
    assert plantuml("png", [folder / f"{name}.puml"]) == ""


def test_plantuml_draws_a_flow_of_thousands_of_events(
    folder: Path, all_drawings: list[Drawing]
) -> None:
    (long,) = [one for one in all_drawings if one.long]
    file = folder / f"{long.name}.puml"

    assert plantuml("svg", [file]) == ""
    svg = file.with_suffix(".svg").read_text(encoding="utf-8")
    taken = re.findall(r">→ (?:take_payment|set_aside)<", svg.replace("&#160;", " "))
    assert len(taken) == 2 * LONG


def test_mermaid_draws_every_diagram(folder: Path, all_drawings: list[Drawing], page: Any) -> None:
    errors: list[str] = []
    for number, one in enumerate(all_drawings):
        if one.long:
            continue
        try:
            page.evaluate(RENDER, [f"d{number}", one.mermaid])
        except Exception as error:  # noqa: BLE001 - Mermaid's own, told for all at once
            errors.append(f"{one.name}: {error}")
            continue
        page.locator("svg").screenshot(path=str(folder / f"{one.name}-mermaid.png"))

    assert errors == []


def test_mermaid_draws_every_arrow_of_every_flow(all_drawings: list[Drawing], page: Any) -> None:
    for number, one in enumerate(all_drawings):
        if one.mermaid.startswith("sequenceDiagram"):
            page.evaluate(RENDER, [f"s{number}", one.mermaid])
            drawn = page.evaluate("document.querySelectorAll('[class^=messageLine]').length")
            arrows = re.findall(r"^ *\w+?-{1,2}(?:>>|\)|x)\w+: ", one.mermaid, re.MULTILINE)
            assert drawn == len(arrows), one.name
