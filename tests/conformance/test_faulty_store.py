"""The store that fails on demand passes everything on while nobody demands it."""

import inspect
from typing import Any

import pytest

from counterpoint.errors import StoreBusyError
from counterpoint.ports.messages import MessageStore, ReadableMessages
from counterpoint.ports.store import Store, StoreFeatures
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing.conformance.store import StoreConformance
from counterpoint.testing.faults import FaultyStore


class TestFaultyStore(StoreConformance):
    features = StoreFeatures(durable=False, shared=False)

    @pytest.fixture(autouse=True)
    def _faulty(self) -> None:
        self.faulty = FaultyStore(MemoryStore())

    def make_store(self) -> Store:
        return self.faulty


READS = [name for port in (ReadableMessages, MessageStore) for name in vars(port) if name[0] != "_"]


@pytest.mark.parametrize("name", READS)
async def test_every_read_of_messages_can_fail(name: str) -> None:
    store = FaultyStore(MemoryStore())
    await store.open(node=True)
    store.fail_reads(StoreBusyError("busy"))
    read = getattr(store, name)
    values: dict[str, Any] = dict.fromkeys(inspect.signature(read).parameters)

    with pytest.raises(StoreBusyError):
        await read(**values)
