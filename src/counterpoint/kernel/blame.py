"""Which call's failure an error is: what `retry()` of a failed execution has to try again."""

from typing import Any

from counterpoint.errors import ActivityFailed

FAILED_CALL = "_counterpoint_call"
"""Where an error of a call that crosses as itself keeps the call's number."""

CHAIN_MAX = 100
"""Errors of one chain that are looked at; chains can be circular."""


def parts_of(error: BaseException) -> tuple[BaseException, ...]:
    """Return the errors that a group holds; none for any other error."""
    anything: Any = error
    return anything.exceptions if isinstance(error, BaseExceptionGroup) else ()


def call_of(error: BaseException) -> int | None:
    """Return the number of the call whose failure *error* is, groups, or was raised because of."""
    try:
        return _call_of(error)
    except Exception:  # noqa: BLE001 - a user's class may have properties by any name
        return None


def _call_of(error: BaseException) -> int | None:
    looked_at: list[BaseException] = [error]
    for found in looked_at:  # which grows
        if isinstance(found, ActivityFailed):
            return found.call
        number: int | None = found.__dict__.get(FAILED_CALL)
        if number is not None or len(looked_at) > CHAIN_MAX:
            return number
        looked_at += parts_of(found)
        because = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
        if because is not None:
            looked_at.append(because)
    return None
