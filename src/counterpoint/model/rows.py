"""What a store keeps, as plain tuples: the rows of its tables and the commit that writes them.

Times are integer microseconds UTC; None where there is none. Bytes are opaque to every store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from counterpoint.model.cluster import Calls
from counterpoint.model.messages import Messages
from counterpoint.model.states import Status


class ExecutionRow(NamedTuple):
    """One run of a workflow (and, later, of a reaction)."""

    key: int
    """The store's integer key; keys grow with time."""
    id: str
    run: int
    kind: str
    """`workflow` or `saga`."""
    service: str
    name: str
    """`service.function`."""
    version: int
    """The highest workflow version that advanced it."""
    status: Status
    fingerprint: bytes
    """Digest of the recorded arguments; tells whether a second start means the same."""
    created_at: int
    wake_at: int | None
    """When it needs a node: in the past while it has work, a timer's time, None for no time."""
    finished_at: int | None = None
    deadline_at: int | None = None
    owner: int | None = None
    """The incarnation of the node that runs it."""
    parent_key: int | None = None
    root_key: int | None = None
    correlation_id: str | None = None
    """The flow's id; None means the execution's own id."""
    causation_id: str | None = None
    traceparent: str | None = None


class JournalRow(NamedTuple):
    """Everything that one execution recorded in one commit."""

    execution_key: int
    first_seq: int
    """The number of its first record; the first record of an execution is 1."""
    records: int
    codec: str
    body: bytes
    digest: int
    """CRC-32 of `body`, to tell damage from change."""


class ExecutionUpdate(NamedTuple):
    """What changes in an execution's row; written only when one of these changed."""

    key: int
    status: Status
    version: int
    wake_at: int | None
    finished_at: int | None


class AttributeRow(NamedTuple):
    """What an execution says about itself, to be found by (see `model.attributes`)."""

    execution_key: int
    name: str
    value: str | None
    """None deletes the attribute, if there is one."""


class MailRow(NamedTuple):
    """A request to an execution, from anybody but its owner."""

    position: int
    """0 until it is written; positions grow in order of arrival."""
    request_id: str
    kind: str
    """`start`, `signal`, `cancel`, `retry`, `terminate`."""
    execution_id: str
    at: int
    codec: str
    body: bytes
    about: str | None = None
    """Whom it needs where no execution says so: a start's workflow, or the service of an act on a
    dead letter."""
    slot: int | None = None
    """The slot of that dead letter's key."""


class DueRow(NamedTuple):
    """A live execution and the moment from which it needs a node."""

    wake_at: int
    key: int
    id: str


@dataclass(frozen=True, slots=True)
class Commit:
    """What is written in one transaction: all of it or nothing."""

    starts: Sequence[ExecutionRow] = ()
    journal: Sequence[JournalRow] = ()
    updates: Sequence[ExecutionUpdate] = ()
    taken: Sequence[int] = ()
    """Positions of mail that is now in a journal (or refused) and is deleted."""
    mail: Sequence[MailRow] = ()
    """New mail; its `position` is given by the store."""
    attributes: Sequence[AttributeRow] = ()
    """Attributes that are set, replaced or deleted; of several for one name the last one counts."""
    messages: Messages | None = None
    """What it writes about events, if anything."""
    calls: Calls | None = None
    """What it writes about calls between nodes; only for stores with many."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which executions to list: newest first, those with a key below `before`."""

    statuses: Sequence[Status] = ()
    workflow: str | None = None
    service: str | None = None
    correlation_id: str | None = None
    since: int | None = None
    """Those created then or later."""
    before: int | None = None
    limit: int = 100
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Those that have all of these attributes, with exactly these values."""
    until: int | None = None
    """Those created before then."""
    parent_key: int | None = None
    """The children of one execution."""
    newest_runs: bool = False
    """Those whose id has no later run."""
