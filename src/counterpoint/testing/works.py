"""The functions of an app that attempts run, in a copy of its registry."""

import copy
from typing import Any, TypeAlias

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.compensation import Compensation
from counterpoint.authoring.reaction import Reaction
from counterpoint.authoring.registry import Registry

Work: TypeAlias = Activity[..., Any] | Compensation | Reaction[Any, Any]


def copied_registry(registry: Registry) -> tuple[Registry, list[Work]]:
    """Return a copy of a registry, and the works in it, whose functions may be exchanged.

    The services that a user declared are not touched.
    """
    copied = copy.copy(registry)
    works: list[Work] = []
    copied.activities = {}
    copied.compensations = {}
    copied.reactions = {}
    for name, activity in registry.activities.items():
        own = copied.activities[name] = copy.copy(activity)
        works.append(own)
    for name, compensation in registry.compensations.items():
        undo = copied.compensations[name] = copy.copy(compensation)
        works.append(undo)
        if name in copied.activities:
            copied.activities[name].undo = undo
    for name, reaction in registry.reactions.items():
        reacts = copied.reactions[name] = copy.copy(reaction)
        works.append(reacts)
    return copied, works
