"""What operators do about dead letters: find, redrive, edit, discard; on a node and beside one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime import parcels
from tests.runtime.parcels import Ordered, Packed, app_on, broken, id_of_dead, packed, settled

from counterpoint import App, ArgumentsError, DefinitionError, PayloadError
from counterpoint.errors import (
    ExecutionNotFoundError,
    ExecutionRefusedError,
    InvalidEventError,
    PayloadTooLargeError,
)
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
        await app.publish(Ordered(order_id=id, quantity=1), id=None)
    await app.idle(30)


async def fail(app: App, *ids: str) -> None:
    broken.update(ids)
    await order(app, *ids)


# ---- finding ----------------------------------------------------------------------------------


async def test_a_dead_letter_says_what_failed_why_and_what_waits_behind_it(
    app: App, client: Client
) -> None:
    await fail(app, "a")
    await order(app, "a", "a", "b")

    (letter,) = [one async for one in client.dead_letters()]

    assert letter.reaction == "shipping.pack"
    assert letter.id == f"shipping.pack:orders/{letter.event.id}"
    assert (letter.service, letter.lane, letter.attempts) == ("shipping", "", 1)
    assert letter.cause.endswith("NoBoxError")
    assert letter.message == "no box for a"
    assert letter.traceback is not None
    assert "parcels.py" in letter.traceback
    assert (letter.event.key, letter.event.position) == ("a", 1)
    assert letter.correlation_id == letter.event.correlation_id == letter.event.id
    assert letter.data == {"order_id": "a", "quantity": 1}
    assert letter.behind == 2
    assert packed == [("b", 1)]


@pytest.mark.parametrize("key", ["\0", "a\0", "\ue000", "a\U0010ffff", "a"])
async def test_what_waits_behind_a_dead_letter_is_counted_for_keys_of_any_text(
    app: App, client: Client, key: str
) -> None:
    others = ["a", "a\0", "b", "\x01", "\ue001", "\ud7ff", "a\U0010fffe", "a\U0010ffff"]
    await fail(app, key, *others)
    await order(app, key)

    found = [one async for one in client.dead_letters(key=key)]

    assert [one.behind for one in found] == [2 if key in others else 1]


async def test_nothing_waits_behind_a_dead_letter_that_lets_others_pass(
    app: App, client: Client
) -> None:
    for quantity in (-1, 1, 1):
        await app.publish(Ordered(order_id="a", quantity=quantity))
    await app.idle(30)

    (letter,) = [one async for one in client.dead_letters()]

    assert (letter.reaction, letter.behind) == ("shipping.count", 0)


async def test_dead_letters_are_filtered_and_grouped(app: App, client: Client) -> None:
    await fail(app, "a", "b")
    await app.publish(Ordered(order_id="c", quantity=-1))
    await app.idle(30)

    async def keys(**filters: Any) -> list[str]:
        return [one.event.key async for one in client.dead_letters(**filters)]

    cause = "NoBoxError"
    groups = await client.dead_letter_groups()
    cause = groups[0].cause
    assert [(g.reaction, g.count) for g in groups] == [("shipping.pack", 2), ("shipping.count", 1)]
    assert groups[0].first_died_at <= groups[0].last_died_at
    assert await keys(reaction="shipping.pack") == ["a", "b"]
    assert await keys(reaction="shipping.count", cause=cause) == ["c"]
    assert await keys(key="b", service="shipping") == ["b"]
    assert await keys(cause="another") == await keys(service="orders") == []


async def test_one_dead_letter_has_its_attempts_and_what_people_did(
    app: App, client: Client
) -> None:
    await fail(app, "a")
    id = await id_of_dead(client)
    await client.redrive(id, actor="Ada", reason="more boxes")
    await settled(app)

    letter = await client.dead_letter(id)

    assert [entry.type for entry in letter.journal] == ["died", "redriven", "died"]
    assert letter.journal[1].data["actor"] == "Ada"
    assert letter.journal[2].data["error"]["message"] == "no box for a"
    assert letter.attempts == 1


@pytest.mark.parametrize("event_id", ["x" * 200, "a/b", "a#1"])
async def test_an_event_id_of_any_form_leads_to_the_dead_letter(
    app: App, client: Client, event_id: str
) -> None:
    broken.add("a")
    await app.publish(Ordered(order_id="a", quantity=1), id=event_id)
    await app.idle(30)

    letter = await client.dead_letter(await id_of_dead(client))

    assert letter.event.id == event_id


@pytest.mark.parametrize("id", ["nothing", "shipping.pack:orders/none", "shipping.pack:~0"])
async def test_an_unknown_id_is_refused(app: App, client: Client, id: str) -> None:
    await fail(app, "a")

    with pytest.raises(ExecutionNotFoundError, match="no reaction has the id"):
        await client.dead_letter(id)
    with pytest.raises(ExecutionNotFoundError):
        await client.redrive(id)


async def test_what_is_no_dead_letter_is_neither_shown_nor_redriven_nor_discarded(
    app: App, client: Client
) -> None:
    (event_id,) = await app.publish(Ordered(order_id="a", quantity=1))
    await app.idle(30)
    id = f"shipping.pack:orders/{event_id}"

    with pytest.raises(ExecutionRefusedError, match="it is completed"):
        await client.dead_letter(id)
    with pytest.raises(ExecutionRefusedError, match="it is no dead letter"):
        await client.redrive(id)
    with pytest.raises(ExecutionRefusedError, match="it is no dead letter"):
        await client.discard(id, reason="why not")


# ---- redriving --------------------------------------------------------------------------------


async def test_a_redriven_dead_letter_is_tried_again_before_what_waits_behind_it(
    app: App, client: Client
) -> None:
    await fail(app, "a")
    for quantity in (2, 3):
        await app.publish(Ordered(order_id="a", quantity=quantity))
    await app.idle(30)
    broken.clear()

    await client.redrive(await id_of_dead(client))
    await settled(app)

    assert packed == [("a", 1), ("a", 2), ("a", 3)]
    assert [one async for one in client.dead_letters()] == []


@pytest.mark.parametrize(
    "data", [{"order_id": "a", "quantity": 7}, Ordered(order_id="a", quantity=7)], ids=str
)
async def test_edited_data_takes_the_place_of_the_event_s_own(
    app: App, client: Client, data: Any
) -> None:
    await fail(app, "a")
    id = await id_of_dead(client)
    broken.clear()

    await client.redrive(id, data=data, reason="counted again")
    await settled(app)

    assert packed == [("a", 7)]
    event = await client.event("orders", id.rpartition("/")[2])
    assert event is not None
    assert event.data == {"order_id": "a", "quantity": 1}
    (act,) = [one async for one in client.acts(id)]
    assert (act.kind, act.reason) == ("redrive", "counted again")
    assert act.detail["data"]["quantity"] == 7


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ({"order_id": "a", "quantity": "many"}, InvalidEventError, "quantity"),
        ({"quantity": 1}, InvalidEventError, "order_id"),
        ([1], InvalidEventError, "orders.Ordered"),
        ({"order_id": "b", "quantity": 1}, InvalidEventError, "publish a new event"),
        ({"order_id": object()}, PayloadError, "is no JSON"),
        ({"order_id": "a", "quantity": 1, "n": "x" * 2**20}, PayloadTooLargeError, "bytes"),
        (Packed(order_id="a"), DefinitionError, "takes orders.Ordered"),
    ],
    ids=["type", "missing", "no-object", "other-key", "no-json", "too-large", "other-event"],
)
async def test_data_that_does_not_fit_is_refused_before_anything_is_sent(
    app: App, client: Client, data: Any, error: type[Exception], words: str
) -> None:
    await fail(app, "a")
    id = await id_of_dead(client)

    with pytest.raises(error, match=words):
        await client.redrive(id, data=data)

    await settled(app)
    assert [one async for one in client.acts()] == []
    assert (await client.dead_letter(id)).attempts == 1


async def test_wrong_data_is_refused_with_the_names_of_its_fields(app: App, client: Client) -> None:
    await fail(app, "a")

    with pytest.raises(InvalidEventError) as refused:
        await client.redrive(await id_of_dead(client), data={"order_id": "a", "quantity": []})

    assert refused.value.fields == ("quantity",)


async def test_a_group_is_redriven_by_its_cause(app: App, client: Client) -> None:
    await fail(app, "a", "b", "c")
    cause = (await client.dead_letter_groups())[0].cause
    broken.clear()

    others = await client.redrive_group("shipping.pack", "another")
    count = await client.redrive_group("shipping.pack", cause, actor="Ada", reason="boxes came")
    await settled(app)

    assert (others, count) == (0, 3)
    assert sorted(packed) == [("a", 1), ("b", 1), ("c", 1)]
    assert [one.actor async for one in client.acts()] == ["Ada"] * 3


async def test_a_second_redrive_of_one_dead_letter_does_nothing(tmp_path: Path) -> None:
    parcels.forget()
    app = app_on(parcels.url_in(tmp_path))
    async with app:
        await fail(app, "a")
    async with app.client() as client:
        id = await id_of_dead(client)
        await client.redrive(id)
        await client.redrive(id)
    broken.clear()

    async with app:
        await settled(app)
        acts = [one.kind async for one in app.acts()]

    assert packed == [("a", 1)]
    assert acts == ["redrive"]


# ---- discarding -------------------------------------------------------------------------------


async def test_what_waits_behind_a_discarded_dead_letter_goes_on(app: App, client: Client) -> None:
    await fail(app, "a")
    id = await id_of_dead(client)
    broken.clear()
    await app.publish(Ordered(order_id="a", quantity=2))
    await app.idle(30)

    await client.discard(id, reason="ordered twice", actor="Ada")
    await settled(app)

    assert packed == [("a", 2)]
    assert [one async for one in client.dead_letters()] == []
    (act,) = [one async for one in client.acts(id)]
    assert (act.kind, act.actor, act.reason) == ("discard", "Ada", "ordered twice")
    with pytest.raises(ExecutionRefusedError, match="it is discarded"):
        await client.redrive(id)


@pytest.mark.parametrize("reason", ["", "  "])
async def test_a_dead_letter_is_not_discarded_without_a_reason(
    app: App, client: Client, reason: str
) -> None:
    await fail(app, "a")

    with pytest.raises(ArgumentsError, match="say why"):
        await client.discard(await id_of_dead(client), reason=reason)


# ---- with no node -----------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["redrive", "discard"])
async def test_what_is_asked_for_while_no_node_runs_happens_when_one_starts(
    tmp_path: Path, act: str
) -> None:
    parcels.forget()
    app = app_on(parcels.url_in(tmp_path))
    async with app:
        await fail(app, "a")
        await app.publish(Ordered(order_id="a", quantity=2))
        await app.idle(30)
    broken.clear()

    async with app.client() as client:
        id = await id_of_dead(client)
        if act == "redrive":
            await client.redrive(id, data={"order_id": "a", "quantity": 5})
        else:
            await client.discard(id, reason="no more")
        assert await id_of_dead(client) == id
    async with app:
        await settled(app)

    assert packed == ([("a", 5)] if act == "redrive" else []) + [("a", 2)]


async def test_without_the_reaction_s_code_other_data_cannot_be_checked(tmp_path: Path) -> None:
    parcels.forget()
    app = app_on(parcels.url_in(tmp_path))
    async with app:
        await fail(app, "a")

    async with App("bare", services=[], store=app.store).client() as client:
        id = await id_of_dead(client)
        with pytest.raises(DefinitionError, match=r"has no shipping\.pack"):
            await client.redrive(id, data={"order_id": "a", "quantity": 1})
        await client.redrive(id)

        assert [letter.kind async for letter in client.posted(id)] == ["redrive"]
