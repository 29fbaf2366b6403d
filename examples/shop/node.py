"""Hosts the shop until it is told to stop: `python -m examples.shop.node`."""

import asyncio
import signal

from examples.shop.app import app


async def host() -> None:
    """Be the node of the folder SHOP_DIR until SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with app:
        print("the shop is open", flush=True)
        await stop.wait()
    print("the shop is closed", flush=True)


if __name__ == "__main__":
    asyncio.run(host())
