"""When a timer is due, in the journal's microseconds."""

import math

FAR_FUTURE = 253_402_300_799_000_000
"""The end of the year 9999 in microseconds: later timers are set to this."""


def due_time(started_at: int, seconds: float) -> int:
    """Return the moment *seconds* after an execution's start, within what a store can hold.

    Raises:
        ValueError: that is no number.
    """
    if math.isnan(seconds):
        raise ValueError(f"a timer cannot be due at {seconds} s")
    after = seconds * 1e6
    if after >= FAR_FUTURE - started_at:
        return FAR_FUTURE
    return started_at + round(max(0.0, after))
