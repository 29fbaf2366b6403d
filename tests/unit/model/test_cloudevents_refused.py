"""What is no CloudEvent is refused, and the attribute that is wrong is named."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

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
from counterpoint.model.messages import EventRow

LEAST = {"specversion": "1.0", "id": "a", "source": "shop", "type": "orders.OrderPlaced"}
ROW = from_structured(json.dumps(LEAST).encode(), now=0)


def structured(**changes: object) -> bytes:
    return json.dumps({**LEAST, **changes}).encode()


def binary(**changes: str) -> dict[str, str]:
    return {f"ce-{name}": value for name, value in {**LEAST, **changes}.items()}


LONG_ID = "x" * (EVENT_ID_CHARS_MAX + 1)
LONG = "x" * (EVENT_ATTRIBUTE_CHARS_MAX + 1)
ANY_ATTRIBUTE = ["id", "source", "type"]
ATTRIBUTES: list[tuple[str, object, str]] = [
    ("specversion", None, "is missing"),
    ("specversion", "0.3", "is '0.3': only \"1.0\""),
    ("specversion", 1.0, 'is 1.0: only "1.0"'),
    *((name, None, "is missing") for name in ANY_ATTRIBUTE),
    *((name, "", "is empty") for name in ANY_ATTRIBUTE),
    *((name, 5, "is 5, not a text") for name in ANY_ATTRIBUTE),
    *((name, ["x"], r'is \["x"\], not a text') for name in ANY_ATTRIBUTE),
    ("id", LONG_ID, "has 201 characters: 200 are allowed"),
    *(
        (name, LONG, "has 1,001 characters")
        for name in ("source", "type", "correlationid", "causationid", "partitionkey")
    ),
    ("partitionkey", 5, "is 5, not a text"),
    ("partitionkey", "a\nb", r"has the character '\\n'"),
    ("id", "a\x00", r"has the character '\\x00'"),
    ("source", "\x85", r"has the character '\\x85'"),
    ("type", "\uffff", r"has the character '\\uffff'"),
    ("causationid", {"a": 1}, "not a text"),
    ("traceparent", True, "is true, not a text"),
    ("time", "yesterday", "is 'yesterday', not a time"),
    ("time", "", "is empty"),
    ("time", 1769860800, "is 1769860800, not a text"),
    ("time", "2026-01-31", "not a time"),
    ("time", "2026-01-31T12:00:00", "not a time"),
    ("time", "2026-02-30T12:00:00Z", "not a time"),
    ("time", "2026-01-31T24:01:00Z", "not a time"),
    ("time", "2026-W05-6T12:00:00Z", "not a time"),
    ("time", "٢026-01-31T12:00:00Z", "not a time"),
    ("time", "0001-01-01T00:00:00+01:00", "not a time"),
    ("time", "9999-12-31T23:59:59-01:00", "not a time"),
    ("datacontenttype", "text/plain", "is 'text/plain': only JSON"),
    ("datacontenttype", "application/xml+jsonish", "only JSON"),
    ("datacontenttype", "json", "only JSON"),
    ("datacontenttype", "application/json; charset=latin-1", "only UTF-8"),
    ("datacontenttype", 5, "not a text"),
    ("dataschema", "counterpoint:orders.OrderPlaced/x", "and a version"),
    ("dataschema", "counterpoint:orders.OrderPlaced/0", "and a version"),
    ("dataschema", "counterpoint:orders.OrderPlaced/-1", "and a version"),
    ("dataschema", f"counterpoint:orders.OrderPlaced/{INTEGER_MAX + 1}", "and a version"),
    ("dataschema", "counterpoint:orders.OrderPlaced/" + "9" * 5_000, "and a version"),
    ("dataschema", "counterpoint:orders.OrderGone/1", "'counterpoint:orders.OrderPlaced/'"),
    ("dataschema", 5, "not a text"),
    ("hops", -1, "is -1: it is from 0 to 2147483647"),
    ("hops", INTEGER_MAX + 1, "is 2147483648: it is"),
    ("hops", 10**30, "is 10{30}: it is"),
    ("hops", 1.5, "is 1.5, not an integer"),
    ("hops", True, "is true, not an integer"),
    ("hops", "many", "is 'many', not an integer"),
    ("hops", "9" * 20, "not an integer"),
    ("hops", "9999999999", "it is from 0"),
    ("data_base64", 5, "is 5, not a text"),
    ("data_base64", "%", "is not base64"),
    ("data_base64", "bm8=", "is not JSON"),
    ("data_base64", "/w==", "is not UTF-8"),
]


@pytest.mark.parametrize(
    ("attribute", "value", "why"),
    ATTRIBUTES,
    ids=[f"{number}-{name}" for number, (name, *_) in enumerate(ATTRIBUTES)],
)
def test_a_malformed_attribute_is_named(attribute: str, value: object, why: str) -> None:
    with pytest.raises(EventFormatError, match=f"CloudEvent: {attribute} .*{why}") as caught:
        from_structured(structured(**{attribute: value}), now=0)

    assert caught.value.attribute == attribute
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["Time", "com-example", "com_example", "", "ü", "x" * 500 + "-"])
def test_a_name_that_no_attribute_can_have_is_refused(name: str) -> None:
    with pytest.raises(EventFormatError, match="is no name of an attribute") as caught:
        from_structured(structured(**{name: "x"}), now=0)

    assert caught.value.attribute.startswith(f"'{name[:20]}")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the event is not JSON"),
        (b"{", "the event is not JSON"),
        (b"{} {}", "the event is not JSON"),
        (structured()[:-1] + b', "data": nan}', "the event is not JSON"),
        (structured()[:-1] + b', "data": ' + b"[" * 100_000 + b"}", "the event is not JSON"),
        (b"\xef\xbb\xbf" + structured(), "the event is not JSON"),
        (structured().decode().encode("utf-16"), "the event is not UTF-8"),
        (structured()[:-1] + b', "data": "\xff"}', "the event is not UTF-8"),
        (structured()[:-1] + b', "id": "\\ud800"}', "the event is not JSON"),
        (b"[]", "the event is not a JSON object"),
        (b"null", "the event is not a JSON object"),
        (b'"x"', "the event is not a JSON object"),
        (structured()[:-1] + b', "hops": 1e999}', "hops cannot be read"),
        (structured(data=1, data_base64="MQ=="), "data_base64 is there beside data"),
    ],
    ids=range(14),
)
def test_what_is_no_event_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(EventFormatError, match=f"^malformed CloudEvent: {why}"):
        from_structured(body, now=0)


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        ({}, b"{}", "specversion is missing"),
        (binary(specversion="2.0"), b"{}", "specversion is '2.0'"),
        (binary(id=""), b"{}", "id is empty"),
        (binary(id="%00"), b"{}", r"id has the character '\\x00'"),
        (binary(source="%ff"), b"{}", "source is '%ff', not UTF-8"),
        (binary(hops="-1"), b"{}", "hops is '-1', not an integer"),
        (binary(time="now"), b"{}", "time is 'now', not a time"),
        ({**binary(), "ce-a-b": "x"}, b"{}", "'a-b' is no name of an attribute"),
        ({**binary(), "ce-data": "x"}, b"{}", "'data' is no name of an attribute"),
        ({**binary(), "content-type": "text/plain"}, b"{}", "datacontenttype is 'text/plain'"),
        (
            {**binary(), "content-type": "application/cloudevents+json"},
            b"{}",
            "content-type is 'application/cloudevents.json': the body holds the whole event",
        ),
        (binary(), b"no", "data is not JSON"),
        (binary(), b"\xff", "data is not UTF-8"),
        (binary(), b"[" * 100_000, "data is not JSON"),
    ],
    ids=range(14),
)
def test_malformed_headers_and_data_are_named(
    headers: Mapping[str, str], body: bytes, why: str
) -> None:
    with pytest.raises(EventFormatError, match=f"^malformed CloudEvent: {why}"):
        from_binary(headers, body, now=0)


@pytest.mark.parametrize(
    ("body", "attribute", "why"),
    [
        (b"{}", "the batch", "is not a JSON array"),
        (b"[", "the batch", "is not JSON"),
        (b"[" + structured() + b",5]", "[1]", "is not a JSON object"),
        (b"[" + structured() + b"," + structured(id=5) + b"]", "[1].id", "is 5, not a text"),
    ],
    ids=["object", "cut", "number", "id"],
)
def test_what_is_wrong_in_a_batch_is_named(body: bytes, attribute: str, why: str) -> None:
    with pytest.raises(EventFormatError) as caught:
        from_batch(body, now=0)

    assert str(caught.value).startswith(f"malformed CloudEvent: {attribute} {why}")
    assert caught.value.attribute == attribute


@pytest.mark.parametrize("write", [to_structured, to_binary, lambda row: to_batch([row])])
@pytest.mark.parametrize(
    ("row", "attribute"),
    [
        (ROW._replace(id=""), "id"),
        (ROW._replace(id=LONG_ID), "id"),
        (ROW._replace(key="a\nb"), "partitionkey"),
        (ROW._replace(correlation_id="\ud800"), "correlationid"),
        (ROW._replace(hops=-1), "hops"),
        (ROW._replace(hops=10**5_000), "hops"),
        (ROW._replace(version=0), "version"),
        (ROW._replace(time=10**18), "time"),
        (ROW._replace(codec="zlib"), "data"),
    ],
    ids=["empty", "long", "line", "surrogate", "hops", "huge hops", "version", "time", "codec"],
)
def test_what_could_not_be_read_again_is_not_written(
    write: Any, row: EventRow, attribute: str
) -> None:
    with pytest.raises(EventFormatError) as caught:
        write(row)

    assert caught.value.attribute == attribute
