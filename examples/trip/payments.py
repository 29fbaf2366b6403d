"""The payments service: charges a card at most once.

Why `at_most_once`, and not retries under one idempotency key? Retries need a provider that answers
a repeated key with the *first answer*. This one refuses it without a word about what became of the
first request, and no program can ask it. So a second attempt would learn nothing that the first did
not. Only its statement tells, and a person reads it: the call waits, as an incident, for `resolve`.
The key is sent all the same: it stops the second charge if that person looked wrongly.

Where the provider does give the first answer again, prefer that: see `examples/shop`.
"""

from datetime import timedelta

from counterpoint import BusinessError, NotDone, Service, activity

from examples.trip.bank import Bank, Refused
from examples.trip.itinerary import Card

payments = Service("payments")
bank = Bank()


class PaymentDeclined(BusinessError):
    """The card was not charged, and will not be."""

    reason: str


@payments.activity(at_most_once=True, timeout=timedelta(seconds=5))
async def charge(trip_id: str, card: Card, cents: int) -> int:
    """Charge the card; return the number on the provider's statement."""
    key = activity.info().idempotency_key
    try:
        return await bank.charge(key, trip_id, card, cents)
    except ConnectionRefusedError as error:
        raise NotDone from error  # nothing was sent: it may be tried again
    except Refused as error:
        raise PaymentDeclined(reason=str(error)) from error  # an answer, not a failure
    # 500, 409, a broken connection and the timeout say nothing: the outcome is unknown


@charge.compensation
async def refund(trip_id: str) -> None:
    """Give the money back: by the trip, for where nobody knows of a charge it has no number."""
    bank.void(trip_id)
