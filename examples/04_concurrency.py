"""Concurrency: plain asyncio in the workflow, and bounds on what runs at once.

Run it: python examples/04_concurrency.py
"""

import asyncio
import time

from counterpoint import App, Service

scans = Service("scans")
running = 0
most = 0


@scans.activity(concurrency=3)
def read_page(page: int) -> int:
    """A `def` activity runs in a thread, so it may block; at most three at once."""
    global running, most
    running += 1
    most = max(most, running)
    time.sleep(0.01)
    running -= 1
    return 100 + page


@scans.activity
async def store_total(words: int) -> None:
    print(f"{words} words are stored")


@scans.workflow
async def scan(pages: int) -> int:
    words = await asyncio.gather(*(read_page(page) for page in range(pages)))
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0.01))  # a durable timer
        group.create_task(store_total(sum(words)))
    return len(words)


async def main() -> None:
    async with App("archive", services=[scans], store="memory:") as app:
        pages = await app.run(scan, 12)
    print(f"{pages} pages were read, at most three at once: {most <= 3}")


asyncio.run(main())

# Output:
# 1266 words are stored
# 12 pages were read, at most three at once: True
