"""The wire form of events: what is written, what is read, and what is refused."""

import json
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import EventFormatError
from counterpoint.model.cloudevents import (
    EVENT_ATTRIBUTE_CHARS_MAX,
    EVENT_ID_CHARS_MAX,
    INTEGER_MAX,
    from_batch,
    from_binary,
    from_structured,
    to_batch,
    to_binary,
    to_structured,
)
from counterpoint.model.messages import EventRow, slot_of

NOW = 1_769_860_800_000_000
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ROW = EventRow(
    position=7,
    source="orders",
    id="0190f4d2a5b34c6d8e9fa0b1c2d3e4f5",
    type="orders.OrderPlaced",
    version=2,
    key="order-1",
    slot=slot_of("order-1"),
    correlation_id="flow-1",
    causation_id="orders.place:orders/1",
    publisher="orders.place",
    hops=3,
    traceparent=TRACE,
    time=NOW + 123_456,
    recorded_at=NOW + 200_000,
    codec="json",
    data=b'{"order_id": "order-1", "total": "12.50"}',
)
LEAST = {"specversion": "1.0", "id": "a", "source": "shop", "type": "orders.OrderPlaced"}


def on_the_wire(row: EventRow) -> EventRow:
    """Return what of a row travels."""
    return row._replace(position=0, publisher=None, recorded_at=0)


def structured(**changes: object) -> bytes:
    return json.dumps({**LEAST, **changes}).encode()


def binary(**changes: str) -> dict[str, str]:
    return {f"ce-{name}": value for name, value in {**LEAST, **changes}.items()}


# What CloudEvents allows in a text: no control characters, no surrogates, no noncharacters.
texts = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=EVENT_ID_CHARS_MAX
)
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
).map(lambda value: json.dumps(value).encode())
times = st.datetimes(timezones=st.just(UTC)).map(
    lambda moment: (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)
)


@st.composite
def rows(draw: st.DrawFn) -> EventRow:
    key = draw(st.just("") | texts)
    return EventRow(
        position=0,
        source=draw(texts),
        id=draw(texts),
        type=draw(texts),
        version=draw(st.integers(1, INTEGER_MAX)),
        key=key,
        slot=slot_of(key),
        correlation_id=draw(texts),
        causation_id=draw(st.none() | texts),
        publisher=None,
        hops=draw(st.integers(0, INTEGER_MAX)),
        traceparent=draw(st.none() | st.just(TRACE)),
        time=draw(times),
        recorded_at=0,
        codec="json",
        data=draw(documents),
    )


@settings(deadline=None)
@given(row=rows())
def test_a_row_comes_back_as_it_was_written(row: EventRow) -> None:
    headers, body = to_binary(row)

    assert from_structured(to_structured(row), now=0) == row
    assert from_binary(headers, body, now=0) == row
    assert all(33 <= ord(char) <= 126 for text in headers.values() for char in text)


@settings(deadline=None)
@given(events=st.lists(rows(), max_size=3))
def test_a_batch_comes_back_as_it_was_written(events: list[EventRow]) -> None:
    assert from_batch(to_batch(events), now=0) == events


@settings(deadline=None)
@given(body=st.binary() | documents)
def test_any_bytes_are_read_or_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(EventFormatError, match=r"^malformed CloudEvent: \S"):
        from_structured(body, now=0)


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(["x"])


@settings(deadline=None)
@given(changes=st.dictionaries(st.sampled_from([*to_binary(ROW)[0], "ce-data_base64"]), values))
def test_whatever_is_read_can_be_sent_on(changes: dict[str, object]) -> None:
    attributes = {name.removeprefix("ce-"): value for name, value in changes.items()}
    with suppress(EventFormatError):
        row = from_structured(structured(**attributes), now=NOW)

        assert from_structured(to_structured(row), now=0) == row


def test_the_place_in_the_log_and_the_publisher_do_not_travel() -> None:
    headers, body = to_binary(ROW)

    assert from_structured(to_structured(ROW), now=0) == on_the_wire(ROW)
    assert from_binary(headers, body, now=0) == on_the_wire(ROW)


