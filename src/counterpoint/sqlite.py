"""For activities, compensations and reactions on an SQLite store: the transaction.

An activity that asks for one writes in it, and its result is recorded in it:

    from counterpoint.sqlite import Transaction

    @payments.activity
    async def charge(tx: Transaction, order_id: str, cents: int) -> None:
        await tx.execute("INSERT INTO charges VALUES (?, ?)", order_id, cents)
"""

from counterpoint.authoring.transactions import Row
from counterpoint.authoring.transactions import SqliteTransaction as Transaction

__all__ = ["Row", "Transaction"]
