"""Moments and durations, as people read and write them."""

import re
from datetime import UTC, datetime, timedelta

from counterpoint.cli.failures import CommandError

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)")


def now() -> datetime:
    """Return this moment in UTC."""
    return datetime.now(UTC)


def duration(span: timedelta) -> str:
    """Return a duration in its largest fitting unit: `12 ms`, `3.2 s`, `5 min`, `2 h`, `4 d`."""
    seconds = abs(span.total_seconds())
    if 0 < seconds < 0.0005:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    for unit, length in (("s", 1), ("min", 60), ("h", 3600)):
        count = round(seconds / length)
        if count < (48 if unit == "h" else 100):
            return f"{count} {unit}"
    return f"{round(seconds / 86400)} d"


def relative(moment: datetime, at: datetime) -> str:
    """Return how far *moment* is from *at*: `in 3 s`, `2 min ago`, `just now`."""
    span = moment - at
    if span > timedelta(0):
        return f"in {duration(span)}"
    if span > timedelta(seconds=-1):
        return "just now"
    return f"{duration(span)} ago"


def due(moment: datetime, at: datetime) -> str:
    """Return when something is going to happen: `in 3 s`, or `due 2 min ago` if it has not."""
    text = relative(moment, at)
    return text if moment > at else f"due {text}"


def absolute(moment: datetime, at: datetime) -> str:
    """Return a moment in UTC, with its date unless that is the date of *at*."""
    moment = moment.astimezone(UTC)
    form = "%H:%M:%S UTC" if moment.date() == at.date() else "%Y-%m-%d %H:%M:%S UTC"
    return moment.strftime(form)


def both(moment: datetime, at: datetime) -> str:
    """Return a past moment in relative and in absolute words."""
    return f"{relative(moment, at)} ({absolute(moment, at)})"


def parse_since(text: str, at: datetime) -> datetime:
    """Return the moment that `--since` names: `2h`, `30m`, `7d`, or an ISO date or time (UTC).

    Raises:
        CommandError: it is neither.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return at - timedelta(seconds=float(ago[1]) * _UNITS[ago[2]])
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise CommandError(
            f"--since {text!r} is no moment: write 30m, 2h, 7d, 2026-01-31 or 2026-01-31T12:00"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
