"""An event graph as it is drawn, whatever the format: services with boxes, and arrows between."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from counterpoint.authoring.choreography import Choreography
from counterpoint.graph.event_graph import EventGraph, GraphNode, Link, Role, event_id


class Mark(StrEnum):
    """What an event means to the choreography that is drawn."""

    NONE = ""
    STARTS = "starts"
    COMPLETES = "completes"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Box:
    """One node: an event, or a piece of code."""

    key: str
    """Short, unique in the picture."""
    role: Role
    lines: tuple[str, ...]
    """Empty ones are left out."""
    mark: Mark = Mark.NONE
    external: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A service, with what of it is drawn."""

    key: str
    name: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Arrow:
    """One node may follow from another; both by key."""

    source: str
    target: str
    label: str
    command: bool
    """Code asks for it, rather than hears of it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that a diagram of events shows."""

    title: tuple[str, ...]
    groups: tuple[Group, ...]
    arrows: tuple[Arrow, ...]
    starts: tuple[str, ...]
    """The keys of the boxes at which it starts; empty for the events of a whole app."""


_LABELS = {
    Link.REACTS: "",
    Link.EMITS: "",
    Link.STARTS: "starts",
    Link.AWAITED: "awaited by",
    Link.CALLS: "calls",
    Link.UNDONE: "undone by",
}
_COMMANDS = {Link.CALLS, Link.UNDONE}
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def events_picture(graph: EventGraph, app: str) -> Picture:
    """Return the picture of all events of an app."""
    return _picture(graph, (app, "events"), {})


def choreography_picture(graph: EventGraph, choreography: Choreography) -> Picture:
    """Return the picture of a choreography, from its part of the event graph."""
    within = choreography.within
    limit = "" if within is None else f", within {duration_words(within)}"
    marks = {
        event_id(choreography.starts): Mark.STARTS,
        **dict.fromkeys(map(event_id, choreography.completes), Mark.COMPLETES),
        **dict.fromkeys(map(event_id, choreography.fails), Mark.FAILS),
    }
    return _picture(graph, (choreography.name, f"choreography{limit}"), marks)


def duration_words(duration: timedelta) -> str:
    """Return a duration in its units: `30 s`, `1 h 30 min`, `0.5 s`."""
    words: list[str] = []
    rest = duration
    for seconds, unit in _UNITS:
        count, rest = divmod(rest, timedelta(seconds=seconds))
        words += [f"{count} {unit}"] if count else []
    left = rest.total_seconds()
    return " ".join([*words, f"{left:g} s"] if left or not words else words)


def _picture(graph: EventGraph, title: tuple[str, ...], marks: dict[str, Mark]) -> Picture:
    first = [name for name, mark in marks.items() if mark is Mark.STARTS and name in graph.nodes]
    nodes = [graph.nodes[name] for name in _in_order(graph, first)]
    keys = {node.id: f"n{number}" for number, node in enumerate(nodes, 1)}
    by_service: dict[str, list[Box]] = {}
    for node in nodes:
        mark = marks.get(node.id, Mark.NONE)
        lines = _lines(node, mark, graph.unclear.get(node.id, ()))
        box = Box(keys[node.id], node.role, lines, mark, node.external)
        by_service.setdefault(node.service, []).append(box)
    groups = tuple(
        Group(f"s{number}", service, tuple(boxes))
        for number, (service, boxes) in enumerate(by_service.items(), 1)
    )
    arrows = tuple(
        Arrow(keys[e.source], keys[e.target], _LABELS[e.link], e.link in _COMMANDS)
        for e in graph.edges
    )
    return Picture(title, groups, arrows, tuple(keys[name] for name in first))


def _in_order(graph: EventGraph, first: Sequence[str]) -> list[str]:
    """Return all nodes, what follows from the first ones before the rest, the nearest first."""
    after: dict[str, list[str]] = {}
    for edge in graph.edges:
        after.setdefault(edge.source, []).append(edge.target)
    ordered = dict.fromkeys(first)
    pending = deque(first)
    while pending:
        for name in after.get(pending.popleft(), ()):
            if name not in ordered:
                ordered[name] = None
                pending.append(name)
    return [*ordered, *(name for name in graph.nodes if name not in ordered)]


def _lines(node: GraphNode, mark: Mark, unclear: Sequence[str]) -> tuple[str, ...]:
    name = node.name.removeprefix(f"{node.service}.")
    words = [mark.value] if mark else []
    if node.external:
        words.append("from outside")
    if node.role not in (Role.EVENT, Role.REACTION):
        words.append(node.role.value)
    return (
        name if node.version == 1 else f"{name} v{node.version}",
        ", ".join(words),
        *(f"not known: {text}" for text in unclear),
    )
