"""What is asked of every decorated function."""

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from counterpoint.errors import DefinitionError
from counterpoint.model.policies import Retry


def name_of(function: Any) -> str:
    """Return a function's name, or what stands for it in an error about what is no function."""
    return str(getattr(function, "__name__", type(function).__name__))


def check_function(function: Callable[..., Any], name: str) -> bool:
    """Return whether *function* is `async def`; refuse what is neither that nor `def`."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError(f"{name} is a generator: return a value, do not yield several")
    if not inspect.isfunction(function):
        raise DefinitionError(f"{name} is not a function declared with `def` or `async def`")
    return inspect.iscoroutinefunction(function)


def check_limits(name: str, retry: Any, timeout: Any, concurrency: int | None) -> None:
    """Refuse limits that are of another type, or would never let anything run."""
    if not isinstance(retry, Retry):
        raise DefinitionError(f"{name}: retry= takes a Retry, not {retry!r}: Retry(max_attempts=3)")
    if timeout is not None and not isinstance(timeout, timedelta):
        raise DefinitionError(f"{name}: timeout={timeout!r} is no timedelta: timedelta(seconds=5)")
    if timeout is not None and timeout <= timedelta(0):
        raise DefinitionError(f"{name}: timeout= is a positive timedelta, or None for no limit")
    if concurrency is not None and concurrency < 1:
        raise DefinitionError(f"{name}: concurrency= is at least 1")
