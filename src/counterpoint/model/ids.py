"""Identifiers: how they are made, bounded and combined.

*Step numbers.* The calls of an execution are numbered 1, 2, 3, … in the order in which they were
made. The step number of a call is its number; the step number of its compensation is minus that.
"""

import hashlib
import os
import time
from collections.abc import Callable

EXECUTION_ID_CHARS_MAX = 200
IDEMPOTENCY_KEY_CHARS_MAX = 64
NAME_CHARS_MAX = 200
_HASHED = "~"
wall_ns: Callable[[], int] = time.time_ns
entropy: Callable[[int], bytes] = os.urandom
"""Where generated ids come from; a simulation puts its own time and dice here."""


def generate_id() -> str:
    """Return a new id of 32 hexadecimal characters, ordered by time of making (milliseconds)."""
    return f"{wall_ns() // 1_000_000:012x}{entropy(10).hex()}"


def idempotency_key(execution_id: str, run: int, step: int) -> str:
    """Return the key that every attempt of one step carries: at most 64 ASCII characters.

    The last two parts are numbers, so that ids which contain slashes cannot collide; an id that is
    too long, not ASCII or looks like a hash is replaced by its hash.
    """
    tail = f"/{run}/{step}" if step > 0 else f"/{run}/{-step}c"
    if (
        execution_id.isascii()
        and execution_id[:1] != _HASHED
        and len(execution_id) + len(tail) <= IDEMPOTENCY_KEY_CHARS_MAX
    ):
        return execution_id + tail
    digest = hashlib.blake2b(execution_id.encode(), digest_size=18).hexdigest()
    return _HASHED + digest + tail


def child_id(parent_id: str, run: int, call: int) -> str:
    """Return the id of the child execution that a call makes: `<parent>/<call>`.

    In a later run of the parent it ends with the run's number too (`order-7/3.2`), so that the
    children of two runs never share an id; an id that would become too long is hashed.
    """
    tail = f"/{call}" if run == 1 else f"/{call}.{run}"
    if len(parent_id) + len(tail) <= EXECUTION_ID_CHARS_MAX:
        return parent_id + tail
    return _HASHED + hashlib.blake2b(parent_id.encode(), digest_size=18).hexdigest() + tail


def event_execution_id(name: str, source: str, event_id: str, replay: int = 0) -> str:
    """Return the id of what an event starts: `<name>:<source>/<event id>`.

    That of a replay ends with its number (`#3`); an id that would become too long is hashed.
    """
    tail = f"#{replay}" if replay else ""
    made = f"{name}:{source}/{event_id}{tail}"
    if len(made) <= EXECUTION_ID_CHARS_MAX:
        return made
    digest = hashlib.blake2b(f"{source}/{event_id}".encode(), digest_size=18).hexdigest()
    return f"{name[: EXECUTION_ID_CHARS_MAX - 60]}:{_HASHED}{digest}{tail}"


def check_execution_id(execution_id: object) -> str | None:
    """Return what is wrong with an id that a user chose, or None."""
    if not isinstance(execution_id, str):
        return f"an execution id is text, not {execution_id!r}"
    if not execution_id:
        return "an execution id cannot be empty"
    if len(execution_id) > EXECUTION_ID_CHARS_MAX:
        return f"an execution id has at most {EXECUTION_ID_CHARS_MAX} characters"
    if not execution_id.isprintable():
        return "an execution id has printable characters only"
    return None


def check_name(what: str, name: object) -> str | None:
    """Return why *name* cannot be recorded as the name of *what* (`a signal`), or None."""
    if not isinstance(name, str):
        return f"the name of {what} is text, not {type(name).__name__}"
    if len(name) > NAME_CHARS_MAX:
        return f"the name of {what} has at most {NAME_CHARS_MAX} characters, not {len(name)}"
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"the name of {what} cannot be written as UTF-8: {name!a}"
    return None


def check_signal_name(name: object) -> str | None:
    """Return what is wrong with a name that a signal is sent or awaited under, or None."""
    return check_name("a signal", name)
