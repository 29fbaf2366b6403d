"""What a workflow's code can do, as a small immutable tree: `reading` makes it, renderers draw it.

A `Body` is what happens in order. Text in the tree is as the user wrote it; a renderer escapes.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Kind(StrEnum):
    """What a step is."""

    ACTIVITY = "activity"
    CHILD = "child"
    SIGNAL = "signal"
    EVENT = "event"
    SLEEP = "sleep"
    PUBLISH = "publish"
    PIVOT = "pivot"
    COMPENSATE_WITH = "compensate with"
    PATCHED = "patched"


class Way(StrEnum):
    """How a body is left before its last statement."""

    RETURN = "return"
    RAISE = "raise"
    BREAK = "break"
    CONTINUE = "continue"
    AGAIN = "continue as new"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the engine does for the code: it is recorded and survives a restart."""

    kind: Kind
    name: str
    """The recorded name of an activity or a workflow, or the source of what else is meant."""
    detail: str = ""
    undo: str | None = None
    """The recorded name of an activity's compensation; for a child saga its own name."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the source alone does not tell, in words."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """The code leaves its loop, its helper or the workflow here."""

    way: Way
    text: str = ""
    """The source of what is returned or raised."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way through a branch, or one handler of a `try`."""

    label: str
    body: "Body"


@dataclass(frozen=True, slots=True)
class Branch:
    """Exactly one of the arms happens."""

    subject: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """The body happens any number of times."""

    header: str
    body: "Body"
    otherwise: "Body" = ()
    """What happens once the loop has ended without `break`."""
    endless: bool = False
    """Only `break` or the end of the code leaves it."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One of several things at the same time."""

    body: "Body"
    each: str = ""
    """The loop's header, where the lane happens once for each of something."""


@dataclass(frozen=True, slots=True)
class Parallel:
    """The lanes happen at the same time."""

    lanes: tuple[Lane, ...]
    until: str = "all"
    """When the code goes on: `all` or `the first`."""


@dataclass(frozen=True, slots=True)
class Spawn:
    """A task begins, and the code goes on beside it."""

    task: str
    """The variable that keeps it, where there is one."""
    body: "Body"
    each: str = ""


@dataclass(frozen=True, slots=True)
class Join:
    """The code waits for tasks that it began."""

    task: str
    until: str = "all"


@dataclass(frozen=True, slots=True)
class Try:
    """A body with handlers of what it raises."""

    body: "Body"
    handlers: tuple[Arm, ...]
    otherwise: "Body" = ()
    final: "Body" = ()


@dataclass(frozen=True, slots=True)
class Within:
    """A body with a time limit, past which it is cancelled and `TimeoutError` is raised."""

    limit: str
    """In words: `within 5 s`."""
    body: "Body"


@dataclass(frozen=True, slots=True)
class Helper:
    """The body of a function that the workflow calls; a `return` in it ends only it."""

    name: str
    body: "Body"
    block: bool = False
    """A block of the caller stands in a generator's body: a `return` in it ends the caller."""


Leaf: TypeAlias = Step | Note | End | Join
Inner: TypeAlias = Branch | Loop | Parallel | Spawn | Try | Within | Helper
Node: TypeAlias = Leaf | Inner
Body: TypeAlias = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """One workflow, read."""

    name: str
    kind: str
    """`workflow` or `saga`."""
    parameters: str
    deadline: str
    """In words; empty where there is none."""
    body: Body


def parts(node: Node) -> tuple[Body, ...]:
    """Return the bodies inside a node, in source order."""
    match node:
        case Branch(arms=arms):
            return tuple(arm.body for arm in arms)
        case Loop(body=body, otherwise=otherwise):
            return (body, otherwise)
        case Parallel(lanes=lanes):
            return tuple(lane.body for lane in lanes)
        case Try(body=body, handlers=handlers, otherwise=otherwise, final=final):
            return (body, *(arm.body for arm in handlers), otherwise, final)
        case Spawn(body=body) | Within(body=body) | Helper(body=body):
            return (body,)
        case _:
            return ()
