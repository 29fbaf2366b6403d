"""What is asked of every decorated function."""

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from counterpoint.errors import DefinitionError
from counterpoint.model.cluster import Limit
from counterpoint.model.policies import Rate, Retry


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
    _check_concurrency(name, concurrency)


def limit_of(name: str, concurrency: int | None, rate: Any) -> Limit | None:
    """Return how much of an activity or a service may run at once and begin; None for no limit.

    Raises:
        DefinitionError: it is of another type, or nothing would ever run.
    """
    if rate is not None and not isinstance(rate, Rate):
        raise DefinitionError(
            f"{name}: rate= takes a Rate, not {rate!r}: Rate(10) for ten a second"
        )
    _check_concurrency(name, concurrency)
    if rate is None:
        return None if concurrency is None else Limit(name, concurrency, None)
    return Limit(name, concurrency, rate.per_second, rate.burst)


def _check_concurrency(name: str, concurrency: Any) -> None:
    if concurrency is None:
        return
    if not isinstance(concurrency, int) or isinstance(concurrency, bool):
        raise DefinitionError(f"{name}: concurrency={concurrency!r} is no whole number")
    if concurrency < 1:
        raise DefinitionError(f"{name}: concurrency= is at least 1")
