"""Acts on many executions, on a store that no node hosts."""

import asyncio
import io
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from counterpoint.cli.batch import Batch, Pace, act_on_many
from counterpoint.cli.main import cli
from counterpoint.cli.target import open_client, resolve
from counterpoint.cli.where import Where
from counterpoint.errors import ExecutionNotFoundError, ExecutionRefusedError, StoreBusyError
from counterpoint.model.rows import Commit, ExecutionRow
from counterpoint.model.states import Status
from counterpoint.runtime.handle import Execution
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing.conformance.store_case import execution, said

STATUSES = {
    "running": Status.RUNNING,
    "incident": Status.INCIDENT,
    "failed-1": Status.FAILED,
    "failed-2": Status.FAILED,
    "completed": Status.COMPLETED,
    "undone": Status.COMPENSATED,
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COUNTERPOINT_APP", raising=False)
    monkeypatch.setattr("counterpoint.cli.posting.PATIENCE_SECONDS", 0.02)
    keep([row(key, id, status) for key, (id, status) in enumerate(STATUSES.items(), 1)])
    return tmp_path


def row(
    key: int, id: str, status: Status, *, run: int = 1, parent: int | None = None
) -> ExecutionRow:
    end = None if status.live else 5
    return execution(
        *(key, id), run=run, status=status, wake_at=None, finished_at=end, parent_key=parent
    )


def keep(rows: list[ExecutionRow]) -> None:
    async def write() -> None:
        store = SqliteStore("shop.db")
        await store.open(node=True)
        attributes = [one for row in rows[:2] for one in said(row.key, customer="c-1")]
        await store.commit(Commit(starts=rows, attributes=attributes))
        await store.close()

    asyncio.run(write())


def posted() -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        async with open_client(resolve(None, "shop.db")) as client:
            return [
                {"id": request.execution_id, "kind": request.kind, **request.detail}
                async for request in client.posted()
            ]

    return asyncio.run(read())


def counterpoint(command: str, *arguments: str) -> Result:
    return CliRunner().invoke(
        cli, [command, "--store", "shop.db", *arguments], env={"COLUMNS": "200"}
    )


def act_on(
    act: Callable[[Execution[Any]], Awaitable[object]],
    *,
    where: Where | None = None,
    rate: float = 1e6,
    as_json: bool = True,
) -> int:
    """Act on all of the shop; return the exit code."""

    async def run() -> None:
        target = resolve(None, "shop.db")
        batch = Batch(where or Where(), yes=True, rate=rate, as_json=as_json)
        async with open_client(target) as client:
            await act_on_many(client, target, batch, "poke", act)

    try:
        asyncio.run(run())
    except typer.Exit as ended:
        return ended.exit_code
    return 0


# ---- without --yes ----------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_done_and_does_nothing(shop: Path) -> None:
    result = counterpoint("retry", "--where", "workflow=orders.place_order")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0] == "this would retry 3 executions:"
    assert [line.split() for line in lines[1:4]] == [
        ["workflow", "status", "count"],
        ["orders.place_order", "failed", "2"],
        ["orders.place_order", "incident", "1"],
    ]
    assert lines[4:] == ["  incident", "  failed-1", "  failed-2"]
    assert result.stderr == "nothing was done: pass --yes to do it\n"
    assert posted() == []


def test_a_dry_run_shows_the_first_ten_ids(shop: Path) -> None:
    keep([row(key, f"more-{key}", Status.FAILED) for key in range(10, 22)])

    text = counterpoint("retry", "--where", "id=more-*")
    plain = json.loads(counterpoint("retry", "--where", "id=more-*", "--json").stdout)

    assert text.stdout.splitlines()[-1] == "  … and 2 more"
    assert plain["ids"] == [f"more-{key}" for key in range(10, 20)]
    assert (plain["matched"], plain["more"], plain["dry_run"]) == (12, False, True)
    assert plain["counts"] == [{"workflow": "orders.place_order", "status": "failed", "count": 12}]


