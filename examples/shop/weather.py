"""Bad weather on the network, by a fixed rule: the same calls fail in every run of the example."""

from zlib import crc32

from counterpoint import NotDone
from counterpoint.activity import AttemptInfo


def unreachable(call: AttemptInfo) -> bool:
    """Whether the service cannot be reached by this attempt: nothing has happened."""
    dice = _dice(call)
    return (call.attempt == 1 and dice < 6) or (call.attempt == 2 and dice < 1)


def answer_lost(call: AttemptInfo) -> bool:
    """Whether the service did what was asked, but its answer never came back."""
    return call.attempt == 1 and 6 <= _dice(call) < 10


def no_route(call: AttemptInfo) -> NotDone:
    """Return the error of an attempt that reached nobody: it is known that nothing happened."""
    error = NotDone()
    error.__cause__ = ConnectionError(f"{call.activity}: no route")
    return error


def no_answer(call: AttemptInfo) -> ConnectionError:
    """Return the error of an attempt after which nobody knows what happened."""
    return ConnectionError(f"{call.activity}: the connection broke before the answer came")


def _dice(call: AttemptInfo) -> int:
    """Return a number from 0 to 99 that depends on the call alone."""
    return crc32(call.idempotency_key.encode()) % 100
