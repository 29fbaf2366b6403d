"""The pytest plugin, in a pytest of its own."""

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import asyncio
from counterpoint import Service, workflow

service = Service("service")

@service.workflow
async def approval() -> str:
    return await workflow.signal("approval", str)

def test_passes(harness):
    async def main():
        async with harness(services=[service]) as app:
            execution = await app.start(approval)
            await execution.signal("approval", "yes")
            assert await app.result(execution) == "yes"
    asyncio.run(main())

def test_fails(harness):
    async def main():
        async with harness(services=[service]) as app:
            await app.run(approval, id="order-1")
    asyncio.run(main())

def test_without_a_harness():
    assert False
"""


def test_fixture_makes_harnesses_and_a_failure_shows_what_executions_did(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(TESTS)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist")

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*StuckError: order-1 waits for the signal 'approval'*",
            "*executions of test*",
            "order-1  service.approval  running",
            "  waits for the signal 'approval'",
            "*1  started*",
        ]
    )
