"""The event graph of an app: which events lead to which code, and which code to which events.

It is read from definitions (what reactions and `on=` hear of, return annotations, `emits=`) and,
where these do not tell, from source.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from counterpoint.authoring.compensation import Compensation
from counterpoint.authoring.event import Contract, Event, contract_of
from counterpoint.authoring.registry import AnyActivity, AnyWorkflow, Registry
from counterpoint.graph.flow import Body, Kind, Step, parts
from counterpoint.graph.mentions import Mentions, read_mentions
from counterpoint.graph.reading import read_workflow


class Role(StrEnum):
    """What a node of the graph is."""

    EVENT = "event"
    REACTION = "reaction"
    WORKFLOW = "workflow"
    SAGA = "saga"
    ACTIVITY = "activity"
    COMPENSATION = "compensation"


class Link(StrEnum):
    """Why one node follows from another."""

    REACTS = "reacts"
    """A reaction hears of an event."""
    STARTS = "starts"
    """An event starts a workflow; a reaction or an activity does, with `activity.start`."""
    AWAITED = "awaited"
    """A workflow that runs waits for an event."""
    EMITS = "emits"
    """Code publishes or returns an event."""
    CALLS = "calls"
    """A workflow calls an activity or a child."""
    UNDONE = "undone by"
    """An activity or a child is compensated."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """An event, or a piece of a service's code."""

    role: Role
    name: str
    """The recorded name."""
    service: str
    version: int = 1
    external: bool = False
    """An event that somebody outside publishes."""

    @property
    def id(self) -> str:
        """What no other node has: an activity and a reaction may share a name."""
        return f"{self.role}:{self.name}"


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """One node may follow from another; both by id."""

    source: str
    target: str
    link: Link


Unclear: TypeAlias = dict[str, tuple[str, ...]]


@dataclass(slots=True)
class EventGraph:
    """Nodes in the order of their declaration, by id, and edges."""

    nodes: dict[str, GraphNode] = field(default_factory=dict)
    edges: dict[GraphEdge, None] = field(default_factory=dict)
    unclear: Unclear = field(default_factory=dict)
    """By node: source that publishes, or waits for, what the source alone does not tell."""

    def after(self, node: str) -> Iterator[GraphEdge]:
        """Return the edges that leave a node."""
        return (edge for edge in self.edges if edge.source == node)

    def before(self, node: str) -> Iterator[GraphEdge]:
        """Return the edges that lead to a node."""
        return (edge for edge in self.edges if edge.target == node)

    def following(self, starts: Iterable[str], stops: Iterable[str] = ()) -> set[str]:
        """Return the nodes that can follow from others, these included; not past *stops*."""
        return self._reached(starts, set(stops), forward=True)

    def leading_to(self, ends: Iterable[str]) -> set[str]:
        """Return the nodes from which others can follow, these included."""
        return self._reached(ends, set(), forward=False)

    def part(self, kept: set[str]) -> "EventGraph":
        """Return the part of the graph that has only these nodes."""
        return EventGraph(
            {name: node for name, node in self.nodes.items() if name in kept},
            {e: None for e in self.edges if e.source in kept and e.target in kept},
            {name: texts for name, texts in self.unclear.items() if name in kept},
        )

    def _reached(self, starts: Iterable[str], stops: set[str], *, forward: bool) -> set[str]:
        neighbours: dict[str, list[str]] = {}
        for edge in self.edges:
            here, there = (edge.source, edge.target) if forward else (edge.target, edge.source)
            neighbours.setdefault(here, []).append(there)
        reached: set[str] = set()
        pending = [name for name in starts if name in self.nodes]
        while pending:
            name = pending.pop()
            if name not in reached:
                reached.add(name)
                pending += [] if name in stops else neighbours.get(name, [])
        return reached


def event_id(contract: Contract) -> str:
    """Return the id of an event's node."""
    return f"{Role.EVENT}:{contract.type}"


def event_graph(registry: Registry) -> EventGraph:
    """Return the event graph of an app's definitions; what has to do with no event is left out."""
    return _Builder(registry).graph()


