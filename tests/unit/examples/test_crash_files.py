"""The crash proof would see a recorded step that is made again, and a start that was lost."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.crash.files import NOTHING, Stored, read_store, repeated, take_snapshot


def call(shop: Path, key: str) -> None:
    with closing(sqlite3.connect(shop / "payments.db")) as db, db:
        row = [key, key, "payments.authorize", 1, 0.0, 1]
        db.execute(
            "INSERT INTO calls (key, step, name, attempt, at, reached) VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )


def test_call_of_a_recorded_step_is_found_if_it_came_after_the_snapshot(empty_shop: Path) -> None:
    call(empty_shop, "order-7/1/2")
    stored = Stored({}, frozenset(), frozenset({"order-7/1/2"}), frozenset(), 0, 0)
    snapshot = take_snapshot(empty_shop, stored)
    before = repeated(snapshot, empty_shop)
    call(empty_shop, "order-8/1/2")
    call(empty_shop, "order-7/1/2")

    assert before == []
    assert repeated(snapshot, empty_shop) == [
        "payments.authorize order-7/1/2 was called again, in line 3 of payments"
    ]


def test_acknowledged_start_that_no_file_knows_is_missing(empty_shop: Path) -> None:
    stored = read_store(empty_shop)

    assert stored == NOTHING
    assert stored.missing(["order-7"]) == ["order-7"]
