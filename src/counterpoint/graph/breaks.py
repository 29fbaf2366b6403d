"""Explains in words why an end of a choreography cannot be reached: where the flow breaks off.

The explanation goes back from the end: what emits it, what leads to that, and so on to the first
event which nothing emits, or code that no event reaches. Where nothing leads to the end at all, it
goes forward from the start instead, to the events that nothing reacts to.
"""

from collections.abc import Iterable, Mapping

from counterpoint.authoring.choreography import Choreography
from counterpoint.authoring.event import Contract
from counterpoint.graph.event_graph import EventGraph, GraphEdge, GraphNode, Link, Role, event_id

_STEPS_MAX = 4
"""How far back an explanation goes."""
_LISTED_MAX = 5
_VERBS = {
    Link.REACTS: "reacts to",
    Link.STARTS: "is started by",
    Link.AWAITED: "waits for",
    Link.CALLS: "is called by",
    Link.UNDONE: "undoes",
}


class Explanation:
    """Explains ends of one choreography."""

    def __init__(
        self,
        graph: EventGraph,
        reached: set[str],
        follows: set[str],
        choreography: Choreography,
        services: Mapping[str, object],
    ) -> None:
        self._graph = graph
        self._reached = reached
        self._follows = follows
        self._name = choreography.name
        self._start = choreography.starts
        self._ends = {event_id(contract) for contract in choreography.ends}
        self._services = services

    def of(self, end: Contract) -> str:
        """Return why an end is not reached, and what is missing."""
        sources = list(self._graph.before(event_id(end)))
        said = f"{self._name} never reaches {end.type}: "
        if not sources:
            return said + f"nothing emits it{self._loose_ends()}{self._unclear()}"
        verb = "returns" if self._only_reactions(sources) else "emits"
        reasons = "; ".join(self._source(edge, "it") for edge in sources[:_LISTED_MAX])
        return (
            said
            + f"nothing that follows from {self._start.type} {verb} it ({reasons})"
            + self._from_outside(event_id(end))
            + self._unclear()
        )

    def _only_reactions(self, edges: list[GraphEdge]) -> bool:
        return all(self._graph.nodes[edge.source].role is Role.REACTION for edge in edges)

    # ---- back from the end --------------------------------------------------------------------

    def _source(self, edge: GraphEdge, what: str) -> str:
        """Return what emits something, and why that is not reached."""
        node = self._graph.nodes[edge.source]
        verb = "returns" if node.role is Role.REACTION else "emits"
        return f"{node.name} {verb} {what} and {self._why(node, {edge.target}, 1)}"

    def _why(self, node: GraphNode, seen: set[str], step: int) -> str:
        """Return what code waits for in vain."""
        causes = list(self._graph.before(node.id))
        if not causes:
            return "no event leads to it" if node.role is not Role.ACTIVITY else "nothing calls it"
        return ", and ".join(
            self._cause(edge, {*seen, node.id}, step) for edge in causes[:_LISTED_MAX]
        )

    def _cause(self, edge: GraphEdge, seen: set[str], step: int) -> str:
        cause = self._graph.nodes[edge.source]
        said = f"{_VERBS.get(edge.link, 'follows from')} {cause.name}"
        if cause.id in seen:
            return f"{said}, which only follows from itself"
        if cause.role is not Role.EVENT:
            if step >= _STEPS_MAX:
                return f"{said}, which is not reached"
            why = self._why(cause, {*seen, cause.id}, step + 1)
            return f"{said}; {cause.name} {why}" if why[:2] != "no" else f"{said}, and {why}"
        sources = list(self._graph.before(cause.id))
        if not sources:
            return f"{said}, which nothing emits{self._no_service(cause)}"
        if step >= _STEPS_MAX:
            return f"{said}, which nothing that is reached emits"
        emitter = self._graph.nodes[sources[0].source]
        if emitter.id in seen:
            return f"{said}, which only follows from itself"
        verb = "returns" if emitter.role is Role.REACTION else "emits"
        why = self._why(emitter, {*seen, cause.id}, step + 1)
        return f"{said}; {emitter.name} {verb} that and {why}"

    def _no_service(self, event: GraphNode) -> str:
        if event.service in self._services:
            return ""
        return f": the app has no service {event.service}"

    def _from_outside(self, end: str) -> str:
        """Return what would help if an event that nothing emits comes from outside."""
        names = [
            self._graph.nodes[name].name
            for name in self._graph.nodes
            if name in self._graph.leading_to([end]) - self._reached
            and self._graph.nodes[name].role is Role.EVENT
            and self._graph.nodes[name].service in self._services
            and not any(self._graph.before(name))
        ]
        if not names:
            return ""
        them = "it" if len(names) == 1 else "them"
        return f"; if somebody outside publishes {listed(names)}, declare {them} with external=True"

    # ---- forward from the start ---------------------------------------------------------------

    def _loose_ends(self) -> str:
        """Return where what follows from the start ends without being an end."""
        heard = {edge.source for edge in self._graph.edges}
        loose = [
            node.name
            for name, node in self._graph.nodes.items()
            if name in self._follows - self._ends - heard
            and node.role is Role.EVENT
            and name != event_id(self._start)
        ]
        if not loose:
            return "; return it from a reaction, or name it in emits= of what publishes it"
        react = "nothing reacts to that" if len(loose) == 1 else "nothing reacts to these"
        return f"; what follows from {self._start.type} ends with {listed(loose)}, and {react}"

    def _unclear(self) -> str:
        """Return what in the flow publishes something that its source does not tell."""
        texts = [
            f"{self._graph.nodes[name].name} does with `{text}`"
            for name, found in self._graph.unclear.items()
            if name in self._reached
            for text in found
        ]
        if not texts:
            return ""
        return (
            f"; what {listed(texts)} cannot be read from its source: name the classes there, or "
            "what it publishes in emits=[...]"
        )


def listed(names: Iterable[str]) -> str:
    """Return names in a sentence: `a`, `a and b`, `a, b and c`; at most a few."""
    unique = list(dict.fromkeys(names))
    if len(unique) > _LISTED_MAX:
        unique = [*unique[: _LISTED_MAX - 1], f"{len(unique) - _LISTED_MAX + 1} more"]
    return " and ".join(filter(None, [", ".join(unique[:-1]), *unique[-1:]]))
