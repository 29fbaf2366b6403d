"""The inbox: subscriptions, marks, dead letters, holds, and what people did."""

import pytest

from counterpoint.errors import StoreError, StoreReadOnlyError
from counterpoint.model.messages import (
    ActRow,
    ContractRow,
    DeadLetterGroup,
    DeadLetterQuery,
    HoldRow,
    Messages,
    ReactionRow,
    ReactionStatus,
)
from counterpoint.model.rows import Commit
from counterpoint.ports.store import Store
from counterpoint.testing.conformance.store_case import (
    StoreCase,
    act,
    dead_letter,
    entry,
    event,
    reaction,
    subscription,
    wait,
)

NOBODY = ("", "", "")
BEGINNING = (0, 0)
DEAD, RETRYING, RUNNING = ReactionStatus.DEAD, ReactionStatus.RETRYING, ReactionStatus.RUNNING
DISCARDED = ReactionStatus.DISCARDED
FULL = ReactionRow(9, 8, DISCARDED, 1, 2, 3, 4, 5)
HOLD = HoldRow("payments", "", "o-1", 5)
LETTERS = [
    dead_letter(1, 3),
    dead_letter(1, 7, cause="KeyError", key="o-2"),
    dead_letter(2, 1, name="stock.ship"),
    dead_letter(2, 2, name="payments.give_back", died_at=20),
]


async def write(store: Store, messages: Messages) -> None:
    """Commit messages and nothing else."""
    await store.commit(Commit(messages=messages))


