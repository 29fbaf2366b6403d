"""A server and empty schemas for the tests of this folder."""

import pytest
from tests.postgres.server import back_door, postgres, schemas, url

__all__ = ["back_door", "postgres", "schemas", "url"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if "/postgres/" in item.path.as_posix():
            item.add_marker(pytest.mark.postgres)
