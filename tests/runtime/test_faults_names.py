"""Journals that name what this app does not have: left alone, said aloud, nobody else stopped."""

from pathlib import Path

import pytest

from counterpoint import App, Execution, Service, workflow


def services(*, with_welcome: bool = True, with_farewell: bool = True) -> list[Service]:
    """Two services; their parts can be missing, as in another deployment."""
    hall, door = Service("hall"), Service("door")

    @door.activity
    async def open_door(guest: str) -> str:
        return f"{guest} is in"

    if with_farewell:

        @door.activity
        async def close_door(guest: str) -> str:
            return f"{guest} is out"

    if with_welcome:

        @hall.workflow
        async def welcome(guest: str) -> str:
            await workflow.signal("arrived")
            return await open_door(guest)

    @hall.workflow
    async def visit(guest: str) -> str:
        await workflow.signal("arrived")
        name = "door.close_door"
        said: str = await door.activities[name](guest)
        return said

    @hall.workflow
    async def other(guest: str) -> str:
        return await open_door(guest)

    return [hall, door]


def make_app(path: Path, services: list[Service]) -> App:
    return App("hotel", services=services, store=f"sqlite:///{path / 'hotel.db'}")


async def start(app: App, name: str, guest: str) -> Execution[str]:
    return await app.start(app.registry.workflows[f"hall.{name}"], guest, id=guest)


async def test_execution_of_an_unknown_workflow_waits_for_an_app_that_has_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_app(tmp_path, services()) as app:
        await start(app, "welcome", "Ada")

    async with make_app(tmp_path, services(with_welcome=False)) as app:
        await app.execution("Ada").signal("arrived")
        assert await (await start(app, "other", "Bob")).result(timeout=30) == "Bob is in"
        await app.idle(timeout=30)
        problems = app.health().problems
        status = (await app.execution("Ada").describe()).status

    assert problems == ("no service of this app has hall.welcome version 1",)
    assert status == "running"
    assert "no service of this app has hall.welcome version 1" in caplog.text
    async with make_app(tmp_path, services()) as app:
        assert await app.execution("Ada").result(timeout=30) == "Ada is in"


async def test_call_of_an_activity_that_nobody_hosts_waits_visibly_and_goes_on_once_hosted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    door = "door.close_door"
    async with make_app(tmp_path, services()) as app:
        execution = await start(app, "visit", "Ada")
        activity = app.node.registry.activities.pop(door)
        await execution.signal("arrived")
        assert await (await start(app, "other", "Bob")).result(timeout=30) == "Bob is in"
        await app.idle(timeout=30)
        described = await execution.describe()
        problems = app.health().problems

    assert described.status == "running"
    assert [(call.name, call.state) for call in described.calls] == [(door, "running")]
    assert f"no service of this app has {door}" in caplog.text
    assert f"no service of this app has {door}" in problems
    async with make_app(tmp_path, services()) as app:
        assert app.registry.activities[door].name == activity.name
        assert await app.execution("Ada").result(timeout=30) == "Ada is out"
