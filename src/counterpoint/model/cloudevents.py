"""The wire form of events: CloudEvents 1.0, as structured JSON, in batches, and in binary mode.

The source of all rules is the specification (https://github.com/cloudevents/spec) with its JSON
format, its HTTP binding and the extensions for correlation, partitioning and tracing. `hops` is an
extension of ours. Data is embedded as it is, and never decoded.

What is written can be read again: both directions check the same rules. A reader drops extensions
that it does not know, and the publisher and the place in a log never travel.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from counterpoint.errors import EventFormatError
from counterpoint.model.messages import EventRow, slot_of
from counterpoint.model.times import microseconds

STRUCTURED_MEDIA_TYPE = "application/cloudevents+json"
BATCH_MEDIA_TYPE = "application/cloudevents-batch+json"
EVENT_ID_CHARS_MAX = 200
EVENT_ATTRIBUTE_CHARS_MAX = 1_000
INTEGER_MAX = 2**31 - 1
"""The largest integer that an attribute can be."""

_SCHEMA_CHARS_MAX = 13 * EVENT_ATTRIBUTE_CHARS_MAX  # a type takes 12 for each, percent-encoded
_SPECVERSION = "1.0"
_JSON = "application/json"
_JSON_CODEC = "json"
_OURS = "counterpoint:"
_NULL = b"null"
_NO_DATA = msgspec.Raw(b"")
_PREFIX = "ce-"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_MIN = microseconds(datetime.min.replace(tzinfo=UTC) - _EPOCH)
_TIME_MAX = microseconds(datetime.max.replace(tzinfo=UTC) - _EPOCH)
_NAME = re.compile(r"[a-z0-9]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_JSON_TYPE = re.compile(r"[^/;\s]+/([^/;\s]+\+)?json", re.IGNORECASE)
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_PLACE = re.compile(r"`\$\.(\w+)")  # in msgspec's messages
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PLAIN_HEADER = re.compile(r"[!#$&-~]*")  # without space, quote and percent sign
_HEADER_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_PATH_SAFE = "-._~!$&'()*+,;=:@"


class _Event(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """An event as it is in JSON: any type in any attribute, so that errors can name it."""

    specversion: Any = None
    id: Any = None
    source: Any = None
    type: Any = None
    time: Any = None
    datacontenttype: Any = None
    dataschema: Any = None
    correlationid: Any = None
    causationid: Any = None
    partitionkey: Any = None
    traceparent: Any = None
    hops: Any = None
    data_base64: Any = None
    data: msgspec.Raw = _NO_DATA


class _ForeignEvent(_Event, forbid_unknown_fields=False, gc=False):
    """An event with attributes that nobody here reads."""


_KNOWN = frozenset(_Event.__struct_fields__)
_ATTRIBUTES_OF_HEADERS = {
    f"ce-{name}": name
    for name in _Event.__struct_fields__
    if name not in ("data", "data_base64", "datacontenttype")
}
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Event)
_foreign_decoder = msgspec.json.Decoder(_ForeignEvent)
_member_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_decoder = msgspec.json.Decoder(msgspec.Raw)
_batch_decoder = msgspec.json.Decoder(list[msgspec.Raw])


def to_structured(row: EventRow) -> bytes:
    """Return an event as one JSON object, to be sent as `application/cloudevents+json`.

    The row's data has to be JSON text, decoded by its codec.

    Raises:
        EventFormatError: an attribute cannot be one of a CloudEvent.
    """
    return _encoder.encode(_event(row))


def to_batch(rows: Iterable[EventRow]) -> bytes:
    """Return events as one JSON array, to be sent as `application/cloudevents-batch+json`.

    Raises:
        EventFormatError: an attribute cannot be one of a CloudEvent.
    """
    return _encoder.encode([_event(row) for row in rows])


def to_binary(row: EventRow) -> tuple[dict[str, str], bytes]:
    """Return an event as headers, named in lower case and percent-encoded, and its data.

    Raises:
        EventFormatError: an attribute cannot be one of a CloudEvent.
    """
    headers = {"content-type": _JSON}
    event = _event(row)
    for header, name in _ATTRIBUTES_OF_HEADERS.items():
        value = getattr(event, name)
        if value is not None:
            text = str(value)
            plain = _PLAIN_HEADER.fullmatch(text)
            headers[header] = text if plain else quote(text, safe=_HEADER_SAFE)
    return headers, row.data


def from_structured(body: bytes, *, now: int) -> EventRow:
    """Return the event that a JSON object is; position and time of recording are 0.

    What an event from elsewhere may lack is filled in: version 1, key "" (which the caller finds in
    the data), its own id as correlation id, hops 0, and *now*, in microseconds, as its time.

    Raises:
        EventFormatError: it is no CloudEvent 1.0 with JSON data.
    """
    _check_encoding(body)
    return _from_json(body, now)


def from_batch(body: bytes, *, now: int) -> list[EventRow]:
    """Return the events of a JSON array, as `from_structured` does each.

    Raises:
        EventFormatError: one of them is no CloudEvent; `attribute` begins with its index: `[2].id`.
    """
    _check_encoding(body)
    try:
        events = _batch_decoder.decode(body)
    except msgspec.ValidationError:
        raise EventFormatError("is not a JSON array", attribute="the batch") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise EventFormatError(f"is not JSON: {error}", attribute="the batch") from None
    rows: list[EventRow] = []
    for index, event in enumerate(events):
        try:
            rows.append(_from_json(event, now))
        except EventFormatError as error:
            place = f"[{index}].{error.attribute}" if error.attribute else f"[{index}]"
            raise EventFormatError(error.problem, attribute=place) from None
    return rows


def from_binary(headers: Mapping[str, str], body: bytes, *, now: int) -> EventRow:
    """Return the event that headers, in any case, and data are; see `from_structured`.

    Raises:
        EventFormatError: it is no CloudEvent 1.0 with JSON data.
    """
    event = _Event()
    content_type: str | None = None
    for header, value in headers.items():
        lower = header.lower()
        if name := _ATTRIBUTES_OF_HEADERS.get(lower):
            plain = _PLAIN_HEADER.fullmatch(value)
            setattr(event, name, value if plain else _header_text(name, value))
        elif lower == "content-type":
            content_type = value
        elif lower.startswith(_PREFIX):
            _check_name(lower.removeprefix(_PREFIX))
    if content_type is not None and content_type.lower().startswith("application/cloudevents"):
        raise EventFormatError(
            f"is {_shown(content_type)}: the body holds the whole event, or several",
            attribute="content-type",
        )
    event.datacontenttype = content_type
    return _row(event, _json_data(body) if body else _NULL, now)


def _event(row: EventRow) -> _Event:
    if row.codec != _JSON_CODEC:
        raise EventFormatError(f"is encoded as {_shown(row.codec)}, not JSON", attribute="data")
    version = _checked_integer("version", row.version, least=1)
    return _Event(
        specversion=_SPECVERSION,
        id=_required("id", row.id, EVENT_ID_CHARS_MAX),
        source=_required("source", row.source),
        type=_required("type", row.type),
        time=_time_text(row.time),
        datacontenttype=_JSON,
        dataschema=f"{_schema_prefix(row.type)}{version}",
        correlationid=_optional("correlationid", row.correlation_id),
        causationid=_optional("causationid", row.causation_id),
        partitionkey=_optional("partitionkey", row.key),
        traceparent=_optional("traceparent", row.traceparent),
        hops=_checked_integer("hops", row.hops),
        data=msgspec.Raw(row.data),
    )


def _from_json(body: bytes | msgspec.Raw, now: int) -> EventRow:
    event = _decode(body)
    if event.data_base64 is not None:
        return _row(event, _data_of_base64(event), now)
    return _row(event, bytes(event.data) or _NULL, now)


def _row(event: _Event, data: bytes, now: int) -> EventRow:
    if event.specversion != _SPECVERSION:
        raise EventFormatError(
            "is missing"
            if event.specversion is None
            else f'is {_shown(event.specversion)}: only "1.0" can be read',
            attribute="specversion",
        )
    if event.datacontenttype is not None and event.datacontenttype != _JSON:
        _check_content_type(event.datacontenttype)
    event_id = _required("id", event.id, EVENT_ID_CHARS_MAX)
    event_type = _required("type", event.type)
    key = _optional("partitionkey", event.partitionkey) or ""
    return EventRow(
        position=0,
        source=_required("source", event.source),
        id=event_id,
        type=event_type,
        version=1 if event.dataschema is None else _version(event.dataschema, event_type),
        key=key,
        slot=slot_of(key),
        correlation_id=_optional("correlationid", event.correlationid) or event_id,
        causation_id=_optional("causationid", event.causationid),
        publisher=None,
        hops=0 if event.hops is None else _hops(event.hops),
        traceparent=_optional("traceparent", event.traceparent),
        time=now if event.time is None else _time(event.time),
        recorded_at=0,
        codec=_JSON_CODEC,
        data=data,
    )


def _decode(body: bytes | msgspec.Raw) -> _Event:
    try:
        try:
            return _decoder.decode(body)
        except msgspec.ValidationError:  # no object, or with attributes that nobody here reads
            for name in _member_decoder.decode(body):
                if name not in _KNOWN:
                    _check_name(name)
            return _foreign_decoder.decode(body)
    except msgspec.ValidationError as error:
        if not (place := _PLACE.search(str(error))):
            raise EventFormatError("is not a JSON object") from None
        raise EventFormatError("cannot be read as JSON", attribute=place.group(1)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise EventFormatError(f"is not JSON: {error}") from None


def _data_of_base64(event: _Event) -> bytes:
    if bytes(event.data) not in (b"", _NULL):
        raise EventFormatError("is there beside data: only one can be", attribute="data_base64")
    if not isinstance(event.data_base64, str):
        raise EventFormatError(
            f"is {_shown(event.data_base64)}, not a text", attribute="data_base64"
        )
    try:
        data = b64decode(event.data_base64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EventFormatError(f"is not base64: {error}", attribute="data_base64") from None
    return _json_data(data, "data_base64")


def _json_data(body: bytes, attribute: str = "data") -> bytes:
    """Return data, of which only this is checked: that it is JSON in UTF-8."""
    _check_encoding(body, attribute)
    try:
        return bytes(_raw_decoder.decode(body))
    except (msgspec.DecodeError, RecursionError) as error:
        raise EventFormatError(f"is not JSON: {error}", attribute=attribute) from None


def _check_encoding(body: bytes, attribute: str = "") -> None:
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise EventFormatError(
                f"is not UTF-8: {error.reason} at byte {error.start}", attribute=attribute
            ) from None


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name == "data":
        raise EventFormatError(
            "is no name of an attribute: use a to z and 0 to 9", attribute=_shown(name)
        )


def _check_content_type(value: object) -> None:
    text = _required("datacontenttype", value)
    media_type, _, parameters = text.partition(";")
    if not _JSON_TYPE.fullmatch(media_type.strip()):
        raise EventFormatError(
            f"is {_shown(text)}: only JSON can be read, such as {_JSON}",
            attribute="datacontenttype",
        )
    name, _, charset = parameters.partition("=")
    utf8 = charset.strip().strip('"').lower() in ("utf-8", "utf8", "us-ascii")
    if name.strip().lower() == "charset" and not utf8:
        raise EventFormatError(
            f"is {_shown(text)}: only UTF-8 can be read", attribute="datacontenttype"
        )


def _required(name: str, value: object, chars_max: int = EVENT_ATTRIBUTE_CHARS_MAX) -> str:
    text = _optional(name, value, chars_max)
    if text is None:
        raise EventFormatError("is missing" if value is None else "is empty", attribute=name)
    return text


def _optional(name: str, value: object, chars_max: int = EVENT_ATTRIBUTE_CHARS_MAX) -> str | None:
    """Return the text of an attribute; None if it is not there or empty."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise EventFormatError(f"is {_shown(value)}, not a text", attribute=name)
    if len(value) > chars_max:
        raise EventFormatError(
            f"has {len(value):,} characters: {chars_max:,} are allowed", attribute=name
        )
    # What can be printed holds no forbidden character; the search is for the rest, such as spaces.
    if not value.isprintable() and (found := _FORBIDDEN.search(value)):
        raise EventFormatError(
            f"has the character {found.group()!a}, which no attribute can have", attribute=name
        )
    return value or None


