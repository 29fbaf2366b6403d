"""Event graphs and choreographies as plain data, for JSON."""

from collections.abc import Iterable
from typing import Any

from counterpoint.authoring.choreography import Choreography
from counterpoint.graph.event_graph import EventGraph


def graph_data(graph: EventGraph) -> dict[str, Any]:
    """Return the nodes and edges of a graph; `not_known` is source that could not be read."""
    nodes = [
        {
            "id": node.id,
            "role": node.role.value,
            "name": node.name,
            "service": node.service,
            "version": node.version,
            "external": node.external,
            "not_known": list(graph.unclear.get(node.id, ())),
        }
        for node in graph.nodes.values()
    ]
    edges = [{"source": e.source, "target": e.target, "link": e.link.value} for e in graph.edges]
    return {"nodes": nodes, "edges": edges}


def events_data(
    graph: EventGraph, app: str, choreographies: Iterable[Choreography]
) -> dict[str, Any]:
    """Return the event graph of an app, with its choreographies."""
    declared = [_declaration(one) for one in choreographies]
    return {"app": app, "choreographies": declared, **graph_data(graph)}


def choreography_data(graph: EventGraph, choreography: Choreography) -> dict[str, Any]:
    """Return a choreography, with its part of the event graph."""
    return {**_declaration(choreography), **graph_data(graph)}


def _declaration(choreography: Choreography) -> dict[str, Any]:
    within = choreography.within
    return {
        "choreography": choreography.name,
        "starts": choreography.starts.type,
        "completes": [contract.type for contract in choreography.completes],
        "fails": [contract.type for contract in choreography.fails],
        "within_seconds": None if within is None else within.total_seconds(),
    }
