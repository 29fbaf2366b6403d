"""Records the journals of reactions that failed: retries, dead letters, and what people did.

No code is replayed from the journal of a reaction: it keeps what failed and what people did.

    python -m tests.histories.reactions
"""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import msgspec

from counterpoint import Event, Retry, Service
from counterpoint.model.messages import DeadLetterQuery, DeadLetterRow, EventQuery
from counterpoint.model.records import decode_records
from counterpoint.runtime.mail import EVENTS, DiscardMail, Mail, RedriveMail, mail_row
from counterpoint.testing import Harness

FILE = Path(__file__).parent / "format-1/reactions/acts.jsonl"
HERE = f"{Path(__file__).parents[2]}/".encode()
TWICE = Retry(max_attempts=2, first=timedelta(seconds=1), jitter=0)
DOWN = ConnectionError("no route")
ALL = 100
stock = Service("stock")


@stock.event(key="item")
class Counted(Event):
    item: str
    number: int


@stock.on(Counted, retry=TWICE)
async def note(event: Counted) -> None: ...


async def play(harness: Harness) -> None:
    """One reaction a key: retried, died, died and redriven, edited, redriven in vain, discarded."""
    harness.fail(note, DOWN, times=1)
    await harness.publish(Counted(item="retried", number=1))
    await harness.advance(minutes=1)
    harness.fail(note, DOWN, times=None)
    for item in ("died", "redriven", "edited", "in-vain", "discarded"):
        await harness.publish(Counted(item=item, number=1))
    await harness.advance(minutes=1)
    letters = {row.event_key: row for row in await dead_letters(harness)}
    await post(harness, redriven(letters["in-vain"]))
    await harness.advance(minutes=1)
    harness.restore()
    await post(harness, redriven(letters["redriven"]))
    await post(harness, redriven(letters["edited"], {"item": "edited", "number": 2}))
    letter = letters["discarded"]
    await post(harness, DiscardMail(letter.subscription, letter.position, "ann", "no matter"))


async def dead_letters(harness: Harness) -> list[DeadLetterRow]:
    return await harness.store.dead_letters(DeadLetterQuery(limit=ALL))


def redriven(letter: DeadLetterRow, data: object = None) -> Mail:
    raw = msgspec.Raw(msgspec.json.encode(data))
    return RedriveMail(letter.subscription, letter.position, raw, "ann", "mended")


async def post(harness: Harness, mail: Mail) -> None:
    """Send a letter to the node, and let it be taken over."""
    node = harness.app.node
    await node.post(mail_row(EVENTS, mail, node.clock.now(), node.codec))
    await harness.settle()


async def record() -> list[bytes]:
    """Return a line for each reaction that has a journal: its event's key, and the records."""
    async with Harness(services=[stock]) as harness:
        await play(harness)
        (subscription,) = await harness.store.subscriptions()
        lines: list[bytes] = []
        keys = {row.position: row.key for row in await harness.store.events(EventQuery(limit=ALL))}
        for reaction in await harness.store.reactions([subscription.number], 0, ALL):
            assert reaction.key is not None
            rows = await harness.store.journal(reaction.key)
            records = [one for row in rows for one in json.loads(row.body)]
            assert sum(len(decode_records(row.body)) for row in rows) == len(records)
            line = {"key": keys[reaction.position], "status": reaction.status, "records": records}
            lines.append(json.dumps(line).encode().replace(HERE, b""))
        return lines


def main() -> None:
    """Record the reactions, unless they are recorded."""
    if not FILE.exists():
        FILE.write_bytes(b"\n".join(asyncio.run(record())) + b"\n")


if __name__ == "__main__":
    main()