def test_an_event_is_written_as_json_with_its_data_as_it_is() -> None:
    written = to_structured(ROW)

    assert json.loads(written) == {
        "specversion": "1.0",
        "id": ROW.id,
        "source": "orders",
        "type": "orders.OrderPlaced",
        "time": "2026-01-31T12:00:00.123456Z",
        "datacontenttype": "application/json",
        "dataschema": "counterpoint:orders.OrderPlaced/2",
        "correlationid": "flow-1",
        "causationid": "orders.place:orders/1",
        "partitionkey": "order-1",
        "traceparent": TRACE,
        "hops": 3,
        "data": {"order_id": "order-1", "total": "12.50"},
    }
    assert ROW.data in written


def test_an_event_is_written_as_headers_and_its_data() -> None:
    headers, body = to_binary(ROW._replace(causation_id=None, traceparent=None, key="Euro € 5%"))

    assert headers == {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": ROW.id,
        "ce-source": "orders",
        "ce-type": "orders.OrderPlaced",
        "ce-time": "2026-01-31T12:00:00.123456Z",
        "ce-dataschema": "counterpoint:orders.OrderPlaced/2",
        "ce-correlationid": "flow-1",
        "ce-partitionkey": "Euro%20%E2%82%AC%205%25",
        "ce-hops": "3",
    }
    assert body == ROW.data


# ---- the package `cloudevents`, which the CloudEvents project publishes, as the judge ----------


def seen_by_package(event: Any) -> dict[str, object]:
    """Return what the package has read, with numbers as text, as headers have no others."""
    return {**event.get_attributes(), "hops": str(event.get_extension("hops"))}


def of_row(row: EventRow) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": row.id,
        "source": row.source,
        "type": row.type,
        "time": datetime.fromtimestamp(row.time // 1_000_000, UTC).replace(
            microsecond=row.time % 1_000_000
        ),
        "datacontenttype": "application/json",
        "dataschema": f"counterpoint:{row.type}/{row.version}",
        "correlationid": row.correlation_id,
        "causationid": row.causation_id,
        "partitionkey": row.key,
        "traceparent": row.traceparent,
        "hops": str(row.hops),
    }


strange = ROW._replace(
    id='a "b" 100% ü/€ 😀', source="/a?b#c", key="1 2", slot=slot_of("1 2"), time=-1_500_001
)


@pytest.mark.parametrize("row", [ROW, strange], ids=["plain", "strange"])
def test_the_package_reads_what_we_write(row: EventRow) -> None:
    headers, body = to_binary(row)

    as_json = http.from_structured_event(http.HTTPMessage({}, to_structured(row)))
    as_headers = http.from_binary_event(http.HTTPMessage(headers, body))

    assert seen_by_package(as_json) == of_row(row)
    assert seen_by_package(as_headers) == of_row(row)
    assert as_json.get_data() == as_headers.get_data() == json.loads(row.data)


@pytest.mark.parametrize("row", [ROW, strange], ids=["plain", "strange"])
def test_we_read_what_the_package_writes(row: EventRow) -> None:
    event = CloudEvent({**of_row(row), "comexample": "x"}, json.loads(row.data))
    as_json, as_headers = http.to_structured_event(event), http.to_binary_event(event)

    assert from_structured(as_json.body, now=0) == on_the_wire(row)
    assert from_binary(as_headers.headers, as_headers.body, now=0) == on_the_wire(row)


# ---- events from elsewhere -----------------------------------------------------------------------


def test_what_a_foreign_event_lacks_is_filled_in() -> None:
    expected = EventRow(
        position=0,
        source="shop",
        id="a",
        type="orders.OrderPlaced",
        version=1,
        key="",
        slot=slot_of(""),
        correlation_id="a",
        causation_id=None,
        publisher=None,
        hops=0,
        traceparent=None,
        time=NOW,
        recorded_at=0,
        codec="json",
        data=b"null",
    )

    assert from_structured(structured(), now=NOW) == expected
    assert from_binary(binary(), b"", now=NOW) == expected


def test_null_and_empty_attributes_are_as_good_as_none() -> None:
    optional = ["time", "dataschema", "correlationid", "causationid", "partitionkey", "hops"]
    row = from_structured(structured(), now=NOW)

    assert from_structured(structured(**dict.fromkeys(optional)), now=NOW) == row
    assert from_structured(structured(correlationid="", partitionkey=""), now=NOW) == row


