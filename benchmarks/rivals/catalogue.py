"""Who takes part, in which environment, beside which server, with which settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.rivals import servers
from benchmarks.rivals.servers import Server

RESTATE_PACKAGE = "@restatedev/restate-server@1.7.12"


@dataclass(frozen=True)
class Rival:
    """One row of the tables."""

    title: str
    worker: str
    """`benchmarks.rivals.workers.on_<this>`."""
    store: str
    environment: str | None = None
    """Folder under `var/rivals` and name of its requirements; None: the runner's own."""
    more_environments: tuple[str, ...] = ()
    """Those of its server."""
    least_python: tuple[int, int] = (3, 11)
    npm: str | None = None
    server: Server = servers.none
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    remark: str = ""
    """How it was set up, and what to know about the figure."""


COUNTERPOINT, BARE = "counterpoint", "bare"

RIVALS = {
    COUNTERPOINT: Rival("Counterpoint", "counterpoint", "SQLite", remark="as installed"),
    BARE: Rival("bare loop", "bare", "SQLite", remark="no engine: the least that one must do"),
    "unhinged": Rival(
        "unhinged",
        "unhinged",
        "SQLite",
        environment="unhinged",
        remark="async worker, 100 at once; polls every 1 ms instead of 250",
    ),
    "dura": Rival(
        "dura",
        "dura",
        "SQLite",
        environment="dura",
        least_python=(3, 13),
        remark="worker threads that poll every 1 ms instead of 1 s",
    ),
    "restate": Rival(
        "Restate on Granian",
        "restate",
        "its own log",
        environment="restate",
        npm=RESTATE_PACKAGE,
        server=servers.restate,
        remark="server as installed; Granian is the faster of two ASGI servers",
    ),
    "restate-hypercorn": Rival(
        "Restate on Hypercorn",
        "restate",
        "its own log",
        environment="restate",
        npm=RESTATE_PACKAGE,
        server=servers.restate_hypercorn,
        remark="server as installed; Hypercorn is the ASGI server of its documents",
    ),
    "dbos": Rival(
        "DBOS", "dbos", "SQLite", environment="dbos", remark="as installed: a rollback journal"
    ),
    "dbos-wal": Rival(
        "DBOS, WAL",
        "dbos",
        "SQLite",
        environment="dbos",
        settings={"wal": "yes"},
        remark="the file set to WAL by hand before the start",
    ),
    "dbos-postgres": Rival(
        "DBOS on PostgreSQL",
        "dbos",
        "PostgreSQL 18",
        environment="dbos",
        more_environments=("postgres",),
        server=servers.postgres,
        remark="PostgreSQL as initdb makes it",
    ),
    "edda": Rival(
        "Edda", "edda", "SQLite", environment="edda", remark="as installed: a rollback journal"
    ),
    "temporal": Rival(
        "Temporal, dev server",
        "temporal",
        "SQLite",
        environment="temporal",
        server=servers.temporal,
        remark="the development server with --db-filename; not meant for production",
    ),
}
