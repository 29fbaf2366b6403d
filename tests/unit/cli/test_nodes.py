"""`nodes`, `drain` and `doctor`, on stores that one node, or several, host."""

import asyncio
import json
import os
import sys
from io import StringIO
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from tests.clusters import SECOND, ClusterInMemory, present, row
from typer.testing import CliRunner, Result

from counterpoint import App, Service
from counterpoint.cli.completion import complete_nodes
from counterpoint.cli.main import cli
from counterpoint.model.cluster import NodeLoad
from counterpoint.model.findings import Examination, Finding, Severity
from counterpoint.model.messages import Messages, SubscriptionRow
from counterpoint.model.rows import Commit

APP = "clustered:app"


def counterpoint(*args: str) -> Result:
    return CliRunner().invoke(
        cli, args, env={"COLUMNS": "200", "COUNTERPOINT_APP": "clustered:app"}
    )


def lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> ClusterInMemory:
    """Two nodes of a shop: the first has all slots of orders, the second nothing."""
    found = ClusterInMemory(row(1, "a", "orders", "stock"), row(2, "b", "orders"))
    found.slot_owners = {"orders": 1}
    found.owned = [NodeLoad(1, 12, 256, 3)]
    module: Any = ModuleType("clustered")
    module.app = App("shop", services=[Service("orders")], store=found)
    monkeypatch.setitem(sys.modules, "clustered", module)
    monkeypatch.setattr("counterpoint.cli.drain.POLL_SECONDS", (0, 0))
    return found


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A store that no node hosts."""

    async def make() -> None:
        async with App("shop", services=[], store=f"sqlite:///{tmp_path}/shop.db"):
            pass

    asyncio.run(make())
    return str(tmp_path / "shop.db")


# ---- nodes ------------------------------------------------------------------------------------


def test_nodes_are_listed_with_what_they_host_and_own(store: ClusterInMemory) -> None:
    store.rows[1] = store.rows[1]._replace(draining=True)

    shown = lines(counterpoint("nodes").stdout)

    assert shown[0][:8] == [
        "node",
        "name",
        "state",
        "process",
        "hosts",
        "executions",
        "calls",
        "slots",
    ]
    assert shown[1][:9] == [
        "1",
        "a",
        "alive",
        "a.example:4001",
        "orders,",
        "stock",
        "12",
        "3",
        "256",
    ]
    assert " ".join(shown[2][:8]) == "2 b draining b.example:4002 orders 0 0 0"


def test_nodes_say_who_has_which_slots_of_each_service(store: ClusterInMemory) -> None:
    shown = counterpoint("nodes").stdout

    assert "orders   1, 2   256 of node 1\n" in shown
    assert "stock    1\n" in shown


def test_nodes_say_which_slots_of_a_service_that_reacts_nobody_has(store: ClusterInMemory) -> None:
    note = SubscriptionRow(1, "stock", "stock.note", "orders.Placed", "", 0, 0, present())
    store.slot_owners = {"orders": 1, "stock": None}

    async def subscribe() -> None:
        await store.open(node=True)
        await store.commit(Commit(messages=Messages(subscriptions=[note])))
        await store.close()

    asyncio.run(subscribe())

    assert "stock    1      256 of nobody\n" in counterpoint("nodes").stdout


def test_nodes_that_ended_are_listed_with_all(store: ClusterInMemory) -> None:
    store.rows.append(row(3, "c", lost_at=present() - 90 * SECOND))

    assert "lost" not in counterpoint("nodes").stdout
    assert "lost" in counterpoint("nodes", "--all").stdout


def test_nodes_warn_of_work_that_nobody_hosts(store: ClusterInMemory) -> None:
    store.calls_waiting = [("payments.pay", 3, present())]

    result = counterpoint("nodes")

    assert "no node hosts payments.pay: 3 calls wait since" in result.stderr
    assert result.exit_code == 0


def test_nodes_are_one_object_of_json(store: ClusterInMemory) -> None:
    found = json.loads(counterpoint("nodes", "--json").stdout)

    assert sorted(found) == ["nodes", "subscriptions", "unhosted"]
    assert [(one["incarnation"], one["alive"]) for one in found["nodes"]] == [(1, True), (2, True)]


def test_a_file_that_no_node_hosts_says_how_to_start_one(file: str) -> None:
    result = CliRunner().invoke(cli, ["nodes", "--store", file])

    assert "no node hosts this store: counterpoint run MODULE:APP starts one" in result.stdout
    assert result.exit_code == 0


def test_the_node_of_a_file_is_shown_with_its_process(file: str) -> None:
    async def beside() -> Result:
        async with App("shop", services=[], store=f"sqlite:///{file}"):
            return await asyncio.to_thread(
                CliRunner().invoke, cli, ["nodes", "--store", file], env={"COLUMNS": "200"}
            )

    shown = asyncio.run(beside()).stdout

    assert f":{os.getpid()}" in shown
    assert "slots" not in shown


# ---- drain ------------------------------------------------------------------------------------


def test_drain_waits_until_the_node_has_stopped(store: ClusterInMemory) -> None:
    draining = store.rows[0]._replace(draining=True)
    store.polls = [draining, draining._replace(stopped_at=present())]

    result = counterpoint("drain", "a")

    assert (result.exit_code, store.drained) == (0, [1])
    assert "node 1 (a, a.example:4001) has stopped" in result.stdout
    assert "it owns 12 executions, 256 slots, 3 calls" in result.stderr


def test_drain_says_what_no_other_node_hosts(store: ClusterInMemory) -> None:
    first = counterpoint("drain", "a", "--no-wait")
    second = counterpoint("drain", "b", "--no-wait")

    assert "no other node hosts stock: work for it waits until one does" in first.stderr
    assert second.stderr == ""


def test_drain_says_the_same_thing_once(store: ClusterInMemory) -> None:
    draining = store.rows[0]._replace(draining=True)
    store.polls = [draining, draining, draining._replace(stopped_at=present())]

    assert counterpoint("drain", "a").stderr.count("hands over") == 1


def test_drain_in_json_says_how_the_node_stands(store: ClusterInMemory) -> None:
    store.polls = [store.rows[0]._replace(stopped_at=present())]

    result = counterpoint("drain", "1", "--json")

    found = json.loads(result.stdout)
    assert (found["asked"], found["stopped"], found["node"]["state"]) == (True, True, "stopped")
    assert "hands over" not in result.stderr


def test_drain_without_waiting_only_asks(store: ClusterInMemory) -> None:
    result = counterpoint("drain", "a", "--no-wait")

    assert (result.exit_code, store.drained) == (0, [1])
    assert "is asked to hand over and stop" in result.stdout


def test_drain_gives_up_waiting_after_the_timeout(store: ClusterInMemory) -> None:
    result = counterpoint("drain", "a", "--timeout", "0.01")

    assert result.exit_code == 5
    assert "it has not stopped within 0.01 s" in result.stderr


def test_a_node_that_is_lost_while_it_hands_over_is_a_failure(store: ClusterInMemory) -> None:
    store.polls = [store.rows[0]._replace(lost_at=present())]

    result = counterpoint("drain", "a")

    assert result.exit_code == 1
    assert "was declared lost" in result.stdout


def test_a_node_that_is_forgotten_while_one_waits_has_ended(store: ClusterInMemory) -> None:
    store.polls = [store.rows[0]._replace(stopped_at=present())]
    store.forgets, store.owned = True, []

    result = counterpoint("drain", "a")

    assert result.exit_code == 0
    assert "has stopped" in result.stdout


def test_a_name_of_several_nodes_is_refused_with_their_numbers(store: ClusterInMemory) -> None:
    store.rows[1] = store.rows[1]._replace(node="a")

    result = counterpoint("drain", "a")

    assert (result.exit_code, store.drained) == (2, [])
    assert "node 1 (a, a.example:4001), node 2 (a, b.example:4002)" in result.stderr


@pytest.mark.parametrize(
    ("wanted", "words"), [("x", "no node is called 'x'"), ("3", "'3' is not alive: node 3 (c,")]
)
def test_a_node_that_is_not_there_is_not_found(
    store: ClusterInMemory, wanted: str, words: str
) -> None:
    store.rows.append(row(3, "c", stopped_at=present()))

    result = counterpoint("drain", wanted)

    assert result.exit_code == 3
    assert words in result.stderr


def test_a_file_has_nobody_to_hand_over_to(file: str) -> None:
    result = CliRunner().invoke(cli, ["drain", "a", "--store", file])

    assert result.exit_code == 4
    assert "nothing can take over from it: none does now" in result.stderr


def test_drain_cannot_both_wait_and_not(store: ClusterInMemory) -> None:
    assert counterpoint("drain", "a", "--no-wait", "--timeout", "3").exit_code == 2


def test_a_terminal_gets_a_line_that_changes(
    store: ClusterInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = StringIO()
    terminal = Console(file=written, force_terminal=True, width=100)
    monkeypatch.setattr("counterpoint.cli.drain.err", lambda: terminal)
    store.polls = [store.rows[0]._replace(stopped_at=present())]

    result = counterpoint("drain", "a")

    assert "hands over: it owns 12 executions" in written.getvalue()
    assert "hands over" not in result.stderr


def test_nodes_that_are_alive_are_offered(store: ClusterInMemory) -> None:
    context: Any = SimpleNamespace(params={"app": APP})
    store.rows[1] = store.rows[1]._replace(lost_at=present())

    assert complete_nodes(context, "") == ["1", "a"]
    assert complete_nodes(context, "b") == []


# ---- doctor -----------------------------------------------------------------------------------


def test_a_healthy_store_ends_doctor_well(store: ClusterInMemory) -> None:
    result = counterpoint("doctor", "--strict")

    assert result.exit_code == 0
    assert "healthy" in result.stdout
    assert "live executions" in result.stdout


@pytest.mark.parametrize(
    ("severity", "plain", "strict"),
    [(Severity.NOTE, 0, 0), (Severity.WARNING, 0, 1), (Severity.ERROR, 1, 1)],
)
def test_what_ends_doctor_with_an_exit_code(
    store: ClusterInMemory, severity: Severity, plain: int, strict: int
) -> None:
    finding = Finding(severity, "kind", "it hums", "the server", "listen")
    facts = {"log_bytes": 5 << 20, "file_bytes": 1, "well": True, "seen": 1234, "left": None}
    store.examination = Examination(facts, [finding])

    results = counterpoint("doctor"), counterpoint("doctor", "--strict")

    assert [result.exit_code for result in results] == [plain, strict]
    assert f"{severity}: the server: it hums\n  → listen" in results[0].stdout
    shown = dict(line.split("  ", 1) for line in results[0].stdout.splitlines()[:5])
    assert {name: value.strip() for name, value in shown.items()} == {
        "log": "5.0 MiB",
        "file": "1 B",
        "well": "yes",
        "seen": "1,234",
        "left": "unknown",
    }


def test_doctor_in_json_is_one_object(store: ClusterInMemory) -> None:
    store.skew = 5 * SECOND

    found = json.loads(counterpoint("doctor", "--json").stdout)

    assert sorted(found) == ["facts", "findings", "healthy"]
    assert [(one["kind"], one["severity"]) for one in found["findings"]] == [
        ("clock-skew", "warning")
    ]


def test_a_store_that_cannot_be_opened_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database, but long enough to look like something else")

    result = CliRunner().invoke(cli, ["doctor", "--json", "--store", str(tmp_path / "text.db")])

    (finding,) = json.loads(result.stdout)["findings"]
    assert (result.exit_code, finding["kind"]) == (4, "store")
    assert "not a Counterpoint store" in finding["what"]
