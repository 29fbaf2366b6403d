"""Counterpoint coordinates business processes that span services: durable sagas in one library."""

from counterpoint.app import App
from counterpoint.authoring.attempt import EventInfo
from counterpoint.authoring.business import BusinessError
from counterpoint.authoring.choreography import Choreography
from counterpoint.authoring.event import Event
from counterpoint.authoring.service import Service
from counterpoint.authoring.transactions import Transaction
from counterpoint.errors import (
    ActivityFailed,
    ArgumentsError,
    ContractError,
    CounterpointError,
    DeadlineExceeded,
    DefinitionError,
    EventExistsError,
    EventFormatError,
    ExecutionExistsError,
    ExecutionFailed,
    ExecutionNotFoundError,
    ExecutionRefusedError,
    InvalidEventError,
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
from counterpoint.model.findings import Finding, Severity
from counterpoint.model.policies import Rate, Retry
from counterpoint.model.settings import Settings
from counterpoint.model.states import Cause, Status
from counterpoint.runtime.client import Client, ExecutionSummary
from counterpoint.runtime.dead_letters import DeadLetter, DeadLetterGroup
from counterpoint.runtime.description import (
    CallDescription,
    Description,
    IncidentDescription,
    JournalEntry,
)
from counterpoint.runtime.doctor import Diagnosis
from counterpoint.runtime.event_log import ContractInfo, OperatorAct, PublishedEvent
from counterpoint.runtime.flow import (
    AwaitedEvent,
    Flow,
    FlowEvent,
    FlowExecution,
    FlowReaction,
    ReceivedEvent,
)
from counterpoint.runtime.handle import Execution, ResetReport
from counterpoint.runtime.health import Health
from counterpoint.runtime.lags import SubscriptionLag
from counterpoint.runtime.nodes import NodeInfo, NodeState
from counterpoint.runtime.rehearsal import replay
from counterpoint.runtime.subscribers import SubscriptionInfo
from counterpoint.runtime.unhosted import UnhostedWork

__all__ = [
    "ActivityFailed",
    "App",
    "ArgumentsError",
    "AwaitedEvent",
    "BusinessError",
    "CallDescription",
    "Cause",
    "Choreography",
    "Client",
    "ContractError",
    "ContractInfo",
    "CounterpointError",
    "DeadLetter",
    "DeadLetterGroup",
    "DeadlineExceeded",
    "DefinitionError",
    "Description",
    "Diagnosis",
    "Event",
    "EventExistsError",
    "EventFormatError",
    "EventInfo",
    "Execution",
    "ExecutionExistsError",
    "ExecutionFailed",
    "ExecutionNotFoundError",
    "ExecutionRefusedError",
    "ExecutionSummary",
    "Finding",
    "Flow",
    "FlowEvent",
    "FlowExecution",
    "FlowReaction",
    "Health",
    "IncidentDescription",
    "InvalidEventError",
    "JournalEntry",
    "NodeInfo",
    "NodeState",
    "NodeStoppedError",
    "NonDeterminismError",
    "NonDeterminismWarning",
    "NotDone",
    "OperatorAct",
    "PayloadError",
    "PublishedEvent",
    "Rate",
    "ReceivedEvent",
    "ResetReport",
    "Retry",
    "RetryAfter",
    "Service",
    "Settings",
    "Severity",
    "Status",
    "StoreError",
    "StoreLockedError",
    "SubscriptionInfo",
    "SubscriptionLag",
    "Transaction",
    "UnhostedWork",
    "WorkflowRefusedError",
    "replay",
]
