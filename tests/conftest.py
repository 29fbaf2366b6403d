"""Which tests are measured, how patient they are, and what they must not find in their process.

Tracing makes the engine two to three times slower. Most tests are measured, and reach what
`coverage report` asks for; the proofs at length, the examples and the documents run beside them at
full speed, and so do the processes that they start.
"""

import gc
import os
import signal
import sys
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from counterpoint.testing import Harness

HERE = Path(__file__).parent
UNMEASURED = (
    "*.py",
    "acceptance/test_[!f]*.py",
    "acceptance/test_faults_burst.py",
    "crash/*",
    "deployment/*",
    "design/*_crashes.py",
    "design/test_compensation.py",
    "design/test_deadline_and_cancel.py",
    "design/test_events_bad_input.py",
    "design/test_events_bounds.py",
    "design/test_events_order.py",
    "design/test_execution_terminate.py",
    "design/test_mix_waits_races.py",
    "diagrams/*",
    "mutation/*",
    "unit/examples/*",
)
"""Tests that run without tracing: they take long, and run what other tests run too."""
TRACES_PROCESSES = "COVERAGE_PROCESS_CONFIG"
"""What makes a process that a test starts measure itself."""
HARNESS_PATIENCE = timedelta(seconds=60)

# Only what hangs meets it: no test may fail because the machine has other work.
(Harness.__init__.__kwdefaults__ or {})["patience"] = HARNESS_PATIENCE


# A shell that runs the tests in the background has Ctrl-C ignored, by every process they start too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A property is not wrong because examples take long.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


class _Tracing:
    """Switches the tracing of this process, and of those it starts, off and on."""

    def __init__(self) -> None:
        control = sys.modules.get("coverage")
        self.coverage: Any = control and control.Coverage.current()
        self.environment = os.environ.get(TRACES_PROCESSES)
        self.on = True

    def switch(self, *, on: bool) -> None:
        if self.coverage is None or on is self.on:
            return
        self.on = on
        if on:
            self.coverage.start()
        else:
            self.coverage.stop()
        if self.environment is not None:
            if on:
                os.environ[TRACES_PROCESSES] = self.environment
            else:
                del os.environ[TRACES_PROCESSES]


def is_measured(path: Path) -> bool:
    """Say whether the tests of a file count for `coverage report`."""
    own = path.relative_to(HERE)
    return not any(
        own.match(pattern) and len(own.parts) == pattern.count("/") + 1 for pattern in UNMEASURED
    )


tracing = _Tracing()


def pytest_collection_finish() -> None:
    """Leave the thousands of tests out of every collection of garbage that one of them asks for."""
    gc.collect()
    gc.freeze()
    sys.dont_write_bytecode = True  # a test that writes its code twice in a second wants the second


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run the test as measured as its folder says, its fixtures too."""
    tracing.switch(on=is_measured(item.path))
    return (yield)


def pytest_sessionfinish() -> None:
    """Save the measurements as usual: what ends the process looks for a tracing one."""
    tracing.switch(on=True)
