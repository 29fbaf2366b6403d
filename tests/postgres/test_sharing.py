"""Events are spread over the nodes that host their reactions, in order per key."""

import asyncio

from tests.postgres import parade as p
from tests.postgres.parade import (
    Parade,
    Placed,
    Reserved,
    parade,
    reserve,
    shared_by,
    signalled,
    slots_of,
    steps,
    until,
    waits,
)

from counterpoint import App

KEYS = [f"key-{number}" for number in range(12)]


async def publish(app: App, first: int, count: int) -> None:
    """Publish numbered events of each key."""
    for number in range(first, first + count):
        await app.publish(*(Placed(key=key, number=number) for key in KEYS))


def all_taken(count: int) -> bool:
    return all(len(p.seen.taken[key]) >= count for key in KEYS)


async def marked(nodes: Parade, count: int) -> bool:
    """Whether so many events were taken, and each once."""
    found = await nodes.sql("SELECT count(*) FROM {schema}.reactions WHERE status = 'completed'")
    return bool(found == [(count,)])


def in_order(count: int) -> None:
    assert {key: p.seen.taken[key] for key in KEYS} == {key: list(range(count)) for key in KEYS}
    assert not p.seen.overlaps


async def test_nodes_share_the_slots_of_a_service_as_they_come_and_go(url: str) -> None:
    async with parade(url) as nodes:
        first = await nodes.node()
        await until(lambda: shared_by([first], "stock"))
        second, third = await nodes.node(), await nodes.node()
        await until(lambda: shared_by([first, second, third], "stock"))

        await second.stop()

        await until(lambda: shared_by([first, third], "stock"))


async def test_events_of_a_key_are_taken_in_order_while_nodes_come_and_go(url: str) -> None:
    async with parade(url) as nodes:
        first = await nodes.node()
        publishing = asyncio.create_task(publish(first, 0, 40))
        second = await nodes.node()
        await until(lambda: len(slots_of(second, "stock")) > 0)
        third = await nodes.node()
        await until(lambda: shared_by([first, second, third], "stock"))
        await second.stop()
        await publishing
        await publish(third, 40, 5)
        await until(lambda: all_taken(45))

        in_order(45)
        await until(lambda: marked(nodes, 45 * len(KEYS)))


async def test_what_a_dead_node_had_taken_is_delivered_again_in_order(url: str) -> None:
    async with parade(url) as nodes:
        first, second = await nodes.node(), await nodes.node()
        await until(lambda: shared_by([first, second], "stock"))
        p.seen.gate = asyncio.Event()
        await publish(first, 0, 3)
        await until(lambda: sum(p.seen.now.values()) == len(KEYS))

        await nodes.lose(second, by=first)
        p.seen.gate.set()
        await until(lambda: marked(nodes, 3 * len(KEYS)))

        for key in KEYS:  # what was under way at the dead one ran twice, and was recorded once
            assert list(dict.fromkeys(p.seen.taken[key])) == [0, 1, 2]
        found = await nodes.sql(
            "SELECT count(*) FROM {schema}.events WHERE type = 'stock.Reserved'"
        )
        assert found == [(3 * len(KEYS),)]


async def test_positions_move_when_all_nodes_have_come_so_far(url: str) -> None:
    async with parade(url) as nodes:
        first, second = await nodes.node(), await nodes.node()
        await until(lambda: shared_by([first, second], "stock"))
        await publish(first, 0, 10)
        await until(lambda: all_taken(10))
        last = await first.node.store.last_position()

        async def moved() -> bool:
            rows = await nodes.sql(
                "SELECT position FROM {schema}.subscriptions WHERE name = 'stock.reserve'"
            )
            return bool(rows[0][0] >= last)

        await until(moved)


async def test_a_dead_letter_is_redriven_where_its_key_is_delivered(url: str) -> None:
    async with parade(url) as nodes:
        first, second = await nodes.node(), await nodes.node()
        await until(lambda: shared_by([first, second], "stock"))
        p.seen.poison = {0}
        await publish(first, 0, 2)

        async def letters() -> list[str]:
            return [letter.id async for letter in first.dead_letters()]

        async def all_dead() -> bool:
            return len(await letters()) == len(KEYS)

        await until(all_dead)
        p.seen.poison = set()
        for found in await letters():
            await first.redrive(found)
        await until(lambda: all_taken(2))

        in_order(2)


