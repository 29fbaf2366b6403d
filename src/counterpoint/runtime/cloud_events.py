"""Publishes events that come from elsewhere, as CloudEvents.

What is accepted is in the log, or in a letter on its way there. So everything that can be checked
is checked first; what only the reactions can find out becomes a dead letter there.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from counterpoint.authoring.event import Contract, check_key
from counterpoint.authoring.registry import Registry
from counterpoint.errors import InvalidEventError, PayloadTooLargeError
from counterpoint.model.cloudevents import STRUCTURED_MEDIA_TYPE, from_binary, from_structured
from counterpoint.model.messages import EventRow, slot_of

if TYPE_CHECKING:
    from counterpoint.runtime.access import Access


class CloudEvents:
    """Takes CloudEvents into the log."""

    def _access(self) -> "Access":
        raise NotImplementedError

    async def publish_cloudevent(
        self, body: bytes | str, headers: Mapping[str, str] | None = None
    ) -> str:
        """Publish an event from elsewhere; it is durable once this returns. Return its id.

        Without *headers* the body is the whole event as JSON (structured mode). With those of an
        HTTP request it may also be the data, and they are the rest (binary mode): the content type
        says which. The key is that of the data. An event with the same source, id and content again
        does nothing.

            await app.publish_cloudevent(await request.body(), request.headers)

        An event of a newer version than this app declares is taken as it is, if it names its key
        (`partitionkey`): it waits for a node that knows the version.

        Raises:
            EventFormatError: it is no CloudEvent 1.0 with JSON data.
            InvalidEventError: this app has no such type, the data does not validate, or the key is
                another one than that of the data; names the fields.
            PayloadTooLargeError: the data is larger than `payload_bytes_max`.
            EventExistsError: an event of this source and id was published with other content.
            NodeStoppedError: the node takes no work.
            StoreError: it may not have been published.
        """
        access = self._access()
        now = access.now()
        body = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        if headers is None or _content_type(headers).startswith(STRUCTURED_MEDIA_TYPE):
            row = from_structured(body, now=now)
        else:
            row = from_binary(headers, body, now=now)
        data = msgspec.json.format(row.data, indent=-1)  # blanks do not make another event of it
        key = checked_key(access.registry, row, data)
        row = row._replace(
            key=key,
            slot=slot_of(key),
            recorded_at=now,
            codec=access.codec.tag,
            data=access.codec.encode(data),
        )
        await access.publish([row], given_ids=True)
        return row.id


def checked_key(registry: Registry, row: EventRow, data: bytes) -> str:
    """Return the key of an event from elsewhere, whose data fits its contract.

    Raises:
        InvalidEventError: it does not, or nobody here knows the type.
        PayloadTooLargeError: the data is too large.
        ArgumentsError: the key cannot be one.
    """
    contract = registry.contracts.get(row.type)
    if contract is None:
        known = ", ".join(sorted(registry.contracts)) or "none"
        raise InvalidEventError(
            f"this app has no event of the type {row.type!r}; it has {known}", fields=["type"]
        )
    if len(data) > registry.payload_bytes_max:
        raise PayloadTooLargeError(
            f"the event {row.type}", size_bytes=len(data), limit_bytes=registry.payload_bytes_max
        )
    if row.version > contract.version:
        return _key_of_newer(contract, row)
    key = contract.key_of(contract.decode(data, row.version))
    if row.key and row.key != key:
        raise InvalidEventError(
            f"{row.type}: partitionkey is {row.key!r}, and the key of the data "
            f"({contract.key_field}) is {key!r}: leave partitionkey out, or make them the same",
            fields=["partitionkey"],
        )
    return key


def _key_of_newer(contract: Contract, row: EventRow) -> str:
    if not row.key:
        raise InvalidEventError(
            f"{row.type} version {row.version} is newer than version {contract.version}, which "
            "this app declares, so its key cannot be read from its data: send it as partitionkey",
            fields=["partitionkey"],
        )
    return check_key(row.type, "partitionkey", row.key)


def _content_type(headers: Mapping[str, str]) -> str:
    found = [value for name, value in headers.items() if name.lower() == "content-type"]
    return found[0].strip().lower() if found else ""
