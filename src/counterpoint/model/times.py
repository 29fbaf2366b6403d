"""Times and durations as they are recorded: integer microseconds."""

from datetime import timedelta

MICROSECOND = timedelta(microseconds=1)


def microseconds(duration: timedelta) -> int:
    """Return a duration as integer microseconds, exactly."""
    return duration // MICROSECOND
