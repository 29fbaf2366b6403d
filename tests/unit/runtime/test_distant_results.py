"""Who waits for an execution of another node hears of its end, and of nothing before."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from counterpoint.model.rows import ExecutionRow, MailRow
from counterpoint.model.states import Status
from counterpoint.runtime import distant_results, recovery
from counterpoint.runtime.distant_results import DistantResults
from counterpoint.testing.conformance.store_case import execution


class Store:
    """One execution that has failed, with the letters to it."""

    def __init__(self, *letters: MailRow) -> None:
        self.letters = list(letters)
        self.looks = 0

    async def ended(self, ids: list[str]) -> list[str]:
        return ids

    async def execution(self, _: str) -> ExecutionRow:
        self.looks += 1
        return execution(1)._replace(status=Status.FAILED, finished_at=5)

    async def mail(self, *, after: int, limit: int, execution_id: str) -> list[MailRow]:
        del limit, execution_id
        return [letter for letter in self.letters if letter.position > after]


async def ended(*_: object) -> str:
    return "failed"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distant_results, "SHORTEST_SECONDS", 0)
    monkeypatch.setattr(recovery, "read_end", ended)


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not happened():  # noqa: ASYNC110 - a few turns
            await asyncio.sleep(0)


async def test_an_end_that_is_not_the_last_word_is_not_told() -> None:
    store = Store(MailRow(1, "r", "retry", "execution-1", 5, "json", b"{}"))
    told: list[str] = []

    def tell(execution_id: str, _: object) -> None:
        told.append(execution_id)

    results = SimpleNamespace(ids=lambda: [] if told else ["execution-1"], tell=tell)
    node: Any = SimpleNamespace(store=store, results=results, residents={}, fault=None, codec=None)
    cluster: Any = store
    looking = asyncio.create_task(DistantResults(node, cluster).run())

    await until(lambda: store.looks >= 6)
    assert told == []
    store.letters.clear()
    await until(lambda: told)
    looking.cancel()

    assert told == ["execution-1"]