async def test_a_replay_is_shared_by_all_nodes_and_ends(url: str) -> None:
    async with parade(url) as nodes:
        first, second = await nodes.node(), await nodes.node()
        await until(lambda: shared_by([first, second], "stock"))
        await publish(first, 0, 3)
        await until(lambda: all_taken(3))

        await first.replay_events(reserve, first=1)
        await until(lambda: all_taken(6))

        async def over() -> bool:
            rows = await nodes.sql("SELECT 1 FROM {schema}.subscriptions WHERE replay > 0")
            return not rows

        await until(over)
        assert {key: p.seen.taken[key] for key in KEYS} == {key: [0, 1, 2, 0, 1, 2] for key in KEYS}


async def test_a_workflow_hears_of_events_that_another_node_delivers(url: str) -> None:
    async with parade(url) as nodes:
        first, second = await nodes.node(), await nodes.node()
        await until(lambda: shared_by([first, second], "stock"))
        waiting = [await second.start(waits, key) for key in KEYS]
        await until(lambda: len(p.seen.calls) == len(KEYS))
        await publish(first, 7, 1)

        numbers = await asyncio.gather(*(one.result(30) for one in waiting))

        assert numbers == [7] * len(KEYS)


async def test_executions_of_a_dead_node_go_on_at_another_and_their_results_are_heard(
    url: str,
) -> None:
    async with parade(url) as nodes:
        first, second = await nodes.node(), await nodes.node()
        p.seen.gate = asyncio.Event()
        begun = [await second.start(steps, f"s-{number}", id=f"s-{number}") for number in range(20)]
        heard = [asyncio.create_task(first.execution(one.id).result(30)) for one in begun]
        await until(lambda: len(p.seen.calls) == 20)

        await nodes.lose(second, by=first)
        p.seen.gate.set()

        assert await asyncio.gather(*heard) == [f"s-{number}" for number in range(20)]
        again = await asyncio.gather(*(one.result(30) for one in begun))
        assert again == [f"s-{number}" for number in range(20)]
        rows = await nodes.sql("SELECT status, count(*) FROM {schema}.executions GROUP BY status")
        assert rows == [("completed", 20)]


async def test_a_signal_reaches_an_execution_on_another_node(url: str) -> None:
    async with parade(url) as nodes:
        first, second = await nodes.node(), await nodes.node()
        execution = await second.start(signalled, "a", id="a")

        await first.execution("a").signal("go", "now")

        assert await execution.result(30) == "now"


async def test_a_signal_to_an_execution_of_a_dead_node_is_taken_by_its_next_owner(url: str) -> None:
    async with parade(url) as nodes:
        first, second = await nodes.node(), await nodes.node()
        await second.start(signalled, "a", id="a")
        await until(lambda: p.seen.calls == ["a"])
        dying = asyncio.create_task(nodes.freeze(second))

        await first.execution("a").signal("go", "now")

        assert await first.execution("a").result(30) == "now"
        await dying


async def test_a_node_that_stops_hands_over_at_once(url: str) -> None:
    async with parade(url) as nodes:
        first, second = await nodes.node(), await nodes.node()
        await second.start(signalled, "a", id="a")
        await until(lambda: p.seen.calls == ["a"])
        await second.stop()

        await first.execution("a").signal("go", "now")

        assert await first.execution("a").result(30) == "now"
        # It was not waited for until its lease was over.
        assert await nodes.sql("SELECT 1 FROM {schema}.nodes WHERE lost_at IS NOT NULL") == []


async def test_an_event_that_two_nodes_publish_under_one_id_is_in_the_log_once(url: str) -> None:
    async with parade(url) as nodes:
        first, second = await nodes.node(), await nodes.node()
        event = Reserved(key="a", number=1)
        await asyncio.gather(*(app.publish(event, id="e-1") for app in (first, second, first)))

        found = await nodes.sql("SELECT count(*) FROM {schema}.events WHERE id = 'e-1'")

        assert found == [(1,)]
