"""All cases, in the order in which they are measured."""

from collections.abc import Callable

from benchmarks import (
    burst,
    catching_up,
    disk,
    fan_out,
    idle,
    nodes,
    poison,
    postgres,
    postgres_writes,
    reactions,
    recovery,
    replay,
    sagas,
    saturated,
    signals,
    stages,
    timers,
    waiting,
    writes,
)
from benchmarks.case import Case, Options

CASES: dict[str, Callable[[Options], Case]] = {
    "sagas": sagas.case,
    "stages": stages.case,
    "writes": writes.case,
    "disk": disk.case,
    "timers": timers.case,
    "signals": signals.case,
    "fan-out": fan_out.case,
    "reactions": reactions.case,
    "poison": poison.case,
    "catching-up": catching_up.case,
    "saturated": saturated.case,
    "replay": replay.case,
    "recovery": recovery.case,
    "burst": burst.case,
    "waiting": waiting.case,
    "waiting-started": waiting.case_started,
    "postgres": postgres.case,
    "postgres-stages": stages.case_postgres,
    "postgres-writes": postgres_writes.case,
    "nodes": nodes.case,
    "idle": idle.case,
}
