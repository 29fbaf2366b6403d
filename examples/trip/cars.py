"""The car rental: a car is held under the reference of the trip."""

from counterpoint import Service, activity

from examples.trip.company import Company

cars = Service("cars")
company = Company("cars")


@cars.activity
async def reserve_car(trip_id: str, model: str) -> int:
    """Reserve a car."""
    return company.hold(trip_id, model, activity.info().idempotency_key)


@reserve_car.compensation
async def cancel_car(trip_id: str, model: str) -> None:
    """Cancel the car, whether or not it was ever reserved."""
    company.release(trip_id, model)
