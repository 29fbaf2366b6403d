"""Anybody posts mail; the node takes each once, in the order of arrival."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from counterpoint.errors import StoreReadOnlyError
from counterpoint.model.rows import Commit, ExecutionUpdate
from counterpoint.model.states import Status
from counterpoint.ports.store import Store
from counterpoint.testing.conformance.store_case import (
    StoreCase,
    entry,
    execution,
    letter,
    post,
    start,
)

CLIENTS = 5
LETTERS_EACH = 20
PATIENCE_SECONDS = 60
"""Only what hangs meets it: a disk may take long over each of hundreds of commits."""


class StoreMail(StoreCase):
    """What the mailbox promises."""

    async def test_mail_is_read_in_the_order_of_posting(self, node: Store) -> None:
        await post(node, "c", "a")
        await post(node, "b")

        found = await node.mail(after=0, limit=10)
        assert [row.request_id for row in found] == ["c", "a", "b"]
        assert found[0] == letter("c")._replace(position=found[0].position)
        assert 0 < found[0].position < found[1].position < found[2].position

    async def test_mail_is_read_page_by_page(self, node: Store) -> None:
        await post(node, "a", "b", "c")

        first = await node.mail(after=0, limit=2)
        second = await node.mail(after=first[-1].position, limit=2)
        assert [row.request_id for row in first + second] == ["a", "b", "c"]

    async def test_mail_of_one_execution_is_read_page_by_page(self, node: Store) -> None:
        letters = [letter(name, "a" if n % 2 else "b") for n, name in enumerate("uvwxyz")]
        await node.commit(Commit(mail=letters))
        first = await node.mail(after=0, limit=2, execution_id="a")
        second = await node.mail(after=first[-1].position, limit=2, execution_id="a")

        assert [row.request_id for row in first] == ["v", "x"]
        assert [row.request_id for row in second] == ["z"]
        assert await node.mail(after=0, limit=2, execution_id="c") == []

    async def test_request_that_is_there_already_is_not_posted_again(self, node: Store) -> None:
        await post(node, "a")
        await post(node, "b", "a", "b")

        assert [row.request_id for row in await node.mail(after=0, limit=9)] == ["a", "b"]

    async def test_taken_mail_is_gone(self, node: Store) -> None:
        await post(node, "a", "b", "c")
        a, _, c = await node.mail(after=0, limit=9)

        await node.commit(Commit(taken=[c.position, a.position, 999]))

        assert [row.request_id for row in await node.mail(after=0, limit=9)] == ["b"]

    async def test_positions_are_not_used_again(self, node: Store) -> None:
        await post(node, "a", "b")
        last = (await node.mail(after=0, limit=9))[-1].position
        await node.commit(Commit(taken=[1, last]))

        await post(node, "c")

        (found,) = await node.mail(after=last, limit=9)
        assert found.request_id == "c"

    async def test_positions_are_not_used_again_after_opening_again(self) -> None:
        async with self.opened(node=True) as store:
            await post(store, "a", "b")
            last = (await store.mail(after=0, limit=9))[-1].position
            await store.commit(Commit(taken=[1, last]))

        async with self.reopened() as store:
            await post(store, "c")
            assert len(await store.mail(after=last, limit=9)) == 1

    async def test_node_sees_that_others_posted(self, node: Store) -> None:
        async with self.another(node) as client:
            await start(node, execution(1))
            await self.quiet(node)
            await post(client, "a")

            async with asyncio.timeout(PATIENCE_SECONDS):
                heard = False
                while not heard:
                    heard = await node.changed()
                    await asyncio.sleep(0)
            await self.quiet(node)
            assert len(await node.mail(after=0, limit=9)) == 1

    async def test_nothing_changed_while_nobody_writes(self, node: Store) -> None:
        await self.quiet(node)

    async def quiet(self, node: Store) -> None:
        """Wait until the node says that nothing has changed: now and then it may only think so."""
        said = [await node.changed() for _ in range(5 if self.features.many_nodes else 2)]
        assert not all(said)
        assert not said[-1] or self.features.many_nodes

    async def test_clients_read_what_the_node_wrote(self, node: Store) -> None:
        async with self.another(node) as client:
            await node.commit(Commit(starts=[execution(1)], journal=[entry(1)]))

            assert self.as_given(await client.execution("execution-1")) == execution(1)
            assert await client.journal(1) == [entry(1)]

    @pytest.mark.parametrize(
        "commit",
        [
            Commit(starts=[execution(2)]),
            Commit(journal=[entry(1, 2)]),
            Commit(updates=[ExecutionUpdate(1, Status.FAILED, 1, None, 1)]),
            Commit(taken=[1]),
        ],
        ids=["starts", "journal", "updates", "taken"],
    )
    async def test_client_writes_nothing_but_mail(self, commit: Commit) -> None:
        async with self.opened(node=True) as node:
            await start(node, execution(1))
            await post(node, "a")
            before = await self.everything(node)
        if not self.features.durable:
            pytest.skip("StoreFeatures.durable is false")

        async with self.opened(node=False) as client:
            with pytest.raises(StoreReadOnlyError):
                await client.commit(commit)
            with pytest.raises(StoreReadOnlyError):
                await client.reserve_keys(1)
            with pytest.raises(StoreReadOnlyError):
                await client.forget(finished_before=1, limit=1)
            assert await self.everything(client) == before

    async def test_mail_of_many_clients_is_taken_once_each_and_in_order(self, node: Store) -> None:
        await start(node, execution(1))
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(self.another(node)) for _ in range(CLIENTS)]

            async def write(number: int, client: Store) -> None:
                for count in range(LETTERS_EACH):
                    await post(client, f"{number}/{count}", f"shared/{count}")
                    await asyncio.sleep(0)

            async def take() -> list[tuple[int, str]]:
                taken: list[tuple[int, str]] = []
                while len([1 for _, name in taken if name[0] != "s"]) < CLIENTS * LETTERS_EACH:
                    for row in await node.mail(after=taken[-1][0] if taken else 0, limit=7):
                        taken.append((row.position, row.request_id))
                        await node.commit(Commit(taken=[row.position]))
                    await asyncio.sleep(0)
                return taken

            async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
                taking = tasks.create_task(take())
                for number, client in enumerate(clients):
                    tasks.create_task(write(number, client))

        taken = taking.result()
        for number in range(CLIENTS):
            own = [name for _, name in taken if name.startswith(f"{number}/")]
            assert own == [f"{number}/{count}" for count in range(LETTERS_EACH)]
        assert [position for position, _ in taken] == sorted({position for position, _ in taken})
