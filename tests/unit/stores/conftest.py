"""A place for a store's file, and a way to lose a superuser's rights in it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counterpoint.db"


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that every user reaches, unlike `tmp_path`."""
    made = Path(tempfile.mkdtemp(prefix="counterpoint-"))
    made.chmod(0o755)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)


@pytest.fixture
def ordinary_user(directory: Path) -> Iterator[None]:
    """Permissions do not bind the superuser, so tests about them run as somebody else."""
    del directory  # it is made before, and removed after
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
