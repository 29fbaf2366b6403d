"""What a subscription stands for: a reaction, or a workflow that events start."""

from typing import TypeAlias

from counterpoint.authoring.event import Contract
from counterpoint.authoring.registry import AnyReaction, AnyWorkflow, Registry
from counterpoint.authoring.workflow import Workflow

Target: TypeAlias = AnyReaction | AnyWorkflow


def target_of(registry: Registry, name: str) -> Target | None:
    """Return what a subscription's name stands for in an app, or None where it has none."""
    reaction = registry.reactions.get(name)
    if reaction is not None:
        return reaction
    workflow = registry.workflows.get(name)
    return workflow if workflow is not None and workflow.on is not None else None


def contract_of_target(target: Target) -> Contract:
    """Return the contract of the events that a target takes."""
    if isinstance(target, Workflow):
        assert target.on is not None  # noqa: S101 - see `target_of`
        return target.on.contract
    return target.contract


def lane_name(target: Target) -> str:
    """Return the lane of a target; workflows are in the service's own."""
    return "" if isinstance(target, Workflow) else target.lane


def starts_at_beginning(target: Target) -> bool:
    """Whether a subscription that is new to the store takes the whole log."""
    if isinstance(target, Workflow):
        return target.on is not None and target.on.start == "beginning"
    return target.start == "beginning"
