"""What operators see of the log, and how events come into it from elsewhere, as CloudEvents."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.runtime import parcels
from tests.runtime.parcels import Ordered, app_on, packed, settled, taken

from counterpoint import App, ArgumentsError, Event, PublishedEvent, Service
from counterpoint.errors import (
    EventExistsError,
    EventFormatError,
    InvalidEventError,
    PayloadTooLargeError,
)
from counterpoint.runtime.client import Client

TYPE = "orders.Ordered"


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    parcels.forget()
    async with app_on(parcels.url_in(tmp_path), payload_bytes_max=2_000) as app:
        yield app


@pytest.fixture(params=["node", "client"])
async def client(app: App, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    if request.param == "node":
        yield app
    else:
        async with app_on(app.store, payload_bytes_max=2_000).client() as client:
            yield client


async def order(app: App, *ids: str, **options: Any) -> None:
    for id in ids:
        await app.publish(Ordered(order_id=id, quantity=1), **options)
    await app.idle(30)


def cloudevent(*, without: str = "", **attributes: Any) -> str:
    whole = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "https://shop.example/till",
        "type": TYPE,
        "dataschema": f"counterpoint:{TYPE}/2",
        "data": {"order_id": "a", "quantity": 3},
        **attributes,
    }
    return json.dumps({name: value for name, value in whole.items() if name != without})


# ---- the log ----------------------------------------------------------------------------------


async def test_an_event_is_read_with_its_envelope_and_its_data(app: App, client: Client) -> None:
    await order(app, "a", correlation_id="flow-1")

    both = [event async for event in client.events()]

    ordered, followed = both
    assert isinstance(ordered, PublishedEvent)
    assert (ordered.position, ordered.source, ordered.type, ordered.version) == (
        *(1, "orders", TYPE),
        2,
    )
    assert (ordered.key, ordered.hops, ordered.causation_id) == ("a", 0, None)
    assert ordered.data == {"order_id": "a", "quantity": 1}
    assert ordered.publisher is None
    assert ordered.recorded_at.tzinfo is UTC
    assert (followed.publisher, followed.causation_id) == ("shipping.pack", ordered.id)
    assert followed.correlation_id == "flow-1"
    assert await client.event("orders", ordered.id) == ordered
    assert await client.event("orders", "none") is None


async def test_events_are_filtered_and_ordered(app: App, client: Client) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    await order(app, "a", "b", "c", correlation_id="flow-1")
    await order(app, "d")

    async def positions(**filters: Any) -> list[int]:
        return [event.position async for event in client.events(**filters)]

    assert await positions() == list(range(1, 9))
    assert await positions(newest_first=True, limit=2) == [8, 7]
    assert await positions(type=TYPE) == [1, 3, 5, 7]
    assert await positions(type=TYPE, key="b") == [3]
    assert await positions(key="b") == [3, 4]
    assert await positions(correlation_id="flow-1", type="shipping.Packed") == [2, 4, 6]
    assert await positions(after=2, until=4) == [3, 4]
    assert await positions(since=before, limit=1) == [1]
    assert await positions(since=datetime.now(UTC) + timedelta(days=1)) == []
    assert await positions(limit=0) == []


async def test_a_log_of_many_pages_is_read_whole(
    app: App, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterpoint.runtime.event_log.PAGE", 2)
    await order(app, *"abcde")

    forwards = [event.position async for event in client.events()]
    backwards = [event.position async for event in client.events(newest_first=True)]
    seven = [event.position async for event in client.events(limit=7)]

    assert forwards == backwards[::-1] == list(range(1, 11))
    assert seven == list(range(1, 8))


@pytest.mark.parametrize(
    "filters",
    [{"since": datetime(2026, 1, 1)}, {"limit": -1}],  # noqa: DTZ001 - that is the mistake
    ids=["no-zone", "negative"],
)
async def test_filters_that_make_no_sense_are_refused(client: Client, filters: Any) -> None:
    with pytest.raises(ArgumentsError):
        [event async for event in client.events(**filters)]


# ---- contracts --------------------------------------------------------------------------------


async def test_contracts_say_who_owns_them_and_whether_they_were_published(
    app: App, client: Client
) -> None:
    await order(app, "a")

    ordered, packed = await client.contracts()

    assert (ordered.type, ordered.version, ordered.service, ordered.key) == (
        *(TYPE, 2),
        *("orders", "order_id"),
    )
    assert ordered.description == "Somebody ordered something."
    assert ordered.schema["properties"]["quantity"] == {"type": "integer"}
    assert ordered.declared
    assert ordered.published_at is not None
    assert packed.type == "shipping.Packed"


async def test_a_contract_that_nobody_declares_any_more_is_still_known(tmp_path: Path) -> None:
    app = app_on(parcels.url_in(tmp_path))
    async with app:
        await order(app, "a")
    later = Service("orders")

    @later.event(key="order_id", version=3)
    class Ordered(Event):
        order_id: str

    async with App("later", services=[later], store=app.store).client() as client:
        found = [(one.version, one.declared, one.published_at) for one in await client.contracts()]

    assert [one[:2] for one in found] == [(2, False), (3, True), (1, False)]
    assert found[1][2] is None


# ---- CloudEvents ------------------------------------------------------------------------------


async def test_a_structured_event_is_published_as_it_came(app: App, client: Client) -> None:
    body = cloudevent(time="2026-01-31T12:00:00Z", correlationid="flow-7", causationid="c-1")

    id = await client.publish_cloudevent(body)
    await settled(app)

    event = await client.event("https://shop.example/till", "e-1")
    assert id == "e-1"
    assert event is not None
    assert (event.key, event.version, event.correlation_id) == ("a", 2, "flow-7")
    assert (event.causation_id, event.time.year, event.publisher) == ("c-1", 2026, None)
    assert packed == [("a", 3)]


@pytest.mark.parametrize("name", ["ce-id", "CE-ID"])
async def test_a_binary_event_is_headers_and_data(app: App, client: Client, name: str) -> None:
    headers = {
        "ce-specversion": "1.0",
        name: "e-2",
        "ce-source": "till",
        "ce-type": TYPE,
        "content-type": "application/json",
    }

    await client.publish_cloudevent(b'{"order_id": "a"}', headers)
    await settled(app)

    assert packed == [("a", 1)]  # without a schema it is of version 1


async def test_the_content_type_says_that_the_body_is_the_whole_event(
    app: App, client: Client
) -> None:
    headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}

    await client.publish_cloudevent(cloudevent().encode(), headers)
    await settled(app)

    assert packed == [("a", 3)]


async def test_an_event_of_an_older_version_is_brought_up_to_date(app: App, client: Client) -> None:
    await client.publish_cloudevent(
        cloudevent(dataschema=f"counterpoint:{TYPE}/1", data={"order_id": "a"})
    )
    await settled(app)

    (event, _) = [event async for event in client.events()]
    assert (event.version, event.data) == (1, {"order_id": "a"})
    assert packed == [("a", 1)]


@pytest.mark.parametrize(
    ("body", "error", "words", "fields"),
    [
        ("{", EventFormatError, "is not JSON", None),
        ("[]", EventFormatError, "not a JSON object", None),
        ("\ud800", EventFormatError, "not UTF-8", None),
        (cloudevent(without="id"), EventFormatError, "id is missing", None),
        (
            cloudevent(type="orders.Odered", without="dataschema"),
            InvalidEventError,
            "it has orders.Ordered, shipping.Packed",
            ("type",),
        ),
        (cloudevent(data={"order_id": "a", "quantity": "x"}), InvalidEventError, "quantity", None),
        (cloudevent(without="data"), InvalidEventError, TYPE, None),
        (cloudevent(partitionkey="b"), InvalidEventError, "'b'.*'a'", ("partitionkey",)),
        (
            cloudevent(dataschema=f"counterpoint:{TYPE}/3"),
            InvalidEventError,
            "send it as partitionkey",
            ("partitionkey",),
        ),
        (
            cloudevent(dataschema=f"counterpoint:{TYPE}/3", partitionkey="k" * 201),
            ArgumentsError,
            "201 characters",
            None,
        ),
        (
            cloudevent(data={"order_id": "a", "quantity": 1, "note": "x" * 3_000}),
            PayloadTooLargeError,
            "payload_bytes_max",
            None,
        ),
        (cloudevent(data={"order_id": "", "quantity": 1}), ArgumentsError, "is empty", None),
        (cloudevent(hops=-1), EventFormatError, "hops", None),
    ],
)
async def test_what_cannot_be_delivered_is_refused_and_not_published(
    app: App,
    client: Client,
    body: str,
    error: type[Exception],
    words: str,
    fields: tuple[str, ...] | None,
) -> None:
    with pytest.raises(error, match=words) as refused:
        await client.publish_cloudevent(body)

    await settled(app)
    assert [event async for event in client.events()] == []
    if fields is not None:
        assert refused.value.fields == fields  # type: ignore[attr-defined]


async def test_an_event_of_a_newer_version_waits_for_whoever_knows_it(
    app: App, client: Client
) -> None:
    body = cloudevent(
        dataschema=f"counterpoint:{TYPE}/3", partitionkey="a", data={"anything": [1, None]}
    )

    await client.publish_cloudevent(body)
    await client.publish_cloudevent(cloudevent(id="e-2", data={"order_id": "b", "quantity": 1}))
    await taken(app)

    (waiting, *_) = [event async for event in client.events(key="a")]
    assert (waiting.version, waiting.data) == (3, {"anything": [1, None]})
    assert [one async for one in client.dead_letters()] == []


async def test_the_same_event_again_does_nothing(app: App, client: Client) -> None:
    blanks = json.dumps(json.loads(cloudevent()), indent=4)

    for body in (cloudevent(), cloudevent(), blanks):
        assert await client.publish_cloudevent(body) == "e-1"
        await settled(app)

    assert packed == [("a", 3)]
    assert len([event async for event in client.events(type=TYPE)]) == 1


@pytest.mark.parametrize(
    "other", [{"data": {"order_id": "a", "quantity": 4}}, {"dataschema": f"counterpoint:{TYPE}/1"}]
)
async def test_another_event_under_the_same_id_is_refused(
    app: App, client: Client, other: Mapping[str, Any]
) -> None:
    await client.publish_cloudevent(cloudevent())
    await settled(app)

    with pytest.raises(EventExistsError, match="e-1"):
        await client.publish_cloudevent(cloudevent(**other))

    assert packed == [("a", 3)]


async def test_an_event_at_the_end_of_a_long_chain_is_a_dead_letter(
    app: App, client: Client
) -> None:
    await client.publish_cloudevent(cloudevent(hops=33))
    await settled(app)

    causes = {one.reaction: one.cause for one in [one async for one in client.dead_letters()]}
    assert packed == []
    assert causes["shipping.pack"].endswith("HopLimitError")


async def posted(app: App, *bodies: str) -> None:
    """Post events while no node runs."""
    parcels.forget()
    async with app:
        pass
    async with app.client() as client:
        for body in bodies:
            await client.publish_cloudevent(body)
        assert [event async for event in client.events()] == []


async def test_a_cloudevent_that_comes_while_no_node_runs_is_published_by_the_next(
    tmp_path: Path,
) -> None:
    app = app_on(parcels.url_in(tmp_path))
    await posted(app, cloudevent())

    async with app:
        await settled(app)

    assert packed == [("a", 3)]


async def test_a_cloudevent_that_comes_twice_while_no_node_runs_is_published_once(
    tmp_path: Path,
) -> None:
    app = app_on(parcels.url_in(tmp_path))
    await posted(app, cloudevent(), cloudevent())

    async with app:
        await settled(app)

    assert packed == [("a", 3)]
