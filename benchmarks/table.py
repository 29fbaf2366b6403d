"""What a benchmark returns: rows for people, figures for machines."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Options:
    """How much is measured, and where databases are made."""

    quick: bool = False
    """A tenth or less of everything: shows that the benchmark works, not how fast anything is."""
    directory: Path | None = None
    """A folder on the disk that is measured; None: the system's folder for temporary files."""


@dataclass(frozen=True)
class Table:
    """One benchmark's result."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: dict[str, Any]
    """The same unrounded, for `var/bench`."""
    notes: Sequence[str] = field(default=())
