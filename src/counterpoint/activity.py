"""For activities and compensations: facts about the running attempt, and heartbeats."""

from counterpoint.authoring.attempt import AttemptInfo, heartbeat, info, last_heartbeat

__all__ = ["AttemptInfo", "heartbeat", "info", "last_heartbeat"]
