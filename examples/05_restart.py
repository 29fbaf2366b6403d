"""A restart: the app stops in the middle of a workflow, and the next start goes on from there.

Run it: python examples/05_restart.py
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from counterpoint import App, Service, workflow

kitchen = Service("kitchen")


@kitchen.activity
async def do(what: str) -> None:
    print(f"  {what}")


@kitchen.workflow
async def bake(what: str) -> str:
    await do(f"mix the dough for {what}")
    await do("knead it")
    minutes = await workflow.signal("minutes in the oven", int)
    await do(f"bake it for {minutes} minutes")
    return f"{what} is ready"


async def main() -> None:
    with TemporaryDirectory() as folder:
        app = App("bakery", services=[kitchen], store=f"sqlite:///{Path(folder) / 'bakery.db'}")

        print("first start")
        async with app:
            await app.start(bake, "bread", id="bread-1")
            await app.idle()

        print("second start")
        async with app:
            bread = app.execution("bread-1")
            await bread.signal("minutes in the oven", 40)
            print(await bread.result())


asyncio.run(main())

# Output:
# first start
#   mix the dough for bread
#   knead it
# second start
#   bake it for 40 minutes
# bread is ready
