"""What an error of PostgreSQL means to a caller."""

import asyncio

import pytest

from counterpoint.errors import (
    NodeLostError,
    StoreBrokenError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)
from counterpoint.stores.postgres_failures import (
    is_translatable,
    translate,
    translate_connect,
)


class ServerError(Exception):
    __module__ = "asyncpg.exceptions"

    def __init__(self, sqlstate: str) -> None:
        super().__init__("said the server\nDETAIL:  a secret")
        self.sqlstate = sqlstate


class ConnectionDoesNotExistError(Exception):
    pass


class DataError(ValueError):
    pass


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("CP001", NodeLostError),
        ("53100", StoreFullError),
        ("53300", StoreBusyError),
        ("40001", StoreBusyError),
        ("40P01", StoreBusyError),
        ("55P03", StoreBusyError),
        ("25006", StoreReadOnlyError),
        ("42501", StoreReadOnlyError),
        ("57P01", StoreBrokenError),
        ("57P02", StoreBrokenError),
        ("57014", StoreBrokenError),
        ("08006", StoreBrokenError),
        ("58030", StoreBrokenError),
        ("XX000", StoreBrokenError),
        ("XX001", StoreCorruptError),
        ("42P01", StoreCorruptError),
        ("22021", StoreError),
        ("22P05", StoreError),
        ("23514", StoreError),
        ("P0001", StoreBrokenError),
    ],
)
def test_error_of_the_server_is_the_ports(code: str, kind: type[StoreError]) -> None:
    error = ServerError(code)

    known = translate(error, "postgresql://there")

    assert type(known) is kind
    assert "DETAIL" not in str(known)
    assert is_translatable(error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), StoreBrokenError),
        (ConnectionResetError("reset"), StoreBrokenError),
        (ConnectionDoesNotExistError("gone"), StoreBrokenError),
        (DataError("no such date"), StoreError),
        (OverflowError("too large"), StoreError),
    ],
)
def test_error_on_the_way_is_the_ports(error: Exception, kind: type[StoreError]) -> None:
    assert type(translate(error, "postgresql://there")) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError("refused"), StoreBusyError),
        (TimeoutError(), StoreBusyError),
        (ServerError("57P03"), StoreBusyError),
        (ServerError("57P01"), StoreBusyError),
        (ServerError("53300"), StoreBusyError),
        (ServerError("28P01"), StoreError),
        (ServerError("28000"), StoreError),
        (ServerError("3D000"), StoreError),
        (ServerError("0A000"), StoreError),
    ],
)
def test_nothing_is_unknown_while_connecting(error: Exception, kind: type[StoreError]) -> None:
    assert type(translate_connect(error, "postgresql://there")) is kind


def test_mistakes_of_this_program_are_not_the_stores() -> None:
    assert not is_translatable(KeyError("a"))
    assert not is_translatable(asyncio.CancelledError())
