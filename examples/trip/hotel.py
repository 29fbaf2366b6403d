"""The hotels: they hold rooms, and take their time to say so."""

import asyncio

from counterpoint import Service, activity

from examples.trip.company import Company

hotel = Service("hotel")
company = Company("hotel")
SECONDS = 0.05


@hotel.activity
async def reserve_room(trip_id: str, name: str) -> int:
    """Reserve a room."""
    await asyncio.sleep(SECONDS)
    return company.hold(trip_id, f"room at {name}", activity.info().idempotency_key)


@reserve_room.compensation
async def cancel_room(trip_id: str, name: str) -> None:
    """Cancel the room, whether or not it was ever reserved."""
    company.release(trip_id, f"room at {name}")
