"""For workflow code: time, chance, waiting and logging that a replay repeats exactly, and its own
course: children, pivot, compensation, attributes, continuation."""

from counterpoint.authoring.context import (
    WorkflowInfo,
    info,
    log,
    now,
    random,
    signal,
    sleep,
    uuid4,
)
from counterpoint.authoring.listening import event, publish
from counterpoint.authoring.steering import (
    child,
    compensate_with,
    continue_as_new,
    patched,
    pivot,
    set_attributes,
)

__all__ = [
    "WorkflowInfo",
    "child",
    "compensate_with",
    "continue_as_new",
    "event",
    "info",
    "log",
    "now",
    "patched",
    "pivot",
    "publish",
    "random",
    "set_attributes",
    "signal",
    "sleep",
    "uuid4",
]
