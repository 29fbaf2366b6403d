"""Who waits until starts are decided waits for those, too, that begin meanwhile."""

import asyncio

from counterpoint.runtime.starts import starts_decided


async def test_a_start_that_begins_while_another_is_waited_for_is_waited_for_too() -> None:
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    starting: dict[str, asyncio.Future[None]] = {"second": first}
    first.add_done_callback(lambda _: starting.update({"first": second}))
    waiting = asyncio.create_task(starts_decided(starting, "first", "second"))
    await asyncio.sleep(0)

    first.set_result(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()

    second.set_result(None)
    await waiting
