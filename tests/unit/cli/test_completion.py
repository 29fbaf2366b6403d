from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.hearing import hearing

from counterpoint import App, Service, workflow
from counterpoint.cli.completion import (
    complete_calls,
    complete_ids,
    complete_signals,
    complete_workflows,
)

orders = Service("orders")


@orders.workflow
async def approval() -> None:
    await workflow.signal("approved")


async def store(tmp_path: Path) -> str:
    path = str(tmp_path / "shop.db")
    async with App("shop", services=[orders], store=f"sqlite:///{path}") as app:
        for name in ("a-1", "a-2", "b-1"):
            await app.start(approval, id=name)
        await app.idle(30)
    return path


@orders.activity
async def create() -> None:
    """Have no effect."""


@orders.activity(at_most_once=True)
async def ring() -> None:
    raise ConnectionError("no answer")


@orders.workflow
async def rings() -> None:
    await create()
    await ring()


async def stuck(path: str) -> None:
    async with App("shop", services=[orders], store=f"sqlite:///{path}") as app:
        async with hearing("incident in"):
            await app.start(rings, id="r-1")
        await app.idle(30)


def context(**params: str) -> Any:
    return SimpleNamespace(params=params)


@pytest.fixture
def filled(tmp_path: Path) -> str:
    import asyncio

    return asyncio.run(store(tmp_path))


def test_ids_are_offered_newest_first(filled: str) -> None:
    assert complete_ids(context(store=filled), "a") == ["a-2", "a-1"]


def test_at_most_fifty_ids_are_offered(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("counterpoint.cli.completion.OFFERS_MAX", 2)

    assert complete_ids(context(store=filled), "") == ["b-1", "a-2"]


def test_signals_that_are_waited_for_are_offered(filled: str) -> None:
    assert complete_signals(context(store=filled, execution_id="a-1"), "") == ["approved"]


def test_calls_that_need_a_person_are_offered(tmp_path: Path) -> None:
    import asyncio

    path = str(tmp_path / "desk.db")
    asyncio.run(stuck(path))

    assert complete_calls(context(store=path, execution_id="r-1"), "") == ["2"]
    assert complete_calls(context(store=path, execution_id="r-1"), "1") == []


def test_workflows_of_the_app_are_offered() -> None:
    offers = complete_workflows(context(app="counterpoint.cli.demo_shop:app"), "orders.")

    assert offers == ["orders.place_order"]


def test_nothing_is_offered_and_nothing_said_where_nothing_can_be_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = context(app="no.such:app", store=str(tmp_path / "no.db"))

    offers = [complete_ids(wrong, ""), complete_signals(wrong, ""), complete_workflows(wrong, "")]

    assert offers == [[], [], []]
    assert capfd.readouterr() == ("", "")
