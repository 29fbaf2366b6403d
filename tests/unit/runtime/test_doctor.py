"""What `app.doctor()` and `app.nodes()` say of stores that one node, or several, host."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.clusters import LEASE, SECOND, ClusterInMemory, present, row

from counterpoint import App, ArgumentsError, Event, Service, StoreError
from counterpoint.codecs.json import JsonCodec
from counterpoint.model.cluster import NodeLoad
from counterpoint.model.findings import Examination, Finding, Severity
from counterpoint.model.messages import (
    ContractRow,
    DeadLetterRow,
    EventRow,
    HoldRow,
    Messages,
    SubscriptionRow,
)
from counterpoint.model.records import Payload
from counterpoint.model.rows import Commit, ExecutionRow, MailRow
from counterpoint.model.states import Status
from counterpoint.runtime.doctor import Diagnosis
from counterpoint.runtime.mail import SignalMail, StartMail, mail_row
from counterpoint.runtime.nodes import NodeState
from counterpoint.stores import sqlite_examination

LONG_AGO = present() - 3600 * SECOND
CODEC = JsonCodec()


def shop(store: Any) -> App:
    orders = Service("orders")

    @orders.event(key="id")
    class Placed(Event):
        id: str

    @orders.activity
    async def book(order: str) -> str:
        return order

    @orders.workflow
    async def place(order: str) -> str:
        return await book(order)

    @orders.on(Placed)
    async def note(event: Placed) -> None: ...

    return App("shop", services=[orders], store=store)


def healthy() -> ClusterInMemory:
    store = ClusterInMemory(row(1, "a", "orders"))
    store.slot_owners = {"orders": 1}
    return store


async def written(store: ClusterInMemory, commit: Commit) -> ClusterInMemory:
    await store.open(node=True)
    await store.commit(commit)
    await store.close()
    return store


async def diagnosis(store: Any) -> Diagnosis:
    async with shop(store).client() as client:
        return await client.doctor()


async def found(store: Any) -> dict[str, Finding]:
    return {finding.kind: finding for finding in (await diagnosis(store)).findings}


def execution(
    key: int, name: str, status: Status = Status.RUNNING, version: int = 1
) -> ExecutionRow:
    service = name.partition(".")[0]
    facts = ("workflow", service, name, version, status, b"", LONG_AGO, None)
    return ExecutionRow(key, f"id-{key}", 1, *facts)


def event(at: int = LONG_AGO, event_type: str = "orders.Placed", id: str = "e-1") -> EventRow:
    data = ("json", b'{"id":"k"}')
    return EventRow(
        0, "orders", id, event_type, 1, "k", 7, "flow", None, None, 0, None, at, at, *data
    )


def subscription(name: str, number: int = 1) -> SubscriptionRow:
    service = name.partition(".")[0]
    return SubscriptionRow(number, service, name, "orders.Placed", "", 0, 0, LONG_AGO)


# ---- healthy ---------------------------------------------


async def test_a_store_with_a_node_and_no_trouble_is_healthy() -> None:
    one = await diagnosis(healthy())

    assert (one.healthy, list(one.findings)) == (True, [])
    assert one.facts["nodes"] == 1
    assert msgspec.json.encode(one)


async def test_a_file_that_no_node_hosts_is_healthy_while_nothing_waits(tmp_path: Path) -> None:
    app = shop(f"sqlite:///{tmp_path}/shop.db")
    async with app:
        during = await app.doctor()
    async with app.client() as client:
        after = await client.doctor()

    assert (during.healthy, list(during.findings)) == (True, [])
    assert [(one.severity, one.kind) for one in after.findings] == [(Severity.NOTE, "no-node")]
    assert after.healthy
    assert after.facts["journal_mode"] == "wal"
    assert after.facts["schema_version"] == after.facts["schema_version_known"]


async def test_what_a_store_says_of_itself_comes_first_where_it_matters_most() -> None:
    store = healthy()
    store.skew = 2 * SECOND
    error = Finding(Severity.ERROR, "worst", "it burns", "the server", "put it out")
    store.examination = Examination({}, [error])

    one = await diagnosis(store)

    assert [finding.kind for finding in one.findings] == ["worst", "clock-skew"]
    assert not one.healthy


# ---- nodes -----------------------------------------------


@pytest.mark.parametrize(("skew", "words"), [(1.5, "1.5 s ahead of"), (-90, "90.0 s behind")])
async def test_a_clock_that_is_off_by_more_than_a_second_is_a_warning(
    skew: float, words: str
) -> None:
    store = healthy()
    store.skew = round(skew * SECOND)
    # leases are in the store's time, which is not this machine's
    store.rows = [row(1, "a", "orders", at=present() - store.skew)]

    one = await found(store)

    assert list(one) == ["clock-skew"]
    assert words in one["clock-skew"].what


async def test_a_clock_that_is_off_by_less_is_none() -> None:
    store = healthy()
    store.skew = 900_000

    assert await found(store) == {}


@pytest.mark.parametrize(
    ("skew", "over_since", "late"), [(-60, -5, True), (60, 30, False)], ids=["behind", "ahead"]
)
async def test_a_lease_is_over_by_the_clock_of_the_store(
    skew: int, over_since: int, late: bool
) -> None:
    lease_until = present() - over_since * SECOND
    store = ClusterInMemory(row(1, "a", "orders", lease_until=lease_until))
    store.slot_owners = {"orders": 1}
    store.skew = skew * SECOND

    async with shop(store).client() as client:
        (one,) = await client.nodes()
        kinds = [finding.kind for finding in (await client.doctor()).findings]

    assert (one.state is NodeState.LATE, "expired-lease" in kinds) == (late, late)


async def test_work_without_any_node_is_one_warning() -> None:
    store = ClusterInMemory()
    store.calls_waiting = [("payments.pay", 2, LONG_AGO)]
    starts = [execution(1, "orders.place"), execution(2, "orders.place", Status.COMPENSATING)]
    await written(store, Commit(starts=starts))

    one = await found(store)

    assert list(one) == ["no-node"]
    assert one["no-node"].severity is Severity.WARNING
    assert "2 executions wait for one" in one["no-node"].what


@pytest.mark.parametrize(
    ("over_for", "severity"), [(3 * SECOND, Severity.WARNING), (90 * SECOND, Severity.ERROR)]
)
async def test_a_lease_that_is_over_is_worse_the_longer_nobody_acts(
    over_for: int, severity: Severity
) -> None:
    store = healthy()
    late = row(2, "b", "orders")
    store.rows.append(late._replace(lease_until=present() - over_for))

    one = await found(store)

    assert list(one) == ["expired-lease"]
    assert (one["expired-lease"].severity, one["expired-lease"].where) == (
        severity,
        "node 2 (b, b.example:4002)",
    )


async def test_a_lease_of_the_only_node_asks_for_another_node() -> None:
    late = row(1, "a", "orders")
    store = ClusterInMemory(late._replace(lease_until=present() - 90 * SECOND))
    store.slot_owners = {"orders": 1}

    one = await found(store)

    assert {kind: finding.severity for kind, finding in one.items()} == {
        "no-node": Severity.NOTE,
        "expired-lease": Severity.WARNING,
    }
    assert "start a node, which takes over" in one["expired-lease"].advice


@pytest.mark.parametrize(
    ("ago", "severity"), [(5 * SECOND, Severity.WARNING), (300 * SECOND, Severity.ERROR)]
)
async def test_work_of_a_node_that_is_gone_is_orphaned(ago: int, severity: Severity) -> None:
    store = healthy()
    store.rows.append(row(2, "b", "orders", lost_at=present() - ago))
    store.owned = [NodeLoad(1, 5, 256, 0), NodeLoad(2, 7, 0, 1)]

    one = await found(store)

    assert list(one) == ["orphaned-work"]
    assert one["orphaned-work"].severity is severity
    assert "7 executions and 1 call" in one["orphaned-work"].what
    assert re.search(r"lost since 20\d\d-", one["orphaned-work"].what)


async def test_work_of_a_node_that_nobody_remembers_is_orphaned_too() -> None:
    store = healthy()
    store.owned = [NodeLoad(9, 1, 0, 0)]

    one = await found(store)

    assert one["orphaned-work"].severity is Severity.ERROR
    assert "node 9" in one["orphaned-work"].where


async def test_a_node_that_is_gone_and_owns_nothing_is_no_finding() -> None:
    store = healthy()
    store.rows.append(row(2, "b", "orders", stopped_at=LONG_AGO))

    assert await found(store) == {}


async def test_a_node_that_hands_over_is_a_note() -> None:
    store = healthy()
    store.rows.append(row(2, "b", draining=True))

    one = await diagnosis(store)

    assert [(finding.kind, finding.severity) for finding in one.findings] == [
        ("draining", Severity.NOTE)
    ]
    assert one.healthy


async def test_slots_of_nobody_are_a_warning_where_somebody_hosts_reactions() -> None:
    store = ClusterInMemory(row(1, "a", "orders"))
    mine = Messages(subscriptions=[subscription("orders.note")])
    await written(store, Commit(messages=mine))

    one = await found(store)

    assert "256 of its 256 slots" in one["free-slots"].what
    store.slot_owners = {"orders": 1}
    assert await found(store) == {}


# ---- work that waits ---------------------------------------


async def test_calls_of_an_activity_that_no_node_hosts_say_which_host_to_start() -> None:
    store = healthy()
    store.calls_waiting = [("payments.authorize", 3, LONG_AGO)]

    one = (await found(store))["unhosted-activity"]

    assert re.fullmatch(
        r"no node hosts payments\.authorize: 3 calls wait since 20\d\d-.* UTC", one.what
    )
    assert "--host payments" in one.advice


async def test_executions_and_starts_of_a_workflow_that_no_node_hosts_are_counted_together() -> (
    None
):
    store = healthy()
    start = StartMail("stock.count", Payload(b"{}"))
    times = {"first": LONG_AGO - SECOND, "second": present()}
    posted = [mail_row(id, start, at, CODEC) for id, at in times.items()]
    starts = [execution(1, "stock.count"), execution(2, "orders.place")]
    await written(store, Commit(starts=starts, mail=posted))

    async with shop(store).client() as client:
        (one,) = await client.unhosted()

    assert (one.kind, one.name, one.service, one.waiting) == (
        "workflow",
        "stock.count",
        "stock",
        3,
    )
    assert one.since.timestamp() * SECOND == pytest.approx(LONG_AGO - SECOND, abs=1)


async def test_a_start_that_cannot_be_read_is_a_letter_like_others() -> None:
    store = healthy()
    letter = MailRow(0, "r", "start", "new", LONG_AGO, "json", b"no JSON")
    await written(store, Commit(mail=[letter]))

    assert list(await found(store)) == ["letters"]


async def test_executions_of_a_newer_version_than_any_node_has_wait_for_it() -> None:
    store = healthy()
    starts = [execution(1, "orders.place", version=3), execution(2, "orders.place")]
    await written(store, Commit(starts=starts))

    one = await found(store)

    assert list(one) == ["unhosted-version"]
    assert "version 3 of orders.place: 1 execution waits since" in one["unhosted-version"].what


async def test_events_of_a_subscription_that_no_node_hosts_wait() -> None:
    store = healthy()
    mine = Messages(events=[event()], subscriptions=[subscription("shipping.pack")])
    await written(store, Commit(messages=mine))

    one = await found(store)

    assert list(one) == ["unhosted-subscription"]
    assert "subscriptions delete shipping.pack" in one["unhosted-subscription"].advice


async def test_a_store_with_one_node_is_compared_with_the_app_if_there_is_one(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    async with shop(url) as app:
        await app.node.store.commit(Commit(starts=[execution(1, "stock.count")]))
    async with App("nothing", services=[], store=url).client() as client:
        without = await client.unhosted()
    async with shop(url).client() as client:
        with_app = await client.unhosted()

    assert (without, [one.name for one in with_app]) == ([], ["stock.count"])


async def test_a_hosted_subscription_is_behind_once_an_event_has_waited_for_a_minute() -> None:
    store = healthy()
    events = [event(present() - 90 * SECOND), event(present(), id="e-2")]
    mine = Messages(events=events, subscriptions=[subscription("orders.note")])
    await written(store, Commit(messages=mine))

    one = await found(store)

    assert list(one) == ["behind"]
    assert "2 events" in one["behind"].what


async def test_a_subscription_that_an_event_reached_just_now_is_not() -> None:
    store = healthy()
    events = [event(present() - SECOND)]
    mine = Messages(events=events, subscriptions=[subscription("orders.note")])
    await written(store, Commit(messages=mine))

    assert await found(store) == {}


async def test_requests_that_are_older_than_a_minute_say_how_many_and_for_whom() -> None:
    store = healthy()
    signal = SignalMail("go", Payload(b"1"))
    old, new = (mail_row(id, signal, at, CODEC) for id, at in (("x", LONG_AGO), ("y", present())))
    await written(store, Commit(mail=[old, new]))

    one = await found(store)

    assert list(one) == ["letters"]
    assert "older than a minute: 1 signal; the oldest" in one["letters"].what
    assert one["letters"].what.endswith("for x")


async def test_incidents_are_named() -> None:
    store = healthy()
    stuck = [execution(key, "orders.place", Status.INCIDENT) for key in range(1, 6)]
    await written(store, Commit(starts=stuck))

    one = await found(store)

    assert one["incidents"].what == "5 executions need a person: id-5, id-4, id-3, …"


async def test_dead_letters_and_the_keys_behind_them_are_counted() -> None:
    store = healthy()
    dead = [
        DeadLetterRow(
            *(1, n, "orders", "", "orders.note", "orders.Placed", f"k{n}", "flow", 1, LONG_AGO),
            *("builtins.ValueError", "json", b"{}"),
        )
        for n in (1, 2)
    ]
    held = [HoldRow("orders", "", f"k{n}", n) for n in (1, 2)]
    mine = Messages(subscriptions=[subscription("orders.note")], dead=dead, held=held)
    await written(store, Commit(messages=mine))

    one = await found(store)

    assert sorted(one) == ["dead-letters", "parked-keys"]
    assert one["dead-letters"].what.startswith("2 dead letters because of builtins.ValueError")
    assert "2 keys wait" in one["parked-keys"].what


async def test_an_app_that_no_node_could_host_is_an_error() -> None:
    store = healthy()
    other = ContractRow("orders.Placed", 1, "orders", "other_key", "{}", LONG_AGO)
    await written(store, Commit(messages=Messages(contracts=[other])))

    one = await found(store)

    assert one["contract"].severity is Severity.ERROR
    assert "no node of this app would start" in one["contract"].what


# ---- nodes and drain ---------------------------------------


async def test_nodes_say_what_they_host_and_own() -> None:
    store = healthy()
    store.rows.append(row(2, "b", "orders", lease_until=present() - LEASE))
    store.rows.append(row(3, "c", "orders", stopped_at=LONG_AGO))
    store.owned = [NodeLoad(1, 5, 256, 2)]

    async with shop(store).client() as client:
        living = await client.nodes()
        everyone = await client.nodes(all_of_them=True)

    assert [(one.name, one.state) for one in everyone] == [
        ("a", NodeState.ALIVE),
        ("b", NodeState.LATE),
        ("c", NodeState.STOPPED),
    ]
    assert [one.name for one in living] == ["a", "b"]
    first = living[0]
    assert (first.executions, first.calls, first.slots) == (5, 2, {"orders": 256})
    assert (first.workflows, first.activities) == ({"orders.place": 1}, ["orders.book"])
    assert first.place == "a.example:4001"


async def test_the_node_of_a_file_is_its_process(tmp_path: Path) -> None:
    app = shop(f"sqlite:///{tmp_path}/shop.db")
    async with app:
        (one,) = await app.nodes()
        (lag,) = await app.lags()
    async with app.client() as client:
        none = await client.nodes()

    assert (one.pid, one.alive, one.services) == (os.getpid(), True, ["orders"])
    assert (lag.name, lag.behind, lag.since, lag.nodes) == ("orders.note", 0, None, [0])
    assert none == []


async def test_lags_say_how_much_waits_since_when_and_who_hosts_it() -> None:
    store = healthy()
    events = [event(), event(id="e-2", event_type="orders.Other")]
    mine = Messages(events=events, subscriptions=[subscription("orders.note")])
    await written(store, Commit(messages=mine))

    async with shop(store).client() as client:
        (lag,) = await client.lags()

    assert (lag.distance, lag.behind, lag.nodes) == (2, 1, [1])
    assert lag.since is not None
    assert lag.since.timestamp() * SECOND == pytest.approx(LONG_AGO, abs=1)


@pytest.mark.parametrize(
    "wanted", [2, "2", "b", "b.example:4002"], ids=["number", "digits", "name", "process"]
)
async def test_a_node_is_drained_by_number_name_or_process(wanted: str | int) -> None:
    store = ClusterInMemory(row(1, "a"), row(2, "b"))

    async with shop(store).client() as client:
        one = await client.drain(wanted)

    assert (one.name, store.drained) == ("b", [2])


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("x", "no node is called 'x'; there are node 1 (a"), ("a", "name its number")],
)
async def test_nobody_or_several_are_not_drained(wanted: str, words: str) -> None:
    store = ClusterInMemory(row(1, "a"), row(2, "a"))

    async with shop(store).client() as client:
        with pytest.raises(ArgumentsError, match=re.escape(words)):
            await client.drain(wanted)

    assert store.drained == []


async def test_a_node_that_stops_at_that_moment_cannot_be_drained() -> None:
    class Gone(ClusterInMemory):
        async def drain(self, incarnation: int) -> bool:
            return False

    async with shop(Gone(row(1, "a"))).client() as client:
        with pytest.raises(ArgumentsError, match="has just stopped"):
            await client.drain("a")


async def test_a_file_has_nobody_to_hand_over_to(tmp_path: Path) -> None:
    app = shop(f"sqlite:///{tmp_path}/shop.db")
    async with app:
        with pytest.raises(StoreError, match=rf"kill {os.getpid()}"):
            await app.drain("a")
    async with app.client() as client:
        with pytest.raises(StoreError, match="none does now"):
            await client.drain("a")
    async with shop("memory:").client() as client:
        with pytest.raises(StoreError, match="none does now"):
            await client.drain("a")


# ---- what an SQLite file says ---------------------------------------


async def test_a_long_log_and_a_full_disk_are_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_examination, "LOG_BYTES_MAX", -1)
    monkeypatch.setattr(sqlite_examination, "DISK_BYTES_MIN", 1 << 62)
    url = f"sqlite:///{tmp_path}/shop.db"
    async with shop(url) as app:
        one = await app.doctor()

    assert _kinds(one.findings) == ["long-log", "disk"]


async def test_a_store_in_memory_says_that_it_goes_with_its_process() -> None:
    async with shop("memory:") as app:
        await app.node.store.commit(Commit(starts=[execution(1, "stock.count")]))
        one = await app.doctor()

    assert _kinds(one.findings) == ["unhosted-workflow", "durability"]


def _kinds(findings: Sequence[Finding]) -> list[str]:
    return [finding.kind for finding in findings]
