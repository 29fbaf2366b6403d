"""The documents say what is so: code runs, links lead somewhere, references are complete."""

import contextlib
import importlib
import importlib.util
import re
import shlex
import sqlite3
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from counterpoint import App, Cause, DefinitionError, Settings
from counterpoint.testing import Harness

ROOT = Path(__file__).resolve().parent.parent
FOUND = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/**/*.md")]
PAGES = sorted(page for page in FOUND if page.name != "template.md")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = str(Path(sys.executable).with_name("counterpoint"))
DEADLINE_SECONDS = 60
PARTS = ["activity", "testing", "workflow"]
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[str]:
    return PYTHON.findall(page.read_text())


def run_twice(program: str, folder: Path) -> list[str]:
    (folder / "program.py").write_text(program)
    words = [sys.executable, "program.py"]
    runs = [
        subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    return [ran.stdout for ran in runs]


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
    program, _ = blocks(ROOT / "README.md")

    assert run_twice(program, tmp_path) == ["authorization order-1/1/2\n"] * 2


def test_the_choreography_of_the_readme_prints_what_the_readme_says(tmp_path: Path) -> None:
    _, program = blocks(ROOT / "README.md")

    first, second = run_twice(program, tmp_path)

    assert first == second
    assert first.splitlines()[3:] == ["payments.PaymentReturned by payments.give_back"]


@pytest.mark.parametrize("number", [0, 1])
def test_the_apps_of_the_readme_follow_the_variable_that_the_readme_sets(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "README.md").read_text()
    store = re.findall(r"^export COUNTERPOINT_STORE=(.*)$", page, re.MULTILINE)[0]
    monkeypatch.setenv("COUNTERPOINT_STORE", store)
    (tmp_path / "app.py").write_text(blocks(ROOT / "README.md")[number])

    assert load(tmp_path / "app.py", f"readme_{number}").app.store == store


def test_the_choreography_of_the_readme_does_not_start_with_an_end_that_nothing_leads_to(
    tmp_path: Path,
) -> None:
    _, program = blocks(ROOT / "README.md")
    (tmp_path / "fulfilment.py").write_text(
        program.replace("-> Reserved | SoldOut:", "-> Reserved:")
    )

    with pytest.raises(DefinitionError, match="never reaches payments"):
        load(tmp_path / "fulfilment.py", "fulfilment")


@pytest.mark.slow
def test_the_commands_of_the_readme_do_what_it_says(tmp_path: Path) -> None:
    page = (ROOT / "README.md").read_text()
    (tmp_path / "shop.py").write_text(PYTHON.findall(page)[0])
    (block,) = re.findall(r"^```sh\n(counterpoint run .*?)^```$", page, re.MULTILINE | re.DOTALL)
    host, *others = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    outputs: list[str] = []

    with subprocess.Popen(
        [COMMAND, *host], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as node:
        try:
            assert node.stdout is not None
            assert any("to go on with" in line for line in node.stdout)
            for words in others:
                ran = subprocess.run(
                    [COMMAND, *words],
                    cwd=tmp_path,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=DEADLINE_SECONDS,
                )
                assert ran.returncode == 0, ran.stderr
                outputs.append(ran.stdout)
        finally:
            node.terminate()
            node.communicate(timeout=DEADLINE_SECONDS)

    started, shown = outputs
    assert started == 'order-2: completed\n"authorization order-2/1/2"\n'
    assert shown.startswith("order-2  orders.place_order (saga)  completed\n")
    assert node.returncode == 0


def test_the_app_of_the_tutorial_can_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (program,) = blocks(ROOT / "docs/tutorial/first-saga.md")
    (tmp_path / "trip.py").write_text(program)
    monkeypatch.chdir(tmp_path)

    module = load(tmp_path / "trip.py", "trip")

    assert isinstance(module.app, App)


async def test_the_bistro_of_the_tutorial_does_what_the_tutorial_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (program,) = blocks(ROOT / "docs/tutorial/first-choreography.md")
    (tmp_path / "bistro.py").write_text(program)
    bistro = load(tmp_path / "bistro.py", "bistro")
    dishes = [(1, "soup"), (1, "oysters"), (3, "cake"), (3, "soup"), (4, "soup")]

    async with Harness(bistro.app) as harness:
        for table, dish in [*dishes, dishes[0]]:
            ordered = bistro.DishOrdered(table=table, dish=dish)
            await harness.publish(ordered, id=f"{dish}-{table}")
        await harness.idle()
        served = await harness.published(bistro.GuestServed)
        told = await harness.published(bistro.GuestTold)
        [dead] = [letter async for letter in harness.app.dead_letters()]
        monkeypatch.setattr(bistro, "bake", lambda: 40)
        await harness.app.redrive("kitchen.cook:guests/cake-3")
        later = await harness.published(bistro.GuestServed, "3")

    assert [(one.table, one.dish) for one in served] == [(1, "soup"), (4, "soup")]
    assert [one.dish for one in told] == ["oysters"]
    assert (dead.id, dead.attempts, dead.behind) == ("kitchen.cook:guests/cake-3", 3, 1)
    assert [one.dish for one in later] == ["cake", "soup"]


def test_the_program_of_the_guide_to_signals_prints_what_the_guide_says(tmp_path: Path) -> None:
    page = (ROOT / "docs/guides/signals.md").read_text()
    (tmp_path / "claims.py").write_text(PYTHON.findall(page)[0])
    output = re.search(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    ran = subprocess.run(
        [sys.executable, "claims.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert output is not None
    assert ran.stdout == output[1]
    assert "set aside" in ran.stderr


@pytest.mark.parametrize(
    ("page", "number"),
    [
        (page, number)
        for page in (
            "activities",
            "changing-workflow-code",
            "deploying",
            "several-nodes",
            "signals",
            "transactions",
        )
        for number in range(len(blocks(ROOT / f"docs/guides/{page}.md")))
    ],
)
def test_code_of_a_guide_runs(
    page: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guides = ROOT / "docs/guides"
    (tmp_path / "claims.py").write_text(blocks(guides / "signals.md")[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    code = compile(blocks(guides / f"{page}.md")[number], f"{page}.md block {number}", "exec")

    if "fastapi" not in code.co_names:  # which is not installed here: compiled only
        exec(code, {"__name__": "guide"})  # noqa: S102


async def test_the_transaction_of_the_guide_writes_into_the_table_of_the_guide(
    tmp_path: Path,
) -> None:
    page = ROOT / "docs/guides/transactions.md"
    (tmp_path / "paying.py").write_text(blocks(page)[0])
    (table,) = re.findall(
        r"^```sql\n(CREATE TABLE .*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL
    )
    paying = load(tmp_path / "paying.py", "paying")
    app = App("pay", services=[paying.payments], store=f"sqlite:///{tmp_path}/pay.db")
    async with app:
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "pay.db")) as file:
        file.execute(table)

    async with app:
        paid = await app.run(paying.buy, "1", 500, id="order-1")

    assert paid == 500


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


def test_the_page_of_the_public_surface_is_made_from_the_source() -> None:
    reference = load(ROOT / "tools/reference.py", "reference")

    assert reference.API.read_text() == reference.api_page(), "run python tools/reference.py"


@pytest.mark.parametrize("module", ["counterpoint", *(f"counterpoint.{n}" for n in PARTS)])
def test_the_page_of_the_public_surface_has_every_public_name(module: str) -> None:
    page = (ROOT / "docs/reference/api.md").read_text()
    part = module.partition(".")[2]

    for name in importlib.import_module(module).__all__:
        shown = (f"### {name}\n", f"### {part}.{name}\n", f"[`{name}`](", f"`{name}` and its")
        assert any(words in page for words in shown), name


def test_the_guide_to_operating_has_exactly_the_kinds_of_incidents_that_there_are() -> None:
    page = (ROOT / "docs/guides/operating.md").read_text()
    table = page.partition("## Incidents")[2].partition("```")[0]
    kinds = {cause.value for cause in Cause}

    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == kinds
