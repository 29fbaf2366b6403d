"""Which node takes which letter over, and in which order."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.postgres.server import Server
from tests.postgres.several import HOSTING, WORKFLOW, Several, letter, post, several, start

from counterpoint.model.rows import Commit, ExecutionUpdate
from counterpoint.model.states import Status
from counterpoint.stores.postgres import PostgresStore
from counterpoint.testing.conformance.store_case import execution

OTHER = "payments.pay"
ELSEWHERE = replace(HOSTING, workflows=((OTHER, 1),))


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Several]:
    async with several(url) as nodes:
        yield nodes


async def read(node: PostgresStore) -> list[str]:
    return [row.request_id for row in await node.mail(after=0, limit=1000)]


async def test_a_letter_goes_to_the_owner_of_its_execution_at_once(shop: Several) -> None:
    one, two = await shop.nodes(2)
    client = await shop.client()
    await start(two, 1)

    await post(client, letter("a", "execution-1"))
    await post(one, letter("b", "execution-1"))

    assert await read(one) == []
    assert await read(two) == ["a", "b"]
    assert (await two.beat()).mail
    assert not (await one.beat()).mail
    assert not (await one.beat()).unrouted


async def test_the_newest_run_counts(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await start(one, 1)
    await two.commit(Commit(starts=[execution(2, id="execution-1", run=2)]))

    await post(await shop.client(), letter("a", "execution-1"))

    assert await read(two) == ["a"]


async def test_a_letter_to_an_execution_whose_owner_died_goes_to_who_adopts_it(
    shop: Several,
) -> None:
    one, two, three = await shop.nodes(3)
    client = await shop.client()
    await start(two, 1)
    await post(client, letter("before", "execution-1"))
    await shop.lose(two, by=one)
    await post(client, letter("after", "execution-1"))

    unrouted = (await one.beat()).unrouted
    await three.adopt(9)
    assert await one.route(9) == 2

    assert unrouted
    assert await read(three) == ["before", "after"]
    assert not (await one.beat()).unrouted


async def test_a_letter_to_what_a_node_owned_that_is_put_aside_is_routed(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await start(two, 1)
    await two.commit(Commit(updates=[ExecutionUpdate(1, Status.FAILED, 1, None, 5)]))
    await shop.lose(two, by=one)
    await one.adopt(9)  # nobody looks at what has no live execution any more
    await post(await shop.client(), letter("a", "execution-1", "retry"))

    assert await shop.targets() == [("a", None)]
    assert (await one.beat()).unrouted
    assert await one.route(9) == 1
    assert await read(one) == ["a"]


async def test_who_routes_takes_over_what_it_hosts_itself(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await start(two, 1)
    await shop.lose(two, by=one)
    await post(await shop.client(), letter("a", "execution-1"))

    assert await one.route(9) == 1

    assert await read(one) == ["a"]
    assert await shop.sql("SELECT owner FROM {schema}.executions") == [(one.incarnation,)]


@pytest.mark.parametrize("status", [Status.RUNNING, Status.FAILED])
async def test_a_node_that_does_not_host_a_workflow_leaves_its_letters_alone(
    shop: Several, status: Status
) -> None:
    two = await shop.node()
    one = await shop.node(ELSEWHERE)
    await start(two, 1)
    finished_at = None if status.live else 5
    await two.commit(Commit(updates=[ExecutionUpdate(1, status, 1, None, finished_at)]))
    await shop.lose(two, by=one)
    await post(await shop.client(), letter("a", "execution-1"))

    assert await one.route(9) == 0
    assert (await one.beat()).unrouted
    three = await shop.node()
    assert await three.route(9) == 1
    assert await read(three) == ["a"]


@pytest.mark.parametrize(
    ("status", "kind", "routed"),
    [
        (Status.RUNNING, "signal", False),
        (Status.FAILED, "signal", True),
        (Status.FAILED, "retry", False),
        (Status.COMPLETED, "reset", False),
        (Status.CONTINUED, "continue", False),
        (Status.CONTINUED, "signal", False),
    ],
)
async def test_older_code_takes_over_only_what_has_ended_and_does_not_go_on(
    shop: Several, status: Status, kind: str, routed: bool
) -> None:
    one = await shop.node(replace(HOSTING, workflows=((WORKFLOW, 0),)))
    two = await shop.node()
    await start(two, 1)
    finished_at = None if status.live else 5
    await two.commit(Commit(updates=[ExecutionUpdate(1, status, 1, None, finished_at)]))
    await shop.lose(two, by=one)
    await post(await shop.client(), letter("a", "execution-1", kind))

    assert (await one.route(9), await read(one)) == ((1, ["a"]) if routed else (0, []))


async def test_what_nobody_hosts_can_be_terminated_by_any_node(shop: Several) -> None:
    one = await shop.node(ELSEWHERE)
    two = await shop.node()
    client = await shop.client()
    await start(two, 1)
    await shop.lose(two, by=one)
    await post(client, letter("cancel", "execution-1", "cancel"))
    before = await one.route(9)
    await post(client, letter("end", "execution-1", "terminate"))

    three = await shop.node()
    hosted = await one.route(9)
    await three.close()

    assert (before, hosted) == (0, 0)
    assert await one.route(9) == 2
    assert await read(one) == ["cancel", "end"]


async def test_a_start_waits_for_a_node_that_hosts_its_workflow(shop: Several) -> None:
    client = await shop.client()
    one = await shop.node(ELSEWHERE)
    await post(client, letter("start", "new", "start", WORKFLOW), letter("signal", "new"))
    await post(client, letter("other", "other", "start", OTHER))

    assert await one.route(9) == 1
    assert await read(one) == ["other"]
    two = await shop.node()
    assert await two.route(9) == 2

    assert await read(two) == ["start", "signal"]


async def test_a_node_that_posts_the_start_of_what_it_hosts_gets_it_itself(shop: Several) -> None:
    one = await shop.node()
    two = await shop.node(ELSEWHERE)

    await post(one, letter("mine", "child", "start", WORKFLOW), letter("more", "child"))
    await post(one, letter("theirs", "other", "start", OTHER))

    assert await shop.targets() == [
        ("mine", one.incarnation),
        ("more", one.incarnation),
        ("theirs", None),
    ]
    assert await one.route(9) == 0
    assert await two.route(9) == 1


async def test_a_start_of_what_exists_goes_to_its_owner(shop: Several) -> None:
    one = await shop.node(ELSEWHERE)
    two = await shop.node()
    await start(two, 1)

    await post(one, letter("again", "execution-1", "start", OTHER))

    assert await read(two) == ["again"]


async def test_a_letter_about_nothing_that_is_known_goes_to_any_node(shop: Several) -> None:
    one, two = await shop.nodes(2)
    client = await shop.client()
    await post(client, letter("a", "events", "publish"), letter("b", "nobody"))

    assert await one.route(9) == 2
    assert await two.route(9) == 0

    assert await read(one) == ["a", "b"]


async def test_publications_stay_in_order_while_some_wait_at_a_node(shop: Several) -> None:
    one, two = await shop.nodes(2)
    client = await shop.client()
    await post(client, letter("a", "events", "publish"))
    await one.route(9)

    await post(client, letter("b", "events", "publish"))

    assert await two.route(9) == 0
    assert await read(one) == ["a", "b"]


async def test_routed_letters_get_new_positions_in_their_old_order(shop: Several) -> None:
    one, two, three = await shop.nodes(3)
    client = await shop.client()
    await start(two, 1)
    await start(three, 2)
    for number in range(3):
        await post(client, letter(f"one {number}", "execution-1"))
        await post(client, letter(f"two {number}", "execution-2"))
    (last,) = [row.position for row in (await two.mail(after=0, limit=100))[-1:]]
    for dead in (two, three):
        await shop.lose(dead, by=one)

    assert await one.route(9) == 6

    mail = await one.mail(after=last + 1, limit=100)
    assert [row.request_id for row in mail] == [
        "one 0", "two 0", "one 1", "two 1", "one 2", "two 2",
    ]  # fmt: skip
    await post(client, letter("later", "execution-1"))
    assert (await read(one))[-1] == "later"


async def test_about_as_many_letters_are_routed_as_were_asked_for(shop: Several) -> None:
    node = await shop.node()
    client = await shop.client()
    for number in range(4):
        await post(
            client, letter(f"{number} a", f"id {number}"), letter(f"{number} b", f"id {number}")
        )

    assert await node.route(3) == 4  # all that an id has, or none
    assert await node.route(100) == 4
    assert await node.route(100) == 0


async def test_letters_that_cannot_be_routed_keep_nobody_behind_them(shop: Several) -> None:
    node = await shop.node()
    client = await shop.client()
    for number in range(5):
        await post(client, letter(f"stuck {number}", f"id {number}", "start", OTHER))
    await post(client, letter("free", "nobody"))

    assert await node.route(1) == 1
    assert await read(node) == ["free"]


async def test_a_letter_waits_while_an_older_one_lies_at_another_node(shop: Several) -> None:
    one, two = await shop.nodes(2)
    client = await shop.client()
    await post(client, letter("early", "execution-1"))
    await one.route(9)
    await start(two, 1)

    await post(client, letter("late", "execution-1"))
    blocked = await two.route(9)
    (early,) = await one.mail(after=0, limit=9)
    await one.commit(Commit(taken=[early.position]))

    assert blocked == 0
    assert await two.route(9) == 1
    assert await read(two) == ["late"]


async def test_a_node_forwards_a_letter_in_one_commit(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await post(await shop.client(), letter("early", "execution-1"))
    await one.route(9)
    await start(two, 1)
    (early,) = await one.mail(after=0, limit=9)

    await one.commit(Commit(taken=[early.position], mail=[early]))

    assert await read(two) == ["early"]
    assert await read(one) == []


async def test_a_letter_that_is_routed_beside_a_commit_comes_behind_its_letters(
    shop: Several,
) -> None:
    node = await shop.node()
    await start(node, 1)
    await post(await shop.client(), letter("routed", "nobody"))
    async with shop.back_door.transaction():  # what a commit with three letters does
        ((given,),) = await shop.sql("UPDATE {schema}.log SET mail = mail + 3 RETURNING mail")
        routing = asyncio.ensure_future(node.route(9))
        await shop.wait_until_blocked()

    assert await routing == 1
    assert await shop.sql("SELECT position FROM {schema}.mailbox") == [(given + 1,)]
    assert await shop.sql("SELECT mail FROM {schema}.log") == [(given + 1,)]


async def test_adoption_that_comes_between_is_not_undone_by_routing(shop: Several) -> None:
    one, two, dead = await shop.nodes(3)
    await start(dead, *range(1, 21))
    await post(await shop.client(), *(letter(f"{n}", f"execution-{n}") for n in range(1, 21)))
    await shop.lose(dead, by=one)

    await asyncio.gather(*(one.route(50), two.adopt(7), one.adopt(7), two.route(50)))
    for node in (one, two):
        while await node.route(50) or (await node.adopt(50)).executions:
            pass

    rows = await shop.sql(
        "SELECT target = owner FROM {schema}.mailbox JOIN {schema}.executions ON id = execution_id"
    )
    assert rows == [(True,)] * 20


PAUSE = """
ALTER FUNCTION {schema}.destinations_v1(bigint, text[]) RENAME TO destinations_at_once;
CREATE FUNCTION {schema}.destinations_v1(me bigint, ids text[])
RETURNS TABLE (id text, node bigint, takes_over bigint, former bigint) LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT * FROM {schema}.destinations_at_once(me, ids);
  IF pg_current_xact_id_if_assigned() IS NOT NULL THEN  -- the log is locked
    PERFORM pg_advisory_xact_lock(hashtextextended('{schema}', 1));
  END IF;
