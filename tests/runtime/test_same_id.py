"""One id is one execution, whoever starts it, however often and at the same time."""

import asyncio
from pathlib import Path

import pytest

from counterpoint import App, ExecutionExistsError, Service

shop = Service("shop")


@shop.activity
async def note(text: str) -> str:
    return text


@shop.workflow
async def flow(text: str) -> str:
    return await note(text)


def app_on(path: Path, max_resident: int = 5_000) -> App:
    store = f"sqlite:///{path / 'shop.db'}"
    return App("shop", services=[shop], store=store, max_resident=max_resident)


async def test_starts_of_one_id_at_the_same_time_are_one_execution(tmp_path: Path) -> None:
    async with app_on(tmp_path) as app:
        results = await asyncio.gather(*(app.run(flow, "tea", id="same") for _ in range(20)))
        ids = [execution.id async for execution in app.executions()]

    assert results == ["tea"] * 20
    assert ids == ["same"]


async def test_a_start_at_the_same_time_with_other_arguments_is_refused(tmp_path: Path) -> None:
    async with app_on(tmp_path) as app:
        outcomes = await asyncio.gather(
            app.run(flow, "tea", id="same"),
            app.run(flow, "coffee", id="same"),
            return_exceptions=True,
        )

    assert outcomes[0] == "tea"
    assert isinstance(outcomes[1], ExecutionExistsError)


async def test_starts_that_are_only_stored_at_first_are_one_execution_too(tmp_path: Path) -> None:
    async with app_on(tmp_path, max_resident=1) as app:
        ids = [f"id-{number % 10}" for number in range(40)]
        results = await asyncio.gather(*(app.run(flow, "tea", id=one) for one in ids))
        known = sorted([execution.id async for execution in app.executions()])

    assert results == ["tea"] * 40
    assert known == sorted(set(ids))


async def test_two_clients_that_start_one_id_before_a_node_runs_start_it_once(
    tmp_path: Path,
) -> None:
    async with app_on(tmp_path):
        pass  # makes the file
    async with app_on(tmp_path).client() as one, app_on(tmp_path).client() as other:
        await one.start(flow, "tea", id="same")
        await other.start(flow, "tea", id="same")

    async with app_on(tmp_path) as app:
        await app.idle(timeout=5)
        result = await app.execution("same").result(timeout=5)
        ids = [execution.id async for execution in app.executions()]

    assert result == "tea"
    assert ids == ["same"]


async def test_a_start_of_a_workflow_that_is_not_hosted_waits_for_a_node_that_has_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = App("other", services=[], store=f"sqlite:///{tmp_path / 'shop.db'}")
    async with other:
        async with app_on(tmp_path).client() as client:
            await client.start(flow, "tea", id="early")
        await other.idle(timeout=5)

    async with app_on(tmp_path) as app:
        await app.idle(timeout=5)

        assert await app.execution("early").result(timeout=5) == "tea"
    assert any("shop.flow" in record.getMessage() for record in caplog.records)
