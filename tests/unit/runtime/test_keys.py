"""Keys are reserved by the thousand, once for many starts of one moment."""

import asyncio

import pytest

from counterpoint.errors import StoreError
from counterpoint.ports.store import StoreFeatures
from counterpoint.runtime import keys
from counterpoint.runtime.keys import Keys
from counterpoint.stores.memory import MemoryStore


class Store(MemoryStore):
    """Suspends while it reserves; counts how often it was asked; raises *error* if that is set."""

    features = StoreFeatures(many_nodes=True)

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.error: StoreError | None = None

    async def reserve_keys(self, count: int) -> range:
        self.asked += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return await super().reserve_keys(count)


@pytest.fixture
async def store() -> Store:
    store = Store()
    await store.open(node=True)
    return store


def reserved(store: Store) -> Keys:
    return Keys(store, lambda: None)


async def test_many_starts_of_one_moment_reserve_once(store: Store) -> None:
    given = reserved(store)

    first = await asyncio.gather(*(given.next() for _ in range(100)))

    assert len(set(first)) == 100
    assert store.asked == 1


async def test_old_keys_are_given_up_once_however_many_ask(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "FRESH_SECONDS", -1.0)
    given = reserved(store)
    await given.next()
    monkeypatch.setattr(keys, "FRESH_SECONDS", 60.0)

    later = await asyncio.gather(*(given.next() for _ in range(100)))

    assert len(set(later)) == 100
    assert min(later) > keys.RESERVED
    assert store.asked == 2


async def test_a_reservation_that_fails_is_tried_again_by_the_next(store: Store) -> None:
    given = reserved(store)
    store.error = StoreError("gone")
    with pytest.raises(StoreError, match="gone"):
        await given.next()
    store.error = None

    assert await given.next() > 0


async def test_what_was_reserved_before_the_store_was_opened_again_is_not_used(
    store: Store,
) -> None:
    """A store that lost its end may reserve the same keys for somebody else."""
    given = reserved(store)
    first = await given.next()

    given.forget()

    assert await given.next() >= first + keys.RESERVED
    assert store.asked == 2
