"""The functions of an app that attempts run, in a copy of its registry."""

import copy
import functools
from collections.abc import Callable
from typing import Any, TypeAlias

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.compensation import Compensation
from counterpoint.authoring.reaction import Reaction
from counterpoint.authoring.registry import AnyStub, Registry
from counterpoint.errors import DefinitionError

Work: TypeAlias = Activity[..., Any] | Compensation | Reaction[Any, Any]


def copied_registry(registry: Registry) -> tuple[Registry, list[Work]]:
    """Return a copy of a registry, and the works in it, whose functions may be exchanged.

    The services that a user declared are not touched. Stubs become activities that fail: a test
    exchanges their functions.
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
    for name, stub in registry.stubs.items():
        stands = copied.activities[name] = copy.copy(stub)
        works.append(stands)
        stands.function = _missing(stub, stub.function)
        if stub.undo is not None:
            undo = copied.compensations[name] = stands.undo = copy.copy(stub.undo)
            undo.function = _missing(stub, stub.undo.function)
            works.append(undo)
    for name, reaction in registry.reactions.items():
        reacts = copied.reactions[name] = copy.copy(reaction)
        works.append(reacts)
    return copied, works


def _missing(stub: AnyStub, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what a harness runs where nobody has said what stands for the code of a stub."""

    @functools.wraps(function)
    async def missing(**_: Any) -> Any:
        raise DefinitionError(
            f"{stub.name} is a stub, whose code is elsewhere: say what stands for "
            f"{function.__name__}, with harness.replace({function.__name__}, ...)"
        )

    return missing
