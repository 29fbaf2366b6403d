"""What differs from run to run is found in workflow code, and what to write instead is said."""

import datetime
import os
import random
import time
import uuid
from datetime import date
from datetime import datetime as moment
from random import choice

import pytest

from counterpoint import App, NonDeterminismWarning, Service
from counterpoint.authoring.determinism import findings


def names(function: object) -> list[str]:
    assert callable(function)
    return sorted(finding.name for finding in findings("shop.flow", function))


async def reads_clocks() -> None:
    time.time()
    datetime.datetime.now(tz=datetime.UTC)
    moment.now(tz=datetime.UTC)
    date.today()  # noqa: DTZ011


def test_clocks_are_found_however_they_were_imported() -> None:
    assert names(reads_clocks) == ["date.today", "datetime.now", "datetime.now", "time.time"]


async def throws_dice() -> None:
    random.random()
    choice([1, 2])
    uuid.uuid4()


def test_chance_is_found_behind_a_bare_name_too() -> None:
    assert names(throws_dice) == ["random.choice", "random.random", "uuid.uuid4"]


async def does_io() -> None:
    with open("x") as file:  # noqa: ASYNC230, PTH123
        file.read()
    os.environ.get("X")


def test_files_and_the_environment_are_found() -> None:
    assert names(does_io) == ["open", "os.environ"]


async def nests() -> None:
    def inner() -> float:
        return time.time()

    helper()
    inner()


def helper() -> float:
    return time.monotonic()


def test_nested_functions_and_helpers_of_the_same_package_are_read() -> None:
    assert names(nests) == ["time.monotonic", "time.time"]


async def is_innocent(now: float) -> float:
    uuid5 = uuid.uuid5(uuid.NAMESPACE_DNS, "x")
    return now + uuid5.int + datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).year


def test_what_is_the_same_every_time_is_not_reported() -> None:
    assert names(is_innocent) == []


def test_a_finding_names_the_line_and_what_to_write_instead() -> None:
    finding = findings("shop.flow", throws_dice)[0]

    assert finding.line.startswith(__file__)
    assert "workflow.random()" in str(finding)


def test_building_an_app_warns_of_a_workflow_that_reads_the_clock() -> None:
    shop = Service("shop")

    @shop.workflow
    async def flow() -> float:
        return time.time()

    with pytest.warns(NonDeterminismWarning, match=r"shop.flow uses time.time .*workflow.now"):
        App("app", services=[shop], store="memory:")
