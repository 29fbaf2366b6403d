"""What was committed is found again, and in the promised order."""

import pytest

from counterpoint.errors import StoreCorruptError
from counterpoint.model.rows import Commit, DueRow, ExecutionUpdate, Query
from counterpoint.model.states import Status
from counterpoint.ports.store import Store
from counterpoint.testing.conformance.store_case import (
    StoreCase,
    entry,
    execution,
    ids,
    start,
)

BEGINNING = (0, 0)


class StoreReads(StoreCase):
    """What the reads and `forget` promise."""

    async def test_unknown_execution_is_none(self, node: Store) -> None:
        assert await node.execution("nobody") is None

    async def test_execution_is_its_newest_run(self, node: Store) -> None:
        await start(node, execution(1, "a", run=1), execution(3, "a", run=2), execution(2, "b"))

        assert self.as_given(await node.execution("a")) == execution(3, "a", run=2)

    async def test_read_status_is_a_status(self, node: Store) -> None:
        await start(node, execution(1))

        found = await node.execution("execution-1")
        assert found is not None
        assert found.status is Status.RUNNING

    async def test_executions_come_newest_first_page_by_page(self, node: Store) -> None:
        await start(node, *(execution(key) for key in (1, 2, 3, 4, 5)))

        first = await node.executions(Query(limit=3))
        second = await node.executions(Query(limit=3, before=first[-1].key))
        assert [row.key for row in first + second] == [5, 4, 3, 2, 1]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            (Query(), ["e", "d", "c", "b", "a"]),
            (Query(statuses=[Status.INCIDENT]), ["b"]),
            (Query(statuses=[Status.COMPLETED, Status.INCIDENT]), ["c", "b"]),
            (Query(statuses=[Status.TERMINATED]), []),
            (Query(workflow="orders.refund"), ["d"]),
            (Query(service="payments"), ["e"]),
            (Query(correlation_id="flow"), ["c", "b"]),
            (Query(correlation_id="a"), ["d", "a"]),
            (Query(since=40), ["e", "d"]),
            (Query(until=30), ["b", "a"]),
            (Query(since=20, until=40), ["c", "b"]),
            (Query(parent_key=1), []),
            (Query(statuses=[Status.RUNNING], service="orders", since=20), ["d"]),
            (Query(attributes={"colour": "red"}), []),
        ],
        ids=str,
    )
    async def test_query_finds_what_matches_all_its_filters(
        self, node: Store, query: Query, found: list[str]
    ) -> None:
        await start(
            node,
            execution(1, "a"),
            execution(2, "b", status=Status.INCIDENT, correlation_id="flow"),
            execution(3, "c", status=Status.COMPLETED, finished_at=9, correlation_id="flow"),
            execution(4, "d", name="orders.refund", correlation_id="a"),
            execution(5, "e", name="payments.settle"),
        )

        assert ids(await node.executions(query)) == found

    async def test_earlier_runs_can_be_left_out(self, node: Store) -> None:
        await start(
            node,
            execution(1, "a", run=1, status=Status.FAILED, finished_at=5),
            execution(2, "b", status=Status.FAILED, finished_at=5),
            execution(3, "a", run=2),
        )

        newest = await node.executions(Query(newest_runs=True))
        failed = await node.executions(Query(newest_runs=True, statuses=[Status.FAILED]))
        assert [(row.id, row.run) for row in newest] == [("a", 2), ("b", 1)]
        assert ids(failed) == ["b"]

    async def test_journal_of_an_unknown_execution_is_empty(self, node: Store) -> None:
        assert await node.journal(1) == []

    async def test_journal_is_read_in_order_after_a_record(self, node: Store) -> None:
        rows = [entry(1, seq) for seq in (1, 3, 4, 10)]
        await node.commit(Commit(journal=[rows[0], entry(2, 1), rows[1]]))
        await node.commit(Commit(journal=[entry(2, 2), *rows[2:]]))

        assert await node.journal(1) == rows
        assert await node.journal(1, after_seq=3) == rows[2:]
        assert await node.journal(1, after_seq=2) == rows[1:]
        assert await node.journal(1, after_seq=10) == []

    async def test_body_of_any_bytes_and_size_is_kept(self, node: Store) -> None:
        rows = [entry(1, 1, b""), entry(1, 2, bytes(range(256))), entry(1, 3, b"x" * 300_000)]
        await node.commit(Commit(journal=rows))

        assert await node.journal(1) == rows

    async def test_damaged_body_is_reported_with_its_place(self, node: Store) -> None:
        await node.commit(Commit(journal=[entry(31, 1), entry(31, 42)._replace(digest=7)]))

        with pytest.raises(StoreCorruptError, match=r"31\b.*\b42\b"):
            await node.journal(31)

    async def test_due_executions_come_in_the_order_of_their_wake_up(self, node: Store) -> None:
        await start(
            node,
            execution(1, wake_at=30),
            execution(2, wake_at=10),
            execution(3, wake_at=20, status=Status.COMPENSATING),
            execution(4, wake_at=10),
            execution(5, wake_at=31),
        )

        assert await node.due(after=BEGINNING, until=30, limit=10) == [
            DueRow(10, 2, "execution-2"),
            DueRow(10, 4, "execution-4"),
            DueRow(20, 3, "execution-3"),
            DueRow(30, 1, "execution-1"),
        ]

    async def test_due_pages_meet_every_execution_once(self, node: Store) -> None:
        await start(node, *(execution(key, wake_at=100 + key % 3) for key in range(1, 30)))

        seen: list[int] = []
        after = BEGINNING
        while page := await node.due(after=after, until=200, limit=4):
            seen += [row.key for row in page]
            after = (page[-1].wake_at, page[-1].key)
        assert seen == sorted(range(1, 30), key=lambda key: (key % 3, key))

    async def test_what_does_not_wake_is_never_due(self, node: Store) -> None:
        await start(
            node,
            execution(1, wake_at=None),
            execution(2, status=Status.INCIDENT, wake_at=None),
            execution(3, status=Status.COMPLETED, finished_at=5),
            execution(4),
        )
        await node.commit(Commit(updates=[ExecutionUpdate(4, Status.RUNNING, 1, None, None)]))

        assert await node.due(after=BEGINNING, until=2**60, limit=10) == []

    async def test_incident_with_a_wake_up_is_due(self, node: Store) -> None:
        await start(node, execution(1, status=Status.INCIDENT, wake_at=5))

        assert await node.due(after=BEGINNING, until=5, limit=9) == [DueRow(5, 1, "execution-1")]

    async def test_update_of_the_wake_up_moves_an_execution(self, node: Store) -> None:
        await start(node, execution(1, wake_at=None), execution(2, wake_at=50))
        await node.commit(
            Commit(
                updates=[
                    ExecutionUpdate(1, Status.COMPENSATING, 1, 70, None),
                    ExecutionUpdate(2, Status.RUNNING, 1, 80, None),
                ]
            )
        )

        assert await node.due(after=BEGINNING, until=75, limit=9) == [DueRow(70, 1, "execution-1")]

    async def test_counts_are_by_status(self, node: Store) -> None:
        await start(
            node,
            execution(1),
            execution(2),
            execution(3, status=Status.INCIDENT),
            execution(4, status=Status.COMPLETED, finished_at=1),
        )

        counts = await node.counts()
        assert {status: count for status, count in counts.items() if count} == {
            Status.RUNNING: 2,
            Status.INCIDENT: 1,
            Status.COMPLETED: 1,
        }
        assert all(isinstance(status, Status) for status in counts)

    async def test_forget_deletes_the_oldest_finished_executions_and_their_journals(
        self, node: Store
    ) -> None:
        ends = {1: 50, 2: 30, 3: 40, 4: 60}
        await node.commit(
            Commit(
                starts=[
                    *(
                        execution(key, status=Status.COMPLETED, wake_at=None, finished_at=end)
                        for key, end in ends.items()
                    ),
                    execution(5),
                ],
                journal=[entry(key) for key in range(1, 6)],
            )
        )

        assert await node.forget(finished_before=60, limit=2) == 2

        written = await self.everything(node)
        assert [row[0] for row in written["executions"]] == [1, 4, 5]
        assert [row[0] for row in written["journal"]] == [1, 4, 5]
        assert await node.forget(finished_before=60, limit=2) == 1
        assert await node.forget(finished_before=60, limit=2) == 0

    async def test_forgotten_id_can_be_started_again(self, node: Store) -> None:
        await start(node, execution(1, "a", status=Status.FAILED, wake_at=None, finished_at=5))
        await node.forget(finished_before=6, limit=1)

        await start(node, execution(2, "a"))

        assert self.as_given(await node.execution("a")) == execution(2, "a")
