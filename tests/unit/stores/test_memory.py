"""What the memory store does beyond the port."""

import pytest

from counterpoint.errors import StoreBrokenError
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing.conformance.store_case import execution, post, start


async def test_closed_and_opened_store_holds_what_it_held() -> None:
    store = MemoryStore()
    await store.open(node=True)
    used = await store.reserve_keys(1)
    await start(store, execution(used[0]))
    await post(store, "a")
    await store.close()

    await store.open(node=True)

    assert await store.execution(f"execution-{used[0]}") == execution(used[0])
    assert len(await store.mail(after=0, limit=9)) == 1
    assert (await store.reserve_keys(1))[0] > used[0]


async def test_two_objects_hold_two_stores() -> None:
    first, second = MemoryStore(), MemoryStore()
    await first.open(node=True)
    await second.open(node=True)

    await start(first, execution(1))

    assert await second.execution("execution-1") is None


async def test_key_that_is_in_use_is_refused() -> None:
    store = MemoryStore()
    await store.open(node=True)
    await start(store, execution(1, "a"))

    with pytest.raises(StoreBrokenError, match="key 1"):
        await start(store, execution(1, "b"))
    assert await store.execution("b") is None
