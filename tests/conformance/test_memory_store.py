"""The memory store keeps every promise of the port but durability."""

import pytest
from hypothesis import settings

from counterpoint.ports.store import Store, StoreFeatures
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing.conformance.store import StoreConformance
from counterpoint.testing.conformance.store_model import StoreModel

FEATURES = StoreFeatures(durable=False, shared=False)


class TestMemoryStore(StoreConformance):
    features = FEATURES

    @pytest.fixture(autouse=True)
    def _memory(self) -> None:
        self.memory = MemoryStore()

    def make_store(self) -> Store:
        return self.memory


class MemoryStoreModel(StoreModel):
    features = FEATURES

    def new_store(self) -> Store:
        return MemoryStore()


TestMemoryStoreModel = MemoryStoreModel.TestCase
TestMemoryStoreModel.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)
