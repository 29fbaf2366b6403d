"""One id is one execution, whoever starts it, however often and at the same time."""

import asyncio
import os
import subprocess
import sys
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
        await app.idle(timeout=30)
        result = await app.execution("same").result(timeout=30)
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
        await other.idle(timeout=30)

    async with app_on(tmp_path) as app:
        await app.idle(timeout=30)

        assert await app.execution("early").result(timeout=30) == "tea"
    assert any("shop.flow" in record.getMessage() for record in caplog.records)


@shop.workflow
async def with_set(words: set[str]) -> int:
    return len(words)


def test_equal_arguments_are_the_same_start_in_whatever_order_a_set_was_written(
    tmp_path: Path,
) -> None:
    words = {f"word-{number}" for number in range(20)}
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import test_same_id as t\n"
        "async def main():\n"
        "    async with t.app_on(Path(sys.argv[2])) as app:\n"
        "        words = {f'word-{n}' for n in range(20)}\n"
        "        print(await app.run(t.with_set, words, id='same'))\n"
        "asyncio.run(main())\n"
    )

    printed = [
        subprocess.run(
            [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]

    assert printed == [f"{len(words)}\n"] * 2
