"""What the names that workflow code uses mean to a drawing."""

import asyncio
import contextlib
import functools
import inspect
import sys
import sysconfig
import types
from enum import Enum, auto
from pathlib import Path
from typing import Any

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.registry import AnyActivity, AnyWorkflow
from counterpoint.authoring.workflow import Workflow
from counterpoint.graph.flow import Kind
from counterpoint.graph.values import Known, Value


class Verb(Enum):
    """A call that shapes the flow."""

    GATHER = auto()
    WAIT = auto()
    WAIT_FOR = auto()
    SHIELD = auto()
    SPAWN = auto()
    AS_COMPLETED = auto()
    SLEEP = auto()
    SIGNAL = auto()
    EVENT = auto()
    PUBLISH = auto()
    PIVOT = auto()
    COMPENSATE_WITH = auto()
    PATCHED = auto()
    CONTINUE_AS_NEW = auto()
    CHILD = auto()
    QUIET = auto()
    """It asks or tells the engine something that is no step of the process."""


KINDS = {
    Verb.SLEEP: Kind.SLEEP,
    Verb.SIGNAL: Kind.SIGNAL,
    Verb.EVENT: Kind.EVENT,
    Verb.PUBLISH: Kind.PUBLISH,
    Verb.PIVOT: Kind.PIVOT,
    Verb.PATCHED: Kind.PATCHED,
}
WAITED_FOR = {Verb.SLEEP, Verb.SIGNAL, Verb.EVENT}
"""The verbs whose call does nothing until it is awaited."""
_ASYNCIO: dict[int, Verb] = {
    id(asyncio.gather): Verb.GATHER,
    id(asyncio.wait): Verb.WAIT,
    id(asyncio.wait_for): Verb.WAIT_FOR,
    id(asyncio.shield): Verb.SHIELD,
    id(asyncio.create_task): Verb.SPAWN,
    id(asyncio.ensure_future): Verb.SPAWN,
    id(asyncio.as_completed): Verb.AS_COMPLETED,
    id(asyncio.sleep): Verb.SLEEP,
}
_WORKFLOW: dict[str, Verb] = {
    "sleep": Verb.SLEEP,
    "signal": Verb.SIGNAL,
    "event": Verb.EVENT,
    "publish": Verb.PUBLISH,
    "pivot": Verb.PIVOT,
    "compensate_with": Verb.COMPENSATE_WITH,
    "child": Verb.CHILD,
    "patched": Verb.PATCHED,
    "continue_as_new": Verb.CONTINUE_AS_NEW,
    **dict.fromkeys(("now", "info", "random", "uuid4", "set_attributes"), Verb.QUIET),
}
MODULE = "counterpoint.workflow"
_OWN = ("counterpoint.authoring.", MODULE)
TIMEOUTS = (asyncio.timeout, asyncio.timeout_at)
TASK_GROUP = asyncio.TaskGroup
SUPPRESS = contextlib.suppress
_LIBRARIES = tuple(
    Path(sysconfig.get_path(name)).resolve()
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def verb_of(callee: object) -> Verb | None:
    """Return what a call of this object means, if it shapes the flow."""
    known = _ASYNCIO.get(id(callee))
    if known is not None or not isinstance(callee, types.FunctionType):
        return known
    own = (callee.__module__ or "").startswith(_OWN)
    return _WORKFLOW.get(callee.__name__) if own else None


def verb_of_attribute(owner: Value, name: str) -> Verb | None:
    """Return what `owner.name(...)` means, where the owner is `counterpoint.workflow` itself."""
    module = sys.modules.get(MODULE)
    is_it = isinstance(owner, Known) and len(owner.objects) == 1 and owner.objects[0] is module
    return _WORKFLOW.get(name) if is_it else None


def definition_of(callee: object) -> AnyActivity | AnyWorkflow | None:
    """Return the activity or workflow behind an object, also behind a `functools.partial`."""
    found: Any = callee
    while isinstance(found, functools.partial):
        found = found.func
    return found if issubclass(type(found), Activity | Workflow) else None


def function_of(callee: object) -> types.FunctionType | None:
    """Return the function behind an object, also behind a decorator of the standard library."""
    while isinstance(callee, functools.partial):
        callee = callee.func
    if isinstance(callee, types.MethodType):
        callee = callee.__func__
    if not isinstance(callee, types.FunctionType):
        return None
    inner = inspect.unwrap(callee) if _in_library(callee) else callee
    return inner if isinstance(inner, types.FunctionType) else None


def is_followed(function: types.FunctionType, near: str) -> bool:
    """Whether a function belongs to the user's code, as the module *near* does."""
    module = function.__module__ or ""
    if module == near:
        return True
    package = module.partition(".")[0]
    if package == __name__.partition(".")[0]:
        return False
    return package == near.partition(".")[0] or not _in_library(function)


def _in_library(function: types.FunctionType) -> bool:
    path = Path(function.__code__.co_filename).resolve()
    return any(path.is_relative_to(library) for library in _LIBRARIES)
