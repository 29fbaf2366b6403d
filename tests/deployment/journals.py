"""What is in the store's file: read with sqlite3, and nothing of the runtime."""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from counterpoint.model import records as r
from counterpoint.model.states import Status

STORE = "shop.db"
_DECISIONS = tuple(get_args(r.Decision))


@dataclass(frozen=True, slots=True)
class Journal:
    """One execution as it is stored."""

    id: str
    status: str
    rows: tuple[tuple[int, bytes], ...]
    """First number and body of each row, as they were written."""

    @property
    def records(self) -> list[r.Record]:
        """All records."""
        return [record for _, body in self.rows for record in r.decode_records(body)]

    def since(self, before: "Journal") -> list[r.Record]:
        """Return the records that were added."""
        return self.records[len(before.records) :]


Journals = Mapping[str, Journal]


def read(directory: Path) -> Journals:
    """Return all journals by the id of their execution."""
    with _open(directory) as db:
        executions = db.execute("SELECT key, id, status FROM executions").fetchall()
        bodies = db.execute("SELECT execution_key, first_seq, body FROM journal ORDER BY 1, 2")
        rows: dict[int, list[tuple[int, bytes]]] = {}
        for key, first_seq, body in bodies:
            rows.setdefault(key, []).append((first_seq, bytes(body)))
    return {id: Journal(id, status, tuple(rows[key])) for key, id, status in executions}


def statuses(directory: Path) -> Counter[str]:
    """Return how many executions stand in each status."""
    with _open(directory) as db:
        return Counter(dict(db.execute("SELECT status, count(*) FROM executions GROUP BY 1")))


def damaged(before: Journals, after: Journals) -> list[str]:
    """Return the ids of which a row that was written is gone or is another one."""
    found: list[str] = []
    for id, journal in before.items():
        now = after.get(id)
        if now is None or now.rows[: len(journal.rows)] != journal.rows:
            found.append(id)
    return sorted(found)


def incidents(journal: Journal) -> list[r.IncidentRaised]:
    """Return the incidents that an execution ever had."""
    return [one for one in journal.records if isinstance(one, r.IncidentRaised)]


def decided(before: Journals, after: Journals) -> list[str]:
    """Return the ids for which code decided something."""
    return sorted(
        id
        for id, journal in before.items()
        if any(isinstance(one, _DECISIONS) for one in after[id].since(journal))
    )


def asked_for(journals: Journals) -> list[str]:
    """Return the ids that a person had to ask to try again."""
    kinds = (r.RetryRequested, r.ResetFrom, r.TerminateRequested)
    return sorted(
        id for id, one in journals.items() if any(isinstance(x, kinds) for x in one.records)
    )


def result_of(journal: Journal) -> object:
    """Return the result of a completed execution as its JSON text."""
    last = journal.records[-1]
    if isinstance(last, r.Ended) and last.status == Status.COMPLETED:
        return bytes(last.result).decode()
    return None


def _open(directory: Path) -> "closing[sqlite3.Connection]":
    path = (directory / STORE).absolute()
    return closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30))
