"""The event log: positions, who is found in it, who waits for it, and what is forgotten."""

import pytest

from counterpoint.errors import ConflictError
from counterpoint.model.messages import (
    ContractRow,
    EventQuery,
    EventRow,
    EventWaitRow,
    HoldRow,
    Messages,
    ReactionStatus,
)
from counterpoint.model.rows import Commit
from counterpoint.model.states import Status
from counterpoint.ports.store import Store
from counterpoint.testing.conformance.store_case import (
    EVENT_TYPES,
    TABLES,
    StoreCase,
    dead_letter,
    entry,
    event,
    execution,
    letter,
    reaction,
    start,
    subscription,
    wait,
)

PLACED, PAID, RESERVED = EVENT_TYPES
BEGINNING = (0, 0)
SIZES = (1, 2, 4, 5, 100, 257)


async def append(store: Store, *events: EventRow) -> int:
    """Commit events and nothing else."""
    return await store.commit(Commit(messages=Messages(events=events)))


async def write(store: Store, messages: Messages) -> None:
    """Commit messages and nothing else."""
    await store.commit(Commit(messages=messages))


async def places(store: Store, query: EventQuery) -> list[int]:
    """Return the positions of what a query finds."""
    return [row.position for row in await store.events(query)]


class StoreMessagesLog(StoreCase):
    """What the port promises of the log, of waits and of contracts."""

    @pytest.mark.parametrize("count", SIZES)
    async def test_events_get_positions_one_after_the_other(self, node: Store, count: int) -> None:
        first = [event(f"a{number}") for number in range(count)]
        second = [event(f"b{number}") for number in range(count)]

        assert await append(node, *first) == 1
        assert await append(node, *second) == count + 1

        rows = (await self.everything(node))["events"]
        assert rows == [
            row._replace(position=position) for position, row in enumerate(first + second, 1)
        ]
        assert await node.last_position() == 2 * count

    async def test_commit_without_events_returns_zero(self, node: Store) -> None:
        await append(node, event("a"))

        assert await node.commit(Commit(messages=Messages(done=[reaction(1, 1)]))) == 0
        assert await node.commit(Commit(starts=[execution(1)])) == 0
        assert await node.commit(Commit()) == 0

    async def test_empty_messages_write_nothing(self, node: Store) -> None:
        assert await node.commit(Commit(messages=Messages())) == 0

        assert await self.everything(node) == {table: [] for table in TABLES}
        assert await node.last_position() == 0

    async def test_every_column_of_an_event_is_kept(self, node: Store) -> None:
        full = EventRow(
            position=0,
            source="bestell ünïcode 'source'",
            id="id",
            type="orders.OrderPlaced",
            version=3,
            key="",
            slot=255,
            correlation_id="flow",
            causation_id="cause",
            publisher="payments.take",
            hops=31,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            time=2**53 + 1,
            recorded_at=2**53 + 2,
            codec="other",
            data=b"\x00\xff",
        )

        await append(node, event("a"), full)

        assert await node.event(full.source, "id") == full._replace(position=2)

    async def test_event_is_found_by_source_and_id_together(self, node: Store) -> None:
        await append(node, event("a"), event("a", source="other"))

        assert (await node.event("other", "a")) == event("a", source="other")._replace(position=2)
        assert await node.event("orders", "b") is None
        assert await node.event("nobody", "a") is None

    async def test_conflict_names_every_event_and_writes_nothing(self, node: Store) -> None:
        await append(node, event("a"), event("b"))
        before = await self.everything(node)

        with pytest.raises(ConflictError) as caught:
            await node.commit(
                Commit(
                    starts=[execution(1)],
                    journal=[entry(1)],
                    mail=[letter("more")],
                    messages=Messages(
                        events=[event("x"), event("b"), event("a", source="other"), event("x")],
                        done=[reaction(1, 1)],
                        held=[HoldRow("payments", "", "o-1", 1)],
                    ),
                )
            )

        assert caught.value.ids == ()
        assert caught.value.events == (("orders", "b"), ("orders", "x"))
        assert await self.everything(node) == before

    async def test_conflict_of_executions_and_events_names_both(self, node: Store) -> None:
        await node.commit(
            Commit(starts=[execution(1, "one")], messages=Messages(events=[event("a")]))
        )

        with pytest.raises(ConflictError) as caught:
            await node.commit(
                Commit(
                    starts=[execution(2, "new"), execution(3, "one")],
                    messages=Messages(events=[event("a"), event("b")]),
                )
            )

        assert caught.value.ids == ("one",)
        assert caught.value.events == (("orders", "a"),)

    @pytest.mark.parametrize("name", ["ünïcode", "with \x00 nul", "'quoted' \"twice\""])
    async def test_conflict_names_ids_of_any_characters(self, node: Store, name: str) -> None:
        self.needs(name)
        both = Commit(starts=[execution(1, name)], messages=Messages(events=[event(name)]))
        await node.commit(both)

        with pytest.raises(ConflictError) as caught:
            await node.commit(both)

        assert (caught.value.ids, caught.value.events) == ((name,), (("orders", name),))

    async def test_log_goes_on_after_a_conflict(self, node: Store) -> None:
        await append(node, event("a"))
        with pytest.raises(ConflictError):
            await append(node, event("b"), event("a"))

        assert await append(node, event("b")) == 2

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            (EventQuery(), [1, 2, 3, 4, 5, 6]),
            (EventQuery(after=2), [3, 4, 5, 6]),
            (EventQuery(until=2), [1, 2]),
            (EventQuery(after=1, until=4, limit=2), [2, 3]),
            (EventQuery(after=1, until=4, limit=2, newest_first=True), [4, 3]),
            (EventQuery(types=[PLACED]), [1, 3, 6]),
            (EventQuery(types=[PLACED, PAID]), [1, 2, 3, 4, 6]),
            (EventQuery(types=[PLACED, PAID, PLACED], limit=2), [1, 2]),
            (EventQuery(types=[PLACED, PAID], newest_first=True, limit=2), [6, 4]),
            (EventQuery(types=["nothing"]), []),
            (EventQuery(key="o-1"), [1, 2, 5, 6]),
            (EventQuery(key="o-1", newest_first=True), [6, 5, 2, 1]),
            (EventQuery(types=[PLACED], key="o-1"), [1, 6]),
            (EventQuery(types=[PLACED, PAID], key="o-1"), [1, 2, 6]),
            (EventQuery(types=[PAID, PLACED, PAID], key="o-1"), [1, 2, 6]),
            (EventQuery(types=[PLACED, PAID], key="o-1", newest_first=True, limit=2), [6, 2]),
            (EventQuery(types=[PLACED, PAID, RESERVED], key="o-1", after=1, until=5), [2, 5]),
            (EventQuery(types=[PLACED, *map(str, range(200))], key="o-1"), [1, 6]),
            (EventQuery(types=[PLACED, PAID], key="o-1", since=40), [6]),
            (EventQuery(types=[PLACED], key="nobody's"), []),
            (EventQuery(correlation_id="f"), [2, 3, 5]),
            (EventQuery(correlation_id="f", types=[PAID, PLACED], key="o-1"), [2]),
            (EventQuery(correlation_id="f", newest_first=True, limit=1), [5]),
            (EventQuery(since=40), [4, 5, 6]),
            (EventQuery(since=61), []),
        ],
        ids=str,
    )
    async def test_query_finds_what_matches_all_filters(
        self, node: Store, query: EventQuery, found: list[int]
    ) -> None:
        await append(
            node,
            event("1", PLACED, "o-1", at=10),
            event("2", PAID, "o-1", at=20, flow="f"),
            event("3", PLACED, "o-2", at=30, flow="f"),
            event("4", PAID, "o-2", at=40),
            event("5", RESERVED, "o-1", at=50, flow="f"),
            event("6", PLACED, "o-1", at=60),
        )

        assert await places(node, query) == found
        if len(found) < query.limit:
            assert await node.count_events(query) == len(found)

    async def test_limit_does_not_count_when_events_are_counted(self, node: Store) -> None:
        await append(node, *(event(str(number)) for number in range(5)))

        assert await node.count_events(EventQuery(limit=2)) == 5
        assert await node.count_events(EventQuery(types=[PLACED], limit=2, after=1)) == 4

    async def test_committed_events_are_seen_by_other_readers_at_once(self, node: Store) -> None:
        async with self.another(node) as client:
            await append(node, event("a"))

            assert await places(client, EventQuery()) == [1]
            assert await client.last_position() == 1

    async def test_positions_are_not_used_again_after_events_are_forgotten(self) -> None:
        async with self.opened(node=True) as store:
            await append(store, event("a"), event("b"))
            assert await store.forget_events(recorded_before=6, limit=10) == 2
            assert await store.last_position() == 2
            assert await append(store, event("c")) == 3
            assert await store.forget_events(recorded_before=6, limit=10) == 1

        async with self.reopened() as store:
            assert await store.last_position() == 3
            assert await append(store, event("d")) == 4

    async def test_oldest_events_are_forgotten_first_with_reactions_and_journals(
        self, node: Store
    ) -> None:
        await append(node, event("1", at=10), event("2", at=20), event("3", at=30))
        await node.commit(
            Commit(
                journal=[entry(50), entry(51)],
                messages=Messages(
                    done=[reaction(1, 1, key=50), reaction(2, 1), reaction(1, 2, key=51)]
                ),
            )
        )

        assert await node.forget_events(recorded_before=30, limit=1) == 1

        written = await self.everything(node)
        assert [row[0] for row in written["events"]] == [2, 3]
        assert written["reactions"] == [reaction(1, 2, key=51)]
        assert await node.journal(50) == []
        assert await node.journal(51) == [entry(51)]
        assert await node.forget_events(recorded_before=30, limit=5) == 1
        assert await node.forget_events(recorded_before=30, limit=5) == 0
        assert await append(node, event("1")) == 4  # its id is free again

    async def test_events_above_the_position_of_any_subscription_are_kept(
        self, node: Store
    ) -> None:
        await append(node, *(event(str(number)) for number in range(1, 6)))
        await write(
            node,
            Messages(subscriptions=[subscription(1, position=4), subscription(2, position=2)]),
        )

        assert await node.forget_events(recorded_before=6, limit=10) == 2
        assert await places(node, EventQuery()) == [3, 4, 5]

    async def test_events_of_a_held_key_are_kept_from_the_hold_on(self, node: Store) -> None:
        await append(
            node, event("1"), event("2", key="o-2"), event("3"), event("4", PAID), event("5")
        )
        await write(node, Messages(held=[HoldRow("payments", "slow", "o-1", 3)]))

        assert await node.forget_events(recorded_before=6, limit=10) == 2
        assert await places(node, EventQuery()) == [3, 4, 5]

    async def test_event_of_a_dead_letter_is_kept(self, node: Store) -> None:
        await append(node, event("1"), event("2"))
        await write(
            node,
            Messages(done=[reaction(1, 1, ReactionStatus.DEAD)], dead=[dead_letter(1, 1)]),
        )

        assert await node.forget_events(recorded_before=6, limit=10) == 1
        assert await places(node, EventQuery()) == [1]
        assert await node.reactions_at([1]) == [reaction(1, 1, ReactionStatus.DEAD)]

    async def test_waits_are_found_by_type_and_key_in_order(self, node: Store) -> None:
        await start(node, execution(1), execution(2), execution(3))
        waits = [wait(2, 1), wait(1, 2), wait(1, 1, key="o-2"), wait(3, type=PAID)]
        await write(node, Messages(waits=waits))

        assert await node.waits_for([(PLACED, "o-1")]) == [wait(1, 2), wait(2, 1)]
        both = await node.waits_for([(PAID, "o-1"), (PLACED, "o-2"), (PAID, "o-1")])
        assert both == [wait(1, 1, key="o-2"), wait(3, type=PAID)]
        assert await node.waits_for([]) == []
        assert await node.waits_for([(PAID, "o-2")]) == []
        assert sorted(await node.awaited_types()) == sorted([PLACED, PAID])

    @pytest.mark.parametrize("key", ["", "ünïcode", "with \x00 nul", "'quoted' \"twice\"", "5"])
    async def test_waits_of_any_key_are_found(self, node: Store, key: str) -> None:
        self.needs(key)
        await start(node, execution(1))
        await write(node, Messages(events=[event("a", key=key)], waits=[wait(1, key=key)]))

        assert await node.waits_for([(PLACED, key)]) == [wait(1, key=key)]
        assert await node.fulfilled_waits(after=BEGINNING, limit=9) == [wait(1, key=key)]
        assert await places(node, EventQuery(types=[PLACED, PAID], key=key)) == [1]

    async def test_wait_that_is_over_is_found_no_more(self, node: Store) -> None:
        await start(node, execution(1), execution(2), execution(3))
        await write(node, Messages(waits=[wait(1, 1), wait(1, 2), wait(2, 1)]))

        await write(node, Messages(waits_over=[(1, 1), (2, 9), (2, 1)], waits=[wait(3)]))

        assert await node.waits_for([(PLACED, "o-1")]) == [wait(1, 2), wait(3)]

    async def test_wait_that_begins_and_ends_in_one_commit_is_over(self, node: Store) -> None:
        await write(node, Messages(waits=[wait(1, 1)], waits_over=[(1, 1)]))

        assert await node.awaited_types() == []

    @pytest.mark.parametrize(
        ("row", "fulfilled"),
        [
            (wait(1), True),
            (wait(1, position=2), True),
            (wait(1, position=3), False),
            (wait(1, since=30), True),
            (wait(1, since=31), False),
            (wait(1, position=1, since=30), True),
            (wait(1, type=PAID), False),
            (wait(1, key="o-2"), True),
            (wait(1, key="o-2", since=21), False),
        ],
        ids=str,
    )
    async def test_wait_is_fulfilled_by_a_later_event_that_is_new_enough(
        self, node: Store, row: EventWaitRow, *, fulfilled: bool
    ) -> None:
        await start(node, execution(1))
        await append(
            node, event("1", at=10), event("2", at=20, key="o-2"), event("3", at=30)
        )  # fmt: skip
        await write(node, Messages(waits=[row]))

        found = await node.fulfilled_waits(after=BEGINNING, limit=9)
        assert found == ([row] if fulfilled else [])

    async def test_fulfilled_waits_come_page_by_page(self, node: Store) -> None:
        await start(node, execution(1), execution(2), execution(3))
        waits = [wait(key, number) for key in (1, 2) for number in (1, 2)]
        await write(
            node, Messages(events=[event("a")], waits=[*reversed(waits), wait(3, type=PAID)])
        )

        first = await node.fulfilled_waits(after=BEGINNING, limit=3)
        second = await node.fulfilled_waits(after=(2, 1), limit=3)
        assert (first, second) == (waits[:3], waits[3:])

    async def test_waits_go_with_their_execution(self, node: Store) -> None:
        ended = execution(1, status=Status.COMPLETED, wake_at=None, finished_at=5)
        await start(node, ended, execution(2))
        await write(node, Messages(waits=[wait(1), wait(2)]))

        assert await node.forget(finished_before=6, limit=9) == 1

        assert await node.waits_for([(PLACED, "o-1")]) == [wait(2)]

    async def test_published_contract_stays_as_it_was(self, node: Store) -> None:
        second = ContractRow(PLACED, 2, "orders", "order_id", "{}", 5)
        first = second._replace(version=1, schema='{"type":"object"}')
        other = second._replace(type="a.Other", version=1)
        await write(node, Messages(contracts=[second, first]))

        await write(node, Messages(contracts=[second._replace(schema="changed"), other]))

        assert await node.contracts() == [other, first, second]

    async def test_forgotten_contract_is_published_anew(self, node: Store) -> None:
        row = ContractRow(PLACED, 1, "orders", "order_id", "{}", 5)
        await write(node, Messages(contracts=[row, row._replace(version=2)]))

        assert await node.forget_contract(PLACED) == 2
        assert await node.forget_contract(PLACED) == 0

        await write(node, Messages(contracts=[row._replace(schema="new")]))
        assert await node.contracts() == [row._replace(schema="new")]
