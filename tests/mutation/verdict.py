"""A pytest plugin of the runner: checks which copy is imported, writes down what failed.

The runner names the copy and the file for the verdict in the environment.
"""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import counterpoint
from counterpoint.testing import Harness

PATIENCE = timedelta(seconds=10)
COPY = "MUTANT_COPY"
VERDICT = "MUTANT_VERDICT"
_HANGS = "Failed: Timeout"

_verdict: dict[str, Any] = {"running": None, "passed": 0, "failed": [], "broken": []}


def _write() -> None:
    Path(os.environ[VERDICT]).write_text(json.dumps(_verdict))


def pytest_configure() -> None:
    """Refuse to test anything but the copy; wait less long for what hangs."""
    imported, copy = Path(counterpoint.__file__), Path(os.environ[COPY])
    if not imported.is_relative_to(copy):
        raise pytest.UsageError(f"{imported} is imported, not the copy in {copy}")
    (Harness.__init__.__kwdefaults__ or {})["patience"] = PATIENCE


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note what cannot even be imported."""
    if report.failed:
        _verdict["broken"].append(f"{report.nodeid}: {report.longreprtext.splitlines()[-1]}")
        _write()


def pytest_runtest_logstart(nodeid: str) -> None:
    """Note what runs, in case it never ends."""
    _verdict["running"] = nodeid
    _write()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how a test ended."""
    if report.passed and report.when == "call":
        _verdict["passed"] += 1
    elif report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        why = str(getattr(crash, "message", report.longreprtext)).strip()
        hangs = why.startswith(_HANGS)
        line = why.splitlines()[0] if why else ""
        _verdict["failed"].append({"test": report.nodeid, "why": line, "hangs": hangs})
        _write()


def pytest_sessionfinish() -> None:
    """Leave the verdict behind."""
    _verdict["running"] = None
    _write()
