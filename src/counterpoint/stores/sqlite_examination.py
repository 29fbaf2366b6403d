"""What an SQLite store says about itself: its file, the log beside it, and the disk."""

import shutil
import sqlite3
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any

from counterpoint.model.findings import Examination, Fact, Finding, Severity, WorkflowLoad
from counterpoint.stores.locks import hosting_pid
from counterpoint.stores.migrate import MIGRATIONS
from counterpoint.stores.queries import load_queries
from counterpoint.stores.rows import Value
from counterpoint.stores.wal import log_path

SQL = load_queries("sqlite/examination.sql")
LOG_BYTES_MAX = 64 << 20
"""A log that is longer than this is not being moved into the file."""
DISK_BYTES_MIN = 1 << 30
"""With less room than this, somebody should look at the disk."""


class SqliteExamination(ABC):
    """The part of `SqliteStore` that is about the store itself."""

    file: Path

    @abstractmethod
    def _read(self, text: str, *values: Value) -> list[tuple[Any, ...]]: ...

    async def workflow_loads(self) -> list[WorkflowLoad]:
        return [WorkflowLoad._make(row) for row in self._read(SQL["workflow_loads"])]

    async def hosted_by(self) -> int | None:
        return hosting_pid(self.file)

    async def examine(self) -> Examination:
        began = time.perf_counter()
        ((version,),) = self._read("PRAGMA user_version")
        took = time.perf_counter() - began
        ((mode,),) = self._read("PRAGMA journal_mode")
        ((unused,),) = self._read("PRAGMA freelist_count")
        ((page_bytes,),) = self._read("PRAGMA page_size")
        log_bytes, room_bytes = _size(log_path(self.file)), _room(self.file)
        facts: dict[str, Fact] = {
            "store": str(self.file),
            "engine": f"SQLite {sqlite3.sqlite_version}",
            "schema_version": version,
            "schema_version_known": len(MIGRATIONS),
            "journal_mode": mode,
            "file_bytes": _size(self.file),
            "unused_bytes": unused * page_bytes,
            "log_bytes": log_bytes,
            "disk_free_bytes": room_bytes,
            "read_ms": round(took * 1e3, 3),
        }
        return Examination(facts, _findings(self.file, log_bytes, room_bytes))


def _findings(file: Path, log_bytes: int, room_bytes: int | None) -> list[Finding]:
    findings: list[Finding] = []
    if log_bytes > LOG_BYTES_MAX:
        findings.append(
            Finding(
                Severity.WARNING,
                "long-log",
                f"the write-ahead log has {log_bytes >> 20:,} MiB and is not moved into the file",
                str(log_path(file)),
                "end the process that has been reading the file for long, such as a shell with an "
                "open transaction; a node moves the log with its next commits",
            )
        )
    if room_bytes is not None and room_bytes < DISK_BYTES_MIN:
        findings.append(
            Finding(
                Severity.WARNING,
                "disk",
                f"the disk has {room_bytes >> 20:,} MiB left",
                str(file.parent),
                "make room: on a full disk the node takes no work",
            )
        )
    return findings


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _room(path: Path) -> int | None:
    with suppress(OSError):
        return shutil.disk_usage(path.parent).free
    return None
