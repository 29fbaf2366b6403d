"""The payments service: charges within a credit limit, through an unreliable provider."""

import asyncio
import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from counterpoint import BusinessError, Retry, Service, activity

from examples.shop.catalog import CENT, cents
from examples.shop.own_file import Answer, OwnFile
from examples.shop.weather import answer_lost, no_answer, no_route, unreachable

payments = Service("payments")
file = OwnFile(
    "payments",
    """
    CREATE TABLE IF NOT EXISTS limits (customer_id TEXT PRIMARY KEY, cents INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS charges (
      id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, cents INTEGER NOT NULL, key TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS charges_order ON charges (order_id);
    CREATE TABLE IF NOT EXISTS declines (order_id TEXT NOT NULL, reason TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS refunds (
      id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, cents INTEGER NOT NULL, key TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS voided (order_id TEXT PRIMARY KEY) WITHOUT ROWID;
    """,
)
PROVIDER_SECONDS = 0.002


@dataclass(frozen=True)
class Authorization:
    """The provider's promise of the money."""

    number: int
    amount: Decimal


class PaymentDeclined(BusinessError):
    """The customer's credit does not reach that far."""

    order_id: str
    reason: str


@payments.activity(
    retry=Retry(max_attempts=5, first=timedelta(milliseconds=20)), timeout=timedelta(seconds=30)
)
async def authorize(order_id: str, customer_id: str, amount: Decimal) -> Authorization:
    """Charge an order, once, if the customer's limit allows it."""
    call = activity.info()

    def effect(db: sqlite3.Connection) -> Answer:
        if db.execute("SELECT 1 FROM voided WHERE order_id = ?", [order_id]).fetchone():
            return {"declined": "the charge was voided before it arrived"}
        (limit,) = db.execute(
            "SELECT cents FROM limits WHERE customer_id = ?", [customer_id]
        ).fetchone()
        if cents(amount) > limit:
            reason = f"{amount} is over the credit limit of {limit * CENT}"
            db.execute("INSERT INTO declines VALUES (?, ?)", [order_id, reason])
            return {"declined": reason}
        charged = db.execute(
            "INSERT INTO charges (order_id, cents, key) VALUES (?, ?, ?)",
            [order_id, cents(amount), call.idempotency_key],
        )
        return {"number": charged.lastrowid}

    await asyncio.sleep(PROVIDER_SECONDS)
    if unreachable(call):
        await asyncio.to_thread(file.note, call)
        raise no_route(call)
    answer = await asyncio.to_thread(file.once, call, effect)
    if answer_lost(call):
        raise no_answer(call)
    if "declined" in answer:
        raise PaymentDeclined(order_id=order_id, reason=answer["declined"])
    return Authorization(answer["number"], amount)


@authorize.compensation
async def void(order_id: str, result: Authorization | None) -> None:
    """Return an order's money; a charge that arrives after this is declined."""
    call = activity.info()

    def effect(db: sqlite3.Connection) -> Answer:
        db.execute("INSERT OR IGNORE INTO voided VALUES (?)", [order_id])
        returned = db.execute(
            "INSERT INTO refunds (order_id, cents, key) "
            "SELECT order_id, cents, ? FROM charges WHERE order_id = ?",
            [call.idempotency_key, order_id],
        )
        return {"charges": returned.rowcount, "was_known": result is not None}

    await asyncio.sleep(PROVIDER_SECONDS)
    if unreachable(call):
        await asyncio.to_thread(file.note, call)
        raise no_route(call)
    await asyncio.to_thread(file.once, call, effect)
    if answer_lost(call):
        raise no_answer(call)
