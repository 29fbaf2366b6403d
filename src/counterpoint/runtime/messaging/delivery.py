"""The delivery of one event to one subscription, and an attempt of the reaction to it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from counterpoint.authoring.attempt import AttemptInfo, EventInfo
from counterpoint.authoring.event import Contract
from counterpoint.authoring.failures import failure_of
from counterpoint.authoring.reaction import Reaction
from counterpoint.authoring.registry import AnyReaction, Registry
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import DefinitionError
from counterpoint.model import records as r
from counterpoint.model.ids import event_execution_id, idempotency_key
from counterpoint.model.messages import EventRow, ReactionRow, ReactionStatus
from counterpoint.model.outcomes import Outcome, Publication, Raised, Returned
from counterpoint.runtime.attempt import NEVER, Attempt, Beat
from counterpoint.runtime.messaging.queues import Item, KeyQueue
from counterpoint.runtime.messaging.subscription import Subscription


class Delivery:
    """One event on its way to one subscription; the execution of a reaction."""

    __slots__ = (
        "attempt",
        "attempts",
        "created_at",
        "data",
        "due_at",
        "holds_from",
        "item",
        "key",
        "lost",
        "queue",
        "refused",
        "seq",
        "status",
        "subscription",
    )

    def __init__(
        self, queue: KeyQueue, item: Item, subscription: Subscription, created_at: int
    ) -> None:
        self.queue = queue
        self.item = item
        self.subscription = subscription
        self.created_at = created_at
        self.attempt: ReactionAttempt | None = None
        self.attempts = 0
        """Attempts that have begun."""
        self.lost = 0
        """Attempts in a row during which the node died."""
        self.key: int | None = None
        """Whose journal its failures are in; None while no row is about it."""
        self.seq = 0
        """Records in that journal."""
        self.data: bytes | None = None
        """What somebody has put in the place of the event's data."""
        self.status: ReactionStatus | None = None
        """As it is in the store; None while no row is about it."""
        self.due_at: int | None = None
        self.holds_from: int | None = None
        """The position of the hold that is being written with its failure."""
        self.refused = False
        """The store has refused its outcome once."""

    @property
    def event(self) -> EventRow:
        """The event."""
        return self.item.event

    @property
    def id(self) -> str:
        """The id of the reaction's execution."""
        row, event = self.subscription.row, self.item.event
        return event_execution_id(row.name, event.source, event.id, row.replay)

    @property
    def run(self) -> int:
        """Reactions have one run; a replay is an execution of its own."""
        return 1

    @property
    def correlation_id(self) -> str:
        """The flow that it belongs to."""
        return self.item.event.correlation_id

    @property
    def contract(self) -> Contract:
        """The contract of the event as today's code declares it."""
        target = self.subscription.target
        if isinstance(target, Workflow):
            assert target.on is not None  # noqa: S101 - see `target_of`
            return target.on.contract
        return target.contract

    def decode(self) -> Any:
        """Return the event as today's code sees it.

        Raises:
            InvalidEventError, UnknownVersionError: it cannot.
        """
        contract = self.contract
        if self.data is not None:
            return contract.decode(self.data, contract.version)
        return contract.decode(self.item.event.data, self.item.event.version)

    def row(
        self, status: ReactionStatus, *, finished_at: int | None = None, due_at: int | None = None
    ) -> ReactionRow:
        """Return its row in the store, with that status."""
        return ReactionRow(
            self.subscription.number,
            self.item.event.position,
            status,
            self.created_at,
            finished_at,
            self.key,
            max(1, self.attempts),
            due_at,
        )

    def recall(self, row: ReactionRow, records: Sequence[r.Record]) -> None:
        """Take over what the store says of it."""
        self.created_at = row.created_at
        self.attempts = row.attempts
        self.key = row.key
        self.status = row.status
        self.due_at = row.due_at
        self.seq = len(records)
        for record in records:
            if isinstance(record, r.AttemptLost):
                self.lost += 1
            elif isinstance(record, (r.AttemptFailed, r.Redriven)):
                self.lost = 0
            if isinstance(record, r.Redriven) and record.data is not None:
                self.data = bytes(record.data)


class ReactionAttempt(Attempt):
    """An attempt of a reaction: it gets the event, and returns those that follow."""

    __slots__ = ("reaction",)

    def __init__(
        self, delivery: Delivery, reaction: AnyReaction, registry: Registry, on_beat: Beat
    ) -> None:
        super().__init__(
            delivery, 0, delivery.attempts, reaction, None, registry.payload_bytes_max, on_beat
        )
        self.reaction: Reaction[Any, Any] = reaction
        self.registry: Registry = registry

    def decode(self) -> dict[str, Any]:
        return {self.reaction.parameter: self.owner.decode()}

    def encode(self, value: Any) -> Outcome:
        reaction = self.reaction
        try:
            returned = [self._publication(e) for e in reaction.shape.events(reaction.name, value)]
        except Exception as error:  # noqa: BLE001 - whatever a user's type raises
            return Raised(failure_of(error, reaction.service), final=True)
        return Returned(r.NULL, None, [*self.outbox, *returned])

    def check_publishes(self, contract: Contract) -> None:
        if contract.event_class not in self.reaction.emits:
            raise DefinitionError(
                f"{self.reaction.name} publishes {contract.type}, which its return annotation does "
                f"not name ({self.reaction.shape}): add {contract.event_class.__name__} to it"
            )

    def _publication(self, event: Any) -> Publication:
        contract, key, data = self.registry.event_data(event)
        name, service = self.reaction.name, self.reaction.service
        return Publication(contract.type, contract.version, key, data, name, service)

    def info(self) -> AttemptInfo:
        delivery: Delivery = self.owner
        deadline = None
        if self.ends_at != NEVER:
            deadline = datetime.fromtimestamp(self.ends_at / 1e6, tz=UTC)
        return AttemptInfo(
            self.work.name,
            self.number,
            idempotency_key(delivery.id, delivery.run, 1),
            delivery.id,
            delivery.correlation_id,
            deadline,
            is_replay=delivery.subscription.is_replay,
            event=event_info(delivery.event),
        )

    def beat(self, detail: Any) -> None:
        msgspec.json.encode(detail)  # refused alike; kept in memory only
        self.on_beat(self, r.NULL)


def event_info(event: EventRow) -> EventInfo:
    """Return an event's envelope for people and programs."""
    return EventInfo(
        source=event.source,
        id=event.id,
        type=event.type,
        version=event.version,
        key=event.key,
        time=datetime.fromtimestamp(event.time / 1e6, tz=UTC),
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        position=event.position,
        hops=event.hops,
    )
