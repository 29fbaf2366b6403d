"""Journals and letters that cannot be read: one execution, or one letter, suffers."""

import asyncio
import logging
import sqlite3
import zlib
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from counterpoint import CounterpointError, NodeStoppedError, Service, workflow
from counterpoint.errors import StoreCorruptError
from counterpoint.model.records import Ended, encode_records
from counterpoint.model.rows import Commit, JournalRow, MailRow
from counterpoint.runtime import committer
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing import Harness

service = Service("service")


@service.activity
async def work(text: str) -> str:
    return text


@service.workflow
async def wait() -> str:
    return await workflow.signal("go", str)


@service.workflow
async def flow(text: str) -> str:
    return await work(text)


def later() -> Service:
    """Return the service as it is deployed later, with other types."""
    changed = Service("service")

    @changed.activity(name="service.work")
    async def work_with_numbers(text: int) -> int:
        return text

    @changed.workflow(name="service.flow")
    async def flow_with_numbers(text: int) -> int:
        return await work_with_numbers(text)

    changed.activities["service.work"] = work_with_numbers
    return changed


async def append(store: SqliteStore, key: int, first_seq: int, codec: str, body: bytes) -> None:

    row = JournalRow(key, first_seq, 1, codec, body, zlib.crc32(body))
    await store.commit(Commit(journal=[row]))


ENDED = encode_records([Ended(1, "completed")])


@pytest.mark.parametrize(
    ("first_seq", "codec", "body", "why"),
    [
        (9, "json", ENDED, "the journal lacks record 3"),
        (3, "secret", ENDED, "was written with the codec 'secret', this app has 'json'"),
        (3, "json", b'[["unheard-of",1]]', "record 3 cannot be read"),
    ],
    ids=["gap", "codec", "body"],
)
async def test_journal_that_cannot_be_read_stops_its_execution_and_says_why(
    tmp_path: Path, first_seq: int, codec: str, body: bytes, why: str
) -> None:
    store = SqliteStore(tmp_path / "service.db")
    async with Harness(services=[service], store=store) as harness:
        await harness.start(wait, id="damaged")
        await harness.start(wait, id="sound")
        row = await store.execution("damaged")
        assert row is not None
        await append(store, row.key, first_seq, codec, body)
        await harness.restart()
        await harness.execution("sound").signal("go", "on")

        assert await harness.result(harness.execution("sound")) == "on"
        with pytest.raises(StoreCorruptError, match=why):
            await harness.execution("damaged").describe()
        await harness.execution("damaged").signal("go", "on")
        await harness.settle()
        assert why in harness.app.health().problems[0]
        with pytest.raises(StoreCorruptError, match=why):
            await harness.execution("damaged").result()


async def test_health_names_ten_damaged_executions_and_counts_the_others(tmp_path: Path) -> None:
    path = tmp_path / "service.db"
    async with Harness(services=[service], store=SqliteStore(path)) as harness:
        for number in range(12):
            await harness.start(flow, f"{number}", id=f"n-{number}")
            harness.hang(work)
        harness.hang(work, times=None)
        for number in range(12):
            await harness.start(flow, f"{number}", id=f"w-{number}")
        await harness.stop()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("UPDATE journal SET body = x'00'")
        await harness.restart()
        problems = harness.app.health().problems

        assert len(problems) == 11
        assert problems[-1].endswith("more executions are left alone")


async def test_letter_that_cannot_be_read_is_dropped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Harness(services=[service]) as harness:
        letter = MailRow(0, "request", "signal", "one", 1, "json", b'{"type":"love"}')
        with caplog.at_level(logging.WARNING, logger="counterpoint"):
            await harness.store.commit(Commit(mail=[letter]))
            harness.app.node.intake.poke()
            await harness.settle()

        assert "its body cannot be read" in caplog.text
        assert [request async for request in harness.app.posted()] == []


async def test_many_letters_are_taken_over_page_by_page() -> None:
    async with Harness(services=[service], rehearse=False) as harness:
        await harness.stop()
        async with harness.app.client() as client:
            for number in range(1_100):
                await client.start(flow, f"{number}", id=f"n-{number}")
            assert len([request async for request in client.posted()]) == 1_100
        await harness.restart()
        await harness.idle()

        assert len([e async for e in harness.app.executions(status="completed")]) == 1_100


async def test_more_executions_than_a_batch_holds_are_committed_in_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(committer, "BATCH_MAX", 20)
    async with Harness(services=[service], rehearse=False) as harness:
        await asyncio.gather(*(harness.app.start(wait, id=f"w-{number}") for number in range(50)))

        assert 3 <= harness.store.commits <= 5  # those that are ready first need not wait for all


async def test_result_of_a_workflow_that_is_not_hosted_is_plain_json() -> None:
    async with Harness(services=[service]) as harness:
        await harness.run(flow, "tea", id="one")
        await harness.restart(services=[Service("other")])

        assert await harness.execution("one").result() == "tea"


async def test_recorded_arguments_that_no_longer_fit_an_activity_fail_its_call() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(work)
        execution = await harness.start(flow, "tea")
        await harness.stop(within=timedelta(0))
        await harness.restart(services=[later()])
        known = await execution.describe()

        assert known.status == "incident"
        assert known.incident is not None
        assert "its recorded arguments" in known.incident


async def test_start_that_a_client_posted_for_code_that_has_changed_waits_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Harness(services=[service]) as harness:
        await harness.stop()
        async with harness.app.client() as client:
            await client.start(flow, "tea", id="one")
        with caplog.at_level(logging.WARNING, logger="counterpoint"):
            await harness.restart(services=[later()])

        assert "text: Input should be a valid integer" in caplog.text


async def test_defect_of_the_engine_stops_one_execution_and_is_told() -> None:
    def defective(node: object, now: int, resident: object) -> None:
        raise RuntimeError("a defect")

    harness = Harness(services=[service])
    await harness.__aenter__()
    execution = await harness.start(wait)
    node = harness.app.node

    waiting = asyncio.ensure_future(execution.result())
    await asyncio.sleep(0)
    node.push(defective, node.residents[execution.id])

    with pytest.raises(CounterpointError, match="a defect"):
        await waiting
    with pytest.raises(RuntimeError, match="a defect"):
        await harness.settle()
    assert await harness.app.counts()
    await harness.__aexit__(None, None, None)
    with pytest.raises(NodeStoppedError):
        await execution.describe()
    assert issubclass(NodeStoppedError, CounterpointError)
