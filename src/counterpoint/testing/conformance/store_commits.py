"""All of a commit is written, or nothing of it."""

import pytest

from counterpoint.errors import ConflictError, StoreError
from counterpoint.model.rows import Commit, ExecutionRow, ExecutionUpdate
from counterpoint.model.states import Status
from counterpoint.ports.store import Store
from counterpoint.testing.conformance.store_case import (
    TABLES,
    StoreCase,
    entry,
    execution,
    letter,
    post,
    said,
    start,
)

SIZES = (1, 2, 4, 5, 16, 17, 63, 64, 65, 100, 255, 256, 257, 600)


class StoreCommits(StoreCase):
    """What `commit` and `reserve_keys` promise."""

    async def test_empty_commit_writes_nothing(self, node: Store) -> None:
        await node.commit(Commit())

        assert await self.everything(node) == {table: [] for table in TABLES}

    async def test_all_parts_of_a_commit_are_written(self, node: Store) -> None:
        await start(node, execution(1))
        await post(node, "old", "kept")

        await node.commit(
            Commit(
                starts=[execution(2)],
                journal=[entry(1, 1), entry(2, 1), entry(1, 2)],
                updates=[ExecutionUpdate(1, Status.COMPLETED, 3, None, 77)],
                taken=[1],
                mail=[letter("new")],
                attributes=said(1, colour="red", size="5"),
            )
        )

        ended = execution(1)._replace(
            status=Status.COMPLETED, version=3, wake_at=None, finished_at=77
        )
        written = await self.everything(node)
        assert {table: rows for table, rows in written.items() if rows} == {
            "executions": [ended, execution(2)],
            "journal": [entry(1, 1), entry(1, 2), entry(2, 1)],
            "mailbox": [letter("kept")._replace(position=2), letter("new")._replace(position=3)],
            "attributes": [(1, "colour", "red"), (1, "size", "5")],
        }

    async def test_every_column_of_an_execution_is_kept(self, node: Store) -> None:
        full = ExecutionRow(
            key=7,
            id="id with spaces, ünïcode and 'quotes'",
            run=2,
            kind="workflow",
            service="service",
            name="service.name",
            version=3,
            status=Status.INCIDENT,
            fingerprint=b"",
            created_at=2**53 + 1,
            wake_at=5,
            finished_at=6,
            deadline_at=7,
            owner=8,
            parent_key=9,
            root_key=10,
            correlation_id="correlation",
            causation_id="causation",
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )

        await start(node, execution(1), full)

        assert (await self.everything(node))["executions"] == [execution(1), self.as_given(full)]

    @pytest.mark.parametrize("count", SIZES)
    async def test_commit_of_any_size_is_written_once_and_in_order(
        self, node: Store, count: int
    ) -> None:
        keys = range(1, count + 1)
        await post(node, *(f"old-{key}" for key in keys))

        await node.commit(
            Commit(
                starts=[execution(key) for key in keys],
                journal=[entry(key, body=str(key).encode()) for key in keys],
                taken=list(keys),
                mail=[letter(f"new-{key}") for key in keys],
            )
        )
        await node.commit(
            Commit(updates=[ExecutionUpdate(key, Status.FAILED, key, None, key) for key in keys])
        )

        failed = [
            execution(key)._replace(
                status=Status.FAILED, version=key, wake_at=None, finished_at=key
            )
            for key in keys
        ]
        written = await self.everything(node)
        assert written["executions"] == failed
        assert written["journal"] == [entry(key, body=str(key).encode()) for key in keys]
        assert [row[1] for row in written["mailbox"]] == [f"new-{key}" for key in keys]

    async def test_conflict_names_every_id_and_writes_nothing(self, node: Store) -> None:
        await start(node, execution(1, "a"), execution(2, "b"))
        await post(node, "here")
        before = await self.everything(node)

        with pytest.raises(ConflictError) as caught:
            await node.commit(
                Commit(
                    starts=[execution(3, "new"), execution(4, "b"), execution(5, "a")],
                    journal=[entry(3), entry(1)],
                    updates=[ExecutionUpdate(1, Status.FAILED, 1, None, 5)],
                    taken=[1],
                    mail=[letter("more")],
                    attributes=said(1, colour="red"),
                )
            )

        assert caught.value.ids == ("b", "a")
        assert await self.everything(node) == before

    async def test_store_works_on_after_a_conflict(self, node: Store) -> None:
        await start(node, execution(1, "a"))
        with pytest.raises(ConflictError):
            await start(node, execution(2, "a"))

        await start(node, execution(2, "b"))

        assert self.as_given(await node.execution("b")) == execution(2, "b")

    async def test_one_id_twice_in_a_commit_is_a_conflict(self, node: Store) -> None:
        with pytest.raises(ConflictError) as caught:
            await start(node, execution(1, "a"), execution(2, "b"), execution(3, "a"))

        assert caught.value.ids == ("a",)
        assert (await self.everything(node))["executions"] == []

    async def test_another_run_of_an_id_is_no_conflict(self, node: Store) -> None:
        await start(node, execution(1, "a", run=1))
        await start(node, execution(2, "a", run=2))

        assert len((await self.everything(node))["executions"]) == 2

    async def test_record_that_is_there_already_is_refused_with_its_commit(
        self, node: Store
    ) -> None:
        await node.commit(Commit(starts=[execution(1)], journal=[entry(1)]))
        before = await self.everything(node)

        with pytest.raises(StoreError):
            await node.commit(
                Commit(starts=[execution(2)], journal=[entry(2), entry(1)], mail=[letter("a")])
            )

        assert await self.everything(node) == before

    async def test_update_of_an_unknown_execution_changes_nothing(self, node: Store) -> None:
        await start(node, execution(1))

        await node.commit(Commit(updates=[ExecutionUpdate(9, Status.FAILED, 1, None, 5)]))

        assert (await self.everything(node))["executions"] == [execution(1)]

    async def test_commit_survives_closing_and_opening_again(self) -> None:
        async with self.opened(node=True) as store:
            await store.commit(
                Commit(starts=[execution(1)], journal=[entry(1)], mail=[letter("a")])
            )
            before = await self.everything(store)

        async with self.reopened() as store:
            assert await self.everything(store) == before

    async def test_reserved_keys_grow_and_never_come_twice(self, node: Store) -> None:
        first, second = await node.reserve_keys(3), await node.reserve_keys(2)

        assert (len(first), len(second)) == (3, 2)
        assert 0 < first[0] < first[-1] < second[0]

    async def test_reserved_keys_are_above_all_that_were_used_before_opening(self) -> None:
        async with self.opened(node=True) as store:
            used = await store.reserve_keys(5)
            await start(store, execution(used[-1]))

        async with self.reopened() as store:
            assert (await store.reserve_keys(1))[0] > used[-1]

    async def test_keys_of_forgotten_executions_are_not_used_again(self) -> None:
        async with self.opened(node=True) as store:
            used = await store.reserve_keys(2)
            await start(
                store,
                *(
                    execution(key, status=Status.COMPLETED, wake_at=None, finished_at=5)
                    for key in used
                ),
            )
            assert await store.forget(finished_before=6, limit=10) == 2

        async with self.reopened() as store:
            assert (await store.reserve_keys(1))[0] > used[-1]
