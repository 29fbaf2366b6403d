"""Workflows that events start: which event, under which id, from where in the log."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from counterpoint.authoring.event import Contract, Event, contract_of
from counterpoint.authoring.reaction import Start, check_start
from counterpoint.errors import ArgumentsError, DefinitionError
from counterpoint.model.ids import check_execution_id, event_execution_id
from counterpoint.model.payloads import Payload

VERSION = "$version"
"""Beside the recorded arguments of a workflow that an event started: the version of the event."""
EventId: TypeAlias = Callable[[Any], str]
"""Makes the id of an execution of the event that starts it."""


@dataclass(frozen=True, slots=True)
class StartedBy:
    """The event that starts a workflow."""

    contract: Contract
    id: EventId | None
    start: Start

    def versioned(self, arguments: Payload) -> Payload:
        """Return recorded arguments with the version of the event that is the first of them."""
        mark = f'{{"{VERSION}":{self.contract.version},'
        return msgspec.Raw(mark.encode() + bytes(arguments)[1:])

    def up_to_date(self, arguments: Payload) -> Payload:
        """Return recorded arguments with the event as today's contract has it.

        What was recorded without a version, by a start that no event made, is left as it is.

        Raises:
            InvalidEventError, UnknownVersionError: the event cannot be brought up to date.
        """
        fields = msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
        recorded = fields.pop(VERSION, None)
        version = None if recorded is None else msgspec.json.decode(recorded, type=int)
        if version is None or version == self.contract.version or not fields:
            return arguments
        name = next(iter(fields))
        event = self.contract.decode(bytes(fields[name]), version)
        fields[name] = msgspec.Raw(self.contract.encode(event))
        return msgspec.Raw(msgspec.json.encode(fields))

    def execution_id(
        self, workflow: str, source: str, event_id: str, event: Event, replay: int = 0
    ) -> str:
        """Return the id of the execution that an event starts; a replay starts another one.

        Raises:
            ArgumentsError: what makes it returned no id.
        """
        if self.id is None:
            return event_execution_id(workflow, source, event_id, replay)
        made = self.id(event)
        wrong = check_execution_id(made)
        if wrong is not None:
            raise ArgumentsError(f"id= of {workflow}: {wrong}", fields=["id"])
        return made


def started_by(on: type[Event] | None, id: EventId | None, start: Start) -> StartedBy | None:
    """Return what `on=`, `id=` and `start=` of a workflow say together.

    Raises:
        DefinitionError: the event has no contract, or there is an id and no event.
    """
    check_start("a workflow", start)
    if on is None:
        if id is not None:
            raise DefinitionError("id= of a workflow makes an id of the event of on=: give both")
        return None
    if id is not None and not callable(id):
        raise DefinitionError(
            "id= of a workflow takes a function of the event: id=lambda event: ..."
        )
    return StartedBy(contract_of(on), id, start)
