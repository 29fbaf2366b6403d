"""What an examination of a PostgreSQL store finds in what the server says, without a server."""

from typing import Any

import pytest

from counterpoint.model.findings import Finding
from counterpoint.stores.postgres_examination import PostgresExamination
from counterpoint.stores.postgres_migrate import MIGRATIONS

GOOD: dict[str, Any] = {
    "server": "18.1",
    "isolation": "read committed",
    "synchronous_commit": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "connections": 20,
    "connections_max": 100,
    "schema_version": len(MIGRATIONS),
    "store_bytes": 1_000,
}


class Server(PostgresExamination):
    """A store whose server says what a test wants, and on whose connections all is heard."""

    def __init__(self, **settings: Any) -> None:
        self._name, self._schema = "postgresql://db/shop", "counterpoint"
        self._settings = {**GOOD, **settings}

    async def _rows(self, text: str, *values: Any) -> list[Any]:
        del values
        return [self._settings] if "server_version" in text else []

    async def _connect_alone(self) -> Any:
        return self

    async def add_listener(self, _channel: str, heard: Any) -> None:
        heard()

    def terminate(self) -> None: ...


async def findings(**settings: Any) -> list[Finding]:
    return list((await Server(**settings).examine()).findings)


async def test_nothing_is_found_where_all_is_well() -> None:
    assert await findings() == []


@pytest.mark.parametrize(
    ("setting", "value", "kind"),
    [
        ("synchronous_commit", "off", "durability"),
        ("fsync", "off", "durability"),
        ("full_page_writes", "off", "durability"),
        ("connections", 91, "connections"),
        ("schema_version", len(MIGRATIONS) + 1, "newer-schema"),
    ],
)
async def test_a_setting_that_is_a_risk_is_found(setting: str, value: Any, kind: str) -> None:
    assert [one.kind for one in await findings(**{setting: value})] == [kind]


@pytest.mark.parametrize("value", ["local", "remote_write", "remote_apply"])
async def test_other_ways_of_waiting_for_a_standby_are_none(value: str) -> None:
    assert await findings(synchronous_commit=value) == []
