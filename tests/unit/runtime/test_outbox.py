"""A client's letters share commits, and fail each for itself."""

import asyncio
from typing import Any

import pytest

from counterpoint.errors import StoreBrokenError, StoreError
from counterpoint.model.rows import Commit, MailRow
from counterpoint.runtime import outbox
from counterpoint.runtime.outbox import Outbox
from counterpoint.stores.memory import MemoryStore


class Store(MemoryStore):
    """Counts the letters of each commit; refuses those to *refused*."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[int] = []
        self.refused = ""
        self.error: StoreError = StoreError("refused")

    async def commit(self, commit: Commit) -> int:
        self.commits.append(len(commit.mail))
        await asyncio.sleep(0)
        if any(letter.execution_id == self.refused for letter in commit.mail):
            raise self.error
        return await super().commit(commit)


def letter(to: str) -> MailRow:
    return MailRow(0, f"request-{to}", "signal", to, 1, "json", b"{}")


@pytest.fixture
async def store() -> Store:
    store = Store()
    await store.open(node=False)
    return store


async def post_all(store: Store, names: list[str]) -> list[Any]:
    box = Outbox(store)
    posts = (box.post(letter(name)) for name in names)
    return await asyncio.gather(*posts, return_exceptions=True)


async def posted(store: Store) -> list[str]:
    return [row.execution_id for row in await store.mail(after=0, limit=10_000)]


async def test_letters_posted_together_share_a_commit_and_keep_their_order(store: Store) -> None:
    names = [f"{number}" for number in range(100)]

    assert await post_all(store, names) == [None] * 100

    assert store.commits == [100]
    assert await posted(store) == names


async def test_crowd_of_letters_takes_several_commits(store: Store) -> None:
    names = [f"{number}" for number in range(2 * outbox.LETTERS_MAX + 1)]

    await post_all(store, names)

    assert store.commits == [outbox.LETTERS_MAX, outbox.LETTERS_MAX, 1]
    assert await posted(store) == names


async def test_letter_is_written_when_its_post_returns(store: Store) -> None:
    box = Outbox(store)
    for name in ("one", "two"):
        await box.post(letter(name))
        assert (await posted(store))[-1] == name


async def test_letter_that_is_refused_fails_for_nobody_else(store: Store) -> None:
    store.refused = "bad"

    one, bad, two = await post_all(store, ["one", "bad", "two"])

    assert (one, two) == (None, None)
    assert isinstance(bad, StoreError)
    assert await posted(store) == ["one", "two"]


async def test_unknown_outcome_is_told_to_all_and_nothing_is_written_again(store: Store) -> None:
    store.refused, store.error = "bad", StoreBrokenError("unknown")

    answers = await post_all(store, ["one", "bad", "two"])

    assert [type(answer) for answer in answers] == [StoreBrokenError] * 3
    assert store.commits == [3]


async def test_who_no_longer_waits_costs_others_nothing(store: Store) -> None:
    box = Outbox(store)
    impatient = asyncio.ensure_future(box.post(letter("one")))
    patient = asyncio.ensure_future(box.post(letter("two")))
    await asyncio.sleep(0)

    impatient.cancel()
    await patient

    assert await posted(store) == ["one", "two"]


@pytest.mark.parametrize("steps", [1, 2])
async def test_client_that_ends_while_it_posts_says_that_nobody_knows(
    store: Store, steps: int
) -> None:
    box = Outbox(store)
    waiting = asyncio.ensure_future(box.post(letter("one")))
    for _ in range(steps):
        await asyncio.sleep(0)
    assert box._posting is not None

    box._posting.cancel()

    with pytest.raises(StoreError, match="look again"):
        await waiting
