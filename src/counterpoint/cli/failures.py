"""What goes wrong in a command, as one line on stderr and an exit code."""

from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum

from counterpoint.errors import (
    ArgumentsError,
    CounterpointError,
    DefinitionError,
    ExecutionNotFoundError,
    NodeStoppedError,
    PayloadError,
    StoreError,
)


class Exit(IntEnum):
    """The exit codes of all commands."""

    OK = 0
    FAILED = 1
    """The execution ended without a result, what was asked of it was refused, or `doctor` found an
    error."""
    USAGE = 2
    """The command line, its values or the app that it names cannot be used."""
    NOT_FOUND = 3
    """There is no such execution, workflow, event type, dead letter, subscription or node."""
    STORE = 4
    """The store does not exist, belongs to another node, or failed."""
    TIMEOUT = 5
    """The wait was given up; the execution goes on."""
    DIVERGED = 6
    """Recorded executions do not agree with the code."""
    INTERRUPTED = 130
    """Ctrl-C, or a second signal to `counterpoint run` (then 128 + the signal's number)."""


EPILOG = (
    "Exit codes: 0 done; 1 the execution failed, the request was refused, or doctor found an "
    "error; 2 wrong usage, or the app cannot be loaded; 3 no such execution, workflow, event type, "
    "dead letter, subscription or node, or nothing to replay; 4 the store does not exist, is "
    "hosted by another node, or failed; 5 timed out, the execution goes on; 6 recorded executions "
    "do not agree with the code; 130 interrupted."
)


class CommandError(Exception):
    """A command cannot go on; the message says what to do."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def user_input(what: str) -> Generator[None, None, None]:
    """Turn whatever reading a user's input raises, also in a user's own types, into one line.

    Raises:
        CommandError: instead of any other exception that is not Counterpoint's own.
    """
    try:
        yield
    except (CounterpointError, CommandError):
        raise
    except Exception as error:  # validators and `__post_init__` are the user's code
        raise CommandError(f"{what}: {type(error).__name__}: {error}") from error


_CODES: tuple[tuple[type[CounterpointError], Exit], ...] = (
    (ExecutionNotFoundError, Exit.NOT_FOUND),
    (ArgumentsError, Exit.USAGE),
    (PayloadError, Exit.USAGE),
    (DefinitionError, Exit.USAGE),
    (StoreError, Exit.STORE),
    (NodeStoppedError, Exit.STORE),
)


def exit_code(error: CounterpointError | CommandError) -> Exit:
    """Return the exit code that says what kind of failure *error* is."""
    if isinstance(error, CommandError):
        return error.code
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return Exit.FAILED
