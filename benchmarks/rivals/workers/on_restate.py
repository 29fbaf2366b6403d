"""Restate: its server calls a service over HTTP/2 and is called over HTTP.

A saga is done when the server answers the call. Its server and the process of the service are
counted as server CPU. The client is this process.
"""

# What it imports is in an environment of its own, which the type checkers of the gate do not see.
# mypy: disable-error-code="import-not-found,untyped-decorator"
# pyright: basic, reportMissingImports=false

import subprocess
from importlib.metadata import version

import aiohttp

from benchmarks.rivals.workers.protocol import serve, work

OK, CONFLICT = 200, 409


def look(binary: str) -> tuple[str, str]:
    """Return the versions, and what the server's configuration says about syncs."""

    def say(option: str) -> list[str]:
        asked = [binary, option]
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    syncs = {line.strip() for line in say("--dump-config") if "wal-fsync" in line}
    server = say("--version")[0].split()[-1]
    named = f"server {server}, sdk {version('restate-sdk')}"
    return named, f"own log on RocksDB, {', '.join(sorted(syncs))}"


async def main(settings: dict[str, str]) -> None:
    """Measure."""
    named, sync = look(settings["binary"])
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(settings["url"], connector=connector) as session:

        async def run(order_id: str, twin: bool) -> None:
            order = {"order_id": order_id, "amount": 99.5, "in_stock": not twin}
            async with session.post("/orders/place", json=order) as answer:
                body = await answer.json()
            if twin:
                assert answer.status == CONFLICT, body
                assert "void discard" in body["message"], body
            else:
                assert answer.status == OK, body
                assert body["authorization"] == "a-1", body

        await serve(run, version=f"{named}, {settings['asgi']}", sync=sync)


if __name__ == "__main__":
    work(main)
