"""Which executions `--where`, `--since` and `--until` choose, and how wrong ones are refused."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from counterpoint import App, BusinessError, Service, workflow
from counterpoint.cli.failures import CommandError
from counterpoint.cli.main import cli
from counterpoint.cli.where import Where, parse_where
from counterpoint.errors import ArgumentsError, ExecutionNotFoundError
from counterpoint.model.rows import Commit, Query
from counterpoint.model.states import Status
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing.conformance.store_case import said

orders, billing = Service("orders"), Service("billing")


class Declined(BusinessError):
    why: str


@orders.activity
async def pay(why: str) -> None:
    if why:
        raise Declined(why=why)


@orders.workflow
async def place(why: str) -> None:
    await pay(why)


@billing.workflow
async def settle() -> None:
    await workflow.signal("go")


STARTED = {"order-1": "", "order-2": "Card EXPIRED", "order-3": "no money"}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four executions: completed, two failed in different ways, running; attributes on two."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COUNTERPOINT_APP", raising=False)
    asyncio.run(fill(tmp_path / "shop.db"))
    return tmp_path


async def fill(path: Path) -> None:
    app = App("shop", services=[orders, billing], store=f"sqlite:///{path}")
    async with app:
        for id, why in STARTED.items():
            await app.start(place, why, id=id, correlation_id="flow-1")
            await app.idle(30)
        await app.start(settle, id="settle-1")
        await app.idle(30)
    store = SqliteStore(path)
    await store.open(node=True)
    keys = {row.id: row.key for row in await store.executions(Query())}
    attributes = [
        *said(keys["order-2"], customer="c-1", amount="5"),
        *said(keys["settle-1"], customer="c-1"),
    ]
    await store.commit(Commit(attributes=attributes))
    await store.close()


def listed(*arguments: str) -> Result:
    return CliRunner().invoke(
        cli, ["list", "--store", "shop.db", *arguments], env={"COLUMNS": "200"}
    )


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (["status=failed"], ["order-3", "order-2"]),
        (["status=failed", "status=running"], ["settle-1", "order-3", "order-2"]),
        (["workflow=orders.place"], ["order-3", "order-2", "order-1"]),
        (["service=billing"], ["settle-1"]),
        (["correlation=flow-1", "status=completed"], ["order-1"]),
        (["id=order-?"], ["order-3", "order-2", "order-1"]),
        (["id=order-[12]"], ["order-2", "order-1"]),
        (["id=ORDER-*"], []),
        (["id=order"], []),
        (["error=expired"], ["order-2"]),
        (["error=orders.declined"], ["order-3", "order-2"]),
        (["error=expired", "status=completed"], []),
        (["incident=expired"], []),
        (["@customer=c-1"], ["settle-1", "order-2"]),
        (["@customer=c-1", "@amount=5"], ["order-2"]),
        (["@customer=c-1", "service=billing"], ["settle-1"]),
        (["@customer="], []),
    ],
    ids=" ".join,
)
def test_list_shows_what_matches_all_filters(
    shop: Path, where: list[str], found: list[str]
) -> None:
    arguments = [word for text in where for word in ("--where", text)]

    result = listed("--json", *arguments)

    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == found


def test_an_incident_is_found_by_a_part_of_its_message(shop: Path) -> None:
    asyncio.run(diverge())

    found = listed("--json", "--where", "incident=Today's CODE")
    other = listed("--json", "--where", "incident=patience")

    assert [json.loads(line)["id"] for line in found.stdout.splitlines()] == ["settle-1"]
    assert other.stdout == ""


async def diverge() -> None:
    """Let today's code disagree with the journal of settle-1, which makes it an incident."""
    changed = Service("billing")

    @changed.workflow(name="billing.settle")
    async def settle_otherwise() -> None:
        await workflow.sleep(5)

    async with App("shop", services=[orders, changed], store="sqlite:///shop.db") as app:
        await app.execution("settle-1").signal("go")
        await app.idle(30)


def test_what_is_forgotten_while_it_is_read_is_left_out(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_: object, execution_id: str) -> None:
        raise ExecutionNotFoundError(execution_id)

    monkeypatch.setattr("counterpoint.cli.where.describe", gone)

    result = listed("--where", "error=expired")

    assert (result.exit_code, result.stdout) == (0, "no such executions\n")


def test_list_joins_its_own_options_with_the_filters(shop: Path) -> None:
    both = listed("--json", "--status", "failed", "--where", "status=completed")
    limited = listed("--where", "status=failed", "--workflow", "orders.place", "--limit", "1")

    assert len(both.stdout.splitlines()) == 3
    assert limited.stdout.splitlines()[1].startswith("order-3")
    assert "there are more" in limited.stderr


def test_list_shows_what_was_started_in_a_span_of_time(shop: Path) -> None:
    assert len(listed("--json", "--since", "1h").stdout.splitlines()) == 4
    assert listed("--json", "--until", "1h").stdout == ""
    assert len(listed("--json", "--until", "2999-01-01").stdout.splitlines()) == 4
    assert listed("--until", "1h").stdout == "no such executions\n"


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("failed", "'failed' is not KEY=VALUE: use status, workflow, service, correlation, "),
        ("state=failed", "there is no key 'state': use status, .*, incident, or @NAME for an"),
        ("status=broken", "status=broken: there is no such status: use running, .*, continued"),
        ("workflow=", "'workflow=' has no value"),
        ("@a-b=1", "'a-b' cannot be the name of an attribute"),
    ],
)
def test_a_filter_that_cannot_be_read_is_one_line(shop: Path, where: str, why: str) -> None:
    result = listed("--where", where)

    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert re.search(why, result.stderr)


@pytest.mark.parametrize("texts", [["id=a", "id=b"], ["@a=1", "@a=2"]], ids=str)
def test_a_key_that_is_given_twice_is_refused(texts: list[str]) -> None:
    with pytest.raises(CommandError, match="is given twice; only status can be"):
        parse_where(texts)


def test_an_attribute_that_is_too_long_is_refused() -> None:
    with pytest.raises(ArgumentsError, match="200 characters"):
        parse_where(["@a=" + "x" * 201])


@pytest.mark.parametrize("option", ["since", "until"])
def test_a_time_that_cannot_be_read_names_its_option(option: str) -> None:
    with pytest.raises(CommandError, match=f"--{option} 'soon' is no moment"):
        parse_where(None, **{option: "soon"})


def test_times_and_filters_are_read() -> None:
    found = parse_where(["status=failed", "status=failed", "@a=b=c"], "2026-01-31", "1h")

    assert found.statuses == (Status.FAILED,)
    assert found.attributes == {"a": "b=c"}
    assert found.since == datetime(2026, 1, 31, tzinfo=UTC)
    assert found.until is not None
    assert found.until < datetime.now(UTC) - timedelta(minutes=59)
    assert parse_where(None) == parse_where([]) == Where()


def test_statuses_of_a_command_give_way_to_those_of_the_user() -> None:
    assert Where().or_statuses([Status.FAILED]).statuses == (Status.FAILED,)
    assert parse_where(["status=running"]).or_statuses([Status.FAILED]).statuses == (
        Status.RUNNING,
    )
