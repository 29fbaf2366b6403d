"""Starting an id again while the node is only finding out that it has that execution."""

import asyncio
from pathlib import Path

from counterpoint import App, Service, activity, workflow

SECONDS = 30
service = Service("letters")


@service.activity
async def write(name: str) -> str:
    if activity.info().attempt == 1:
        await asyncio.Event().wait()
    return f"dear {name}"


@service.workflow
async def note(name: str) -> str:
    return await write(name)


@service.workflow
async def letter(name: str) -> str:
    return f"dear {name}, {await workflow.signal('ending', str)}"


def make_app(directory: Path) -> App:
    return App("letters", services=[service], store=f"sqlite:///{directory / 'store.db'}")


async def test_interrupted_execution_goes_on_though_its_id_is_started_again_at_once(
    tmp_path: Path,
) -> None:
    app = make_app(tmp_path)
    async with app:
        await app.start(note, "Ada", id="one")
        await app.node.crash()

    async with app:
        execution = await app.start(note, "Ada", id="one")
        result = await execution.result(timeout=SECONDS)

    assert result == "dear Ada"


async def test_signal_is_not_lost_when_the_id_is_started_again_as_it_arrives(
    tmp_path: Path,
) -> None:
    app = make_app(tmp_path)
    async with app:
        await app.start(letter, "Ada", id="one")
        await app.idle(timeout=SECONDS)
    async with app.client() as client:
        await client.execution("one").signal("ending", "yours")

    async with app:
        execution = await app.start(letter, "Ada", id="one")
        result = await execution.result(timeout=SECONDS)

    assert result == "dear Ada, yours"
