"""What the executions and events of an app did, as text for whoever looks at a failed test."""

import json

from counterpoint.errors import CounterpointError
from counterpoint.runtime.client import Client

EXECUTIONS_MAX = 10
RECORDS_MAX = 60


async def tell(client: Client) -> str:
    """Return the newest executions with their journals, the newest events, and dead letters.

    It says so where something cannot be read.
    """
    lines: list[str] = []
    try:
        async for summary in client.executions():
            if lines.count("") == EXECUTIONS_MAX:
                lines.append("and older ones")
                break
            lines += await _execution(client, summary.id)
        lines += await _events(client)
    except CounterpointError as error:
        lines.append(f"the rest cannot be read: {error}")
    return "\n".join(lines)


async def _events(client: Client) -> list[str]:
    newest = client.events(newest_first=True, limit=RECORDS_MAX)
    events = [event async for event in newest]
    lines = ["events"] if events else []
    for event in reversed(events):
        data = json.dumps(event.data, default=str)
        lines.append(f"  {event.position:>4}  {event.type}  {event.key}  {data[:200]}")
    letters = client.dead_letters()
    return lines + [f"dead letter {one.id}: {one.cause}: {one.message}" async for one in letters]


async def _execution(client: Client, execution_id: str) -> list[str]:
    execution = client.execution(execution_id)
    known = await execution.describe()
    lines = [f"{known.id}  {known.workflow}  {known.status}"]
    lines += [f"  waits for {what}" for what in known.waits_for]
    entries = await execution.journal()
    for entry in entries[-RECORDS_MAX:]:
        data = json.dumps(entry.data, default=str)
        lines.append(f"  {entry.seq:>4}  {entry.type:<20}  {data[:200]}")
    return [*lines, ""]
