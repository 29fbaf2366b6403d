"""What reviewers found in the event runtime, as tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from counterpoint import App, Event, Service


def shop(path: Path) -> tuple[App, Callable[[str], Event], list[str]]:
    orders = Service("orders")
    heard: list[str] = []

    @orders.event(key="order_id")
    class Placed(Event):
        order_id: str

    @orders.on(Placed)
    async def hear(event: Placed) -> None:
        heard.append(event.order_id)

    app = App("shop", services=[orders], store=f"sqlite:///{path}")
    return app, lambda order_id: Placed(order_id=order_id), heard


@pytest.mark.parametrize("second", ["1", "2"], ids=["same content", "other content"])
async def test_two_letters_with_one_given_id_publish_the_first(tmp_path: Path, second: str) -> None:
    app, placed, heard = shop(tmp_path / "shop.db")
    async with app:
        pass
    for order_id in ("1", second):
        async with app.client() as client:
            await client.publish(placed(order_id), id="x")
    async with app:
        await app.idle(timeout=10)
        while [letter async for letter in app.posted()]:
            await app.idle(timeout=10)
    assert heard == ["1"]
