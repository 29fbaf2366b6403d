"""What the tests of random cases share."""

import asyncio
import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def runner(caplog: pytest.LogCaptureFixture) -> Iterator[asyncio.Runner]:
    """Run cases on one event loop; say nothing of the faults that they have."""
    caplog.set_level(logging.ERROR, logger="counterpoint")
    with asyncio.Runner() as runner:
        yield runner
