"""What people asked for, as `counterpoint show` tells it: also what they stated, and at the end."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.recorded import counterpoint, make_shop
from tests.unit.cli.test_story import AROUND, AT, RUNNING, told

from counterpoint.cli.story_surroundings import stated_outcomes
from counterpoint.cli.target import load_app
from counterpoint.runtime.description import JournalEntry

ERROR = {"type": "pay.Declined", "message": "no money", "facts": None, "traceback": None}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_shop(tmp_path, monkeypatch)


def test_who_cancelled_and_why_is_told_after_the_end(shop: Path) -> None:
    async def cancel() -> None:
        app: Any = load_app("shop:app")
        async with app:
            await app.execution("waiting").cancel(actor="Ada", reason="out of stock")
            await app.idle(30)

    asyncio.run(cancel())
    shown = counterpoint("show", "waiting").stdout

    assert "cancelled" in shown.splitlines()[0]
    assert "asked for\n└── a cancellation by Ada, " in shown
    assert ": out of stock\n" in shown


@pytest.mark.parametrize(
    ("step", "type", "data", "words"),
    [
        (2, "completed", {"call": 2, "result": 17}, "call 2 (returned 17)"),
        (2, "completed", {"call": 2, "result": None}, "call 2 (done)"),
        (2, "failed", {"call": 2, "error": ERROR}, "call 2 (failed with pay.Declined: no money)"),
        (2, "attempt-failed", {"step": 2, "error": ERROR}, "call 2 (not done)"),
        (-2, "compensated", {"call": 2}, "the undoing of call 2 (done)"),
        (2, "completed", {"call": 3, "result": 17}, "call 2"),
    ],
)
def test_an_outcome_that_was_stated_is_told(
    step: int, type: str, data: dict[str, Any], words: str
) -> None:
    act = JournalEntry(5, "resolved", AT, {"step": step, "actor": "Ada", "reason": None})
    between = JournalEntry(6, "incident-resolved", AT, {"step": step})
    outcomes = stated_outcomes([act, between, JournalEntry(7, type, AT, data)])

    lines = told(RUNNING, replace(AROUND, acts=[act], outcomes=outcomes))

    assert lines[-1] == f"└── the outcome of {words} by Ada, just now (12:00:00 UTC)"


def test_each_outcome_belongs_to_its_own_word() -> None:
    said = {"step": 2, "actor": None, "reason": None}
    again = JournalEntry(2, "attempt-failed", AT, {"step": 2, "error": ERROR})
    done = JournalEntry(9, "completed", AT, {"call": 2, "result": 1})
    first, second = (JournalEntry(seq, "resolved", AT, said) for seq in (1, 8))

    assert stated_outcomes([first, again, second, done]) == {1: again, 8: done}
    assert stated_outcomes([first, second, done]) == {8: done}
