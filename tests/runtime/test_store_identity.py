"""One file is one store, whatever it is called, and it stays the same file while it is used."""

import asyncio
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from counterpoint import App, NodeStoppedError, Service
from counterpoint.errors import StoreBrokenError, StoreError, StoreLockedError
from counterpoint.stores.sqlite import SqliteStore

SECONDS = 30
MINUTE = timedelta(minutes=1)
desk = Service("desk")


@desk.workflow
async def greet(name: str) -> str:
    return f"hello {name}"


def make_app(path: Path) -> App:
    return App("desk", services=[desk], store=f"sqlite:///{path}")


def locks(directory: Path) -> list[str]:
    return [path.name for path in directory.rglob("*.lock")]


async def _stays_down(app: App) -> None:
    while not app.health().problems:  # noqa: ASYNC110 - the poll of the mailbox finds it
        await asyncio.sleep(0.01)


async def test_node_is_refused_and_seen_through_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "current").symlink_to("data", target_is_directory=True)
    async with make_app(tmp_path / "data" / "shop.db"):
        (tmp_path / "link.db").symlink_to(tmp_path / "data" / "shop.db")
        for other in ("link.db", "current/shop.db", "data/../data/shop.db"):
            app = make_app(tmp_path / other)
            assert app.hosted_by() == os.getpid()
            with pytest.raises(StoreLockedError) as caught:
                await app.__aenter__()
            assert caught.value.pid == os.getpid()

    assert locks(tmp_path) == ["shop.db.lock"]


async def test_node_through_a_link_to_a_file_that_is_not_there_yet_locks_that_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "link.db").symlink_to("shop.db")
    async with make_app(tmp_path / "link.db"):
        with pytest.raises(StoreLockedError):
            await make_app(tmp_path / "shop.db").__aenter__()


async def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").symlink_to("b.db")
    (tmp_path / "b.db").symlink_to("a.db")

    with pytest.raises(StoreError):
        await make_app(tmp_path / "a.db").__aenter__()


@pytest.mark.parametrize("node", [True, False])
async def test_file_with_two_names_is_refused(tmp_path: Path, node: bool) -> None:
    async with make_app(tmp_path / "shop.db"):
        (tmp_path / "other.db").hardlink_to(tmp_path / "shop.db")
        with pytest.raises(StoreError, match="hard links"):
            await SqliteStore(tmp_path / "other.db").open(node=node)


async def test_relative_path_means_the_same_file_after_the_directory_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = SqliteStore("shop.db")
    app = App("desk", services=[desk], store=store)
    async with app:
        await app.run(greet, "Ann", id="ann", timeout=SECONDS)
    monkeypatch.chdir("elsewhere")

    async with app:
        assert await app.execution("ann").result(timeout=SECONDS) == "hello Ann"
    assert not list((tmp_path / "elsewhere").iterdir())


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    copy.replace(path)


def rename(path: Path) -> None:
    path.rename(path.with_suffix(".old"))


Lose = Callable[[Path], None]
LOSSES = [delete, replace, rename]


@pytest.mark.parametrize("lose", LOSSES)
async def test_start_is_not_acknowledged_once_the_file_is_gone(tmp_path: Path, lose: Lose) -> None:
    store = SqliteStore(tmp_path / "shop.db")
    async with App("desk", services=[desk], store=store, poll_interval=MINUTE) as app:
        await app.run(greet, "Ann", timeout=SECONDS)
        lose(store.path)
        with pytest.raises(StoreBrokenError, match="deleted or replaced") as caught:
            await app.start(greet, "Bob")

        assert caught.value.fatal
        with pytest.raises(NodeStoppedError, match="deleted or replaced"):
            await app.start(greet, "Cat")
        assert "deleted or replaced" in app.health().problems[0]
    assert lose is replace or not store.path.exists()


@pytest.mark.parametrize("lose", LOSSES)
async def test_idle_node_finds_out_by_itself_and_stays_down(tmp_path: Path, lose: Lose) -> None:
    async with make_app(tmp_path / "shop.db") as app:
        lose(tmp_path / "shop.db")
        await asyncio.wait_for(_stays_down(app), SECONDS)

        assert "deleted or replaced" in app.health().problems[0]
        with pytest.raises(NodeStoppedError, match="start a new process"):
            await app.idle(SECONDS)


@pytest.mark.parametrize("lose", LOSSES)
async def test_store_that_was_open_before_is_never_made_anew(tmp_path: Path, lose: Lose) -> None:
    store = SqliteStore(tmp_path / "shop.db")
    await store.open(node=True)
    await store.close()
    lose(store.path)

    with pytest.raises(StoreBrokenError, match="deleted or replaced") as caught:
        await store.open(node=True)

    assert caught.value.fatal
    assert lose is replace or not store.path.exists()


async def test_new_file_with_the_old_number_is_not_taken_for_the_store(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "shop.db")
    await store.open(node=True)
    await store.close()
    os.truncate(store.path, 0)

    with pytest.raises(StoreBrokenError, match="deleted or replaced"):
        await store.open(node=True)

    assert store.path.stat().st_size == 0


async def test_client_does_not_post_into_a_file_that_is_gone(tmp_path: Path) -> None:
    async with make_app(tmp_path / "shop.db"):
        pass
    async with make_app(tmp_path / "shop.db").client() as client:
        (tmp_path / "shop.db").unlink()
        with pytest.raises(StoreBrokenError, match="deleted or replaced"):
            await client.start(greet, "Ann")
