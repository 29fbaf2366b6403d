"""One node hosts a store at a time; opening and closing are forgiving."""

import os

import pytest

from counterpoint.errors import StoreError, StoreLockedError
from counterpoint.model.rows import Query
from counterpoint.ports.store import Store
from counterpoint.testing.conformance.store_case import StoreCase, execution, start


class StoreLocks(StoreCase):
    """What `open` and `close` promise."""

    async def test_store_says_its_features(self, node: Store) -> None:
        assert node.features == self.features

    @pytest.mark.usefixtures("node")
    async def test_second_node_is_refused_and_told_who_hosts(self) -> None:
        self._needs_one_node()
        with pytest.raises(StoreLockedError) as caught:
            await self.make_store().open(node=True)

        assert caught.value.pid == os.getpid()
        assert "client" in str(caught.value)

    async def test_refused_node_does_not_disturb_the_one_that_hosts(self, node: Store) -> None:
        self._needs_one_node()
        with pytest.raises(StoreLockedError):
            await self.make_store().open(node=True)

        await start(node, execution(1))
        with pytest.raises(StoreLockedError):
            await self.make_store().open(node=True)

    async def test_several_nodes_host_at_once(self, node: Store) -> None:
        if not self.features.many_nodes:
            pytest.skip("StoreFeatures.many_nodes is false")

        async with self.opened(node=True) as other:
            await start(node, execution(1))
            await start(other, execution(2))
            for store, key in ((node, 1), (other, 2)):
                due = await store.due(after=(0, 0), until=2**60, limit=9)
                assert [row.key for row in due] == [key]
                assert len(await store.executions(Query())) == 2

    def _needs_one_node(self) -> None:
        if self.features.many_nodes:
            pytest.skip("StoreFeatures.many_nodes is true")

    async def test_same_store_opened_again_as_node_is_refused(self, node: Store) -> None:
        with pytest.raises(StoreLockedError):
            await node.open(node=True)

    async def test_closed_node_makes_way_for_the_next(self) -> None:
        for _ in range(3):
            async with self.opened(node=True) as store:
                await store.reserve_keys(1)

    async def test_client_does_not_stop_a_node_from_hosting(self) -> None:
        if not self.features.shared:
            pytest.skip("StoreFeatures.shared is false")

        async with self.opened(node=False), self.opened(node=True) as node:
            await start(node, execution(1))

    async def test_closing_twice_or_before_opening_does_nothing(self) -> None:
        store = self.make_store()
        await store.close()
        await store.open(node=True)
        await store.close()
        await store.close()

    async def test_store_that_is_not_open_says_so(self) -> None:
        store = self.make_store()
        with pytest.raises(StoreError, match="not open"):
            await start(store, execution(1))

        await store.open(node=True)
        await store.close()
        for read in (store.execution("a"), store.reserve_keys(1), store.changed()):
            with pytest.raises(StoreError, match="not open"):
                await read
