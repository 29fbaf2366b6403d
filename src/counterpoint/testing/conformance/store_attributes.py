"""Executions are found by what they say about themselves, and by whose children they are."""

import pytest

from counterpoint.errors import StoreReadOnlyError
from counterpoint.model.rows import AttributeRow, Commit, ExecutionRow, ExecutionUpdate, Query
from counterpoint.model.states import Status
from counterpoint.ports.store import Store
from counterpoint.testing.conformance.store_case import (
    StoreCase,
    entry,
    execution,
    ids,
    said,
    start,
)

COUNTS = (1, 4, 5, 65, 300)


class StoreAttributes(StoreCase):
    """What `Commit.attributes`, `attributes`, `Query.attributes` and `Query.parent_key` promise."""

    async def test_execution_without_attributes_has_none(self, node: Store) -> None:
        await start(node, execution(1))

        assert await node.attributes(1) == {}
        assert await node.attributes(99) == {}

    async def test_attributes_are_those_of_one_execution_by_name(self, node: Store) -> None:
        await node.commit(
            Commit(
                starts=[execution(1), execution(2)],
                attributes=[*said(1, size="5", colour="red"), *said(2, colour="blue")],
            )
        )

        assert await node.attributes(1) == {"colour": "red", "size": "5"}
        assert await node.attributes(2) == {"colour": "blue"}

    async def test_attribute_set_again_has_the_new_value_only(self, node: Store) -> None:
        await node.commit(Commit(starts=[execution(1)], attributes=said(1, colour="red", size="5")))
        await node.commit(Commit(attributes=said(1, colour="blue")))

        assert await node.attributes(1) == {"colour": "blue", "size": "5"}
        assert await node.executions(Query(attributes={"colour": "red"})) == []
        assert ids(await node.executions(Query(attributes={"colour": "blue"}))) == ["execution-1"]

    async def test_none_deletes_an_attribute_and_nothing_else(self, node: Store) -> None:
        await node.commit(
            Commit(
                starts=[execution(1), execution(2)],
                attributes=[*said(1, colour="red", size="5"), *said(2, colour="red", size="5")],
            )
        )
        await node.commit(Commit(attributes=[*said(1, colour=None), *said(2, size=None)]))

        assert await node.attributes(1) == {"size": "5"}
        assert await node.attributes(2) == {"colour": "red"}
        assert ids(await node.executions(Query(attributes={"colour": "red"}))) == ["execution-2"]

    async def test_deleting_an_attribute_that_is_not_there_does_nothing(self, node: Store) -> None:
        await node.commit(Commit(starts=[execution(1)], attributes=said(1, colour=None)))

        assert await node.attributes(1) == {}

    @pytest.mark.parametrize(
        ("values", "kept"),
        [
            (["red", "blue"], {"colour": "blue"}),
            (["red", None], {}),
            ([None, "red"], {"colour": "red"}),
            (["red", None, "blue", "red"], {"colour": "red"}),
        ],
        ids=str,
    )
    async def test_last_of_several_values_in_a_commit_counts(
        self, node: Store, values: list[str | None], kept: dict[str, str]
    ) -> None:
        rows = [AttributeRow(1, "colour", value) for value in values]
        await node.commit(Commit(starts=[execution(1)], attributes=rows))

        assert await node.attributes(1) == kept

    @pytest.mark.parametrize("count", COUNTS)
    async def test_any_number_of_attributes_is_set_and_deleted_in_a_commit(
        self, node: Store, count: int
    ) -> None:
        keys = range(1, count + 1)
        await node.commit(
            Commit(
                starts=[execution(key) for key in keys],
                attributes=[row for key in keys for row in said(key, number=str(key), old="x")],
            )
        )
        await node.commit(Commit(attributes=[row for key in keys for row in said(key, old=None)]))

        written = await self.everything(node)
        assert written["attributes"] == [(key, "number", str(key)) for key in keys]

    @pytest.mark.parametrize("value", ["", "x" * 200, "ünïcode '%_\"", "a\nb", "a\0b"], ids=repr)
    async def test_any_text_is_kept_and_found(self, node: Store, value: str) -> None:
        self.needs(value)
        await node.commit(Commit(starts=[execution(1)], attributes=said(1, text=value)))

        assert await node.attributes(1) == {"text": value}
        assert ids(await node.executions(Query(attributes={"text": value}))) == ["execution-1"]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            (Query(attributes={"colour": "red"}), ["d", "b", "a"]),
            (Query(attributes={"colour": "Red"}), []),
            (Query(attributes={"colour": "re"}), []),
            (Query(attributes={"size": "red"}), []),
            (Query(attributes={"colour": "red", "size": "5"}), ["d", "a"]),
            (Query(attributes={"size": "5", "colour": "red"}), ["d", "a"]),
            (Query(attributes={"size": "5", "colour": "red", "shape": "round"}), ["a"]),
            (Query(attributes={"colour": "red"}, statuses=[Status.INCIDENT]), ["b"]),
            (Query(attributes={"colour": "red"}, workflow="orders.refund"), ["d"]),
            (Query(attributes={"colour": "red"}, since=20, until=40), ["b"]),
            (Query(attributes={"colour": "red"}, before=4, limit=1), ["b"]),
            (Query(attributes={"colour": "red"}, before=2), ["a"]),
        ],
        ids=str,
    )
    async def test_query_finds_what_has_all_attributes(
        self, node: Store, query: Query, found: list[str]
    ) -> None:
        await node.commit(
            Commit(
                starts=[
                    execution(1, "a"),
                    execution(2, "b", status=Status.INCIDENT),
                    execution(3, "c"),
                    execution(4, "d", name="orders.refund"),
                ],
                attributes=[
                    *said(1, colour="red", size="5", shape="round"),
                    *said(2, colour="red", size="6"),
                    *said(3, colour="blue", size="5"),
                    *said(4, colour="red", size="5"),
                ],
            )
        )

        assert ids(await node.executions(query)) == found

    async def test_pages_of_an_attribute_meet_every_execution_once(self, node: Store) -> None:
        keys = range(1, 30)
        await node.commit(
            Commit(
                starts=[execution(key) for key in keys],
                attributes=[row for key in keys for row in said(key, parity=str(key % 2))],
            )
        )

        seen: list[int] = []
        before: int | None = None
        while page := await node.executions(
            Query(attributes={"parity": "1"}, before=before, limit=4)
        ):
            seen += [row.key for row in page]
            before = page[-1].key
        assert seen == list(range(29, 0, -2))

    async def test_attributes_are_read_by_everybody(self, node: Store) -> None:
        await node.commit(Commit(starts=[execution(1)], attributes=said(1, colour="red")))

        async with self.another(node) as client:
            assert await client.attributes(1) == {"colour": "red"}
            assert len(await client.executions(Query(attributes={"colour": "red"}))) == 1

    async def test_attributes_are_written_by_the_node_alone(self, node: Store) -> None:
        if not self.features.shared:
            pytest.skip("StoreFeatures.shared is false")
        await start(node, execution(1))

        async with self.opened(node=False) as client:
            with pytest.raises(StoreReadOnlyError):
                await client.commit(Commit(attributes=said(1, colour="red")))
        assert await node.attributes(1) == {}

    async def test_attributes_survive_closing_and_opening_again(self) -> None:
        async with self.opened(node=True) as store:
            await store.commit(Commit(starts=[execution(1)], attributes=said(1, colour="red")))

        async with self.reopened() as store:
            assert await store.attributes(1) == {"colour": "red"}

    async def test_attributes_of_forgotten_executions_are_deleted(self, node: Store) -> None:
        await node.commit(
            Commit(
                starts=[_finished(1, at=5), _finished(2, at=9), execution(3)],
                attributes=[row for key in (1, 2, 3) for row in said(key, colour="red")],
            )
        )

        assert await node.forget(finished_before=6, limit=9) == 1

        assert (await self.everything(node))["attributes"] == [
            (2, "colour", "red"),
            (3, "colour", "red"),
        ]
        assert await node.attributes(1) == {}

    # ---- children -------------------------------------------------------------------------------

    async def test_query_finds_the_children_of_one_execution(self, node: Store) -> None:
        await start(
            node,
            execution(1, "parent"),
            execution(2, "first", parent_key=1, root_key=1),
            execution(3, "grandchild", parent_key=2, root_key=1),
            execution(4, "second", parent_key=1, root_key=1, status=Status.INCIDENT),
            execution(5, "other"),
        )

        assert ids(await node.executions(Query(parent_key=1))) == ["second", "first"]
        assert ids(await node.executions(Query(parent_key=1, before=4))) == ["first"]
        assert ids(await node.executions(Query(parent_key=2))) == ["grandchild"]
        assert ids(await node.executions(Query(parent_key=1, statuses=[Status.INCIDENT]))) == [
            "second"
        ]
        assert await node.executions(Query(parent_key=5)) == []

    async def test_finished_child_is_kept_until_its_root_has_finished(self, node: Store) -> None:
        await node.commit(
            Commit(
                starts=[
                    execution(1, "root"),
                    _finished(2, at=3, parent_key=1, root_key=1),
                    _finished(3, at=4, parent_key=2, root_key=1),
                    _finished(4, at=5),
                ],
                journal=[entry(key) for key in (1, 2, 3, 4)],
                attributes=said(2, colour="red"),
            )
        )

        assert await node.forget(finished_before=100, limit=9) == 1
        kept = await self.everything(node)
        assert [row[0] for row in kept["executions"]] == [1, 2, 3]
        assert [row[0] for row in kept["journal"]] == [1, 2, 3]
        assert kept["attributes"] == [(2, "colour", "red")]

        await node.commit(Commit(updates=[ExecutionUpdate(1, Status.COMPENSATED, 1, None, 50)]))
        assert await node.forget(finished_before=10, limit=9) == 2
        assert [row[0] for row in (await self.everything(node))["executions"]] == [1]

    async def test_children_that_are_kept_do_not_count_against_the_limit(self, node: Store) -> None:
        await start(
            node,
            execution(1, status=Status.INCIDENT, wake_at=None),
            *(_finished(key, at=key, parent_key=1, root_key=1) for key in range(2, 6)),
            _finished(9, at=9),
        )

        assert await node.forget(finished_before=10, limit=1) == 1
        assert [row.key for row in await node.executions(Query())] == [5, 4, 3, 2, 1]

    async def test_child_whose_root_is_gone_is_forgotten(self, node: Store) -> None:
        await start(
            node,
            _finished(1, at=1),
            _finished(2, at=2, parent_key=1, root_key=1),
            _finished(3, at=3, root_key=3),
        )

        assert await node.forget(finished_before=10, limit=1) == 1
        assert await node.forget(finished_before=10, limit=9) == 2


def _finished(
    key: int, *, at: int, parent_key: int | None = None, root_key: int | None = None
) -> ExecutionRow:
    return execution(
        key,
        status=Status.COMPLETED,
        wake_at=None,
        finished_at=at,
        parent_key=parent_key,
        root_key=root_key,
    )
