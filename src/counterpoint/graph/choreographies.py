"""Holds choreographies against the event graph: can each end follow from the start?

Reachability is generous, so that no sound design is refused: events may go round in loops, side
branches may end nowhere, workflows may stand in the middle, and an external event may come at any
time. What is refused cannot work as it is declared, and the message says where the flow breaks off.
"""

from collections.abc import Iterable, Iterator, Mapping

from counterpoint.authoring.choreography import Choreography
from counterpoint.authoring.event import Contract
from counterpoint.authoring.registry import Registry
from counterpoint.errors import DefinitionError
from counterpoint.graph.breaks import Explanation, listed
from counterpoint.graph.event_graph import EventGraph, Link, Role, event_graph, event_id


def check_choreographies(
    choreographies: Iterable[Choreography], registry: Registry
) -> dict[str, Choreography]:
    """Return an app's choreographies by name.

    Raises:
        DefinitionError: two share a name, or some cannot work; the message has all problems.
    """
    by_name: dict[str, Choreography] = {}
    _expect(Iterable, choreographies)
    for one in choreographies:
        _expect(Choreography, one)
        if one.name in by_name:
            raise DefinitionError(
                f"two choreographies are called {one.name}: give one of them another name"
            )
        if one.name in registry.workflows:
            raise DefinitionError(f"a choreography and a workflow are both called {one.name}")
        by_name[one.name] = one
    graph = event_graph(registry) if by_name else EventGraph()
    problems = [p for one in by_name.values() for p in problems_of(one, graph, registry)]
    if problems:
        raise DefinitionError(_together(problems))
    return by_name


def _expect(kind: type, given: object) -> None:
    if not isinstance(given, kind):
        raise DefinitionError(
            f"App(choreographies=[...]) takes a list of choreographies, not {given!r}"
        )


def _together(problems: list[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    lines = [f"{number}. {problem}" for number, problem in enumerate(problems, 1)]
    return "\n".join([f"{len(problems)} things are wrong with the choreographies:", *lines])


def part_of(choreography: Choreography, graph: EventGraph) -> EventGraph:
    """Return what belongs to a choreography: all that follows from its start, up to its ends.

    What follows from an end belongs to it only where it leads to another end; so does what follows
    from an external event.
    """
    start = event_id(choreography.starts)
    ends = [event_id(contract) for contract in choreography.ends]
    up_to_ends = graph.following([start], stops=ends)
    return graph.part(up_to_ends | _on_the_way(choreography, graph) | _awaited(graph, up_to_ends))


def problems_of(choreography: Choreography, graph: EventGraph, registry: Registry) -> Iterator[str]:
    """Return everything that keeps a choreography from working, each as a sentence."""
    missing = list(_missing(choreography, registry))
    yield from missing
    if missing:
        return
    start = event_id(choreography.starts)
    follows = graph.following([start])
    if len(follows) == 1:
        event = choreography.starts
        name = event.event_class.__name__
        yield (
            f"{choreography.name} starts with {event.type}, and nothing reacts to it: declare a "
            f"reaction with @service.on({name}), or a saga(on={name})"
        )
    yield from _unreached(choreography, graph, follows, registry.services)
    yield from _waits_in_vain(choreography, graph, follows)
    yield from _outside(choreography, graph, registry.services)


def _missing(choreography: Choreography, registry: Registry) -> Iterator[str]:
    """Find events that the app does not know, or knows as another class."""
    for what, contracts in (
        ("starts", (choreography.starts,)),
        ("completes", choreography.completes),
        ("fails", choreography.fails),
    ):
        for contract in contracts:
            known = registry.contracts.get(contract.type)
            if contract.service not in registry.services and not contract.external:
                yield (
                    f"{choreography.name} {what} with {contract.type}, and the app has no service "
                    f"{contract.service}: add it to App(services=[...])"
                )
            elif known is None and not contract.external:
                yield (
                    f"{choreography.name} {what} with {contract.type}, which is no event of the "
                    f"app's service {contract.service}: two services have that name, and the app "
                    "has the other one"
                )
            elif known not in (None, contract):
                yield (
                    f"{choreography.name} {what} with {contract.type}, and the app knows another "
                    f"class as that event, one of {contract_module(known)}"
                )


def contract_module(contract: Contract | None) -> str:
    """Return the module in which a contract is declared."""
    return "" if contract is None else contract.event_class.__module__


def _unreached(
    choreography: Choreography,
    graph: EventGraph,
    follows: set[str],
    services: Mapping[str, object],
) -> Iterator[str]:
    reached = follows | graph.following(_externals(graph))
    explanation = Explanation(graph, reached, follows, choreography, services)
    for contract in choreography.ends:
        if event_id(contract) not in reached and not contract.external:
            yield explanation.of(contract)


def _waits_in_vain(
    choreography: Choreography, graph: EventGraph, follows: set[str]
) -> Iterator[str]:
    """Find workflows in the flow that wait for what nobody publishes."""
    emitted = {edge.target for edge in graph.edges if edge.link is Link.EMITS}
    ends = {event_id(contract) for contract in choreography.ends}
    start = event_id(choreography.starts)
    for edge in graph.edges:
        event = graph.nodes[edge.source]
        waits = edge.link is Link.AWAITED and edge.target in follows
        if not waits or event.external or event.id in emitted or event.id in {start, *ends}:
            continue
        waiting = graph.nodes[edge.target].name
        yield (
            f"{choreography.name} stops in {waiting}, which waits for {event.name}: nothing emits "
            "it; return it from a reaction, publish it in a workflow or an activity, or declare it "
            "with external=True if somebody outside publishes it"
        )


def _outside(
    choreography: Choreography, graph: EventGraph, services: Mapping[str, object]
) -> Iterator[str]:
    """Find services that own an event on the way, or an end, and take no part in the flow."""
    way = _on_the_way(choreography, graph)
    own = {event_id(contract) for contract in (choreography.starts, *choreography.ends)}
    for node in (graph.nodes[name] for name in graph.nodes if name in way - own):
        if node.role is Role.EVENT and not node.external and node.service not in services:
            sources = listed(graph.nodes[edge.source].name for edge in graph.before(node.id))
            yield (
                f"{choreography.name} goes through {node.name}, which {sources} emits, and the app "
                f"has no service {node.service}: add it to App(services=[...])"
            )
    ends = {event_id(contract) for contract in choreography.ends}
    for contract in choreography.ends:
        end = event_id(contract)
        others = (graph.nodes[name] for name in way - (ends - {event_id(choreography.starts)}))
        takes_part = any(node.service == contract.service for node in others)
        if end in way and not contract.external and not takes_part:
            emitters = listed(graph.nodes[edge.source].name for edge in graph.before(end))
            yield (
                f"{choreography.name} ends with {contract.type}, and {contract.service} takes no "
                f"part in it ({emitters} emits its event): let a reaction of {contract.service} "
                "return it, or end with an event of a service that takes part"
            )


def _on_the_way(choreography: Choreography, graph: EventGraph) -> set[str]:
    """Return what lies between the start, or an external event, and an end."""
    ends = [event_id(contract) for contract in choreography.ends]
    starts = [event_id(choreography.starts), *_externals(graph)]
    return graph.following(starts) & graph.leading_to(ends)


def _awaited(graph: EventGraph, inside: set[str]) -> set[str]:
    """Return the external events for which workflows inside a flow wait."""
    return {
        edge.source
        for edge in graph.edges
        if edge.target in inside and graph.nodes[edge.source].external
    }


def _externals(graph: EventGraph) -> list[str]:
    return [name for name, node in graph.nodes.items() if node.external]
