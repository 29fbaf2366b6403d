"""For activities, compensations and reactions: the attempt, what it publishes and starts."""

from counterpoint.authoring.attempt import (
    AttemptInfo,
    EventInfo,
    heartbeat,
    info,
    last_heartbeat,
    publish,
    start,
)

__all__ = [
    "AttemptInfo",
    "EventInfo",
    "heartbeat",
    "info",
    "last_heartbeat",
    "publish",
    "start",
]