class _Builder:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._graph = EventGraph()

    def graph(self) -> EventGraph:
        registry = self._registry
        for contract in registry.contracts.values():
            self._event(contract)
        for reaction in registry.reactions.values():
            node = self._add(Role.REACTION, reaction)
            self._edge(self._event(reaction.contract), node, Link.REACTS)
            self._emits(node, reaction.emits)
            self._begins(node, read_mentions(reaction.function, in_workflow=False))
        for workflow in registry.workflows.values():
            self._workflow(workflow)
        for activity in registry.activities.values():
            node = self._add(Role.ACTIVITY, activity)
            self._says(node, activity, read_mentions(activity.function, in_workflow=False))
            self._undo(node, activity.undo)
        return self._graph.part(self._kept())

    def _workflow(self, workflow: AnyWorkflow) -> None:
        node = self._add(_role(workflow), workflow)
        if workflow.on is not None:
            self._edge(self._event(workflow.on.contract), node, Link.STARTS)
        mentions = read_mentions(workflow.function, in_workflow=True)
        for event in mentions.waits.values():
            self._edge(self._event(contract_of(event)), node, Link.AWAITED)
        self._says(node, workflow, mentions)
        self._undo(node, workflow.undo)
        for name in dict.fromkeys(_calls(read_workflow(workflow).body)):
            self._calls(node, name)

    def _calls(self, node: str, name: str) -> None:
        child = self._registry.workflows.get(name)
        if child is not None:
            self._edge(node, f"{_role(child)}:{name}", Link.CALLS)
        elif name in self._registry.activities:
            self._edge(node, f"{Role.ACTIVITY}:{name}", Link.CALLS)

    def _undo(self, node: str, undo: Compensation | None) -> None:
        if undo is None:
            return
        made = self._add(Role.COMPENSATION, undo)
        self._edge(node, made, Link.UNDONE)
        mentions = read_mentions(undo.function, in_workflow=False)
        self._emits(made, mentions.publishes.values())
        self._begins(made, mentions)
        self._unclear(made, [*mentions.unclear])

    # ---- pieces -------------------------------------------------------------------------------

    def _says(self, node: str, definition: AnyActivity | AnyWorkflow, said: Mentions) -> None:
        declared = definition.emits
        self._emits(node, said.publishes.values() if declared is None else declared)
        self._begins(node, said)
        self._unclear(node, [*(said.unclear if declared is None else ()), *said.unclear_waits])

    def _emits(self, node: str, events: Iterable[type[Event]]) -> None:
        for event in events:
            self._edge(node, self._event(contract_of(event)), Link.EMITS)

    def _begins(self, node: str, said: Mentions) -> None:
        for name in said.starts:
            workflow = self._registry.workflows.get(name)
            if workflow is not None:
                self._edge(node, f"{_role(workflow)}:{name}", Link.STARTS)

    def _unclear(self, node: str, texts: list[str]) -> None:
        if texts:
            self._graph.unclear[node] = tuple(texts)

    def _event(self, contract: Contract) -> str:
        node = GraphNode(
            Role.EVENT, contract.type, contract.service, contract.version, contract.external
        )
        self._graph.nodes.setdefault(node.id, node)
        return node.id

    def _add(self, role: Role, definition: Any) -> str:
        node = GraphNode(role, definition.name, definition.service)
        self._graph.nodes.setdefault(node.id, node)
        return node.id

    def _edge(self, source: str, target: str, link: Link) -> None:
        self._graph.edges[GraphEdge(source, target, link)] = None

    def _kept(self) -> set[str]:
        """Return the events, the code that can lead to one, and the code that hears of one."""
        graph = self._graph
        events = {name for name, node in graph.nodes.items() if node.role is Role.EVENT}
        heard = {edge.target for edge in graph.edges if edge.source in events}
        return graph.leading_to(events) | heard | {*graph.unclear}


def _role(workflow: AnyWorkflow) -> Role:
    return Role.SAGA if workflow.saga else Role.WORKFLOW


def _calls(body: Body) -> Iterator[str]:
    for node in body:
        if isinstance(node, Step) and node.kind in (Kind.ACTIVITY, Kind.CHILD):
            yield node.name
        elif isinstance(node, Step) and node.kind is Kind.COMPENSATE_WITH:
            yield from node.name.split(" or ")
        for inner in parts(node):
            yield from _calls(inner)
