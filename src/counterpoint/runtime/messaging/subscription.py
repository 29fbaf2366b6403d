"""Subscriptions in memory: who takes which events, from where in the log."""

from typing import TYPE_CHECKING, TypeAlias

from counterpoint.authoring.registry import AnyReaction, AnyWorkflow, Registry
from counterpoint.authoring.workflow import Workflow
from counterpoint.model.messages import SubscriptionRow

if TYPE_CHECKING:
    from counterpoint.runtime.messaging.queues import Lane, Stream

Target: TypeAlias = AnyReaction | AnyWorkflow


class Subscription:
    """A reaction, a workflow that events start, or the replay of events into one of them."""

    __slots__ = ("first", "lane", "number", "position", "row", "streams", "target", "type")

    def __init__(self, row: SubscriptionRow, target: Target, lane: "Lane") -> None:
        self.row = row
        self.number = row.number
        self.target = target
        self.type = row.type
        self.lane = lane
        self.first = row.position
        """It takes what is above this position."""
        self.position = row.position
        """As it is in the store."""
        self.streams: list[Stream] = []
        """Where its events come from; the last one is the one that goes on."""

    @property
    def is_replay(self) -> bool:
        """Whether it replays events that were delivered before."""
        return self.row.replay > 0

    def takes(self, position: int, key: str) -> bool:
        """Whether an event of its type is meant for it."""
        row = self.row
        return (
            position > self.first
            and (row.until is None or position <= row.until)
            and (row.event_key is None or row.event_key == key)
        )


def target_of(registry: Registry, name: str) -> Target | None:
    """Return what a subscription's name stands for in an app, or None where it has none."""
    reaction = registry.reactions.get(name)
    if reaction is not None:
        return reaction
    workflow = registry.workflows.get(name)
    return workflow if workflow is not None and workflow.on is not None else None


def event_type_of(target: Target) -> str:
    """Return the type of the events that a target takes."""
    if isinstance(target, Workflow):
        assert target.on is not None  # noqa: S101 - see `target_of`
        return target.on.contract.type
    return target.contract.type


def lane_name(target: Target) -> str:
    """Return the lane of a target; workflows are in the service's own."""
    return "" if isinstance(target, Workflow) else target.lane


def starts_at_beginning(target: Target) -> bool:
    """Whether a subscription that is new to the store takes the whole log."""
    if isinstance(target, Workflow):
        return target.on is not None and target.on.start == "beginning"
    return target.start == "beginning"
