"""What `executions` of an app asks its store for."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from counterpoint import App
from counterpoint.errors import ArgumentsError
from counterpoint.model.rows import Commit
from counterpoint.model.states import Status
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing.conformance.store_case import execution, said

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
LATER = 2**53  # the year 2255: nothing is old enough to be forgotten


def after(microseconds: int) -> datetime:
    return BEGINNING + timedelta(microseconds=microseconds)


@pytest.fixture
async def app() -> AsyncIterator[App]:
    store = MemoryStore()
    app = App("shop", services=[], store=store)
    async with app:
        await store.commit(
            Commit(
                starts=[
                    execution(1, "a", status=Status.FAILED, wake_at=None, finished_at=LATER),
                    execution(2, "b", status=Status.COMPLETED, wake_at=None, finished_at=LATER),
                    execution(3, "c", wake_at=None),
                    execution(4, "a", run=2, wake_at=None),
                ],
                attributes=[
                    *said(1, customer="c-1", amount="12.50", rush="true"),
                    *said(2, customer="c-1", amount="5"),
                ],
            )
        )
        yield app


async def found(app: App, **filters: Any) -> list[tuple[str, int]]:
    return [(one.id, one.run) async for one in app.executions(**filters)]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [("a", 2), ("c", 1), ("b", 1), ("a", 1)]),
        ({"status": "failed"}, [("a", 1)]),
        ({"status": Status.COMPLETED}, [("b", 1)]),
        ({"status": ["failed", Status.COMPLETED]}, [("b", 1), ("a", 1)]),
        ({"status": ()}, []),
        ({"newest_runs": True}, [("a", 2), ("c", 1), ("b", 1)]),
        ({"newest_runs": True, "status": "failed"}, []),
        ({"since": after(20), "until": after(40)}, [("c", 1), ("b", 1)]),
        ({"attributes": {}}, [("a", 2), ("c", 1), ("b", 1), ("a", 1)]),
        ({"attributes": {"customer": "c-1"}}, [("b", 1), ("a", 1)]),
        ({"attributes": {"customer": "c-1", "amount": Decimal("12.50")}}, [("a", 1)]),
        ({"attributes": {"rush": True}}, [("a", 1)]),
        ({"attributes": {"amount": 5}}, [("b", 1)]),
        ({"attributes": {"amount": 6}}, []),
    ],
    ids=str,
)
async def test_filters_of_a_client_find_what_matches_all(
    app: App, filters: dict[str, Any], expected: list[tuple[str, int]]
) -> None:
    assert await found(app, **filters) == expected


@pytest.mark.parametrize("attributes", [{"a-b": 1}, {"customer": None}, {"customer": []}], ids=str)
async def test_attribute_that_no_execution_can_have_is_refused(
    app: App, attributes: dict[str, object]
) -> None:
    with pytest.raises(ArgumentsError):
        await found(app, attributes=attributes)


async def test_pages_of_a_client_meet_every_execution_once() -> None:
    store = MemoryStore()
    async with App("shop", services=[], store=store) as app:
        keys = range(1, 251)
        await store.commit(
            Commit(
                starts=[execution(key, wake_at=None) for key in keys],
                attributes=[row for key in keys for row in said(key, colour="red")],
            )
        )

        seen = await found(app, attributes={"colour": "red"})

    assert seen == [(f"execution-{key}", 1) for key in reversed(keys)]
