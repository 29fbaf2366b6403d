"""An attempt of a reaction: it gets an event, and returns those that follow."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from counterpoint.authoring.attempt import AttemptInfo, EventInfo
from counterpoint.authoring.event import Contract
from counterpoint.authoring.failures import failure_of
from counterpoint.authoring.reaction import Reaction
from counterpoint.authoring.registry import AnyReaction, Registry
from counterpoint.errors import DefinitionError
from counterpoint.model import records as r
from counterpoint.model.ids import idempotency_key
from counterpoint.model.messages import EventRow
from counterpoint.model.outcomes import Outcome, Publication, Raised, Returned
from counterpoint.runtime.attempt import NEVER, Attempt, Beat
from counterpoint.runtime.messaging.queues import Delivery


class ReactionAttempt(Attempt):
    """An attempt of a reaction: it gets the event, and returns those that follow."""

    __slots__ = ("app", "reaction")

    def __init__(
        self, delivery: Delivery, reaction: AnyReaction, registry: Registry, on_beat: Beat
    ) -> None:
        super().__init__(
            delivery, 0, delivery.attempts, reaction, None, registry.payload_bytes_max, on_beat
        )
        self.reaction: Reaction[Any, Any] = reaction
        self.app = registry
        self.registry = registry

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
        contract, key, data = self.app.event_data(event)
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
