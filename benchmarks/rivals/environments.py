"""An environment for each rival under `var/rivals`, made from pinned requirements.

A rival runs on the Python of the runner unless it needs a newer one, which is then looked for on
the path, with pyenv and with uv. What cannot be installed is a reason in the table.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.machine import ROOT

HOME = ROOT / "var" / "rivals"
REQUIREMENTS = ROOT / "requirements" / "rivals"
INSTALL_SECONDS = 900

Say = Callable[[str], None]


class NotAvailableError(Exception):
    """A rival cannot be installed or started here, and why."""


def python_of(name: str) -> Path:
    """Return the interpreter of an environment."""
    return HOME / name / "bin" / "python"


def install(name: str, least: tuple[int, int], say: Say) -> None:
    """Make the environment *name*, if its requirements have changed since it was made."""
    wanted = REQUIREMENTS / f"{name}.txt"
    mark, digest = HOME / name / ".installed", _digest(wanted)
    if mark.exists() and mark.read_text() == digest:
        return
    interpreter = find_python(least)
    say(f"installing {name} ({interpreter})")
    shutil.rmtree(HOME / name, ignore_errors=True)
    _run([interpreter, "-m", "venv", str(HOME / name)])
    pip = [str(python_of(name)), "-m", "pip", "install", "--quiet", "--no-input"]
    _run([*pip, "--disable-pip-version-check", "--requirement", str(wanted)])
    mark.write_text(digest)


def install_npm(name: str, package: str, say: Say) -> None:
    """Install one pinned package of npm into a folder of its own."""
    mark = HOME / name / ".installed"
    if mark.exists() and mark.read_text() == package:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise NotAvailableError(f"needs npm for {package}")
    say(f"installing {package}")
    quiet = ["--silent", "--no-save", "--no-audit", "--no-fund"]
    _run([npm, "install", *quiet, "--prefix", str(HOME / name), package])
    mark.write_text(package)


def find_python(least: tuple[int, int]) -> str:
    """Return an interpreter of at least this version: the runner's own, if it will do."""
    if sys.version_info[:2] >= least:
        return sys.executable
    for candidate in _candidates(least):
        if _version(candidate) >= least:
            return candidate
    raise NotAvailableError("needs Python {}.{} or newer; none was found".format(*least))


def _candidates(least: tuple[int, int]) -> Iterator[str]:
    major, minor = least
    for newer in range(minor, minor + 4):
        if found := shutil.which(f"python{major}.{newer}"):
            yield found
    pyenv = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    yield from sorted(glob.glob(f"{pyenv}/versions/*/bin/python"))  # noqa: PTH207 - from outside
    if uv := shutil.which("uv"):
        asked = [uv, "python", "find", f">={major}.{minor}"]
        yield subprocess.run(asked, capture_output=True, text=True).stdout.strip() or uv


def _version(interpreter: str) -> tuple[int, int]:
    asked = [interpreter, "-c", "import sys; print(*sys.version_info[:2])"]
    done = subprocess.run(asked, capture_output=True, text=True)
    words = done.stdout.split()
    return (int(words[0]), int(words[1])) if done.returncode == 0 and len(words) == 2 else (0, 0)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise NotAvailableError(f"{Path(command[0]).name} took too long") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NotAvailableError(f"{Path(command[0]).name}: {said[-1] if said else 'failed'}")
