"""Executions are read out of a store that a node goes on writing to, and become lines."""

import pytest
from msgspec import structs

from counterpoint import PayloadError
from counterpoint.codecs.json import JsonCodec
from counterpoint.model import records as r
from counterpoint.model.rows import (
    AttributeRow,
    Commit,
    ExecutionRow,
    ExecutionUpdate,
    JournalRow,
    Query,
)
from counterpoint.model.states import Status
from counterpoint.runtime.exports import (
    Export,
    Exporter,
    Found,
    RunName,
    decode_export,
    encode_export,
    same_execution,
)
from counterpoint.runtime.journals import journal_row
from counterpoint.stores.memory import MemoryStore

STARTED = r.Started(1, "shop.order", 1, r.Payload(b'{"what":\n"tea"}'))
ENDED = r.Ended(2, "completed", r.Payload(b'"done"'))
CODEC = JsonCodec()


def row(
    key: int, id: str = "a", *, parent_key: int | None = None, root_key: int | None = None
) -> ExecutionRow:
    facts = (key, id, 1, "workflow", "shop", "shop.order", 1, Status.RUNNING, b"x", 1, None)
    return ExecutionRow(*facts, parent_key=parent_key, root_key=root_key)


async def store_with(*rows: ExecutionRow) -> MemoryStore:
    store = MemoryStore()
    await store.open(node=True)
    journal = [journal_row(one.key, 1, [STARTED], CODEC) for one in rows]
    await store.commit(Commit(starts=rows, journal=journal))
    return store


class Moving(MemoryStore):
    """Its node writes something whenever a journal has been read."""

    def __init__(self, *commits: Commit) -> None:
        super().__init__()
        self.commits = list(commits)

    async def journal(self, key: int, *, after_seq: int = 0) -> list[JournalRow]:
        rows = await super().journal(key, after_seq=after_seq)
        if self.commits:
            await self.commit(self.commits.pop(0))
        return rows


def ends(key: int) -> Commit:
    return Commit(
        journal=[journal_row(key, 2, [ENDED], CODEC)],
        updates=[ExecutionUpdate(key, Status.COMPLETED, 1, None, 2)],
        attributes=[AttributeRow(key, "seen", "1")],
    )


async def read(store: MemoryStore, one: ExecutionRow) -> Export | None:
    return await Exporter(store, CODEC).read(one)


async def test_an_execution_that_ends_while_it_is_read_is_exported_as_ended() -> None:
    store = Moving(ends(1))
    await store.open(node=True)
    first = row(1)
    await store.commit(Commit(starts=[first], journal=[journal_row(1, 1, [STARTED], CODEC)]))

    export = await read(store, first)

    assert export is not None
    assert (export.status, export.records) == (Status.COMPLETED, [STARTED, ENDED])
    assert export.attributes == {"seen": "1"}


async def test_one_that_never_rests_is_exported_as_it_was_read_last() -> None:
    def moved(wake_at: int) -> Commit:
        return Commit(updates=[ExecutionUpdate(1, Status.RUNNING, 1, wake_at, None)])

    store = Moving(*(moved(wake_at) for wake_at in range(20)))
    await store.open(node=True)
    await store.commit(Commit(starts=[row(1)], journal=[journal_row(1, 1, [STARTED], CODEC)]))

    export = await read(store, row(1))

    assert export is not None
    assert export.records == [STARTED]


async def test_one_that_is_forgotten_while_it_is_read_is_left_out() -> None:
    store = await store_with(row(1))

    assert await read(store, row(7)) is None
    assert await Exporter(store, CODEC).row(7) is None


async def test_parents_are_named_also_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("counterpoint.runtime.exports._NAMES_MAX", 1)
    children = [row(n + 10, f"child-{n}", parent_key=n, root_key=99) for n in (1, 2, 1)]
    store = await store_with(row(1, "one"), row(2, "two"))
    await store.commit(Commit(journal=[journal_row(n + 10, 1, [STARTED], CODEC) for n in (1, 2)]))
    exporter = Exporter(store, CODEC)

    exports = [await exporter.read(one._replace(status=Status.COMPLETED)) for one in children]

    assert [one and one.parent and one.parent.id for one in exports] == ["one", "two", "one"]
    assert [one and one.root for one in exports] == [None, None, None]


async def test_executions_are_found_oldest_first_whatever_begins_or_ends_meanwhile() -> None:
    rows = [row(key, f"e-{key}") for key in range(1, 251)]
    store = await store_with(*rows)
    found = Found(store, Query(statuses=(Status.RUNNING,)))
    total = await found.count()
    await store.commit(Commit(starts=[row(251, "late")]))
    ended = [ExecutionUpdate(key, Status.COMPLETED, 1, None, 2) for key in range(10, 130)]
    await store.commit(Commit(updates=ended))

    keys = [one.key async for one in found.rows()]

    assert total == 250
    assert keys == [*range(1, 10), *range(130, 251)]


async def test_more_than_a_page_that_matches_meanwhile_is_found() -> None:
    store = await store_with(*(row(key, f"e-{key}") for key in range(1, 251)))
    ended = [ExecutionUpdate(key, Status.COMPLETED, 1, None, 2) for key in range(50, 200)]
    await store.commit(Commit(updates=ended))
    found = Found(store, Query(statuses=(Status.RUNNING,)))
    await found.count()
    again = [ExecutionUpdate(key, Status.RUNNING, 1, None, None) for key in range(50, 200)]
    await store.commit(Commit(updates=again))

    assert [one.key async for one in found.rows()] == list(range(1, 251))


async def test_nothing_is_found_in_an_empty_store() -> None:
    found = Found(await store_with(), Query())

    assert await found.count() == 0
    assert [one async for one in found.rows()] == []


async def test_a_value_with_line_ends_stays_on_one_line() -> None:
    export = await read(await store_with(row(1)), row(1))

    assert export is not None
    line = encode_export(export)
    assert b"\n" not in line
    assert decode_export(line).id == "a"
    assert same_execution(export, decode_export(line))


async def test_a_line_that_is_no_text_is_refused() -> None:
    with pytest.raises(PayloadError, match="it is no exported execution"):
        decode_export(b'{"format":1,"id":"\xff"}')
    with pytest.raises(PayloadError, match="it is no exported execution"):
        decode_export("\udc80")


async def test_another_parent_is_another_execution_only_if_both_are_known() -> None:
    export = await read(await store_with(row(1)), row(1))
    assert export is not None
    one, two = (structs.replace(export, parent=RunName(name, 1)) for name in "ab")

    assert same_execution(export, one)
    assert not same_execution(one, two)
