"""For workflow code: time, chance, waiting and logging that a replay repeats exactly."""

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

__all__ = ["WorkflowInfo", "info", "log", "now", "random", "signal", "sleep", "uuid4"]
