"""A shop of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from examples.shop.app import FILES, MIX_FILES, open_shop


@pytest.fixture
def empty_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A shop that has stock and no orders."""
    monkeypatch.setenv("SHOP_DIR", str(tmp_path))
    open_shop()
    yield tmp_path
    for file in (*FILES, *MIX_FILES):
        file.close()