END $$
"""


async def test_who_routes_does_not_take_what_was_adopted_since_it_looked(shop: Several) -> None:
    one, two, dead = await shop.nodes(3)
    await start(dead, 1)
    await shop.lose(dead, by=one)
    await post(await shop.client(), letter("a", "execution-1"))
    for statement in PAUSE.split(";\n", 1):
        await shop.alter(statement)
    async with shop.back_door.transaction():
        await shop.sql("SELECT pg_advisory_xact_lock(hashtextextended('{schema}', 1))")
        routing = asyncio.ensure_future(one.route(9))
        await shop.wait_until_blocked()
        assert (await two.adopt(1)).executions == 1

    assert await routing == 0
    assert await shop.sql("SELECT owner FROM {schema}.executions") == [(two.incarnation,)]


IDS = [f"execution-{key}" for key in (1, 2, 3)]


class Post:
    """Clients, and three nodes that die and come back, and what was posted to each id so far."""

    def __init__(self, shop: Several, client: PostgresStore, nodes: list[PostgresStore]) -> None:
        self.shop = shop
        self.client = client
        self.nodes = nodes
        self.posted: dict[str, list[str]] = {id_: [] for id_ in IDS}
        self.taken: dict[str, list[str]] = {id_: [] for id_ in IDS}

    async def post(self, who: int, number: int) -> None:
        """Post letters to an id, a start among them at first."""
        id_ = IDS[number]
        request = f"{id_} {len(self.posted[id_])}"
        kind = "start" if who == 0 else "signal"
        poster = (self.client, *self.nodes)[who]
        await post(poster, letter(request, id_, kind, (WORKFLOW, OTHER)[number % 2]))
        self.posted[id_].append(request)

    async def route(self, who: int, number: int) -> None:
        await self.nodes[who].route(number + 1)

    async def adopt(self, who: int, number: int) -> None:
        await self.nodes[who].adopt(number + 1)

    async def take(self, who: int, number: int) -> None:
        """Take some letters over, in their order, and begin what does not exist yet."""
        node = self.nodes[who]
        for row in (await node.mail(after=0, limit=1000))[: number + 1]:
            key = int(row.execution_id[-1])
            known = await node.execution(row.execution_id)
            begun = [execution(key, name=(WORKFLOW, OTHER)[(key - 1) % 2])]
            await node.commit(Commit(taken=[row.position], starts=[] if known else begun))
            self.taken[row.execution_id].append(row.request_id)

    async def die(self, who: int, number: int) -> None:
        del number
        node = self.nodes[who]
        await self.shop.lose(node, by=self.nodes[who - 1])
        node._cut()
        await node.open(node=True)
        await node.announce(HOSTING if who else ELSEWHERE)

    async def check(self) -> None:
        """Compare what was taken, and what will be in its order, with what was posted."""
        rows = await self.shop.sql(
            "SELECT execution_id, request_id, target FROM {schema}.mailbox ORDER BY position"
        )
        alive = [node.incarnation for node in self.nodes]
        for id_ in IDS:
            waiting = [(request, target) for to, request, target in rows if to == id_]
            assert [request for request, _ in waiting] == self.posted[id_][len(self.taken[id_]) :]
            targets = [target if target in alive else None for _, target in waiting]
            assert targets == sorted(targets, key=lambda target: target is None)
            assert len(set(targets) - {None}) <= 1
            assert self.taken[id_] == self.posted[id_][: len(self.taken[id_])]


MOVES: dict[str, Callable[[Post, int, int], Awaitable[None]]] = {
    "post": Post.post,
    "route": Post.route,
    "adopt": Post.adopt,
    "take": Post.take,
    "die": Post.die,
}


@settings(max_examples=4, phases=[Phase.explicit, Phase.generate])
@given(
    moves=st.lists(
        st.tuples(
            st.sampled_from(["post", "post", "post", "route", "route", "adopt", "take", "die"]),
            st.integers(0, 2),
            st.integers(0, 2),
        ),
        min_size=15,
        max_size=40,
    )
)
def test_letters_to_one_id_keep_their_order(
    postgres: Server, moves: list[tuple[str, int, int]]
) -> None:
    asyncio.run(_play(postgres, moves))


async def _play(postgres: Server, moves: list[tuple[str, int, int]]) -> None:
    async with several(postgres.url(schema=f"mail_{random.randrange(10**9)}")) as shop:
        nodes = [await shop.node(ELSEWHERE), *await shop.nodes(2)]
        office = Post(shop, await shop.client(), nodes)
        for move, who, number in moves:
            await MOVES[move](office, who, number)
            await office.check()
        await shop.alter("SELECT 1")
