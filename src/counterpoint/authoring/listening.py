"""What workflow code does with events: `counterpoint.workflow`."""

import asyncio
from datetime import timedelta
from typing import TypeVar

import msgspec

from counterpoint.authoring.context import current_execution
from counterpoint.authoring.event import (
    KEY_TYPES,
    Contract,
    Event,
    check_key,
    contract_of,
    key_text,
)
from counterpoint.authoring.registry import WorkflowProgram
from counterpoint.errors import ArgumentsError, DefinitionError
from counterpoint.kernel.execution import Execution
from counterpoint.model.times import microseconds

E = TypeVar("E", bound=Event)
_NO_TIME = timedelta(0)
_KEYS = "a str, an int, a UUID or a member of an Enum"


async def event(
    type: type[E],
    key: object,
    *,
    keep: timedelta = _NO_TIME,
    timeout: float | timedelta | None = None,
) -> E:
    """Wait for the next event of that type and key, and return it.

    The events of a type and key come in the order of the log, each once for this execution; others
    that wait for them get them, too. The first is one that was recorded after the execution began
    (after the event that started it, if one did), or at most *keep* before that.

        shipped = await workflow.event(ParcelShipped, key=order.id, timeout=timedelta(days=2))

    Raises:
        TimeoutError: none came within *timeout*.
        DefinitionError: the class is no event of this app.
        ArgumentsError: the key cannot be one, or *keep* is negative.
    """
    execution = current_execution("event()")
    contract = _contract(execution, type)
    if not isinstance(key, KEY_TYPES) or isinstance(key, bool):
        raise ArgumentsError(
            f"{contract.type}: {key!r} is no key ({contract.key_field}): give {_KEYS}",
            fields=["key"],
        )
    text = check_key(contract.type, contract.key_field, key_text(key))
    if keep < _NO_TIME:
        raise ArgumentsError("keep= cannot be negative", fields=["keep"])
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    async with asyncio.timeout(seconds):
        number, future = execution.events.wait(contract.type, text, microseconds(keep))
        try:
            found = await future
        except BaseException:
            if future.cancelled():
                execution.events.end_wait(number)
            raise
        try:
            decoded: E = contract.decode(bytes(found.data), found.version)
        except Exception as error:  # noqa: BLE001 - whatever a user's type or upcaster raises
            execution.unreadable(f"the event {found.source}/{found.id}", error, wait=number)
            await execution.loop.new_future()
            raise AssertionError("a halted workflow went on") from None
        return decoded


async def publish(*events: Event) -> None:
    """Publish events: they are appended to the log together with what the code does now.

    They are delivered if, and only if, that is committed; a replay does not publish them again.

    Raises:
        DefinitionError: it is no event of this app, or `emits=` does not name it.
        ArgumentsError: it has no usable key, or does not fit its own fields.
        PayloadError: it cannot be written, or is too large.
    """
    execution = current_execution("publish()")
    program = _program(execution)
    found = [program.registry.event_data(event) for event in events]  # all of them or none
    emits = program.workflow.emits
    for contract, _, _ in found:
        if emits is not None and contract.event_class not in emits:
            raise DefinitionError(
                f"{program.workflow.name} publishes {contract.type}, which its emits= does not "
                f"name: add {contract.event_class.__name__} to it"
            )
    for contract, key, data in found:
        execution.events.publish(contract.type, contract.version, key, msgspec.Raw(data))


def _program(execution: Execution) -> WorkflowProgram:
    program = execution.program
    if not isinstance(program, WorkflowProgram):
        raise DefinitionError("only workflows of an app wait for events and publish them")
    return program


def _contract(execution: Execution, event_class: type[E]) -> Contract:
    contract = contract_of(event_class)
    if _program(execution).registry.contracts.get(contract.type) is not contract:
        raise DefinitionError(
            f"{contract.type} is no event of this app: add the service {contract.service} to "
            "App(services=[...])"
        )
    return contract
