"""What operators do about subscriptions: see how far they are, replay events, delete one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime import parcels
from tests.runtime.parcels import (
    Ordered,
    app_on,
    broken,
    id_of_dead,
    orders,
    pack,
    packed,
    replayed,
    settled,
)

from counterpoint import App, ArgumentsError, DefinitionError, Service, SubscriptionInfo
from counterpoint.runtime.client import Client


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    parcels.forget()
    async with app_on(parcels.url_in(tmp_path)) as app:
        yield app


@pytest.fixture(params=["node", "client"])
async def client(app: App, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with parcels.reached(app, request.param) as client:
        yield client


async def order(app: App, *ids: str) -> None:
    for id in ids:
        await app.publish(Ordered(order_id=id, quantity=1))
    await app.idle(30)


async def by_name(client: Client) -> dict[str, SubscriptionInfo]:
    return {one.name: one for one in await client.subscriptions() if one.replay is None}


async def filled(directory: Path, *ids: str) -> App:
    """Return an app whose node has taken some orders and stopped."""
    parcels.forget()
    app = app_on(parcels.url_in(directory))
    async with app:
        await order(app, *ids)
    return app


# ---- seeing -----------------------------------------------------------------------------------


async def test_every_reaction_has_a_subscription(app: App, client: Client) -> None:
    found = await by_name(client)

    assert set(found) == {"shipping.pack", "shipping.count", "shipping.label"}
    pack = found["shipping.pack"]
    assert (pack.service, pack.event, pack.lane) == ("shipping", "orders.Ordered", "")
    assert (pack.behind, pack.dead, pack.parked, pack.removed) == (0, 0, 0, False)
    assert found["shipping.label"].lane == "labels"
    assert found["shipping.label"].until is None


async def test_dead_letters_and_what_is_parked_behind_them_are_counted(tmp_path: Path) -> None:
    app = await filled(tmp_path)
    async with app:
        broken.add("a")
        await order(app, "a", "a", "a", "b")

    async with app.client() as client:
        found = await by_name(client)

    pack, count = found["shipping.pack"], found["shipping.count"]
    assert (pack.dead, pack.parked, pack.behind) == (1, 2, 0)
    assert (count.dead, count.parked, count.behind) == (0, 0, 0)


async def test_what_was_published_while_no_node_ran_is_not_reached_yet(tmp_path: Path) -> None:
    app = await filled(tmp_path, "a")
    without = App("without", services=[orders], store=app.store)
    async with without:
        await order(without, "b", "c")
        found = await by_name(without)

    assert found["shipping.pack"].removed
    assert found["shipping.pack"].behind == 2
    async with app.client() as client:
        assert not (await by_name(client))["shipping.pack"].removed


# ---- replaying --------------------------------------------------------------------------------


async def test_a_range_is_replayed_into_one_reaction_and_what_it_returns_is_dropped(
    app: App, client: Client
) -> None:
    await order(app, "a", "b", "c")
    events = [event.position async for event in client.events()]
    packed.clear()

    count = await client.replay_events(pack, first=1, last=4, actor="Ada", reason="lost parcels")
    await settled(app)

    assert count == 2
    assert replayed == ["a", "b"]
    assert packed == [("a", 1), ("b", 1)]
    assert [event.position async for event in client.events()] == events
    (act,) = [one async for one in client.acts("shipping.pack")]
    assert (act.kind, act.actor, act.reason) == ("replay", "Ada", "lost parcels")
    assert act.detail["last"] == 4


async def test_a_replay_takes_one_key_up_to_the_end_of_the_log_and_publishes_if_asked(
    app: App, client: Client
) -> None:
    await order(app, "a", "b")

    count = await client.replay_events("shipping.pack", first=1, key="b", publish=True)
    await settled(app)

    assert (count, replayed) == (1, ["b"])
    assert len([event async for event in client.events(type="shipping.Packed", key="b")]) == 2


async def test_a_dry_run_counts_and_asks_for_nothing(app: App, client: Client) -> None:
    await order(app, "a", "b")

    assert await client.replay_events("shipping.pack", first=1, dry_run=True) == 2
    await settled(app)

    assert replayed == []
    assert [one async for one in client.acts()] == []


@pytest.mark.parametrize(("first", "last"), [(0, 1), (3, 2), (1, 99), (9, None)])
async def test_a_range_that_is_not_in_the_log_is_refused(
    app: App, client: Client, first: int, last: int | None
) -> None:
    await order(app, "a")

    with pytest.raises(ArgumentsError, match="the log goes from 1 to 2"):
        await client.replay_events(pack, first=first, last=last)


@pytest.mark.parametrize("reaction", ["shipping.pick", Ordered])
async def test_a_replay_into_something_else_is_refused(
    app: App, client: Client, reaction: Any
) -> None:
    await order(app, "a")

    with pytest.raises(DefinitionError, match="reaction"):
        await client.replay_events(reaction, first=1)


async def test_the_dead_letter_of_a_replay_is_its_own_and_keeps_back_the_rest(
    app: App, client: Client
) -> None:
    await order(app, "a", "a")
    await order(app, "b")
    broken.add("a")

    await client.replay_events(pack, first=1)
    await settled(app)
    (letter,) = [one async for one in client.dead_letters()]
    replay = next(one for one in await client.subscriptions() if one.replay is not None)

    assert letter.id.endswith(f"#{replay.replay}")
    assert letter.behind == 1
    assert (replay.name, replay.until, replay.dead) == ("shipping.pack", 6, 1)
    assert replayed == ["b"]
    broken.clear()
    await client.redrive(letter.id)
    await settled(app)
    assert replayed == ["b", "a", "a"]


async def test_a_replay_that_is_asked_for_while_no_node_runs_begins_with_the_next(
    tmp_path: Path,
) -> None:
    app = await filled(tmp_path, "a")

    async with app.client() as client:
        assert await client.replay_events("shipping.pack", first=1) == 1
    async with app:
        await settled(app)

    assert replayed == ["a"]


async def test_without_the_app_s_code_a_replay_is_asked_for_by_name(tmp_path: Path) -> None:
    app = await filled(tmp_path, "a")

    async with App("bare", services=[], store=app.store).client() as client:
        assert await client.replay_events("shipping.pack", first=1) == 1
        with pytest.raises(DefinitionError, match="no reaction is called"):
            await client.replay_events("shipping.pick", first=1)


# ---- deleting ---------------------------------------------------------------------------------


async def without_shipping(app: App) -> App:
    return App("without", services=[orders, Service("shipping")], store=app.store)


@pytest.mark.parametrize("how", ["node", "client", "no-node"])
async def test_the_subscription_of_a_removed_reaction_is_deleted(tmp_path: Path, how: str) -> None:
    app = await filled(tmp_path)
    async with app:
        broken.add("a")
        await order(app, "a", "a")
    later = await without_shipping(app)

    if how == "no-node":
        async with later.client() as client:
            await client.unsubscribe("shipping.pack", actor="Ada", reason="moved")
    async with later:
        if how == "node":
            await later.unsubscribe("shipping.pack", actor="Ada", reason="moved")
        elif how == "client":
            async with App("beside", services=[], store=later.store).client() as client:
                await client.unsubscribe("shipping.pack", actor="Ada", reason="moved")
        await settled(later)

        assert set(await by_name(later)) == {"shipping.count", "shipping.label"}
        assert [one async for one in later.dead_letters()] == []
        assert [(one.kind, one.actor) async for one in later.acts("shipping.pack")] == [
            ("unsubscribe", "Ada")
        ]


async def test_what_was_held_for_a_deleted_subscription_is_held_no_more(tmp_path: Path) -> None:
    app = await filled(tmp_path)
    async with app:
        broken.add("a")
        await order(app, "a")
    later = await without_shipping(app)

    async with later:
        await later.unsubscribe("shipping.pack")
        await settled(later)

        assert await later.node.store.holds(after=("", "", ""), limit=10) == []


async def test_what_another_reaction_of_the_lane_holds_stays_held(tmp_path: Path) -> None:
    app = await filled(tmp_path)
    async with app:
        broken.add("a")
        await order(app, "a")
    later = await without_shipping(app)

    async with later:
        await later.unsubscribe("shipping.count")
        await settled(later)
        holds = await later.node.store.holds(after=("", "", ""), limit=10)

    assert [(hold.lane, hold.event_key) for hold in holds] == [("", "a")]


async def test_a_subscription_that_is_in_use_or_unknown_is_not_deleted(
    app: App, client: Client
) -> None:
    with pytest.raises(ArgumentsError, match="take it out of the app first"):
        await client.unsubscribe("shipping.pack")
    with pytest.raises(ArgumentsError, match="there is no subscription"):
        await client.unsubscribe("shipping.pick")


async def test_the_node_does_not_delete_what_its_app_still_has(app: App) -> None:
    async with App("bare", services=[], store=app.store).client() as client:
        await client.unsubscribe("shipping.pack")
    await settled(app)

    assert "shipping.pack" in await by_name(app)
    assert [one async for one in app.acts()] == []


async def test_a_dead_letter_of_a_removed_reaction_can_be_discarded_but_waits_for_a_redrive(
    tmp_path: Path,
) -> None:
    app = await filled(tmp_path)
    async with app:
        broken.update("ab")
        await order(app, "a", "b")
    later = await without_shipping(app)

    async with later:
        await later.redrive(await id_of_dead(later, "a"))
        await later.discard(await id_of_dead(later, "b"), reason="no more")
        await later.idle(30)
        left = [one.event.key async for one in later.dead_letters()]
    broken.clear()
    async with app:
        await settled(app)

    assert left == ["a"]
    assert packed == [("a", 1)]
