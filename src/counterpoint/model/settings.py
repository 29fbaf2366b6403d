"""Every setting of an app, with its default, its unit and its environment variable."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from counterpoint.errors import DefinitionError

PREFIX = "COUNTERPOINT_"


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be tuned; each also comes from `COUNTERPOINT_<NAME>`.

    There, durations are seconds, and names are divided by commas.
    """

    store: str = "sqlite:///counterpoint.db"
    """Where executions live: `sqlite:///file.db`, `postgresql://user@host/database`, `memory:`."""
    node: str = ""
    """This node's name, for people; none: the machine's name and the process id."""
    hosts: tuple[str, ...] = ()
    """The services that this process hosts as a node, by name; none given: all of the app."""
    payload_bytes_max: int = 1024 * 1024
    """The most bytes that one argument list, result, signal or heartbeat may take."""
    max_running: int = 1_000
    """Attempts of activities that run at once on a node."""
    max_resident: int = 5_000
    """Executions that a node holds in memory; the others wait in the store."""
    threads_max: int = 32
    """Threads for `def` activities."""
    stop_within: timedelta = timedelta(seconds=10)
    """How long a stopping node lets activities finish."""
    settle: timedelta = timedelta(seconds=30)
    """How long a failed saga waits for its calls to end before a person is told."""
    keep_finished: timedelta = timedelta(days=30)
    """How long finished executions are kept, and events that everybody has taken."""
    hop_limit: int = 32
    """How many events may lead to each other, one after the other, before one is a dead letter."""
    newer_version_wait: timedelta = timedelta(hours=1)
    """How long an event waits for somebody who knows its newer contract."""
    poll_interval: timedelta = timedelta(milliseconds=50)
    """How often a node looks for what other processes posted."""
    block_warning: timedelta = timedelta(seconds=1)
    """How long code may block the event loop before the watchdog names it; 0: nobody watches."""

    @classmethod
    def load(cls, given: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> "Settings":
        """Return the settings: what is *given* first, then the environment, then defaults.

        Raises:
            DefinitionError: a name is unknown or a value is not of its type; names the variable.
        """
        environ = os.environ if environ is None else environ
        known = {field.name: field.default for field in fields(cls)}
        unknown = given.keys() - known.keys()
        if unknown:
            raise DefinitionError(
                f"unknown setting {', '.join(sorted(unknown))}; known: {', '.join(known)}"
            )
        values = dict(given)
        for name, default in known.items():
            variable = PREFIX + name.upper()
            if name not in values and variable in environ:
                values[name] = _parse(variable, environ[variable], default)
                _check(variable, values[name], default)
        settings = cls(**values)
        for name, default in known.items():
            _check(f"the setting {name}", getattr(settings, name), default)
        return settings


def _parse(variable: str, text: str, default: object) -> object:
    try:
        if isinstance(default, int):
            return int(text)
        if isinstance(default, timedelta):
            return timedelta(seconds=float(text))
        if isinstance(default, tuple):
            return _names(variable, text)
    except (ValueError, OverflowError):
        kind = "a whole number" if isinstance(default, int) else "a number of seconds"
        raise DefinitionError(f"{variable}={text!r} is not {kind}") from None
    return text


def _names(variable: str, text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise DefinitionError(f"{variable} names nothing: write names with commas, or unset it")
    return names


def _check(name: str, value: object, default: object) -> None:
    if not isinstance(value, type(default)) or isinstance(value, bool):
        kind = type(default).__name__
        raise DefinitionError(f"{name} takes a {kind}, not {value!r}")
    if isinstance(value, tuple) and not _are_names(value):
        raise DefinitionError(f"{name} takes names, not {value!r}")
    if isinstance(value, int) and value < 1:
        raise DefinitionError(f"{name} is at least 1, not {value}")
    if isinstance(value, timedelta) and value < timedelta(0):
        raise DefinitionError(f"{name} cannot be negative")


def _are_names(values: Any) -> bool:
    return all(isinstance(one, str) for one in values)
