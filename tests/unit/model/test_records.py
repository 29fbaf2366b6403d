"""Records: each is the same again, and what was once written is readable for ever."""

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.model import records as r

HISTORY = Path(__file__).parents[2] / "histories" / "records.json"
KINDS: tuple[type[msgspec.Struct], ...] = get_args(r.Record)

texts = st.text(max_size=8)
numbers = st.integers(-(2**62), 2**62)
payloads = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
).map(lambda value: msgspec.Raw(msgspec.json.encode(value)))
failures = st.builds(r.Failure, texts, texts, st.booleans(), payloads, st.none() | texts)
FIELDS: dict[Any, st.SearchStrategy[Any]] = {
    int: numbers,
    str: texts,
    bool: st.booleans(),
    msgspec.Raw: payloads,
    r.Failure: failures,
    type(None): st.none(),
    list[r.CarriedSignal]: st.lists(st.builds(r.CarriedSignal, texts, payloads), max_size=2),
    list[r.EventCursor]: st.lists(st.builds(r.EventCursor, texts, texts, numbers), max_size=2),
    r.CausedBy: st.builds(r.CausedBy, texts, texts, texts, numbers, numbers, numbers),
    dict[str, str]: st.dictionaries(texts, texts, max_size=2),
    dict[str, str | None]: st.dictionaries(texts, st.none() | texts, max_size=2),
}


def strategy_of(hint: Any) -> st.SearchStrategy[Any]:
    if hint in FIELDS:
        return FIELDS[hint]
    return st.one_of(*(FIELDS[one] for one in get_args(hint)))


def records_of(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    fields = msgspec.structs.fields(kind)
    return st.tuples(*(strategy_of(f.type) for f in fields)).map(lambda values: kind(*values))


records = st.one_of(*(records_of(kind) for kind in KINDS))


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_is_the_same_again(kind: type[msgspec.Struct]) -> None:
    @given(records_of(kind))
    @settings(max_examples=10)
    def is_the_same_again(record: Any) -> None:
        (read,) = r.decode_records(r.encode_records([record]))
        assert type(read) is kind
        assert read == record

    is_the_same_again()


@given(st.lists(records, max_size=10))
def test_records_are_the_same_again(written: list[r.Record]) -> None:
    body = r.encode_records(written)
    read = r.decode_records(body)

    assert r.encode_records(read) == body
    assert [type(record) for record in read] == [type(record) for record in written]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'[["from-the-future",1]]', "from-the-future"),
        (b'[["fired",1]]', "length"),
        (b'[["fired","soon",1]]', "int"),
        (b"{}", "array"),
        (b"[[", "truncated"),
        (b"", "truncated"),
    ],
)
def test_what_is_no_record_says_what_is_wrong(body: bytes, message: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=message):
        r.decode_records(body)


def test_fields_that_a_newer_version_added_are_ignored() -> None:
    assert r.decode_records(b'[["fired",5,1,"new"]]') == [r.TimerFired(5, 1)]


def test_every_record_was_recorded_once_and_is_still_read() -> None:
    samples = msgspec.json.decode(HISTORY.read_bytes(), type=dict[str, msgspec.Raw])

    assert set(samples) == {kind.__name__ for kind in KINDS}
    for name, sample in samples.items():
        (record,) = r.decode_records(b"[%s]" % bytes(sample))
        assert type(record).__name__ == name
        written = msgspec.json.decode(bytes(sample))
        again = msgspec.json.decode(r.encode_records([record]))[0]
        assert again[: len(written)] == written  # fields are only ever added, with defaults


def test_tags_are_unlike_each_other() -> None:
    tags = [kind.__struct_config__.tag for kind in KINDS]

    assert len(set(tags)) == len(tags)
