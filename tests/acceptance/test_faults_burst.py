"""Very many starts at once; `python -m benchmarks burst` does the same with 100,000."""

from pathlib import Path

import pytest
from benchmarks.children import in_child

COUNT = 10_000
BURST_BYTES_MAX = 500 * 2**20 * COUNT // 100_000
"""Their share of the 500 MiB that 100,000 may take, beside what a process needs to begin with."""
RESIDENT_BYTES_MAX = 12 * 1024
"""For each execution in memory; measured 9 KiB, and 10.5 where the child measures its coverage."""


@pytest.mark.slow
def test_burst_of_starts_is_held_back_and_all_end_in_bounded_memory(tmp_path: Path) -> None:
    node = in_child("benchmarks.burst:start_all", path=str(tmp_path / "burst.db"), count=COUNT)

    assert node["resident"] <= 5_000
    assert node["peak"] - node["before"] < BURST_BYTES_MAX + 5_000 * RESIDENT_BYTES_MAX
