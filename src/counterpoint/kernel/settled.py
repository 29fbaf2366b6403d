"""How a call's outcome reaches the code that waits for it."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from counterpoint.model import records as r

MISSING: Any = object()
"""Stands for a value that is not there yet: on replay it is decoded when it is asked for."""


@dataclass(slots=True)
class Completed:
    """What the future of a successful call holds: its recorded result, and live its value too."""

    result: r.Payload
    value: Any = MISSING


Settled: TypeAlias = Completed | r.CallFailed
"""What a call's future holds: never an exception, so that none is left unretrieved."""
