"""Columns arrive at the server as they were sent, whatever is in them."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.postgres.server import BackDoor

from counterpoint.stores.postgres_columns import column

ODD = "\"\\{},\n\t\r \x1e\x1f\x0bNULLé\U0001f600%'"
texts = st.text(
    st.one_of(st.sampled_from(ODD), st.characters(codec="utf-8", exclude_characters="\0$"))
)
numbers = {
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
}


def _read(back_door: BackDoor, kind: str, values: list[Any]) -> list[Any]:
    sent = column(kind, tuple(values))
    ((read,),) = back_door.rows(f"SELECT $odd${sent}$odd$::text::{kind}[]")
    return list(read)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(st.none() | texts, min_size=1, max_size=5))
def test_texts_arrive_as_they_were_sent(back_door: BackDoor, values: list[str | None]) -> None:
    assert _read(back_door, "text", values) == values


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_numbers_arrive_as_they_were_sent(back_door: BackDoor, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(numbers)))
    values = data.draw(st.lists(st.none() | numbers[kind], min_size=1, max_size=5))

    assert _read(back_door, kind, values) == values
