"""What a process can read of the event log: events, contracts, and what people did."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from counterpoint.authoring.attempt import EventInfo
from counterpoint.authoring.event import Contract
from counterpoint.errors import ArgumentsError
from counterpoint.model.messages import ActRow, ContractRow, EventQuery, EventRow
from counterpoint.ports.codec import Codec
from counterpoint.runtime.description import time_of

if TYPE_CHECKING:
    from counterpoint.runtime.access import Access

PAGE = 100


@dataclass(frozen=True, slots=True)
class PublishedEvent(EventInfo):
    """An event of the log: its envelope, and its data."""

    data: Any
    """As plain JSON values, under the contract of its own version."""
    recorded_at: datetime
    """When it was appended to this log (UTC)."""
    publisher: str | None
    """The recorded name of the reaction, activity or workflow that published it; None for an event
    that came from outside."""


@dataclass(frozen=True, slots=True)
class ContractInfo:
    """A version of the contract of a type of events: declared by this app, published, or both."""

    type: str
    """The recorded name: `service.EventClass`."""
    version: int
    service: str
    """Its owner."""
    key: str
    """The field whose value is the key."""
    description: str
    """The docstring of the class; empty where this app does not declare it."""
    schema: Mapping[str, Any]
    """JSON Schema: what was published; where nothing was, what is declared."""
    declared: bool
    """Whether this app declares this version."""
    published_at: datetime | None
    """When its first event was recorded (UTC); None if there was none."""
    external: bool = False
    """Whether somebody outside publishes it, as this app says."""


@dataclass(frozen=True, slots=True)
class OperatorAct:
    """What somebody did to a dead letter, a subscription or the log, and why."""

    number: int
    """Grows."""
    at: datetime
    kind: str
    """`redrive`, `discard`, `replay`, `unsubscribe` or `reset-contract`."""
    subject: str
    """The id of the dead letter, the name of the reaction, or the type of the contract."""
    actor: str | None
    reason: str | None
    detail: Mapping[str, Any]
    """What was asked, as plain JSON values."""


class EventLog:
    """Reads the event log."""

    def _access(self) -> "Access":
        raise NotImplementedError

    async def events(
        self,
        *,
        type: str | None = None,
        key: str | None = None,
        correlation_id: str | None = None,
        since: datetime | None = None,
        after: int = 0,
        until: int | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[PublishedEvent]:
        """Iterate over the events that match all filters, in the order of the log, page by page.

        *since* is the earliest time of recording; *after* and *until* are positions, of which the
        first is left out and the second is not.

            async for event in app.events(type="orders.OrderPlaced", newest_first=True, limit=10):
                print(event.position, event.key, event.data)

        Raises:
            ArgumentsError: *since* has no time zone, or *limit* is no number of events.
        """
        access = self._access()
        if limit is not None and limit < 0:
            raise ArgumentsError(f"limit={limit} cannot be negative", fields=["limit"])
        left = limit
        query_since = None if since is None else _recorded(since)
        while left is None or left > 0:
            page = PAGE if left is None else min(PAGE, left)
            rows = await access.store.events(
                EventQuery(
                    after=after,
                    until=until,
                    types=() if type is None else (type,),
                    key=key,
                    correlation_id=correlation_id,
                    since=query_since,
                    limit=page,
                    newest_first=newest_first,
                )
            )
            for row in rows:
                yield published_event(row, access.codec)
            if len(rows) < page:
                return
            left = None if left is None else left - len(rows)
            if newest_first:
                until = rows[-1].position - 1
            else:
                after = rows[-1].position

    async def event(self, source: str, id: str) -> PublishedEvent | None:
        """Return the event of that source and id, or None if the log has none."""
        access = self._access()
        row = await access.store.event(source, id)
        return None if row is None else published_event(row, access.codec)

    async def contracts(self) -> list[ContractInfo]:
        """Return the contracts that this app declares and those that were published, in order.

        An older version, and a type that the app does not have, is known by what was published.
        """
        access = self._access()
        published = {(row.type, row.version): row for row in await access.store.contracts()}
        declared = {(c.type, c.version): c for c in access.registry.contracts.values()}
        places = sorted(published.keys() | declared.keys())
        return [_contract_info(published.get(place), declared.get(place)) for place in places]

    async def acts(self, subject: str | None = None) -> AsyncIterator[OperatorAct]:
        """Iterate over what people did to dead letters, subscriptions and the log, oldest first.

        *subject* is the id of a dead letter, the name of a reaction or workflow, or a type.
        """
        access = self._access()
        after = 0
        while rows := await access.store.acts(subject=subject, after=after, limit=PAGE):
            for row in rows:
                yield _act(row, access.codec)
            after = rows[-1].number


def published_event(row: EventRow, codec: Codec) -> PublishedEvent:
    """Return a row of the log for people and programs."""
    return PublishedEvent(
        source=row.source,
        id=row.id,
        type=row.type,
        version=row.version,
        key=row.key,
        time=time_of(row.time),
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        position=row.position,
        hops=row.hops,
        data=json.loads(codec.decode(row.data)),
        recorded_at=time_of(row.recorded_at),
        publisher=row.publisher,
    )


def _contract_info(row: ContractRow | None, contract: Contract | None) -> ContractInfo:
    if contract is None:
        assert row is not None  # noqa: S101 - it is from one of both
        return ContractInfo(
            row.type,
            row.version,
            row.service,
            row.key_field,
            "",
            json.loads(row.schema),
            declared=False,
            published_at=time_of(row.published_at),
        )
    return ContractInfo(
        contract.type,
        contract.version,
        contract.service,
        contract.key_field,
        contract.description,
        json.loads(contract.schema if row is None else row.schema),
        declared=True,
        published_at=None if row is None else time_of(row.published_at),
        external=contract.external,
    )


def _act(row: ActRow, codec: Codec) -> OperatorAct:
    return OperatorAct(
        row.number,
        time_of(row.at),
        row.kind,
        row.subject,
        row.actor,
        row.reason,
        json.loads(codec.decode(row.detail)),
    )


def _recorded(since: datetime) -> int:
    if since.tzinfo is None:
        raise ArgumentsError(
            f"since={since!r} has no time zone: datetime(..., tzinfo=UTC)", fields=["since"]
        )
    return round(since.timestamp() * 1e6)
