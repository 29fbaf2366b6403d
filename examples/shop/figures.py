"""What a run of orders cost, read from the store and from the driver's clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.shop.forms import Form
from examples.shop.own_file import read

COUNTS = {
    "executions": "SELECT count(*) FROM executions",
    "reactions": "SELECT count(*) FROM reactions JOIN subscriptions ON number = subscription "
    "WHERE name NOT IN (SELECT name FROM executions)",
    "events": "SELECT count(*) FROM events",
    "published": "SELECT count(*) FROM events WHERE publisher IS NULL",
    "rows": "SELECT count(*) FROM journal",
}


@dataclass(frozen=True)
class Figures:
    """Figures of one run; durations in seconds."""

    orders: int
    seconds: float
    executions: int
    reactions: int
    events: int
    commits_per_order: float
    """In how many commits something of an order was recorded; most are shared with others."""
    p50: float
    """From the record of an order's beginning to that of its end."""
    p99: float

    @property
    def flows_per_second(self) -> float:
        """Orders by the time from the first start of a node to the last end, restart included."""
        return self.orders / self.seconds


def read_figures(form: Form, directory: Path, seconds: float) -> Figures:
    """Read what a run has left in its store.

    A row of a journal is what one commit records of an execution or of a failed reaction; the mark
    of a reaction is written together with the events that it returns.
    """
    counts = {what: read(directory, "counterpoint", query)[0][0] for what, query in COUNTS.items()}
    took = sorted(
        (ended - begun) / 1e6 for _, begun, ended in form.times(directory) if ended is not None
    )
    commits = counts["rows"] + counts["reactions"] + counts["published"]
    return Figures(
        orders=len(took),
        seconds=seconds,
        executions=counts["executions"],
        reactions=counts["reactions"],
        events=counts["events"],
        commits_per_order=commits / len(took),
        p50=_percentile(took, 50),
        p99=_percentile(took, 99),
    )


def _percentile(seconds: Sequence[float], percent: int) -> float:
    return seconds[min(len(seconds) * percent // 100, len(seconds) - 1)]
