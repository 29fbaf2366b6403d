"""Sagas that events started, and newer contracts of these events."""

from typing import Any

from counterpoint import Event, Service, workflow
from counterpoint.testing import Harness


def hotel(version: int) -> tuple[list[Service], Any, Any]:
    """Return a hotel whose event `GuestLeft` has that version, with a saga that it starts."""
    desk, repair = Service("desk"), Service("repair")

    class GuestLeft(Event):
        room: int

    class GuestLeftFromFloor(Event):
        room: int
        floor: int

    left: type[Event] = GuestLeft if version == 1 else GuestLeftFromFloor
    desk.event(key="room", version=version, name="desk.GuestLeft")(left)
    if version == 2:

        @left.upcaster(1)
        def add_floor(data: dict[str, Any]) -> dict[str, Any]:
            return {**data, "floor": data["room"] // 100}

    @repair.event(key="room")
    class RoomReady(Event):
        room: int

    async def check(event: Any) -> str:
        ready = await workflow.event(RoomReady, key=event.room)
        return f"{ready.room} on {getattr(event, 'floor', 'some floor')}"

    check.__annotations__["event"] = left
    desk.saga(on=left, name="desk.check", id=lambda event: f"check-{event.room}")(check)
    return [desk, repair], left, RoomReady


async def test_a_saga_that_waits_goes_on_with_the_newer_contract_of_the_event_that_began_it() -> (
    None
):
    services, left, _ = hotel(1)
    async with Harness(services=services) as harness:
        await harness.app.publish(left(room=213))
        await harness.idle()
        services, _, ready = hotel(2)
        await harness.restart(services=services)
        await harness.app.publish(ready(room=213))
        await harness.idle()

        assert await harness.app.execution("check-213").result() == "213 on 2"
