"""Counterpoint coordinates business processes that span services: durable sagas in one library."""

from counterpoint.app import App
from counterpoint.authoring.business import BusinessError
from counterpoint.authoring.event import Event
from counterpoint.authoring.service import Service
from counterpoint.errors import (
    ActivityFailed,
    ArgumentsError,
    CounterpointError,
    DeadlineExceeded,
    DefinitionError,
    ExecutionExistsError,
    ExecutionFailed,
    ExecutionNotFoundError,
    ExecutionRefusedError,
    NodeStoppedError,
    NonDeterminismError,
    NonDeterminismWarning,
    NotDone,
    PayloadError,
    RetryAfter,
    StoreError,
    StoreLockedError,
    WorkflowRefusedError,
)
from counterpoint.model.policies import Retry
from counterpoint.model.settings import Settings
from counterpoint.model.states import Cause, Status
from counterpoint.runtime.client import Client, ExecutionSummary
from counterpoint.runtime.description import (
    CallDescription,
    Description,
    IncidentDescription,
    JournalEntry,
)
from counterpoint.runtime.handle import Execution, ResetReport
from counterpoint.runtime.health import Health
from counterpoint.runtime.rehearsal import replay

__all__ = [
    "ActivityFailed",
    "App",
    "ArgumentsError",
    "BusinessError",
    "CallDescription",
    "Cause",
    "Client",
    "CounterpointError",
    "DeadlineExceeded",
    "DefinitionError",
    "Description",
    "Event",
    "Execution",
    "ExecutionExistsError",
    "ExecutionFailed",
    "ExecutionNotFoundError",
    "ExecutionRefusedError",
    "ExecutionSummary",
    "Health",
    "IncidentDescription",
    "JournalEntry",
    "NodeStoppedError",
    "NonDeterminismError",
    "NonDeterminismWarning",
    "NotDone",
    "PayloadError",
    "ResetReport",
    "Retry",
    "RetryAfter",
    "Service",
    "Settings",
    "Status",
    "StoreError",
    "StoreLockedError",
    "WorkflowRefusedError",
    "replay",
]
