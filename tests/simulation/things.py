"""The events of the random choreographies, and what every case declares alike."""

import types
from datetime import timedelta
from typing import Any

import msgspec
from tests.simulation.choreographies import KINDS, Joins, Reacts
from tests.simulation.world import Declined

from counterpoint import Event, Service, activity, workflow

things, others = Service("things"), Service("others")


class Thing(Event):
    """Something that happened: its key, and the name that tells what led to it."""

    key: str
    name: str


class A(Thing): ...


class B(Thing): ...


class C(Thing): ...


class D(Thing): ...


CLASSES: tuple[type[Thing], ...] = (A, B, C, D)
assert len(CLASSES) == KINDS
for _kind in (A, C, D):
    things.event(key="key")(_kind)
others.event(key="key", version=2)(B)


@B.upcaster(1)
def named(data: dict[str, Any]) -> dict[str, Any]:
    """Call a name what was a label."""
    return {"key": data["key"], "name": data["label"]}


@things.activity
async def take(key: str, name: str) -> None:
    """Be undone by an event."""


@take.compensation
async def give_back(key: str, name: str, result: None) -> None:
    activity.publish(D(key=key, name=f"{name}.undone"))


@things.workflow
async def follow(key: str, name: str) -> None:
    await workflow.publish(D(key=key, name=f"{name}.f"))


def name_in(data: bytes) -> str:
    """Return the name of an event of the log, whatever version of its contract it has."""
    decoded: dict[str, Any] = msgspec.json.decode(data)
    name = next(decoded[field] for field in ("name", "label", "title") if field in decoded)
    return str(name[0] if isinstance(name, list) else name)


def returned(reacts: Reacts) -> Any:
    """Return the annotation of what a reaction returns."""
    made = [CLASSES[kind] for kind in reacts.emits]
    match reacts.returns:
        case "list":
            return list[A | B | C | D]
        case "tuple":
            return types.GenericAlias(tuple, tuple(made))
        case "one":
            return made[0]
        case "maybe":
            return (made[0] if made else A) | None


def declare_join(service: Service, number: int, joins: Joins) -> None:
    """Declare a saga that an event starts."""

    async def join(event: Thing) -> None:
        name = f"{event.name}>j{number}"
        if joins.fails:
            await take(event.key, name)
        for kind in joins.waits:
            await workflow.event(
                CLASSES[kind],
                event.key,
                keep=timedelta(seconds=joins.keep),
                timeout=joins.patience,
            )
        for place, kind in enumerate(joins.emits):
            await workflow.publish(CLASSES[kind](key=event.key, name=f"{name}.{place}"))
        if joins.fails:
            raise Declined(tag=number)

    join.__annotations__["event"] = CLASSES[joins.on]
    service.saga(on=CLASSES[joins.on], name=f"{service.name}.j{number}")(join)
