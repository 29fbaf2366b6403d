"""A saga: when one step fails, the steps before it are undone, newest first.

Run it: python examples/01_saga.py
"""

import asyncio

from counterpoint import App, BusinessError, ExecutionFailed, Service

travel = Service("travel")


class NoCarLeft(BusinessError):
    city: str


@travel.activity
async def book_flight(city: str) -> str:
    print(f"a flight to {city} is booked")
    return "seat 14A"


@book_flight.compensation
async def cancel_flight(city: str, result: str | None) -> None:
    print(f"the flight to {city} is cancelled, {result} is free again")


@travel.activity
async def book_hotel(city: str) -> int:
    print(f"a room in {city} is booked")
    return 207


@book_hotel.compensation
async def cancel_hotel(city: str, result: int | None) -> None:
    print(f"room {result} in {city} is free again")


@travel.activity
async def rent_car(city: str) -> None:
    raise NoCarLeft(city=city)


@travel.saga
async def book_trip(city: str) -> str:
    seat = await book_flight(city)
    room = await book_hotel(city)
    await rent_car(city)
    return f"{seat}, room {room}, a car"


async def main() -> None:
    async with App("trips", services=[travel], store="memory:") as app:
        trip = await app.start(book_trip, "Lisbon", id="trip-1")
        try:
            await trip.result()
        except ExecutionFailed as failed:
            print(f"{failed.status}: {failed.error!r}")


asyncio.run(main())

# Output:
# a flight to Lisbon is booked
# a room in Lisbon is booked
# room 207 in Lisbon is free again
# the flight to Lisbon is cancelled, seat 14A is free again
# compensated: NoCarLeft("city='Lisbon'")
