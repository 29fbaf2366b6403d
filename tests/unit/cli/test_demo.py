from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from counterpoint.cli import demo_shop
from counterpoint.cli.demo import ORDERS, Verdict, fits, flow_end, judge
from counterpoint.cli.main import cli
from counterpoint.model.states import Status
from counterpoint.runtime.flow import Flow, FlowEvent

GOOD = Verdict(
    steps_before=9,
    repeated=0,
    interrupted=1,
    outcomes={"completed": ORDERS, "confirmed": ORDERS},
    wrong=(),
)
ALL = {"created", "charged", "reserved", "confirmed"}


@pytest.mark.parametrize(
    ("status", "effects", "fit"),
    [
        (Status.COMPLETED, ALL, True),
        (Status.COMPLETED, ALL - {"charged"}, False),
        (Status.COMPLETED, ALL | {"refunded"}, False),
        (Status.COMPENSATED, {"created", "discarded"}, True),
        (Status.COMPENSATED, {"created", "charged", "discarded", "refunded"}, True),
        (Status.COMPENSATED, {"created", "charged", "discarded"}, False),
        (Status.COMPENSATED, {"created", "discarded", "refunded"}, False),
        (Status.COMPENSATED, ALL | {"discarded", "refunded", "released"}, False),
        (Status.RUNNING, {"created", "discarded"}, False),
    ],
)
def test_effects_fit_their_outcome_or_not(status: Status, effects: set[str], fit: bool) -> None:
    assert fits(status, effects) is fit


def test_a_verdict_is_good_only_if_all_ended_and_nothing_was_repeated() -> None:
    verdicts = [
        GOOD,
        replace(GOOD, repeated=1),
        replace(GOOD, wrong=("order-1",)),
        replace(GOOD, different=("flow-1",)),
        replace(GOOD, outcomes={"completed": ORDERS, "confirmed": ORDERS - 1}),
    ]

    assert [verdict.good for verdict in verdicts] == [True, False, False, False, False]


def test_effects_after_the_kill_are_judged_by_what_was_recorded() -> None:
    ledger: list[dict[str, Any]] = [
        {"key": key, "step": key, "what": "created", "order": "o"}
        for key in ("recorded", "done", "recorded", "done", "new")
    ]

    verdict = judge(1, {"recorded"}, ledger, 2, [], [])

    assert (verdict.repeated, verdict.interrupted) == (1, 1)


@pytest.mark.parametrize(
    ("ends", "wrong", "different"),
    [
        (["orders.OrderConfirmed"], (), ("flow-7",)),
        (["orders.OrderRejected"], ("flow-7",), ("flow-7",)),
        ([], (), ()),
    ],
)
def test_a_flow_is_judged_by_its_effects_and_by_the_saga_of_the_same_order(
    ends: list[str], wrong: tuple[str, ...], different: tuple[str, ...]
) -> None:
    ledger = [{"key": "k", "step": "k", "what": what, "order": "flow-7"} for what in ALL]

    verdict = judge(0, set(), ledger, 4, [], [flow("flow-7", *ends)])

    assert (verdict.wrong, verdict.different) == (wrong, different)


def test_a_flow_with_two_ends_has_none() -> None:
    assert flow_end(flow("flow-7", "orders.OrderConfirmed")) is Status.COMPLETED
    assert flow_end(flow("flow-7", "orders.OrderRejected")) is Status.COMPENSATED
    assert flow_end(flow("flow-7", "orders.OrderConfirmed", "orders.OrderRejected")) is None


def flow(id: str, *types: str) -> Flow:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    events = (
        FlowEvent("orders", str(number), type, 1, id, at, number, None, None, None)
        for number, type in enumerate(types)
    )
    return Flow(id, tuple(events), at, at)


def test_a_ledger_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert demo_shop.read_ledger(tmp_path / "none") == []


def test_the_demonstration_balances_its_books(tmp_path: Path) -> None:
    kept = tmp_path / "kept"

    played = CliRunner().invoke(cli, ["demo", "--directory", str(kept)])
    listed = CliRunner().invoke(cli, ["list", "--store", str(kept / "demo.db")])

    assert played.exit_code == 0, played.output
    assert "the books balance" in played.stdout
    assert "compensated" in played.stdout
    assert "order-24" in listed.stdout


def test_a_directory_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    result = CliRunner().invoke(cli, ["demo", "--directory", str(tmp_path)])

    assert result.exit_code == 2
    assert "is not empty" in result.stderr


def test_books_that_do_not_balance_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(*_: object, **__: object) -> Verdict:
        return replace(GOOD, repeated=1)

    monkeypatch.setattr("counterpoint.cli.demo._play", play)

    result = CliRunner().invoke(cli, ["demo"])

    assert result.exit_code == 1
    assert "that is a defect of Counterpoint" in result.stderr


@pytest.mark.parametrize(
    ("deadline", "app", "code", "message"),
    [
        (
            60,
            "counterpoint.cli.nothing:app",
            1,
            "the node did not start: error: there is no module",
        ),
        (0, "counterpoint.cli.demo_shop:app", 5, "not done after 0 s"),
    ],
)
def test_a_demonstration_that_cannot_be_played_says_why(
    monkeypatch: pytest.MonkeyPatch, deadline: int, app: str, code: int, message: str
) -> None:
    monkeypatch.setattr("counterpoint.cli.demo.NODE_APP", app)
    monkeypatch.setattr("counterpoint.cli.demo.DEADLINE_SECONDS", deadline)

    result = CliRunner().invoke(cli, ["demo"])

    assert (result.exit_code, message in result.stderr) == (code, True)
