"""The guide to testing is a test suite that passes."""

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
GUIDE = Path(__file__).parent.parent / "docs/guides/testing.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_tests_of_the_guide_pass(pytester: pytest.Pytester) -> None:
    booking, its_tests, cinema, tests_of_events, activities, reactions = BLOCK.findall(
        GUIDE.read_text()
    )
    pytester.makepyfile(
        booking=booking,
        test_booking=its_tests,
        cinema=cinema,
        test_cinema=tests_of_events,
        test_activities=activities,
        test_reactions=reactions,
    )
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\npythonpath = .\n"
        "asyncio_default_fixture_loop_scope = function\n"
    )

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error")

    result.assert_outcomes(passed=16)