def _hops(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 10:
        value = int(value)  # what went through headers on its way is text
    return _checked_integer("hops", value)


def _checked_integer(name: str, value: object, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise EventFormatError(f"is {_shown(value)}, not an integer", attribute=name)
    if not least <= value <= INTEGER_MAX:
        raise EventFormatError(
            f"is {_shown(value)}: it is from {least} to {INTEGER_MAX}", attribute=name
        )
    return value


def _time(value: object) -> int:
    text = _required("time", value)
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        time = microseconds(datetime.fromisoformat(text.upper()) - _EPOCH)
        if not _TIME_MIN <= time <= _TIME_MAX:
            raise ValueError
    except ValueError:
        raise EventFormatError(
            f"is {_shown(text)}, not a time such as 2026-01-31T12:00:00Z (RFC 3339)",
            attribute="time",
        ) from None
    return time


def _time_text(time: int) -> str:
    if not _TIME_MIN <= time <= _TIME_MAX:
        raise EventFormatError(f"is {_shown(time)}: it has no date", attribute="time")
    return (_EPOCH + timedelta(microseconds=time)).isoformat()[: -len("+00:00")] + "Z"


@lru_cache(maxsize=1_024)
def _schema_prefix(event_type: str) -> str:
    return f"{_OURS}{quote(event_type, safe=_PATH_SAFE)}/"


def _version(dataschema: object, event_type: str) -> int:
    """Return the version that a schema of ours names; 1 for a schema of others."""
    text = _optional("dataschema", dataschema, _SCHEMA_CHARS_MAX)
    if text is None or not text.startswith(_OURS):
        return 1
    prefix = _schema_prefix(event_type)
    number = text.removeprefix(prefix)
    if text.startswith(prefix) and number.isascii() and number.isdecimal() and len(number) <= 10:
        version = int(number)
        if 1 <= version <= INTEGER_MAX:
            return version
    raise EventFormatError(
        f"is {_shown(text)}: expected {_shown(prefix)} and a version", attribute="dataschema"
    )


def _header_text(name: str, value: str) -> str:
    """Undo quotes, which older senders use, and then percent-encoding."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    if "%" not in value:
        return value
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise EventFormatError(f"is {_shown(value)}, not UTF-8", attribute=name) from None


def _shown(value: object) -> str:
    """Return a value for a message: as JSON, and not too long."""
    try:
        text = repr(value) if isinstance(value, str) else _encoder.encode(value).decode()
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        text = f"a value of the type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}…"
