import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from counterpoint import App
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.main import cli
from counterpoint.cli.target import (
    Target,
    load_app,
    open_client,
    required,
    resolve,
    store_url,
    store_words,
    without_password,
)
from counterpoint.stores.memory import MemoryStore
from counterpoint.stores.sqlite import SqliteStore

DEMO = "counterpoint.cli.demo_shop:app"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_an_app_is_found_in_the_current_directory(here: Path) -> None:
    (here / "myshop.py").write_text(
        "from counterpoint import App\nclass apps:\n    main = App('mine', services=[])\n"
    )

    app = load_app("myshop:apps.main")

    assert app.name == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("myshop", "is not MODULE:APP: write it like shop:app"),
        ("myshop:", "is not MODULE:APP"),
        ("nowhere:app", "there is no module 'nowhere' in "),
        ("myshop:other", r"has no 'other'; it has myshop:app"),
        ("myshop:number", r"myshop:number is a int, not an App; it has myshop:app"),
        ("empty:app", r"the module empty has no 'app'$"),
        ("needy:app", r"failed: ModuleNotFoundError: No module named 'missing_lib' \(.*needy.py"),
        ("broken:app", r"importing broken failed: ZeroDivisionError.*broken\.py, line 2\)"),
        ("syntax:app", r"importing syntax failed: SyntaxError.*syntax\.py, line 1\)"),
        ("leaves:app", "importing leaves failed: SystemExit: 3"),
    ],
)
def test_an_app_that_cannot_be_loaded_says_why(here: Path, name: str, message: str) -> None:
    (here / "myshop.py").write_text(
        "from counterpoint import App\napp = App('mine', services=[])\nnumber = 1\n"
    )
    (here / "empty.py").write_text("")
    (here / "needy.py").write_text("import missing_lib\n")
    (here / "broken.py").write_text("\n1 / 0\n")
    (here / "syntax.py").write_text("def (:\n")
    (here / "leaves.py").write_text("raise SystemExit(3)\n")

    with pytest.raises(CommandError, match=message) as refused:
        load_app(name)

    assert refused.value.code is Exit.USAGE


def test_a_path_without_a_scheme_is_a_sqlite_file() -> None:
    urls = [store_url(text) for text in ("a b.db", "/x/y.db", "sqlite:///z.db", "memory:")]

    assert urls == ["sqlite:///a%20b.db", "sqlite:////x/y.db", "sqlite:///z.db", "memory:"]


def test_the_store_option_wins_over_the_apps_own_store() -> None:
    target = resolve("counterpoint.cli.demo_shop:app", "elsewhere.db")

    assert store_words(target.app) == "sqlite:///elsewhere.db"
    assert target.run_command == "counterpoint run counterpoint.cli.demo_shop:app"
    assert target.hosts("orders.place_order") is True
    assert target.hosts("orders.other") is False


def test_without_an_app_there_is_a_store_only() -> None:
    target = resolve(None, "some.db")

    assert target.hosts("orders.place_order") is None
    assert target.run_command == "counterpoint run MODULE:APP"


def test_a_command_that_needs_code_asks_for_the_app() -> None:
    with pytest.raises(CommandError, match="pass --app MODULE:APP"):
        required(None, "some.db")


def test_a_given_store_is_named_by_its_file_or_class() -> None:
    names = [
        store_words(App("a", services=[], store=store))
        for store in (SqliteStore("x.db"), MemoryStore())
    ]

    assert names == ["sqlite:///x.db", "MemoryStore"]


@pytest.mark.parametrize(
    ("store", "message", "code"),
    [
        ("memory:", "inside one process", Exit.USAGE),
        ("redis://x", "is not a store", Exit.USAGE),
        ("sqlite:///no.db", "there is no store no.db in ", Exit.STORE),
        ("sqlite:////no/such.db", "there is no store /no/such.db: name", Exit.STORE),
    ],
)
async def test_a_store_that_cannot_be_reached_says_why(
    here: Path, store: str, message: str, code: Exit
) -> None:
    app = App("a", services=[])
    app.store = store  # as `--store` does
    target = Target(app, None)

    with pytest.raises(CommandError, match=message) as refused:
        async with open_client(target):
            pass

    assert refused.value.code is code
    assert os.listdir(here) == []  # noqa: PTH208


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://shop:secret@db:5432/shop?lease=3", "postgresql://shop@db:5432/shop?lease=3"),
        ("postgresql://shop:sec/r@t@db/shop", "postgresql://shop@db/shop"),
        ("postgresql://db/shop?password=secret&lease=3", "postgresql://db/shop?lease=3"),
        ("postgresql://shop@db:5432/shop", "postgresql://shop@db:5432/shop"),
        ("sqlite:///a:b@c.db", "sqlite:///a:b@c.db"),
    ],
)
def test_a_password_in_a_url_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("variable", "value"), [("COUNTERPOINT_HOSTS", "orders,stock"), ("COUNTERPOINT_NODE", "web-1")]
)
def test_a_setting_for_another_app_does_not_break_the_command(variable: str, value: str) -> None:
    environment = {**os.environ, variable: value}

    ran = subprocess.run(
        [sys.executable, "-m", "counterpoint", "draw", "place_order", "--app", DEMO],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_setting_that_is_wrong_is_an_error_of_one_line(tmp_path: Path) -> None:
    ran = CliRunner().invoke(
        cli,
        ["list", "--store", str(tmp_path / "x.db")],
        env={"COUNTERPOINT_MAX_RUNNING": "abc", "COUNTERPOINT_APP": None},
    )

    assert ran.exit_code == Exit.USAGE
    assert ran.stderr == "error: COUNTERPOINT_MAX_RUNNING='abc' is not a whole number\n"


def test_a_command_says_when_the_apps_own_store_wins_over_the_variable(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "stubborn.py").write_text(
        "from counterpoint import App\napp = App('mine', services=[], store='sqlite:///own.db')\n"
    )
    (here / "pliant.py").write_text(
        "from counterpoint import App\napp = App('mine', services=[])\n"
    )
    monkeypatch.setenv("COUNTERPOINT_STORE", "postgresql://shop:secret@db/shop")

    resolve("stubborn:app", None)
    said = capsys.readouterr().err
    resolve("stubborn:app", "given.db")
    resolve("pliant:app", None)

    assert said.startswith("stubborn:app names its own store, sqlite:///own.db, which wins over ")
    assert "postgresql://shop@db/shop" in said
    assert capsys.readouterr().err == ""
