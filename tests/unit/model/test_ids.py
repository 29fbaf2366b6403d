"""Ids and idempotency keys: bounded, ASCII, never shared."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.model.ids import check_execution_id, generate_id, idempotency_key

ids = st.text(min_size=1, max_size=200) | st.text(
    alphabet=string.digits + "/c~", min_size=1, max_size=70
)
steps = st.integers(1, 10**9) | st.integers(-(10**9), -1)
parts = st.tuples(ids, st.integers(1, 10**6), steps)


@given(parts, parts)
def test_distinct_steps_have_distinct_keys(
    one: tuple[str, int, int], other: tuple[str, int, int]
) -> None:
    assert (idempotency_key(*one) == idempotency_key(*other)) == (one == other)


@given(parts)
def test_keys_are_short_and_ascii(part: tuple[str, int, int]) -> None:
    key = idempotency_key(*part)

    assert 1 <= len(key) <= 64
    assert key.isascii()


def test_keys_can_be_read_where_the_id_is_short() -> None:
    assert idempotency_key("order-1", 2, 3) == "order-1/2/3"
    assert idempotency_key("order-1", 2, -3) == "order-1/2/3c"


@pytest.mark.parametrize("execution_id", ["x" * 61, "ü", "~order"])
def test_other_ids_are_hashed(execution_id: str) -> None:
    key = idempotency_key(execution_id, 1, 1)

    assert key.startswith("~")
    assert execution_id not in key


def test_an_id_that_looks_like_the_hash_of_another_does_not_get_its_key() -> None:
    hashed = idempotency_key("ü", 1, 1)

    assert idempotency_key(hashed.removesuffix("/1/1"), 1, 1) != hashed


def test_generated_ids_are_ordered_by_time_and_unlike_each_other() -> None:
    made = [generate_id() for _ in range(1_000)]

    assert len(set(made)) == 1_000
    assert [i[:12] for i in made] == sorted(i[:12] for i in made)
    assert {len(i) for i in made} == {32}


@pytest.mark.parametrize("good", ["a", "order/1 ü", "x" * 200])
def test_ids_that_users_choose_are_printable(good: str) -> None:
    assert check_execution_id(good) is None


@pytest.mark.parametrize(
    ("bad", "why"),
    [("", "empty"), ("x" * 201, "200 characters"), ("a\nb", "printable"), ("\ud800", "printable")],
)
def test_other_ids_are_refused(bad: str, why: str) -> None:
    assert why in (check_execution_id(bad) or "")
