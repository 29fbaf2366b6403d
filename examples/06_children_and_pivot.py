"""Children and a pivot: sagas within a saga, and a point after which there is only forward.

Run it: python examples/06_children_and_pivot.py
"""

import asyncio
import logging

from counterpoint import App, BusinessError, ExecutionFailed, Retry, Service, workflow

movers = Service("movers")
keys_are_there = False


class Locked(BusinessError):
    room: str


@movers.activity
async def pack(room: str) -> None:
    if room == "safe":
        raise Locked(room=room)
    print(f"the {room} is packed")


@pack.compensation
async def unpack(room: str) -> None:
    print(f"the {room} is unpacked")


@movers.activity(retry=Retry(max_attempts=1))
async def hand_over(house: str) -> str:
    if not keys_are_there:
        raise FileNotFoundError("the keys are gone")
    return f"{house} is handed over"


@movers.saga
async def clear_floor(rooms: list[str]) -> None:
    for room in rooms:
        await pack(room)


@movers.saga
async def move_out(house: str, floors: list[list[str]]) -> str:
    await asyncio.gather(*(clear_floor(rooms) for rooms in floors))  # a child for each floor
    workflow.pivot()  # nobody unpacks because of a key
    return await hand_over(house)


async def main() -> None:
    global keys_are_there
    logging.disable()  # what is tried again, and incidents
    async with App("movers", services=[movers], store="memory:") as app:
        villa = await app.start(move_out, "villa", [["hall", "bath"], ["attic", "safe"]])
        try:
            await villa.result()
        except ExecutionFailed as failed:
            print(f"{failed.status}: {failed.error!r}")
        flat = await app.start(move_out, "flat", [["kitchen"]])
        await app.idle()
        print((await flat.describe()).waits_for[0])
        keys_are_there = True
        await flat.retry()
        print(await flat.result())


asyncio.run(main())

# Output:
# the hall is packed
# the attic is packed
# the bath is packed
# the attic is unpacked
# the bath is unpacked
# the hall is unpacked
# compensated: Locked("room='safe'")
# the kitchen is packed
# a person: movers.hand_over (call 2) is out of attempts past the pivot: the keys are gone
# flat is handed over
