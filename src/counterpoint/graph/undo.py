"""What a saga undoes when it fails, newest call first, and what stays."""

from dataclasses import dataclass, field

from counterpoint.graph.flow import (
    Branch,
    Flow,
    Kind,
    Loop,
    Node,
    Parallel,
    Spawn,
    Step,
    Try,
    parts,
)


@dataclass(frozen=True, slots=True)
class Undone:
    """A call that is undone."""

    undo: str
    what: str
    """Why it is called, in words."""
    when: str
    """In words, unless the call always happens once."""


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """What happens to each call of a saga that fails after its last one."""

    undone: tuple[Undone, ...]
    """Newest first."""
    stays: tuple[str, ...]
    """What is never undone, in words, oldest first."""
    pivot: bool
    """Nothing is undone once the pivot was passed."""

    @property
    def title(self) -> str:
        """What the part of the drawing is called."""
        unless = " and the pivot was not passed" if self.pivot else ""
        return f"if it fails or is cancelled{unless}: undone, newest first"


@dataclass(slots=True)
class _Found:
    undone: list[Undone] = field(default_factory=list)
    stays: dict[str, None] = field(default_factory=dict)
    pivot: bool = False
    past_pivot: bool = False


def undo_plan(flow: Flow) -> UndoPlan | None:
    """Return what is undone and what stays; None for what is no saga."""
    if flow.kind != "saga":
        return None
    found = _Found()
    for node in flow.body:
        _collect(node, "", found)
    return UndoPlan(tuple(reversed(found.undone)), tuple(found.stays), found.pivot)


def _collect(node: Node, when: str, found: _Found) -> None:
    if isinstance(node, Step):
        _collect_step(node, when, found)
        return
    match node:
        case Loop():
            inside = "each time that it was called"
        case Branch() | Try() if when != "each time that it was called":
            inside = "if it was called"
        case _:
            inside = when
    for number, body in enumerate(parts(node)):
        lane = node.lanes[number].each if isinstance(node, Parallel) else ""
        each = lane or (node.each if isinstance(node, Spawn) else "")
        for one in body:
            certain = isinstance(node, Try) and number == 0  # the body of a `try` always begins
            words = when if certain else inside
            _collect(one, "each time that it was called" if each else words, found)


def _collect_step(step: Step, when: str, found: _Found) -> None:
    match step.kind:
        case Kind.PIVOT:
            found.pivot = True
            found.past_pivot = not when
        case Kind.ACTIVITY | Kind.CHILD if found.past_pivot:
            found.stays[f"{step.name} (past the pivot)"] = None
        case Kind.ACTIVITY | Kind.CHILD if step.undo is not None:
            own = step.undo == step.name  # a child saga undoes itself
            undo = f"{step.undo}, its own compensations" if own else step.undo
            found.undone.append(Undone(undo, f"undoes {step.name}", when))
        case Kind.COMPENSATE_WITH:
            found.undone.append(Undone(step.name, "registered by compensate_with", when))
        case Kind.ACTIVITY | Kind.CHILD:
            found.stays[step.name] = None
        case Kind.PUBLISH:
            found.stays[f"the published {step.name}"] = None
        case _:
            pass
