"""Defects that are planted to see that the rounds find them: `tests.nodes.run --plant NAME`.

Some are put into a round's store or programs before its nodes begin, and have to be found by most
rounds of their kind; the others into what is judged, and have to be found by every round.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

from examples.shop import own_file
from tests.nodes import witness
from tests.nodes.attempts import FILES
from tests.nodes.rounds import Round

from counterpoint.runtime.committer import Committer

Plant = Callable[[Round], None]
HOUR = 3_600_000_000


def take_out_the_fence(ran: Round) -> None:
    """Have the server let everybody commit: needs trouble with nodes."""
    witness.execute(
        ran.server,
        f"ALTER FUNCTION {ran.schema}.fence_v1(bigint) RENAME TO fence_before; "
        f"CREATE FUNCTION {ran.schema}.fence_v1(bigint) RETURNS void LANGUAGE plpgsql "
        "AS $$ BEGIN END $$",
    )


def forget_keys(ran: Round) -> None:
    """Have the services take every call for a new one: needs trouble with nodes."""

    def careless(file: own_file.OwnFile, call: Any, effect: own_file.Effect) -> own_file.Answer:
        return file.write(effect)

    patch.object(own_file.OwnFile, "once", careless).start()


def hurry_stops(_: Round) -> None:
    """Have nodes that stop write beside the commit under way, and cut it off: needs deploys."""
    flush = Committer.flush

    async def hurried(committer: Committer) -> None:
        vars(committer)["_turn"] = asyncio.Lock()
        await flush(committer)

    patch.object(Committer, "flush", hurried).start()


def charge_twice(ran: Round) -> None:
    """Have one effect twice."""
    with closing(sqlite3.connect(ran.directory / "payments.db")) as db, db:
        db.execute(
            "INSERT INTO charges (order_id, cents, key) SELECT order_id, cents, key || '+' "
            "FROM charges LIMIT 1"
        )


def lose_a_row(ran: Round) -> None:
    """Delete one row from the middle of a journal: orchestrated rounds."""
    _sql(
        ran,
        "DELETE FROM journal WHERE (execution_key, first_seq) = (SELECT execution_key, first_seq "
        "FROM journal WHERE first_seq > 1 ORDER BY 1, 2 LIMIT 1)",
    )


def record_twice(ran: Round) -> None:
    """Record a step a second time, at the end of its journal: orchestrated rounds."""
    _sql(
        ran,
        "INSERT INTO journal SELECT execution_key, ends, count, codec, body, digest FROM journal "
        "JOIN (SELECT execution_key, max(first_seq + count) AS ends FROM journal GROUP BY 1) AS e "
        "USING (execution_key) WHERE first_seq > 1 ORDER BY 1 LIMIT 1",
    )


def publish_twice(ran: Round) -> None:
    """Publish an event a second time under another id: choreographed rounds."""
    columns = "source, type, version, key, slot, correlation_id, causation_id, publisher, hops"
    more = "traceparent, time, recorded_at, codec, data"
    _sql(
        ran,
        f"INSERT INTO events (position, id, {columns}, {more}) "  # noqa: S608 - constants
        f"SELECT (SELECT max(position) + 1 FROM events), id || '+', {columns}, {more} "
        "FROM events WHERE publisher IS NOT NULL LIMIT 1",
    )


def lose_a_mark(ran: Round) -> None:
    """Forget that a reaction has taken an event: choreographed rounds."""
    _sql(
        ran,
        "DELETE FROM reactions WHERE (subscription, position) = "
        "(SELECT subscription, position FROM reactions LIMIT 1)",
    )


def leave_a_letter(ran: Round) -> None:
    """Leave a letter in the mailbox."""
    _sql(
        ran,
        "INSERT INTO mailbox (position, request_id, kind, execution_id, at, codec, body) "
        "VALUES (1000000, 'left', 'signal', 'nobody', 1, 'json', 'x')",
    )


def keep_slots(ran: Round) -> None:
    """Have a node that stopped by itself own a slot."""
    _sql(
        ran,
        "UPDATE slots SET owner = (SELECT max(incarnation) FROM nodes WHERE lost_at IS NULL) "
        "WHERE slot = 7",
    )


def write_after_death(ran: Round) -> None:
    """Have a row of a journal written by a process after the end of its last incarnation."""
    _sql(
        ran,
        "UPDATE written SET at = at + 3600000000 WHERE number = (SELECT max(number) FROM written)",
    )


def write_to_others(ran: Round) -> None:
    """Have a row written by a process that does not own what it is about."""
    _sql(
        ran,
        "UPDATE written SET owner = owner + 1 WHERE number = (SELECT max(number) FROM written "
        "WHERE what IN ('journal', 'mark'))",
    )


def overlap(ran: Round) -> None:
    """Have a delivery end when the next one of its key had begun: choreographed rounds."""
    _prolong(ran, lambda line: line.get("name") == "orders.enter_order")


def repeat(ran: Round) -> None:
    """Begin an attempt of what was recorded long ago."""
    path, lines = _attempts(ran)
    begun = next(line for line in lines if "began" in line)
    lines.append(begun | {"token": -1, "began": begun["began"] + HOUR, "ended": None})
    _keep(ran, path, lines)


def _prolong(ran: Round, which: Callable[[dict[str, Any]], bool]) -> None:
    path, lines = _attempts(ran)
    token = next(line["token"] for line in lines if which(line))
    for line in lines:
        if line["token"] == token and "ended" in line:
            line["ended"] += HOUR
    _keep(ran, path, lines)


def _keep(ran: Round, path: Path, lines: list[dict[str, Any]]) -> None:
    """Write attempts down, and have the nodes live long enough for them."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    _sql(ran, "UPDATE nodes SET stopped_at = stopped_at + 7200000000")


def _attempts(ran: Round) -> tuple[Path, list[dict[str, Any]]]:
    """Return the longest file of attempts of a process that nobody killed, and what is in it."""
    paths = [
        path
        for path in ran.directory.glob(FILES)
        if int(path.stem.rpartition("-")[2]) not in ran.cluster.killed
    ]
    path = max(paths, key=lambda path: path.stat().st_size)
    return path, [json.loads(line) for line in path.read_text().splitlines()]


def _sql(ran: Round, text: str) -> None:
    async def run() -> None:
        connection = await ran.server.connect()
        try:
            names = f"{ran.schema}, {ran.schema}_witness"
            await connection.execute(f"SET search_path = {names}")
            assert await connection.execute(text) != "UPDATE 0"
        finally:
            await connection.close()

    asyncio.run(run())


def _load(plant: Plant) -> dict[str, Any]:
    return {"before_load": plant}


def _end(plant: Plant) -> dict[str, Any]:
    return {"before_judging": plant}


PLANTS: Mapping[str, dict[str, Any]] = {
    "no-fence": _load(take_out_the_fence),
    "no-keys": _load(forget_keys),
    "stops-hurried": _load(hurry_stops),
    "charged-twice": _end(charge_twice),
    "row-lost": _end(lose_a_row),
    "recorded-twice": _end(record_twice),
    "published-twice": _end(publish_twice),
    "mark-lost": _end(lose_a_mark),
    "letter-left": _end(leave_a_letter),
    "slots-kept": _end(keep_slots),
    "written-by-the-dead": _end(write_after_death),
    "written-to-others": _end(write_to_others),
    "overlap": _end(overlap),
    "repeated": _end(repeat),
}
