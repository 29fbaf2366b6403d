from datetime import UTC, datetime, timedelta, timezone

import pytest

from counterpoint.cli.failures import CommandError
from counterpoint.cli.times import absolute, both, due, duration, now, parse_since, relative

AT = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.0001, "<1 ms"),
        (0.0124, "12 ms"),
        (0.9999, "1 s"),
        (3.21, "3.2 s"),
        (59, "59 s"),
        (99.4, "99 s"),
        (150, "2 min"),
        (7200, "2 h"),
        (3600 * 47, "47 h"),
        (86400 * 3, "3 d"),
        (-3, "3 s"),
    ],
)
def test_a_duration_is_written_in_its_largest_fitting_unit(seconds: float, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words


def test_moments_are_written_relative_to_another_one() -> None:
    later, just, before = (AT + timedelta(seconds=s) for s in (3, -0.5, -120))

    words = [relative(later, AT), relative(just, AT), relative(before, AT)]

    assert words == ["in 3 s", "just now", "2 min ago"]


def test_what_should_have_happened_is_due() -> None:
    words = [due(AT + timedelta(seconds=s), AT) for s in (2, -2)]

    assert words == ["in 2 s", "due 2 s ago"]


def test_the_date_is_written_unless_it_is_the_same() -> None:
    elsewhere = timezone(timedelta(hours=2))

    assert absolute(AT.astimezone(elsewhere), AT) == "12:00:00 UTC"
    assert both(AT - timedelta(days=3), AT) == "3 d ago (2026-05-01 12:00:00 UTC)"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30m", AT - timedelta(minutes=30)),
        ("1.5 h", AT - timedelta(minutes=90)),
        ("7d", AT - timedelta(days=7)),
        ("2026-05-01", datetime(2026, 5, 1, tzinfo=UTC)),
        ("2026-05-01T12:00:00+02:00", datetime(2026, 5, 1, 10, tzinfo=UTC)),
    ],
)
def test_since_takes_a_span_or_an_iso_moment(text: str, moment: datetime) -> None:
    assert parse_since(text, AT) == moment


@pytest.mark.parametrize("text", ["yesterday", "3", "", "9999999999999d", "2026-13-01"])
def test_since_refuses_the_rest_with_examples(text: str) -> None:
    with pytest.raises(CommandError, match="write 30m, 2h"):
        parse_since(text, AT)


def test_now_is_in_utc() -> None:
    assert now().tzinfo is UTC
