"""Hosts the shop until it is told to stop: `python -m examples.shop.node`.

With SHOP_FORM=mixed it hosts sales, shipping and purchasing, too.
"""

import asyncio
import os
import signal

from counterpoint import App

from examples.shop.app import app, make_mixed_app
from examples.shop.own_file import folder


async def host(app: App) -> None:
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
    mixed = os.environ.get("SHOP_FORM") == "mixed"
    asyncio.run(host(make_mixed_app(folder()) if mixed else app))
