"""Retry policies: delays that grow to a cap, jitter that only shortens them."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint import DefinitionError, Rate, Retry

MS = timedelta(milliseconds=1)
policies = st.builds(
    lambda first, more, factor, jitter: Retry(
        first=first * MS, cap=(first + more) * MS, factor=factor, jitter=jitter
    ),
    st.integers(0, 10**6),
    st.integers(0, 10**9),
    st.floats(1, 10),
    st.floats(0, 1),
)


def test_delays_double_up_to_the_cap() -> None:
    retry = Retry(first=100 * MS, factor=2, cap=500 * MS, jitter=0)

    delays = [retry.delay_after(attempt, 0.5) / MS for attempt in (1, 2, 3, 4, 1_000_000)]

    assert delays == [100, 200, 400, 500, 500]


@given(policies, st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_jitter_takes_at_most_its_share(retry: Retry, attempt: int, share: float) -> None:
    longest = retry.delay_after(attempt, 0)

    delay = retry.delay_after(attempt, share)

    assert timedelta(0) <= delay <= longest <= retry.cap
    assert delay >= longest * (1 - retry.jitter) - timedelta(microseconds=1)


@given(policies, st.integers(1, 100))
def test_delays_do_not_shrink(retry: Retry, attempt: int) -> None:
    assert retry.delay_after(attempt, 0) <= retry.delay_after(attempt + 1, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_attempts": 0}, "at least 1"),
        ({"first": -MS}, "0 <= first <= cap"),
        ({"first": 2 * MS, "cap": MS}, "0 <= first <= cap"),
        ({"factor": 0.5}, "factor"),
        ({"factor": float("nan")}, "factor"),
        ({"jitter": 1.5}, "jitter"),
        ({"jitter": -0.1}, "jitter"),
        ({"jitter": float("nan")}, "jitter"),
    ],
)
def test_policies_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Retry(**options)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"count": 0}, r"Rate\(count=0\) is a whole number, at least 1"),
        ({"count": 0.5}, r"Rate\(count=0\.5\) is a whole number"),
        ({"count": True}, r"Rate\(count=True\) is a whole number"),
        ({"count": 1, "burst": 0}, r"Rate\(burst=0\) is a whole number, at least 1"),
        ({"count": 1, "per": 60}, r"Rate\(per=60\) is a positive timedelta"),
        ({"count": 1, "per": timedelta(0)}, r"Rate\(per=.*\) is a positive timedelta"),
    ],
)
def test_a_rate_at_which_nothing_begins_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Rate(**wrong)


def test_a_rate_is_so_many_a_second() -> None:
    assert Rate(90, per=timedelta(minutes=1)).per_second == 1.5
