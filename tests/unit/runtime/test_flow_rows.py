"""Who waits behind a held key is found by one look, whatever keys and lanes are called."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.codecs.json import JsonCodec
from counterpoint.model.messages import (
    EventRow,
    HoldRow,
    Messages,
    ReactionRow,
    ReactionStatus,
    SubscriptionRow,
    slot_of,
)
from counterpoint.model.rows import Commit
from counterpoint.ports.store import Store
from counterpoint.runtime.flow_rows import FlowRows, read_flow
from counterpoint.stores.memory import MemoryStore
from counterpoint.stores.sqlite import SqliteStore

KEYS = st.sampled_from(
    ["", "a", "b", "aa", "ab", "b\x00", "\x00", "\ue000", "\ud7ff", "é", "order-1"]
)
LANES = st.sampled_from(["", "labels", "a"])


def event(position: int, key: str) -> EventRow:
    return EventRow(
        0, "s", f"e{position}", "s.E", 1, key, slot_of(key), "f", None, None, 0, None,
        position, position, "json", b"{}",
    )  # fmt: skip


def subscription(number: int, lane: str, position: int) -> SubscriptionRow:
    return SubscriptionRow(number, "s", f"s.r{number}", "s.E", lane, 0, position, 1)


async def read(store: Store, messages: Messages) -> FlowRows:
    await store.open(node=True)
    try:
        await store.commit(Commit(messages=messages))
        return await read_flow(store, JsonCodec(), "f")
    finally:
        await store.close()


@given(st.lists(st.tuples(LANES, KEYS), unique=True), LANES, KEYS)
def test_an_event_waits_if_and_only_if_its_own_key_is_held_in_its_own_lane(
    held: Sequence[tuple[str, str]], lane: str, key: str
) -> None:
    messages = Messages(
        events=[event(1, key)],
        subscriptions=[subscription(7, lane, position=1)],
        held=[HoldRow("s", lane, key, 1) for lane, key in held],
    )

    rows = asyncio.run(read(MemoryStore(), messages))

    assert ((7, 1) in rows.waiting) == ((lane, key) in held)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (ReactionStatus.DEAD, "an earlier event of the key 'k', which is a dead letter of s.r7"),
        (ReactionStatus.RETRYING, "an earlier event of the key 'k', which is waiting for a retry"),
        (ReactionStatus.COMPLETED, "an earlier event of the key 'k'"),
    ],
)
def test_what_waits_says_behind_what(
    tmp_path: Path, kind: str, status: ReactionStatus, words: str
) -> None:
    store: Store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "s.db")
    messages = Messages(
        events=[event(1, "k"), event(2, "k")],
        subscriptions=[subscription(7, "", position=2), subscription(8, "x", position=2)],
        changed=[ReactionRow(7, 1, status, 1)],
        held=[HoldRow("s", "", "k", 1)],
    )

    rows = asyncio.run(read(store, messages))

    assert rows.waiting[7, 2].startswith(words)
    assert (7, 1) not in rows.waiting
    assert (8, 2) not in rows.waiting


def test_a_replay_waits_for_events_of_its_range_and_key_only() -> None:
    replay = SubscriptionRow(7, "s", "s.r", "s.E", "", 7, 0, 1, until=2, event_key="k")
    messages = Messages(
        events=[event(1, "k"), event(2, "other"), event(3, "k")], subscriptions=[replay]
    )

    rows = asyncio.run(read(MemoryStore(), messages))

    assert rows.waiting == {(7, 1): "a node to take it"}
