"""For activities, compensations and reactions on a PostgreSQL store: the transaction.

An activity that asks for one writes in it, and its result is recorded in it:

    from counterpoint.postgres import Transaction

    @payments.activity
    async def charge(tx: Transaction, order_id: str, amount: Decimal) -> None:
        await tx.execute("INSERT INTO charges VALUES ($1, $2)", order_id, amount)
"""

from counterpoint.authoring.transactions import PostgresTransaction as Transaction
from counterpoint.authoring.transactions import Row

__all__ = ["Row", "Transaction"]
