"""What passes between the engine and workflow code that waits or ends."""

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


Settled: TypeAlias = Completed | r.CallFailed | r.ChildFailed
"""What a call's future holds: never an exception, so that none is left unretrieved."""


class ContinueAsNew(BaseException):
    """Leaves the workflow's function: the next run begins with these arguments.

    Not an `Exception`, so that code which catches its own errors lets it pass.
    """

    def __init__(self, arguments: r.Payload) -> None:
        super().__init__("the workflow continues as new")
        self.arguments = arguments
