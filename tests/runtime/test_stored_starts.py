"""Executions that a client stored and a node begins later."""

from pathlib import Path

from counterpoint import App, Service

service = Service("greetings")


@service.activity
async def greet(name: str) -> str:
    return f"hello {name}"


@service.workflow
async def welcome(name: str) -> str:
    return await greet(name)


async def test_first_call_of_an_execution_that_a_client_started_has_lost_no_attempt(
    tmp_path: Path,
) -> None:
    app = App("welcome", services=[service], store=f"sqlite:///{tmp_path / 'store.db'}")
    async with app, app.client() as client:
        execution = await client.start(welcome, "Ada", id="one")
        await execution.result(timeout=30)
        entries = await execution.journal()

    assert [entry.type for entry in entries] == ["started", "scheduled", "completed", "ended"]


async def test_idle_waits_for_what_a_client_started_before_the_node(tmp_path: Path) -> None:
    app = App("welcome", services=[service], store=f"sqlite:///{tmp_path / 'store.db'}")
    async with app.client() as client:
        for number in range(20):
            await client.start(welcome, "Ada", id=f"hello-{number}")

    async with app:
        await app.idle(timeout=30)
        ended = [summary.id async for summary in app.executions(status="completed")]

    assert len(ended) == 20
