"""What a process can do with events: publish them, whether it hosts services or not."""

from typing import TYPE_CHECKING

from counterpoint.authoring.attempt import refuse_in_attempt
from counterpoint.authoring.event import Event
from counterpoint.errors import ArgumentsError
from counterpoint.model.ids import check_execution_id, generate_id
from counterpoint.model.messages import EventRow, slot_of

if TYPE_CHECKING:
    from counterpoint.runtime.access import Access


class Publisher:
    """Publishes events."""

    def _access(self) -> "Access":
        raise NotImplementedError

    async def publish(
        self, *events: Event, id: str | None = None, correlation_id: str | None = None
    ) -> tuple[str, ...]:
        """Publish events, in order and all at once; they are durable once this returns.

        Returns their ids. A single event can be given an *id*: publishing it again under the same
        id does nothing. Without *correlation_id* each begins a flow, whose id is its own.

            await app.publish(OrderPlaced(order_id="1", total=Decimal(5)))

        Raises:
            DefinitionError: something is no event of this app.
            ArgumentsError: an event has no usable key, or the id cannot be one.
            PayloadError: an event cannot be written, or is too large.
            EventExistsError: the id was used for another event.
            NodeStoppedError: the node takes no work.
            NotInActivityError: an activity or reaction does it: `activity.publish` is for that.
            StoreError: they may not have been published.
        """
        refuse_in_attempt("app.publish", "activity.publish(event)")
        access = self._access()
        for name, given in (("id", id), ("correlation_id", correlation_id)):
            wrong = check_execution_id(given) if given is not None else None
            if wrong is not None:
                raise ArgumentsError(wrong.replace("an execution id", name), fields=[name])
        if id is not None and len(events) != 1:
            raise ArgumentsError("id= is for publishing one event", fields=["id"])
        rows = [self._row(access, event, id, correlation_id) for event in events]
        if rows:
            await access.publish(rows, given_ids=id is not None)
        return tuple(row.id for row in rows)

    def _row(
        self, access: "Access", event: Event, given_id: str | None, correlation_id: str | None
    ) -> EventRow:
        contract, key, data = access.registry.event_data(event)
        event_id = given_id or generate_id()
        now, codec = access.now(), access.codec
        return EventRow(
            0,
            contract.service,
            event_id,
            contract.type,
            contract.version,
            key,
            slot_of(key),
            correlation_id or event_id,
            None,
            None,
            0,
            None,
            now,
            now,
            codec.tag,
            codec.encode(data),
        )
