"""Real processes on real files whose machine fails: `make crash` has many rounds of the same."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.crash import disk

from counterpoint import App, Service, workflow

ROOT = Path(__file__).parents[2]
SECONDS = 60
UNCONFIRMED = "could not confirm what was written"
Facts = dict[str, Any]
pytestmark = pytest.mark.skipif(disk.why_not() is not None, reason=str(disk.why_not()))

shop = Service("shop")


@shop.workflow
async def keep(text: str) -> int:
    await workflow.signal("go")
    return len(text)


app = App("shop", services=[shop])


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def scenes(shim: Path) -> Facts:
    """What was seen in all scenes, which are played in one program."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.scenes"],
        cwd=ROOT,
        env=disk.preloaded(shim),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    facts: Facts = json.loads(done.stdout)
    return facts


def acknowledged(lines: list[str]) -> set[str]:
    return {line.removeprefix("ack ") for line in lines if line.startswith("ack ")}


# ---- a node that stands still -------------------------------------------------------------------


def test_second_node_is_refused_while_the_first_stands_still_in_a_commit(scenes: Facts) -> None:
    (line, done) = scenes["pause_in_commit"]["second"]

    assert line.startswith("ended StoreLockedError")
    assert f"is hosted by process {scenes['pause_in_commit']['pid']}" in line
    assert done == "done"


def test_node_that_stood_still_in_a_commit_finishes_it_and_its_timers_fire(scenes: Facts) -> None:
    assert scenes["pause_in_commit"]["first"] == ["ready", "ack one", "rang", "done"]


def test_node_killed_while_it_stands_still_in_a_commit_leaves_nothing_of_it(scenes: Facts) -> None:
    seen = scenes["death_in_commit"]

    assert (seen["half"], seen["before"]) == ([], ["zero"])
    assert (seen["again"], seen["after"]) == (["ack one"], ["one", "zero"])


# ---- a full disk --------------------------------------------------------------------------------


def test_node_killed_on_a_full_disk_has_kept_what_it_acknowledged(scenes: Facts) -> None:
    seen = scenes["full_disk"]

    assert len(acknowledged(seen["node"])) > 1
    assert acknowledged(seen["node"]) <= set(seen["kept"])
    assert any("the disk or the quota is full: free space" in line for line in seen["node"])


def test_node_on_a_full_disk_refuses_with_the_reason_until_there_is_room(scenes: Facts) -> None:
    lines = scenes["full_disk"]["waits"]
    refused = [line for line in lines if line.startswith("refused")]

    assert refused
    assert all("the disk or the quota is full" in line for line in refused)
    assert any(line.startswith("logged the store failed") for line in lines)
    assert lines[-2:] == ["ack insisted", "done"]


def test_node_does_not_start_on_a_disk_without_room_for_its_lock(scenes: Facts) -> None:
    assert scenes["full_disk"]["in vain"][0][0].startswith("ended StoreFullError")


def test_node_does_not_start_on_a_disk_without_room_for_the_index(scenes: Facts) -> None:
    assert scenes["full_disk"]["in vain"][1][0].startswith("ended StoreFullError")


# ---- syncs that fail ----------------------------------------------------------------------------


def test_node_stays_down_after_a_sync_of_its_log_failed_and_nothing_is_lost(scenes: Facts) -> None:
    seen = scenes["failed_sync"]
    refused = [line for line in seen["node"] if line.startswith("refused")]

    assert acknowledged(seen["node"]) == {"one"}
    assert any(line.startswith("logged the node stays down") for line in seen["node"])
    assert len(refused) == 4
    assert all(UNCONFIRMED in line for line in refused)
    assert seen["again"] == ["ack three", "ack six"]
    assert {"zero", "one", "three", "six"} <= set(seen["stored"])


def test_what_is_acknowledged_after_a_failed_sync_survives_a_power_cut(scenes: Facts) -> None:
    assert scenes["failed_sync_then_cut"]["again"] == ["ack two"]
    assert "two" in scenes["failed_sync_then_cut"]["stored"]


def test_nothing_is_lost_when_no_checkpoint_can_be_synced(scenes: Facts) -> None:
    seen = scenes["failed_checkpoint"]

    assert seen["failed"] > 1
    assert len(acknowledged(seen["node"])) > 10
    assert acknowledged(seen["node"]) <= set(seen["stored"])


def test_node_says_that_no_checkpoint_can_be_synced(scenes: Facts) -> None:
    assert any(UNCONFIRMED in line for line in scenes["failed_checkpoint"]["node"])


def test_command_run_ends_with_exit_code_4_when_a_sync_fails(tmp_path: Path, shim: Path) -> None:
    store = tmp_path / "shop.db"
    disk_variables = {"DISK_STORE": str(store), "DISK_FAIL_KINDS": str(1 << disk.Kind.LOG)}
    asyncio.run(_post(store, "one"))

    failed = _run(store, disk.preloaded(shim) | disk_variables | {"DISK_FAIL_AT": "1"})

    assert failed.returncode == 4, failed.stdout + failed.stderr
    assert UNCONFIRMED in failed.stderr
    assert asyncio.run(_finish(store, "one")) == 4


def _run(store: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["run", f"{__name__}:app", "--store", str(store), "--until-idle"]
    return subprocess.run(
        [sys.executable, "-m", "counterpoint", *command],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


async def _post(store: Path, id: str) -> None:
    async with App("shop", services=[shop], store=f"sqlite:///{store}").client() as client:
        await client.start(keep, "text", id=id)


async def _finish(store: Path, id: str) -> object:
    async with App("shop", services=[shop], store=f"sqlite:///{store}") as app:
        await app.execution(id).signal("go")
        return await app.execution(id).result(timeout=SECONDS)


# ---- power cuts ---------------------------------------------------------------------------------


def test_everything_acknowledged_survives_the_loss_of_all_that_was_not_synced(
    scenes: Facts,
) -> None:
    seen = scenes["power_cut"]

    assert seen["lost"] > 0
    assert acknowledged(seen["node"]) == {"one", "two"}
    assert seen["stored"] == ["one", "two", "zero"]
    assert seen["again"] == ["ack three"]


def test_power_cut_takes_what_a_store_acknowledged_without_syncing_it(scenes: Facts) -> None:
    seen = scenes["careless_power_cut"]

    assert acknowledged(seen["node"]) == {"one", "two"}
    assert not {"one", "two"} & set(seen["stored"]), "the cut proves nothing"


# ---- a log that lost its end --------------------------------------------------------------------


def cuts(scenes: Facts) -> Iterator[tuple[int, str, list[str]]]:
    for found in scenes["cut_log"]["found"]:
        yield found["commits"], found["digest"], found["ids"]


def test_cut_log_is_read_as_its_whole_commits_wherever_it_is_cut(scenes: Facts) -> None:
    digests = {commits: digest for commits, digest, _ in cuts(scenes)}
    latest = max(digests)  # with the last of five starts

    assert len(digests) == len(set(digests.values())) > 5
    for commits, digest, ids in cuts(scenes):
        assert digest == digests[commits]
        assert ids == [f"{n}" for n in range(5 - (latest - commits))]


def test_starts_lost_with_the_end_of_a_log_can_be_made_again(scenes: Facts) -> None:
    assert scenes["cut_log"]["again"] == ["ack 4", "ack 5"]
    assert scenes["cut_log"]["stored"] == ["0", "1", "2", "3", "4", "5"]
