"""`counterpoint start --delay` and `--at`: an execution whose code begins later."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.recorded import counterpoint, make_shop

from counterpoint.cli.failures import CommandError
from counterpoint.cli.start import begin_time
from counterpoint.cli.target import load_app

AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
START = ("start", "leg", "Rome", "--id", "later")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("counterpoint.cli.posting.PATIENCE_SECONDS", 0.01)
    return make_shop(tmp_path, monkeypatch)


def host() -> None:
    """Let a node take what is posted."""

    async def run() -> None:
        app: Any = load_app("shop:app")
        async with app:
            await app.idle(30)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("90", timedelta(seconds=90)),
        ("0.5", timedelta(seconds=0.5)),
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
    ],
)
def test_a_delay_is_seconds_or_has_a_unit(text: str, delay: timedelta) -> None:
    assert begin_time(text, None, AT) == AT + delay


@pytest.mark.parametrize(
    "text", ["soon", "-5", "-5s", "nan", "inf", "999999999d", "2026-01-01", ""]
)
def test_another_delay_is_refused_with_examples(text: str) -> None:
    with pytest.raises(CommandError, match="is no duration: write seconds, or 90s, 5m, 2h, 3d"):
        begin_time(text, None, AT)


def test_a_moment_with_a_zone_is_taken_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    begin = begin_time(None, "2026-05-05T09:00+02:00", AT)

    assert begin == datetime(2026, 5, 5, 7, tzinfo=UTC)
    assert capsys.readouterr().err == ""


def test_a_moment_without_a_zone_is_local_time_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    begin = begin_time(None, "2026-05-05T09:00", AT)

    assert begin == datetime(2026, 5, 5, 9).astimezone()
    assert "names no zone: it is taken as local time, 2026-05-05T09:00:00" in (
        capsys.readouterr().err.replace("\n", " ")
    )


def test_another_moment_and_both_at_once_are_refused() -> None:
    with pytest.raises(CommandError, match="--at 'Monday' is no moment"):
        begin_time(None, "Monday", AT)
    with pytest.raises(CommandError, match="exclude each other"):
        begin_time("5m", "2026-05-05T09:00Z", AT)


def test_a_delayed_start_says_when_it_begins_and_show_does(shop: Path) -> None:
    stored = counterpoint(*START, "--delay", "2h")
    host()
    shown = counterpoint("show", "later")
    again = counterpoint(*START, "--delay", "5h")

    assert stored.exit_code == 0
    assert "later: the start of orders.leg is stored; it begins in 2 h (" in stored.stdout
    assert "its beginning in 2 h" in shown.stdout
    assert again.stdout == "later: was started before, with the same arguments\n"
    assert "when it begins is not changed" in again.stderr


def test_json_has_the_moment(shop: Path) -> None:
    result = counterpoint(*START, "--at", "2126-05-05T09:00Z", "--json")

    plain: Any = json.loads(result.stdout)
    assert datetime.fromisoformat(plain["begins_at"]) == datetime(2126, 5, 5, 9, tzinfo=UTC)


def test_a_moment_that_has_passed_begins_at_once(shop: Path) -> None:
    result = counterpoint(*START, "--at", "2020-05-05T09:00Z")
    host()

    assert result.stdout == "later: the start of orders.leg is stored\n"
    assert "completed" in counterpoint("show", "later").stdout
