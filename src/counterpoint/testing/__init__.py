"""What users need to test their processes and adapters: shipped, and tested like the rest."""

from counterpoint.testing.attempt import UnitAttempt, UnitStart, attempt
from counterpoint.testing.clock import VirtualClock
from counterpoint.testing.faults import FaultyStore
from counterpoint.testing.harness import Harness, StuckError
from counterpoint.testing.injection import AttemptCall, Hold

__all__ = [
    "AttemptCall",
    "FaultyStore",
    "Harness",
    "Hold",
    "StuckError",
    "UnitAttempt",
    "UnitStart",
    "VirtualClock",
    "attempt",
]
