"""An app: how it is put together, started, asked, and what is said when that cannot work."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.runtime.shop import GOOD, place_order, shop

from counterpoint import App, DefinitionError, NodeStoppedError, Service, StoreLockedError, workflow
from counterpoint.app import store_from_url
from counterpoint.errors import StoreReadOnlyError
from counterpoint.model.settings import Settings
from counterpoint.stores.memory import MemoryStore
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing import Harness

service = Service("service")


@service.activity
async def work() -> str:
    return "done"


@service.workflow
async def wait() -> None:
    await workflow.signal("go")


@service.workflow
async def flow() -> str:
    return await work()


async def test_app_that_runs_already_is_not_entered_again() -> None:
    app = App("shop", services=[shop], store="memory:")
    async with app:
        with pytest.raises(NodeStoppedError, match="'shop' is running already"):
            await app.__aenter__()

        assert await app.run(place_order, "tea", GOOD) == "tea confirmed"


async def test_app_runs_again_after_its_end() -> None:
    app = App("shop", services=[shop], store="memory:")
    for _ in range(2):
        async with app:
            assert await app.run(place_order, "tea", GOOD, id="one") == "tea confirmed"


ASKING: dict[str, Callable[[App], Awaitable[object]]] = {
    "idle": lambda app: app.idle(),
    "counts": lambda app: app.counts(),
    "run": lambda app: app.run(flow),
    "describe": lambda app: app.execution("one").describe(),
    "signal": lambda app: app.execution("one").signal("go"),
}


@pytest.mark.parametrize("what", ASKING)
async def test_app_that_does_not_run_says_how_to_run_it(what: str) -> None:
    app = App("shop", services=[service], store="memory:")

    with pytest.raises(NodeStoppedError, match=r"async with app\.client"):
        await ASKING[what](app)


async def test_health_of_an_app_that_does_not_run_is_an_error() -> None:
    with pytest.raises(NodeStoppedError, match="not running here"):
        App("shop", services=[shop], store="memory:").health()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_runing": 3}, "unknown setting max_runing; known: .*max_running"),
        ({"max_running": 0}, "max_running is at least 1"),
        ({"max_running": "3"}, "max_running takes a int"),
        ({"stop_within": timedelta(seconds=-1)}, "stop_within cannot be negative"),
        ({"stop_within": 3}, "stop_within takes a timedelta"),
    ],
)
def test_wrong_setting_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Settings.load(settings)


def test_app_without_a_name_is_refused() -> None:
    with pytest.raises(DefinitionError, match="needs a name"):
        App("", services=[shop])


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERPOINT_MAX_RUNNING", "7")
    monkeypatch.setenv("COUNTERPOINT_STOP_WITHIN", "2.5")

    app = App("shop", services=[shop], stop_within=timedelta(seconds=3))

    assert app.settings.max_running == 7
    assert app.settings.stop_within == timedelta(seconds=3)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("COUNTERPOINT_MAX_RUNNING", "many", "COUNTERPOINT_MAX_RUNNING='many' is not a whole"),
        ("COUNTERPOINT_STOP_WITHIN", "soon", "COUNTERPOINT_STOP_WITHIN='soon' is not a number"),
    ],
)
def test_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(DefinitionError, match=message):
        App("shop", services=[shop])


@pytest.mark.parametrize("url", ["shop.db", "sqlite://shop.db", "mysql://shop", "sqlite:///", ""])
def test_url_that_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(DefinitionError, match="is not a store: use sqlite:///"):
        App("shop", services=[shop], store=url)


def test_url_of_a_file_is_relative_or_absolute() -> None:
    stores = [store_from_url("sqlite:///my%20shop.db"), store_from_url("sqlite:////tmp/shop.db")]

    paths = [store.path for store in stores if isinstance(store, SqliteStore)]
    assert paths == [Path("my shop.db"), Path("/tmp/shop.db")]  # noqa: S108 - nothing is opened


async def test_app_whose_store_is_hosted_elsewhere_does_not_run(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    second = App("shop", services=[shop], store=url)
    async with App("shop", services=[shop], store=url):
        with pytest.raises(StoreLockedError):
            await second.__aenter__()
    async with second:
        assert await second.run(place_order, "tea", GOOD) == "tea confirmed"


async def test_app_whose_store_cannot_be_opened_can_be_entered_later(tmp_path: Path) -> None:
    app = App("shop", services=[shop], store=f"sqlite:///{tmp_path / 'later' / 'shop.db'}")
    with pytest.raises(StoreReadOnlyError, match="does not exist"):
        await app.__aenter__()
    (tmp_path / "later").mkdir()

    async with app:
        assert await app.run(place_order, "tea", GOOD) == "tea confirmed"


async def test_idle_does_not_count_timers_and_waits_for_signals() -> None:
    async with Harness(services=[service]) as harness:
        await harness.start(wait)

        await harness.app.idle(timeout=30)


async def test_idle_counts_retries_and_what_runs() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(work, ConnectionError("no route"))
        await harness.start(flow)
        with pytest.raises(TimeoutError):
            await harness.app.idle(timeout=timedelta(milliseconds=5))
        await harness.idle()

        assert len(harness.calls) == 2


async def test_idle_is_told_by_a_scan_that_finds_nothing() -> None:
    async with App("app", services=[service], store=MemoryStore()) as app:
        await app.idle(timeout=30)
        app.node.due.poke()

        await app.idle(timeout=30)


def test_app_shows_its_name() -> None:
    assert repr(App("shop", services=[shop])) == "<app shop>"