@pytest.mark.parametrize(
    ("dataschema", "version"),
    [
        ("counterpoint:orders.OrderPlaced/7", 7),
        (f"counterpoint:orders.OrderPlaced/{INTEGER_MAX}", INTEGER_MAX),
        ("https://example.com/schemas/order/7", 1),
        ("", 1),
    ],
)
def test_the_version_is_that_of_a_schema_of_ours(dataschema: str, version: int) -> None:
    assert from_structured(structured(dataschema=dataschema), now=0).version == version


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-31T12:00:00Z", NOW),
        ("2026-01-31t12:00:00z", NOW),
        ("2026-01-31T14:00:00+02:00", NOW),
        ("2026-01-31T12:00:00.5-00:00", NOW + 500_000),
        ("2026-01-31T12:00:00.123456789Z", NOW + 123_456),
        ("1969-12-31T23:59:59.999999Z", -1),
    ],
)
def test_times_are_read_to_the_microsecond(text: str, time: int) -> None:
    assert from_structured(structured(time=text), now=0).time == time


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/vnd.example+json",
        "text/json",
    ],
)
def test_any_json_type_is_read(content_type: str) -> None:
    assert from_structured(structured(datacontenttype=content_type, data=1), now=0).data == b"1"
    assert from_binary({**binary(), "Content-Type": content_type}, b"1", now=0).data == b"1"


def test_data_may_be_base64_of_json() -> None:
    data = b64encode(b'{"a": 1}').decode()

    assert from_structured(structured(data_base64=data), now=0).data == b'{"a": 1}'
    assert from_structured(structured(data=None, data_base64=data), now=0).data == b'{"a": 1}'


@pytest.mark.parametrize("data", ["null", "[]", '"x"', '{"a":  [1.50, "\\u00fc"]}', '{"ü": 1e2}'])
def test_data_is_kept_to_the_byte(data: str) -> None:
    body = structured()[:-1] + b', "data": ' + data.encode() + b"}"

    assert from_structured(body, now=0).data == data.encode()
    assert from_binary(binary(), data.encode(), now=0).data == data.encode()


def test_the_last_of_equal_keys_counts() -> None:
    body = structured()[:-1] + b', "id": "b", "data": 1, "data": 2}'

    assert from_structured(body, now=0)[2] == "b"
    assert from_structured(body, now=0).data == b"2"


def test_unknown_extensions_are_dropped() -> None:
    assert from_structured(
        structured(comexample={"a": [1]}, tracestate="a=b"), now=0
    ) == from_structured(structured(), now=0)
    assert from_binary(
        {**binary(), "ce-tracestate": "%ff", "ce-datacontenttype": "x", "host": "a"}, b"", now=0
    ) == from_binary(binary(), b"", now=0)


@pytest.mark.parametrize("hops", [3, "3"], ids=["number", "text"])
def test_hops_may_have_become_text_on_their_way(hops: object) -> None:
    assert from_structured(structured(hops=hops), now=0).hops == 3


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("a%20b", "a b"),
        ("a%2520b", "a%20b"),
        ("a%zz", "a%zz"),
        ("%e2%82%AC", "€"),
        ('"a b"', "a b"),
        (r'"a \"b\" \\ %25"', 'a "b" \\ %'),
        ("ü", "ü"),
        ('"', '"'),
    ],
)
def test_headers_are_unquoted_and_decoded_once(value: str, read: str) -> None:
    assert from_binary(binary(partitionkey=value), b"", now=0).key == read


def test_names_of_headers_may_be_in_any_case() -> None:
    headers, body = to_binary(ROW)

    shouted = {name.upper(): value for name, value in headers.items()}

    assert from_binary(shouted, body, now=0) == on_the_wire(ROW)


@pytest.mark.parametrize("name", ["source", "type", "correlationid", "partitionkey"])
def test_attributes_may_be_as_long_as_allowed(name: str) -> None:
    longest = {name: "😀" * EVENT_ATTRIBUTE_CHARS_MAX, "id": "x" * EVENT_ID_CHARS_MAX}

    row = from_structured(structured(**longest), now=0)

    assert from_structured(to_structured(row), now=0) == row
    assert len(row.id) == EVENT_ID_CHARS_MAX
