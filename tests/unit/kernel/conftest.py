"""Executions are evicted before they are dropped, as a node does."""

from collections.abc import Iterator

import pytest
from tests.unit.kernel import driving


@pytest.fixture(autouse=True)
def dropped_executions() -> Iterator[None]:
    yield
    for execution in driving.made:
        execution.evict()
    driving.made.clear()
