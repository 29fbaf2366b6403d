"""What was recorded once is read and replayed by every later engine, with the same outcome."""

import json
from itertools import accumulate
from pathlib import Path
from typing import Any, get_args

import pytest
import tests.histories.make  # noqa: F401 - its import declares the scenarios
import tests.histories.services as recorded
from msgspec import structs
from tests.histories.recording import SCENARIOS, SERVICES

from counterpoint import App, Service, Status, replay
from counterpoint.kernel.review import Review
from counterpoint.model import records as r
from counterpoint.runtime.exports import encode_export, read_lines
from counterpoint.runtime.rehearsal import Verdict, run_recorded

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("format-*/*.jsonl"))
APP = App("histories", services=SERVICES, store="memory:")


def name_of(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_the_recorded_executions_agree_with_the_code_that_recorded_them(file: Path) -> None:
    report = replay(APP, [file])

    assert report.total > 0
    assert report.findings == [], str(report)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_the_recorded_executions_are_read_with_everything_that_they_hold(file: Path) -> None:
    for line in read_lines(file):
        was, now = json.loads(line.text), json.loads(encode_export(line.export()))

        assert len(now["records"]) == len(was["records"])
        for old, new in zip(was.pop("records"), now.pop("records"), strict=True):
            assert starts_with(new, old)  # fields are only ever added, at the end
        assert {key: now[key] for key in was if key != "format"} == without(was, "format")


def starts_with(new: list[Any], old: list[Any]) -> bool:
    return new[: len(old)] == old


def without(fields: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != key}


def test_there_are_executions_in_every_status() -> None:
    found = {line.export().status for file in FILES for line in read_lines(file)}

    assert found == set(Status)


def test_there_are_records_of_every_kind() -> None:
    found = {
        type(record)
        for file in FILES
        for line in read_lines(file)
        for record in line.export().records
    }

    of_reactions = {r.Redriven, r.Died, r.Discarded}  # no code is replayed from their journals
    assert found == set(get_args(r.Record)) - of_reactions


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_what_was_written_by_each_commit_agrees(file: Path) -> None:
    for line in read_lines(file):
        export = line.export()
        program = APP.registry.programs[export.name]
        for count in accumulate(export.commits):
            part = structs.replace(export, records=export.records[:count])
            review = Review()
            assert run_recorded(program, part, review).divergence is None, (export.id, count)
            assert review.differences == []


def test_every_scenario_is_recorded() -> None:
    assert {file.stem for file in FILES} >= set(SCENARIOS)


def test_other_code_is_found_in_them() -> None:
    orders = Service("orders")

    @orders.saga
    async def place(order: str, amount: str) -> str:
        return await recorded.charge(order, 1)  # type: ignore[arg-type]

    orders.activities.update(recorded.orders.activities)
    app = App("other", services=[orders, recorded.payments], store="memory:")

    report = replay(app, [FOLDER / "format-1/order-done.jsonl"])

    assert [one.verdict for one in report.rehearsals] == [
        Verdict.DIVERGES,
        Verdict.UNKNOWN_WORKFLOW,
        Verdict.UNKNOWN_WORKFLOW,
    ]
    assert not report.ok
