"""The pytest plugin: a `harness` fixture, and journals beside the traceback of a test that failed.

pytest finds it by its entry point.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest

from counterpoint.testing.harness import Harness

_HARNESSES = pytest.StashKey[list[Harness]]()
_FAILED = pytest.StashKey[pytest.TestReport]()


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
    """Show what the executions did in a test that failed.

    A harness that a fixture holds open ends after the test's report: its story is added then, to
    what pytest shows at the end of the run (in a process of its own, such as one of pytest-xdist,
    the report has been sent by then).
    """
    report = yield
    harnesses = item.stash.setdefault(_HARNESSES, [])
    if report.when == "call" and report.failed:
        item.stash[_FAILED] = report
        _tell(report, [harness for harness in harnesses if harness.story])
        for harness in harnesses:
            harness.test_failed = True
    elif report.when == "teardown" and _FAILED in item.stash:
        failed = item.stash[_FAILED]
        told = {text for _, text in failed.sections}
        _tell(failed, [one for one in harnesses if one.story and one.story not in told])
    return report


def _tell(report: pytest.TestReport, harnesses: Sequence[Harness]) -> None:
    for harness in harnesses:
        report.sections.append((f"executions of {harness.app.name}", harness.story))
