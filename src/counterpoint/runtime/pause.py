"""Waiting by the clock that tests move."""

import asyncio

from counterpoint.ports.clock import Clock


async def pause(clock: Clock, duration: int) -> None:
    """Wait for *duration* microseconds of the clock's time."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    at = clock.now() + duration
    alarm = clock.call_at(at, lambda: None if done.done() else done.set_result(None))
    try:
        await done
    finally:
        alarm.cancel()
