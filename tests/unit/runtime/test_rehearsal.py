"""`counterpoint.replay`: recorded executions against today's code."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from counterpoint import App, PayloadError, Service, replay, workflow
from counterpoint.model.rows import Query
from counterpoint.runtime.exports import Exporter, Found, encode_export
from counterpoint.runtime.rehearsal import Rehearsal, Verdict
from counterpoint.testing import Harness

Lines = list[bytes]


shop = Service("shop")


@shop.activity
async def book(what: str) -> str:
    return what


def with_book() -> Service:
    service = Service("shop")
    service.activities.update(shop.activities)
    return service


def recording() -> tuple[Service, Any]:
    service = with_book()

    @service.workflow
    async def order(what: str) -> str:
        first = await book(what)
        return await workflow.signal("go", str) + first

    return service, order


async def exported(harness: Harness) -> Lines:
    found = Found(harness.store, Query())
    await found.count()
    exporter = Exporter(harness.store, harness.app.codec)
    exports = [await exporter.read(row) async for row in found.rows()]
    return [encode_export(export) for export in exports if export is not None]


async def record() -> Lines:
    service, order = recording()
    async with Harness(services=[service]) as harness:
        await harness.start(order, "tea", id="a")
        await harness.start(order, "cup", id="b")
        await harness.execution("a").signal("go", "now ")
        await harness.settle()
        return await exported(harness)


@pytest.fixture
def lines() -> Lines:
    """Two executions: `a` has completed, `b` waits for a signal."""
    return asyncio.run(record())


def app_of(*services: Service) -> App:
    return App("shop", services=services, store="memory:")


def today(code: Any, **options: Any) -> App:
    service = with_book()
    service.workflow(name="shop.order", **options)(code)
    return app_of(service)


def only(app: App, line: bytes) -> Rehearsal:
    (rehearsal,) = replay(app, [line]).rehearsals
    return rehearsal


def line_in(code: Any, offset: int) -> str:
    return f"{__file__}:{code.__code__.co_firstlineno + offset}"


def test_the_code_that_recorded_them_agrees(lines: Lines) -> None:
    report = replay(app_of(recording()[0]), lines)

    assert report.ok
    assert bool(report)
    assert [(one.id, one.status, one.verdict) for one in report.rehearsals] == [
        ("a", "completed", Verdict.AGREES),
        ("b", "running", Verdict.AGREES),
    ]
    assert str(report) == "2 executions: 2 agree"


def test_a_divergence_says_what_was_recorded_what_is_found_and_where(lines: Lines) -> None:
    async def order(what: str) -> str:
        await book(what)
        return await book("more")

    app = today(order)
    rehearsal = only(app, lines[0])

    assert rehearsal.verdict is Verdict.DIVERGES
    assert rehearsal.expected == "a wait for the signal 'go'"
    assert rehearsal.found == "call 2 of shop.book"
    assert rehearsal.line == line_in(order, 2)
    assert str(replay(app, lines)) == "\n".join(
        [
            "2 executions: 2 diverge",
            "a, shop.order, completed: diverges: recorded is a wait for the signal 'go', the code "
            f"does call 2 of shop.book ({line_in(order, 2)})",
            "b, shop.order, running: diverges: recorded is a wait for the signal 'go', the code "
            f"does call 2 of shop.book ({line_in(order, 2)})",
        ]
    )


def test_other_arguments_are_reported_and_do_not_fail_it(lines: Lines) -> None:
    async def order(what: str) -> str:
        first = await book(what + "!")
        return await workflow.signal("go", str) + str(first)

    report = replay(today(order), lines)

    assert report.ok
    assert report.other_arguments == 2
    assert len(report.findings) == 2
    (difference,) = report.rehearsals[0].arguments
    assert (difference.recorded, difference.found) == ({"what": "tea"}, {"what": "tea!"})
    assert str(difference) == (
        f'call 1 of shop.book had {{"what":"tea"}}, has {{"what":"tea!"}} ({line_in(order, 1)})'
    )
    assert "2 executions: 2 agree, 2 with other arguments" in str(report)


def test_values_that_no_longer_validate_are_told_from_other_decisions(lines: Lines) -> None:
    async def order(what: int) -> str:
        return await workflow.signal("go", str)

    rehearsal = only(today(order), lines[0])

    assert rehearsal.verdict is Verdict.UNREADABLE
    assert rehearsal.found is not None
    assert rehearsal.expected == "its recorded arguments"


def test_an_unknown_workflow_and_a_newer_version_are_no_agreement(lines: Lines) -> None:
    newer = json.loads(lines[0])
    newer["version"] = 2

    report = replay(app_of(recording()[0]), [newer, lines[1]])
    unknown = replay(app_of(), lines)

    assert [one.verdict for one in report.rehearsals] == [Verdict.NEWER_VERSION, Verdict.AGREES]
    assert not report.ok
    assert unknown.counts == {Verdict.UNKNOWN_WORKFLOW: 2}
    assert not unknown.ok
    assert "no service of this app has shop.order" in str(unknown)


def test_what_is_recorded_is_read_from_files_lines_and_plain_json(
    lines: Lines, tmp_path: Path
) -> None:
    file = tmp_path / "journals.jsonl"
    file.write_bytes(b"\n".join([lines[0], b"", lines[1], b""]))
    app = app_of(recording()[0])

    assert replay(app, [file]).total == 2
    assert replay(app, tmp_path.glob("*.jsonl")).total == 2
    with file.open() as opened:
        assert replay(app, opened).total == 2
    assert replay(app, [json.loads(lines[0]), lines[1].decode()]).total == 2
    assert replay(app, [lines[0]]).total == 1
    assert replay(app).total == 0
    assert str(replay(app)) == "no executions"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "journal 1: a newer Counterpoint wrote it: its format is 2"),
        ({"format": None}, "it is no exported execution"),
        ({"records": []}, "it is damaged: its first record is not `started`"),
        ({"commits": [1]}, "it has 6 records, its commits say 1"),
        ({"name": "shop.other"}, "its name is shop.other, its first record says shop.order"),
        ({"run": 0}, "its run and its version are at least 1"),
        ({"fingerprint": "xyz"}, "its fingerprint is not hexadecimal"),
        ({"status": "running"}, "its status is running, its records say completed"),
        ({"status": "asleep"}, "it is no exported execution: Invalid enum value 'asleep'"),
        ({"id": ""}, "an execution id cannot be empty"),
    ],
)
def test_a_damaged_line_says_what_is_wrong(
    lines: Lines, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(PayloadError, match=message):
        replay(app_of(), [{**json.loads(lines[0]), **change}])


def test_records_that_do_not_follow_each_other_are_damaged(lines: Lines) -> None:
    damaged = json.loads(lines[0])
    del damaged["records"][1]
    damaged["commits"] = [len(damaged["records"])]

    with pytest.raises(PayloadError, match="its records do not follow each other"):
        replay(app_of(), [damaged])


def test_a_damaged_file_names_the_line_and_a_missing_one_itself(
    lines: Lines, tmp_path: Path
) -> None:
    file = tmp_path / "journals.jsonl"
    file.write_bytes(lines[0] + b"\n\n" + lines[1][:-9] + b"\n")

    with pytest.raises(PayloadError, match=r"journals.jsonl, line 3: it is no exported execution"):
        replay(app_of(), [file])
    with pytest.raises(PayloadError, match=r"missing.jsonl cannot be read: No such file"):
        replay(app_of(), [tmp_path / "missing.jsonl"])
    with pytest.raises(PayloadError, match="give the path of a file as a Path"):
        replay(app_of(), [str(file)])


async def test_it_can_be_called_within_a_task(lines: Lines) -> None:
    task = asyncio.current_task()

    report = replay(app_of(recording()[0]), lines)

    assert report.ok
    assert asyncio.current_task() is task


def test_nothing_is_called(lines: Lines) -> None:
    service = Service("shop")

    @service.activity
    async def book(what: str) -> str:
        raise AssertionError("called")

    @service.workflow
    async def order(what: str) -> str:
        try:
            await book(what)
            return await workflow.signal("go", str)
        finally:
            await book("at the end")

    report = replay(app_of(service), lines)

    assert [one.found for one in report.rehearsals] == ["call 2 of shop.book", None]


def test_a_report_names_the_first_findings_only(lines: Lines) -> None:
    text = str(replay(app_of(), lines * 15))

    assert text.count("unknown workflow:") == 20
    assert text.endswith("… and 10 more")
