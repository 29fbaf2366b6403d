"""The pytest plugin: a `harness` fixture, and journals beside the traceback of a test that failed.

pytest finds it by its entry point.
"""

from collections.abc import Callable, Generator
from typing import Any

import pytest

from counterpoint.testing.harness import Harness

_HARNESSES = pytest.StashKey[list[Harness]]()


@pytest.fixture(name="harness")
def harness_factory(request: pytest.FixtureRequest) -> Callable[..., Harness]:
    """Return a maker of harnesses; it takes what `counterpoint.testing.Harness` takes.

    async def test_order_is_confirmed(harness):
        async with harness(app) as shop:
            assert (await shop.run(place_order, order)).confirmed
    """
    node: pytest.Item = request.node
    made = node.stash.setdefault(_HARNESSES, [])

    def make(*args: Any, **kwargs: Any) -> Harness:
        harness = Harness(*args, **kwargs)
        made.append(harness)
        return harness

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the executions did in a test that failed."""
    report = yield
    if report.when == "call" and report.failed:
        for harness in item.stash.setdefault(_HARNESSES, []):
            if harness.story:
                report.sections.append((f"executions of {harness.app.name}", harness.story))
    return report
