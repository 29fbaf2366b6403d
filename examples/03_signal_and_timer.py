"""Waiting for a person, but not for ever: a signal, and a timer that survives restarts.

Run it: python examples/03_signal_and_timer.py
"""

import asyncio
from datetime import timedelta

from counterpoint import App, Service, workflow

expenses = Service("expenses")


@expenses.activity
async def pay(amount: int) -> str:
    return f"{amount} paid"


@expenses.workflow
async def claim(amount: int, patience: timedelta) -> str:
    try:
        approved = await workflow.signal("approval", bool, timeout=patience)
    except TimeoutError:
        return "nobody decided"
    return await pay(amount) if approved else "refused"


async def main() -> None:
    async with App("claims", services=[expenses], store="memory:") as app:
        lunch = await app.start(claim, 20, timedelta(days=3), id="lunch")
        yacht = await app.start(claim, 900_000, timedelta(days=3), id="yacht")
        taxi = await app.start(claim, 35, timedelta(milliseconds=50), id="taxi")
        await app.idle()
        print((await lunch.describe()).waits_for[0])

        await lunch.signal("approval", True)
        await yacht.signal("approval", False)
        for one in (lunch, yacht, taxi):
            print(f"{one.id}: {await one.result()}")


asyncio.run(main())

# Output:
# the signal 'approval'
# lunch: 20 paid
# yacht: refused
# taxi: nobody decided