class StoreMessagesInbox(StoreCase):
    """What the port promises of those who react."""

    async def test_subscriptions_come_in_the_order_of_their_numbers(self, node: Store) -> None:
        replay = subscription(3, name="payments.reaction_7")._replace(
            replay=3, until=99, publishes=False, event_key="o-1", lane="slow"
        )
        await write(node, Messages(subscriptions=[subscription(7), replay, subscription(5)]))

        assert await node.subscriptions() == [replay, subscription(5), subscription(7)]
        assert (await node.subscriptions())[0].publishes is False

    async def test_position_of_a_subscription_never_goes_back(self, node: Store) -> None:
        await write(node, Messages(subscriptions=[subscription(1), subscription(2, position=5)]))

        await write(node, Messages(positions=[(1, 3), (1, 9), (1, 4), (2, 4), (8, 8)]))

        assert await node.subscriptions() == [
            subscription(1, position=9),
            subscription(2, position=5),
        ]

    async def test_new_subscription_can_move_in_its_own_commit(self, node: Store) -> None:
        await write(node, Messages(subscriptions=[subscription(1)], positions=[(1, 3)]))

        assert await node.subscriptions() == [subscription(1, position=3)]

    async def test_name_is_subscribed_once(self, node: Store) -> None:
        await write(node, Messages(subscriptions=[subscription(1, name="a.b")]))
        before = await self.everything(node)
        again = Messages(events=[event("a")], subscriptions=[subscription(2, name="a.b")])

        if self.features.many_nodes:
            await write(node, again)
        else:
            with pytest.raises(StoreError):
                await write(node, again)

        assert (await self.everything(node))["subscriptions"] == before["subscriptions"]
        assert self.features.many_nodes or await self.everything(node) == before

    @pytest.mark.parametrize("count", [1, 2, 4, 5, 16, 100, 257, 600])
    async def test_marks_of_any_number_are_written(self, node: Store, count: int) -> None:
        rows = [reaction(1, position) for position in range(1, count + 1)]
        later = [row._replace(position=row.position + count) for row in rows]

        await write(node, Messages(done=rows))
        await write(node, Messages(done=[FULL._replace(position=5_000), *later]))
        await write(node, Messages(changed=[row._replace(status=DISCARDED) for row in rows]))

        discarded = [row._replace(status=DISCARDED) for row in rows]
        assert await node.reactions([1], 1, 4_000) == discarded + later
        assert await node.reactions([9], 1, 9_000) == [FULL._replace(position=5_000)]

    @pytest.mark.parametrize(
        "row",
        [
            FULL,
            reaction(1, 2),
            reaction(1, 2, key=3),
            reaction(1, 2)._replace(attempts=2),
            reaction(1, 2)._replace(due_at=5),
            reaction(1, 2, RUNNING),
            reaction(1, 2, RETRYING, key=4),
        ],
        ids=str,
    )
    async def test_every_column_of_a_mark_is_kept(self, node: Store, row: ReactionRow) -> None:
        await write(node, Messages(done=[row]))

        (found,) = await node.reactions_at([row.position])
        assert found == row
        assert found.status is row.status

    async def test_marks_are_found_by_subscription_and_range(self, node: Store) -> None:
        rows = [reaction(number, position) for position in (1, 2, 3, 4) for number in (1, 2, 3)]
        await write(node, Messages(done=list(reversed(rows))))

        found = await node.reactions([3, 1, 9], 2, 3)

        assert sorted(found) == [reaction(1, 2), reaction(1, 3), reaction(3, 2), reaction(3, 3)]
        assert await node.reactions([], 1, 9) == []
        assert await node.reactions([1], 3, 2) == []

    async def test_marks_of_all_subscriptions_are_found_at_positions(self, node: Store) -> None:
        await write(node, Messages(done=[reaction(2, 1), reaction(1, 1), reaction(1, 2)]))

        assert sorted(await node.reactions_at([1, 5, 1])) == [reaction(1, 1), reaction(2, 1)]
        assert await node.reactions_at([]) == []

    async def test_there_is_one_mark_for_a_subscription_and_a_position(self, node: Store) -> None:
        await write(node, Messages(done=[reaction(1, 1)]))
        before = await self.everything(node)

        for done in ([reaction(2, 1), reaction(1, 1)], [reaction(2, 1), reaction(2, 1)]):
            with pytest.raises(StoreError):
                await node.commit(
                    Commit(journal=[entry(1)], messages=Messages(events=[event("a")], done=done))
                )
            await node.close()
            await node.open(node=True)

        assert await self.everything(node) == before

    async def test_changed_mark_replaces_the_one_that_is_there(self, node: Store) -> None:
        await write(node, Messages(done=[reaction(1, 1, RETRYING, key=5), reaction(1, 2)]))

        await write(
            node,
            Messages(changed=[reaction(1, 1, RUNNING, key=5), FULL, reaction(1, 1, DEAD, key=5)]),
        )

        assert (await self.everything(node))["reactions"] == [
            reaction(1, 1, DEAD, key=5),
            reaction(1, 2),
            FULL,
        ]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            (DeadLetterQuery(), [0, 1, 2, 3]),
            (DeadLetterQuery(limit=2), [0, 1]),
            (DeadLetterQuery(after=(1, 3), limit=2), [1, 2]),
            (DeadLetterQuery(name="payments.take"), [0, 1]),
            (DeadLetterQuery(service="payments"), [0, 1, 3]),
            (DeadLetterQuery(cause="ValueError"), [0, 2, 3]),
            (DeadLetterQuery(event_key="o-2"), [1]),
            (DeadLetterQuery(subscription=2), [2, 3]),
            (DeadLetterQuery(subscription=2, after=(2, 1)), [3]),
            (DeadLetterQuery(service="payments", cause="ValueError", event_key="o-1"), [0, 3]),
            (DeadLetterQuery(name="nobody"), []),
        ],
        ids=str,
    )
    async def test_dead_letters_that_match_all_filters_are_found(
        self, node: Store, query: DeadLetterQuery, found: list[int]
    ) -> None:
        await write(node, Messages(dead=list(reversed(LETTERS))))

        assert await node.dead_letters(query) == [LETTERS[index] for index in found]

    async def test_dead_letter_is_replaced_and_revived(self, node: Store) -> None:
        await write(node, Messages(dead=LETTERS))
        worse = LETTERS[0]._replace(attempts=9)

        await write(node, Messages(dead=[worse], revived=[(1, 7), (2, 1), (2, 9)]))

        assert await node.dead_letters(DeadLetterQuery()) == [worse, LETTERS[3]]

    async def test_letter_that_dies_again_in_the_commit_that_revives_it_is_dead(
        self, node: Store
    ) -> None:
        await write(node, Messages(dead=LETTERS[:1]))

        await write(node, Messages(revived=[(1, 3)], dead=[LETTERS[0]._replace(attempts=9)]))

        assert await node.dead_letters(DeadLetterQuery()) == [LETTERS[0]._replace(attempts=9)]

    async def test_dead_letters_are_counted_by_reaction_and_cause(self, node: Store) -> None:
        await write(
            node, Messages(dead=[*LETTERS, dead_letter(1, 9, died_at=30), dead_letter(3, 9)])
        )

        assert await node.dead_letter_groups() == [
            DeadLetterGroup("payments.take", "ValueError", 3, 8, 30),
            DeadLetterGroup("payments.give_back", "ValueError", 1, 20, 20),
            DeadLetterGroup("payments.take", "KeyError", 1, 8, 8),
            DeadLetterGroup("stock.ship", "ValueError", 1, 8, 8),
        ]

    async def test_hold_keeps_the_lower_position(self, node: Store) -> None:
        await write(node, Messages(held=[HOLD, HOLD._replace(lane="slow")]))

        await write(node, Messages(held=[HOLD._replace(position=7)]))
        assert (await node.holds(after=NOBODY, limit=9))[0] == HOLD
        await write(node, Messages(held=[HOLD._replace(position=4), HOLD._replace(position=6)]))
        assert (await node.holds(after=NOBODY, limit=9))[0] == HOLD._replace(position=4)

    async def test_released_hold_can_be_made_anew_further_on(self, node: Store) -> None:
        await write(node, Messages(held=[HOLD, HOLD._replace(event_key="o-2")]))

        await write(
            node,
            Messages(
                released=[("payments", "", "o-1"), ("payments", "slow", "o-2")],
                held=[HOLD._replace(position=8)],
            ),
        )
        await write(node, Messages(released=[("payments", "", "o-2")]))

        assert await node.holds(after=NOBODY, limit=9) == [HOLD._replace(position=8)]

    async def test_holds_come_in_order_page_by_page(self, node: Store) -> None:
        rows = [
            HoldRow(service, lane, key, 1)
            for service in ("a", "b")
            for lane in ("", "x")
            for key in ("", "k")
        ]
        await write(node, Messages(held=list(reversed(rows))))

        first = await node.holds(after=NOBODY, limit=4)
        second = await node.holds(after=first[-1][:3], limit=9)

        expected = [row for row in rows if row[:3] != NOBODY]
        assert first + second == expected

    async def test_unsubscribed_takes_marks_letters_and_journals_along(self, node: Store) -> None:
        await node.commit(
            Commit(
                journal=[entry(50), entry(51), entry(1)],
                messages=Messages(
                    subscriptions=[subscription(1), subscription(2)],
                    done=[reaction(1, 1), reaction(1, 2, key=50), reaction(2, 1, key=51)],
                    dead=[dead_letter(1, 2), dead_letter(2, 1)],
                    held=[HOLD],
                ),
            )
        )

        await node.commit(
            Commit(
                journal=[entry(50, 2)],
                messages=Messages(done=[reaction(1, 3, RETRYING)], unsubscribed=[1, 9]),
            )
        )

        written = await self.everything(node)
        assert written["subscriptions"] == [subscription(2)]
        assert written["reactions"] == [reaction(2, 1, key=51)]
        assert written["dead_letters"] == [dead_letter(2, 1)]
        assert written["holds"] == [HOLD]
        assert await node.journal(50) == []
        assert (await node.journal(51), await node.journal(1)) == ([entry(51)], [entry(1)])

    async def test_name_is_free_in_the_commit_that_unsubscribes_it(self, node: Store) -> None:
        await write(node, Messages(subscriptions=[subscription(1, name="a.b")]))

        await write(
            node, Messages(unsubscribed=[1], subscriptions=[subscription(2, name="a.b")])
        )  # fmt: skip

        assert await node.subscriptions() == [subscription(2, name="a.b")]

    async def test_subscription_that_begins_and_ends_in_one_commit_is_none(
        self, node: Store
    ) -> None:
        await write(node, Messages(unsubscribed=[1], subscriptions=[subscription(1)]))

        assert await node.subscriptions() == []

    async def test_keys_of_subscriptions_and_reactions_are_not_used_again(self) -> None:
        async with self.opened(node=True) as store:
            first, second = await store.reserve_keys(2)
            await write(
                store,
                Messages(
                    subscriptions=[subscription(first)],
                    done=[reaction(first, 1, RETRYING, key=second)],
                ),
            )
        async with self.reopened() as store:
            (third,) = await store.reserve_keys(1)
            assert third > second
            await write(store, Messages(subscriptions=[subscription(third)]))
        async with self.reopened() as store:
            assert (await store.reserve_keys(1))[0] > third

    async def test_keys_of_what_is_unsubscribed_or_forgotten_are_not_used_again(self) -> None:
        async with self.opened(node=True) as store:
            first, second = await store.reserve_keys(2)
            await write(
                store,
                Messages(
                    subscriptions=[subscription(first)], done=[reaction(first, 1, key=second)]
                ),
            )
            await write(store, Messages(unsubscribed=[first]))
        async with self.reopened() as store:
            (third,) = await store.reserve_keys(1)
            assert third > second
            await write(store, Messages(events=[event("a")], done=[reaction(9, 1, key=third)]))
            assert await store.forget_events(recorded_before=9, limit=9) == 1
        async with self.reopened() as store:
            assert (await store.reserve_keys(1))[0] > third

    async def test_acts_come_in_order_and_a_request_is_recorded_once(self, node: Store) -> None:
        full = ActRow(1, "retry", "b", 2, "r-2", None, None, "other", b"\xff")
        await write(node, Messages(acts=[act("r-1", "a"), full, act("r-1", "b")]))
        await write(node, Messages(acts=[full, act("r-3", "a")]))

        rows = await node.acts()

        assert [row._replace(number=0) for row in rows] == [act("r-1", "a"), full, act("r-3", "a")]
        assert 0 < rows[0].number < rows[1].number < rows[2].number
        assert await node.acts(subject="a") == [rows[0], rows[2]]
        assert await node.acts(subject="a", after=rows[0].number) == [rows[2]]
        assert await node.acts(after=rows[0].number, limit=1) == [rows[1]]

    async def test_everything_survives_closing_and_opening_again(self) -> None:
        async with self.opened(node=True) as store:
            await write(
                store,
                Messages(
                    events=[event("a")],
                    done=[reaction(1, 1)],
                    subscriptions=[subscription(1)],
                    dead=LETTERS,
                    held=[HOLD],
                    waits=[wait(1)],
                    contracts=[ContractRow("a.B", 1, "a", "id", "{}", 5)],
                    acts=[act("r")],
                ),
            )
            before = await self.everything(store)

        async with self.reopened() as store:
            assert await self.everything(store) == before

    @pytest.mark.parametrize(
        "messages",
        [
            Messages(events=[event("a")]),
            Messages(done=[reaction(1, 1)]),
            Messages(acts=[act("r")]),
            Messages(unsubscribed=[1]),
            Messages(released=[NOBODY]),
        ],
        ids=str,
    )
    async def test_client_writes_no_messages(self, messages: Messages) -> None:
        client = self.make_store()
        await client.open(node=False)

        with pytest.raises(StoreReadOnlyError):
            await write(client, messages)
        for call in (client.forget_events(recorded_before=9, limit=9), client.forget_contract("a")):
            with pytest.raises(StoreReadOnlyError):
                await call

        await client.close()
