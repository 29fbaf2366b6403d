"""A copy of the package in which one mutant at a time lives, and the tests that run against it."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mutation.mutant import PACKAGE, ROOT, Mutant
from tests.mutation.verdict import COPY, VERDICT

TEST_SECONDS = 30
"""How long one test may take: a mutant that hangs is to be found out soon."""
_ALL_PASSED, _SOME_FAILED, _NOTHING_RUN = 0, 1, 5


class CannotRunError(Exception):
    """pytest did not get as far as a verdict."""


@dataclass(frozen=True)
class Failed:
    """A test that failed."""

    test: str
    why: str
    hangs: bool = False


class Workspace:
    """A folder with a copy of the package; used by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.package = self.source / PACKAGE.name
        # With what Python has compiled of it, but for what is being written at the moment.
        shutil.copytree(PACKAGE, self.package, ignore=shutil.ignore_patterns("*.pyc.*"))

    def put(self, mutant: Mutant) -> None:
        """Break the copy."""
        self._write(mutant, mutant.apply(self.package))

    def restore(self, mutant: Mutant, text: str) -> None:
        """Write the file of a mutant as it was."""
        self._write(mutant, text)

    def text_of(self, mutant: Mutant) -> str:
        """Return the file that a mutant changes, as it is."""
        return (self.package / mutant.file).read_text()

    def _write(self, mutant: Mutant, text: str) -> None:
        path = self.package / mutant.file
        path.write_text(text)
        # Python tells a stale one by size and whole seconds: too coarse here.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)

    def run(
        self, tests: Sequence[str], seconds: float, *, all_of_them: bool = False
    ) -> list[Failed]:
        """Run tests against the copy, up to the first that fails unless all are asked for.

        Raises:
            CannotRunError: a test file cannot be imported, or there is no such test.
        """
        verdict = self.folder / "verdict.json"
        verdict.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
        command += ["-p", "tests.mutation.verdict", f"--basetemp={self.folder / 'temp'}"]
        command += [f"--timeout={TEST_SECONDS}"]
        command += [] if all_of_them else ["-x"]
        with (self.folder / "output.txt").open("w") as output:
            process = subprocess.Popen(
                [*command, "--ignore=tests/mutation", *tests],
                cwd=ROOT,
                env=self._environment(verdict),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                with suppress(ProcessLookupError):  # with whatever the tests have started
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return self._read(verdict, code)

    def _environment(self, verdict: Path) -> dict[str, str]:
        given = {name: text for name, text in os.environ.items() if "COV" not in name}
        return given | {
            "PYTHONPATH": str(self.source),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.folder / "hypothesis"),
            COPY: str(self.source),
            VERDICT: str(verdict),
        }

    def _read(self, verdict: Path, code: int | None) -> list[Failed]:
        said: dict[str, Any] = json.loads(verdict.read_text()) if verdict.exists() else {}
        failed = [Failed(**one) for one in said.get("failed", [])]
        if code == _SOME_FAILED and failed:
            return failed
        if code == _ALL_PASSED and said.get("passed"):
            return []
        if code not in (_ALL_PASSED, _SOME_FAILED, _NOTHING_RUN) and said.get("running"):
            why = "it did not end" if code is None else f"the process ended with {code}"
            return [*failed, Failed(said["running"], why, hangs=code is None)]
        last = (self.folder / "output.txt").read_text().strip().splitlines()[-3:]
        raise CannotRunError("; ".join(said.get("broken") or last))
