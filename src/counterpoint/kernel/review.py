"""A replay for its own sake: of any journal, to compare it with today's code or to watch it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from counterpoint.model import records as r


@dataclass(frozen=True, slots=True)
class OtherArguments:
    """A call that today's code makes with other arguments than it made then."""

    call: int
    name: str
    recorded: r.Payload
    found: r.Payload
    line: str | None
    """`file:line` of the workflow code that makes the call now."""


def _nothing(record: r.Input) -> None:
    """Look at no record."""


@dataclass(slots=True)
class Review:
    """What a replay tells whoever ordered it.

    A reviewed replay runs the code of executions that are being undone or have ended, too, and
    never goes beyond what is recorded.
    """

    before: Callable[[r.Input], None] = _nothing
    """Called before each input is applied to the code."""
    differences: list[OtherArguments] = field(default_factory=list)
    unreadable: str | None = None
    """The recorded value that today's code does not accept, in words."""

    def compare(
        self, recorded: r.Decision, found: r.Decision, line: Callable[[], str | None]
    ) -> None:
        """Note calls with other arguments; bytes are compared, as they are recorded."""
        kinds = (r.CallScheduled, r.ChildScheduled, r.UndoRegistered)
        if (
            isinstance(recorded, kinds)
            and isinstance(found, kinds)
            and bytes(recorded.arguments) != bytes(found.arguments)
        ):
            self.differences.append(
                OtherArguments(found.call, found.name, recorded.arguments, found.arguments, line())
            )
