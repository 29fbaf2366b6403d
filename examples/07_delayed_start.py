"""A delayed start: an execution that is in the store now, and whose code begins later.

Run it: python examples/07_delayed_start.py
"""

import asyncio
from datetime import UTC, datetime, timedelta

from counterpoint import App, ExecutionFailed, Service, workflow

library = Service("library")


@library.activity
async def remind(reader: str, book: str) -> None:
    print(f"{reader}, please bring back {book}")


@library.workflow
async def loan_ends(reader: str, book: str) -> str:
    for times in range(1, 3):
        await remind(reader, book)
        try:
            await workflow.signal("returned", timeout=timedelta(milliseconds=20))
        except TimeoutError:
            continue
        return f"{book} is back after {times}"
    return f"{book} is lost"


async def main() -> None:
    async with App("library", services=[library], store="memory:") as app:
        friday = datetime.now(UTC) + timedelta(days=3)
        emma = await app.start(loan_ends, "Alan", "Emma", id="emma", at=friday)
        await app.idle()  # what waits for its beginning does not count
        print((await emma.describe()).waits_for[0].partition(" at ")[0])
        await emma.cancel()  # brought back in time
        try:
            await emma.result()
        except ExecutionFailed as failed:
            print(failed)

        soon = timedelta(milliseconds=100)
        moby = await app.start(loan_ends, "Ada", "Moby-Dick", id="moby", delay=soon)
        print(await moby.result())


asyncio.run(main())

# Output:
# its beginning
# emma cancelled: asyncio.CancelledError: cancelled before it began
# Ada, please bring back Moby-Dick
# Ada, please bring back Moby-Dick
# Moby-Dick is lost
