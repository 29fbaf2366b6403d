"""What a flow gives to those who draw it."""

from counterpoint.graph.happened import Fact, Occurred, Ran, Token, Took, called, published, took
from counterpoint.graph.happened_telling import flow_story
from counterpoint.graph.sequence import Story
from counterpoint.runtime.flow import Flow, FlowEvent, FlowExecution, FlowReaction, FlowStep


def story_of(flow: Flow) -> Story:
    """Return what happened in a flow, as a sequence diagram shows it."""
    facts: list[Fact] = []
    causes: list[FlowStep] = []
    for depth, step in flow.outline():
        del causes[depth:]
        cause = causes[-1] if causes else None
        causes.append(step)
        match step:
            case FlowEvent():
                facts.append(_occurred(step, cause))
            case FlowReaction():
                facts.append(_took(step, cause))
            case FlowExecution():
                facts.append(_ran(step, causes[:-1]))
    return flow_story(facts)


def _occurred(event: FlowEvent, cause: FlowStep | None) -> Occurred:
    token: Token | None = None
    if isinstance(cause, FlowReaction):
        token = took(cause.id)
    elif isinstance(cause, FlowExecution):
        token = published(event.source, event.id)
        if event.call is not None:
            token = called(cause.id, cause.description.run, event.call)
    outside = event.publisher is None
    return Occurred(event.source, event.id, event.type, event.key, event.at, outside, token)


def _took(reaction: FlowReaction, cause: FlowStep | None) -> Took:
    event = cause if isinstance(cause, FlowEvent) else None
    at = reaction.created_at or (event.at if event else None)
    assert event is not None and at is not None  # noqa: PT018, S101 - a reaction is under its event
    return Took(
        reaction.id,
        reaction.name,
        reaction.service,
        (event.source, event.id),
        event.type,
        at,
        reaction.finished_at,
        reaction.attempts,
        (reaction.waits_for or "a node") if reaction.status == "waiting" else "",
        reaction.journal,
        reaction.replay,
    )


def _ran(execution: FlowExecution, causes: list[FlowStep]) -> Ran:
    description = execution.description
    event: tuple[str, str] | None = None
    reaction: Took | None = None
    starter: str | None = None
    match causes[-2:]:
        case [*_, FlowEvent() as one]:
            event = (one.source, one.id)
        case [one, FlowReaction() as other]:
            reaction = _took(other, one)
        case [*_, FlowExecution() as one] if description.parent is None:
            starter = one.service
        case _:
            pass
    return Ran(
        description.id,
        description.run,
        execution.service,
        description.workflow,
        description.created_at,
        execution.journal,
        event,
        description.parent,
        reaction,
        starter,
    )