def test_a_limit_takes_the_newest_and_says_so(shop: Path) -> None:
    result = counterpoint("retry", "--where", "status=failed", "--limit", "1")

    assert result.stdout.splitlines()[0] == (
        "this would retry the newest 1 execution (--limit leaves out others):"
    )
    assert result.stdout.splitlines()[-1] == "  failed-2"


@pytest.mark.parametrize("yes", [(), ("--yes",)], ids=["dry", "yes"])
def test_nothing_to_act_on_is_no_failure(shop: Path, yes: tuple[str, ...]) -> None:
    result = counterpoint("cancel", "--where", "id=nobody", *yes)

    assert (result.exit_code, result.stdout) == (0, "no such executions\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "name an ID, or choose executions with --where KEY=VALUE"),
        (("--yes",), "name an ID, or choose executions"),
        (("failed-1", "--where", "status=failed"), "an ID and --where exclude each other"),
        (("failed-1", "--since", "2h"), "an ID and --where exclude each other"),
        (("failed-1", "--yes"), "--yes, --rate and --limit are for --where"),
        (("failed-1", "--rate", "5"), "--yes, --rate and --limit are for --where"),
        (("failed-1", "--limit", "5"), "--yes, --rate and --limit are for --where"),
        (("--where", "state=failed"), "there is no key 'state'"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("command", ["retry", "cancel"])
def test_one_and_many_cannot_be_mixed(
    shop: Path, command: str, arguments: tuple[str, ...], why: str
) -> None:
    result = counterpoint(command, *arguments)

    assert result.exit_code == 2
    assert why in result.stderr


def test_a_retry_of_what_completed_is_no_act_on_many(shop: Path) -> None:
    result = counterpoint("retry", "--where", "status=failed", "--where", "status=completed")

    assert (result.exit_code, "nothing to retry" in result.stderr) == (2, True)


# ---- with --yes -------------------------------------------------------------------------------


def test_retry_asks_incidents_and_what_failed(shop: Path) -> None:
    result = counterpoint(
        *("retry", "--where", "service=orders", "--yes", "--rate", "10000"),
        *("--actor", "Ada", "--reason", "it is back"),
    )

    assert result.exit_code == 0
    assert result.stdout == "the request to retry is sent to 3 of 3 executions\n"
    assert "no node has taken it yet" in result.stderr
    assert posted() == [
        {"id": id, "kind": "retry", "actor": "Ada", "reason": "it is back"}
        for id in ("incident", "failed-1", "failed-2")
    ]


def test_cancel_asks_what_runs_and_incidents(shop: Path) -> None:
    result = counterpoint("cancel", "--since", "1970-01-01", "--yes", "--rate", "10000", "--json")

    plain = json.loads(result.stdout)
    assert result.exit_code == 0
    assert plain == {
        "dry_run": False,
        "matched": 2,
        "more": False,
        "counts": plain["counts"],
        "ids": ["running", "incident"],
        "children": 0,
        "done": 2,
        "refused": [],
        "interrupted": False,
        "taken": False,
    }
    assert [request["kind"] for request in posted()] == ["cancel", "cancel"]


def test_attributes_choose_what_is_acted_on(shop: Path) -> None:
    counterpoint("cancel", "--where", "@customer=c-1", "--where", "status=running", "--yes")

    assert [request["id"] for request in posted()] == ["running"]


def test_refused_ones_stop_nothing_and_are_listed(shop: Path) -> None:
    both = ("--where", "status=compensated", "--where", "status=failed", "--yes")
    text = counterpoint("retry", *both, "--rate", "10000")
    plain = json.loads(counterpoint("retry", *both, "--rate", "10000", "--json").stdout)

    lines = text.stdout.splitlines()
    assert text.exit_code == 1
    assert lines[:2] == ["the request to retry is sent to 2 of 3 executions", "1 refused:"]
    assert lines[2].startswith("  undone: it is compensated: ")
    assert [refusal["id"] for refusal in plain["refused"]] == ["undone"]
    assert plain["done"] == 2


def test_many_refused_ones_are_not_all_written_out(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("counterpoint.cli.batch.REFUSED_SHOWN", 2)

    async def refuse(execution: Execution[Any]) -> None:
        raise ExecutionNotFoundError(execution.id)

    code = act_on(refuse, as_json=False)

    lines = capsys.readouterr().out.splitlines()
    assert code == 1
    assert lines[1:] == [
        "6 refused:",
        "  running: no execution has the id 'running'",
        "  incident: no execution has the id 'incident'",
        "  … and 4 more, which --json lists",
    ]


def test_earlier_runs_of_an_id_are_not_acted_on(shop: Path) -> None:
    keep([row(20, "failed-1", Status.COMPLETED, run=2)])

    counterpoint("retry", "--where", "status=failed", "--yes", "--rate", "10000")

    assert [request["id"] for request in posted()] == ["failed-2"]


# ---- families -----------------------------------------------------------------------------------


FAMILY = [
    row(10, "top", Status.RUNNING),
    row(11, "top/1", Status.RUNNING, parent=10),
    row(12, "other", Status.COMPLETED),
    row(13, "top/1/1", Status.RUNNING, parent=11),
    row(14, "other/1", Status.RUNNING, parent=12),
]


@pytest.mark.parametrize("command", ["cancel", "terminate"])
def test_children_of_a_chosen_one_get_no_request_of_their_own(shop: Path, command: str) -> None:
    keep(FAMILY)
    choice = (command, "--where", "id=*o*", "--since", "1970-01-01")

    dry = counterpoint(*choice)
    real = counterpoint(*choice, "--yes", "--rate", "10000")

    assert dry.stdout.splitlines()[0] == f"this would {command} 2 executions:"
    assert dry.stdout.splitlines()[-3:] == [
        *("  top", "  other/1", "2 children end with their parents")
    ]
    assert real.stdout.splitlines() == [
        f"the request to {command} is sent to 2 of 2 executions",
        "2 children end with their parents",
    ]
    assert [request["id"] for request in posted()] == ["top", "other/1"]


def test_a_grandchild_of_a_chosen_one_is_left_out_where_its_parent_is_not_chosen(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep([one._replace(status=Status.COMPENSATING) if one.key == 11 else one for one in FAMILY])
    monkeypatch.setattr("counterpoint.cli.batch._parent", parent_of)

    result = counterpoint("cancel", "--where", "id=top*", "--json")

    plain = json.loads(result.stdout)
    assert (plain["ids"], plain["matched"], plain["children"]) == (["top"], 1, 1)


async def parent_of(_: object, execution_id: str) -> str | None:
    return {"top/1": "top"}.get(execution_id)


def test_a_limit_counts_what_is_acted_on_and_only_its_children(shop: Path) -> None:
    keep(FAMILY)

    result = counterpoint("cancel", "--where", "id=*o*", "--limit", "1", "--json")

    plain = json.loads(result.stdout)
    assert (plain["ids"], plain["matched"], plain["children"]) == (["other/1"], 1, 0)
    assert plain["more"] is True


def test_parents_are_acted_on_before_their_children(shop: Path) -> None:
    keep(FAMILY)
    seen: list[str] = []

    async def poke(execution: Execution[Any]) -> None:
        seen.append(execution.id)

    act_on(poke, where=Where(id="top*"))

    assert seen == ["top", "top/1", "top/1/1"]


def test_roots_are_those_that_are_nobodys_children(shop: Path) -> None:
    keep([*FAMILY, row(15, "none", Status.RUNNING), row(16, "none/1", Status.RUNNING, parent=15)])

    result = counterpoint("list", "--where", "parent=none", "--since", "1970-01-01", "--json")

    found = {one["id"]: one["parent"] for one in map(json.loads, result.stdout.splitlines())}
    assert found.keys() == {*STATUSES, "top", "other", "none"}
    assert set(found.values()) == {None}


# ---- on the way -------------------------------------------------------------------------------


def test_ctrl_c_stops_between_two_and_says_how_many_were_done(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished: list[str] = []

    async def poke(execution: Execution[Any]) -> None:
        if len(finished) == 1:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0)
        finished.append(execution.id)

    code = act_on(poke)

    plain = json.loads(capsys.readouterr().out)
    assert code == 130
    assert finished == ["running", "incident"]
    assert (plain["done"], plain["interrupted"]) == (2, True)


def test_ctrl_c_during_a_pause_stops_at_once(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def poke(_: Execution[Any]) -> None:
        asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGINT)

    code = act_on(poke, rate=0.01, as_json=False)

    said = capsys.readouterr()
    assert code == 130
    assert said.out == "the request to poke is sent to 1 of 6 executions\n"
    assert "interrupted: 5 were not reached" in said.err


def test_what_is_refused_at_ctrl_c_is_counted(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuse(execution: Execution[Any]) -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)
        raise ExecutionRefusedError(execution.id, "it is late")

    code = act_on(refuse)

    plain = json.loads(capsys.readouterr().out)
    assert (code, plain["done"]) == (130, 0)
    assert plain["refused"] == [{"id": "running", "reason": "it is late"}]


def test_ctrl_c_while_a_node_is_awaited_loses_no_report(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def taken(*_: object) -> bool:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)
        return True

    async def poke(_: Execution[Any]) -> None: ...

    monkeypatch.setattr("counterpoint.cli.batch.taken", taken)

    code = act_on(poke)

    plain = json.loads(capsys.readouterr().out)
    assert (code, plain["done"], plain["interrupted"], plain["taken"]) == (0, 6, False, False)


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
def test_a_store_that_fails_ends_it_and_says_how_far_it_was(
    shop: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    async def poke(execution: Execution[Any]) -> None:
        if execution.id == "failed-1":
            raise StoreBusyError("it is busy")

    with pytest.raises(StoreBusyError):
        act_on(poke, as_json=as_json)

    said = capsys.readouterr()
    assert "stopped after 2 of 6" in said.err
    assert (msgspec.json.decode(said.out)["done"] == 2) if as_json else said.out == ""


def test_a_bug_in_an_act_is_not_taken_for_a_refusal(shop: Path) -> None:
    async def poke(_: Execution[Any]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act_on(poke)


def test_a_line_now_and_then_says_how_far_it_is(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("counterpoint.cli.batch.LINE_EVERY", 2)

    async def poke(execution: Execution[Any]) -> None:
        if execution.id == "failed-1":
            raise ExecutionRefusedError(execution.id, "no")

    act_on(poke)

    assert capsys.readouterr().err.splitlines()[:3] == [
        "2 of 6",
        "4 of 6, 1 refused",
        "6 of 6, 1 refused",
    ]


def test_a_terminal_shows_a_bar(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        "counterpoint.cli.batch.err",
        lambda: Console(file=screen, force_terminal=True, width=100),
    )

    async def poke(execution: Execution[Any]) -> None:
        if execution.id == "failed-1":
            raise ExecutionRefusedError(execution.id, "no")

    act_on(poke)

    assert "6/6" in screen.getvalue()
    assert "1 refused" in screen.getvalue()


def test_acts_are_spread_evenly_and_lost_time_is_not_caught_up() -> None:
    pace = Pace(rate=2)

    assert pace.delay(100.0) == 0
    assert pace.delay(100.1) == pytest.approx(0.4)
    assert pace.delay(100.5) == pytest.approx(0.5)
    assert pace.delay(105.0) == 0
    assert pace.delay(105.0) == pytest.approx(0.5)
