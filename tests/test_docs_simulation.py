"""The guide to simulation is a test suite that passes."""

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
GUIDE = Path(__file__).parent.parent / "docs/guides/simulation.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_tests_of_the_guide_pass(pytester: pytest.Pytester) -> None:
    bank, its_days = BLOCK.findall(GUIDE.read_text())
    pytester.makepyfile(bank=bank, test_bank_days=its_days)
    pytester.makeini("[pytest]\npythonpath = .\nasyncio_default_fixture_loop_scope = function\n")

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error")

    result.assert_outcomes(passed=3)
