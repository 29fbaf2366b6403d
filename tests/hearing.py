"""Waits for what the engine says in its log, so that tests of background work need no sleeps."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

DEADLINE = 30.0


class _Ear(logging.Handler):
    def __init__(self, text: str, times: int) -> None:
        super().__init__()
        self.text = text
        self.times = times
        self.heard = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self.text in record.getMessage():
            self.times -= 1
            if self.times == 0:
                self.heard.set()


@asynccontextmanager
async def hearing(text: str, *, times: int = 1) -> AsyncIterator[None]:
    """Leave the block once the engine has said *text*, on this event loop, *times* times.

    Raises:
        TimeoutError: it did not within `DEADLINE` seconds.
    """
    ear = _Ear(text, times)
    logger = logging.getLogger("counterpoint")
    logger.addHandler(ear)
    try:
        yield
        await asyncio.wait_for(ear.heard.wait(), DEADLINE)
    finally:
        logger.removeHandler(ear)
