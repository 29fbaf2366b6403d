"""Mutants of the store: durability, identity, who may write, and what may be deleted."""

from tests.mutation.mutant import Mutant

_LOCKS = "stores/locks.py"
_SQLITE = "stores/sqlite.py"

MUTANTS = (
    Mutant(
        "sync-now-and-then",
        "P1",
        _SQLITE,
        'connection.execute("PRAGMA synchronous = FULL")',
        'connection.execute("PRAGMA synchronous = NORMAL")',
        ("tests/unit/stores/test_sqlite_durability.py::test_every_commit_is_synced",),
        "A power cut takes what was acknowledged.",
    ),
    Mutant(
        "let-two-nodes-host-one-store",
        "P7",
        _LOCKS,
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        (
            "tests/conformance/test_sqlite_store.py::TestSqliteStore::test_second_node_is_refused_and_told_who_hosts",
        ),
        "Two nodes write one journal.",
    ),
    Mutant(
        "give-the-lock-up-with-a-broken-connection",
        "P7",
        _SQLITE,
        "    def _break(self, error: StoreBrokenError) -> None:\n        self._hang_up()\n",
        "    def _break(self, error: StoreBrokenError) -> None:\n        self._disconnect()\n",
        (
            "tests/unit/stores/test_sqlite_durability.py::test_a_store_whose_commit_is_unknown_is_hosted_until_it_is_closed",
        ),
        "Another node takes the store over while this one recovers.",
    ),
    Mutant(
        "delete-the-lock-file",
        "P7",
        _LOCKS,
        "            with contextlib.suppress(OSError):\n"
        "                os.ftruncate(self._descriptor, 0)\n",
        "            self._path.unlink(missing_ok=True)\n",
        (
            "tests/unit/stores/test_sqlite_open.py::test_file_that_cannot_be_written_is_refused_to_nodes_and_mail",
        ),
        "A node that ends deletes the lock of the next one, and a third one comes in.",
    ),
    Mutant(
        "lock-the-path-and-not-the-file",
        "P7",
        _LOCKS,
        "        store = store.resolve()\n",
        "        store = store.absolute()\n",
        (
            "tests/runtime/test_store_identity.py::test_node_is_refused_and_seen_through_a_symbolic_link",
        ),
        "Two nodes host one store under two names.",
    ),
    Mutant(
        "let-a-client-write-journals",
        "P7",
        _SQLITE,
        "        if not self._node and only_node_writes(commit):\n",
        "        if False:\n",
        (
            "tests/conformance/test_sqlite_store.py::TestSqliteStore::test_client_writes_no_messages",
        ),
        "A process without the lock writes what only the node may.",
    ),
    Mutant(
        "overlook-a-lock-without-a-process",
        "P7",
        _LOCKS,
        "    return UNKNOWN_PROCESS if _is_locked(inode) else None\n",
        "    return None\n",
        (
            "tests/unit/cli/test_hosting.py::test_a_lock_that_another_process_inherited_is_not_overlooked",
        ),
        "An operator is told that no node hosts a store that one hosts.",
    ),
    Mutant(
        "use-a-connection-whose-commit-is-unknown",
        "P1",
        _SQLITE,
        "        if isinstance(known, StoreBrokenError):\n            self._break(known)\n",
        "",
        (
            "tests/unit/stores/test_sqlite_commit.py::test_broken_store_refuses_everything_until_it_is_opened_again",
        ),
        "After a failed sync the next commit is believed.",
    ),
    Mutant(
        "commit-into-a-deleted-file",
        "P1",
        _SQLITE,
        "        if self._lost():  # 2 µs, so that nothing is acknowledged that is nowhere\n",
        "        if False:\n",
        (
            "tests/runtime/test_store_identity.py::test_start_is_not_acknowledged_once_the_file_is_gone",
        ),
        "What is acknowledged after somebody replaced the file is nowhere.",
    ),
    Mutant(
        "move-a-hold-up",
        "P4",
        "stores/sql/sqlite/reactions.sql",
        "DO UPDATE SET position = min(position, excluded.position)",
        "DO UPDATE SET position = excluded.position",
        (
            "tests/conformance/test_sqlite_store.py::TestSqliteStore::test_hold_keeps_the_lower_position",
        ),
        "A second hold of a key uncovers what the first one covered.",
    ),
    Mutant(
        "move-a-position-back",
        "P4",
        "stores/sql/sqlite/reactions.sql",
        "WHERE subscriptions.number = moved.number AND subscriptions.position < moved.position",
        "WHERE subscriptions.number = moved.number",
        (
            "tests/conformance/test_sqlite_store.py::TestSqliteStore::test_position_of_a_subscription_never_goes_back",
        ),
        "A late write takes a subscription back behind what was forgotten.",
    ),
    Mutant(
        "delete-events-that-somebody-waits-behind",
        "P4",
        "stores/sql/sqlite/events.sql",
        "holds.event_key = events.key AND holds.position <= events.position",
        "holds.event_key = events.key AND holds.position = events.position",
        (
            "tests/conformance/test_sqlite_store.py::TestSqliteStore::test_events_of_a_held_key_are_kept_from_the_hold_on",
        ),
        "What waits behind a dead letter for longer than a month is deleted.",
    ),
    Mutant(
        "delete-events-that-were-not-delivered",
        "P4",
        "stores/sql/sqlite/events.sql",
        "  AND position <= coalesce((SELECT min(position) FROM subscriptions), position)\n",
        "",
        (
            "tests/conformance/test_sqlite_store.py::TestSqliteStore::test_events_above_the_position_of_any_subscription_are_kept",
        ),
        "What a service has not read for a month is deleted.",
    ),
    Mutant(
        "delete-the-children-of-the-living",
        "P2",
        "stores/sql/sqlite/executions.sql",
        "    WHERE root.key = executions.root_key AND root.finished_at IS NULL\n",
        "    WHERE root.key = executions.root_key AND root.finished_at < 0\n",
        (
            "tests/conformance/test_sqlite_store.py::TestSqliteStore::test_finished_child_is_kept_until_its_root_has_finished",
        ),
        "A saga that runs for a month cannot undo its first children.",
    ),
    Mutant(
        "give-a-deleted-key-again",
        "P2",
        _SQLITE,
        "            remember_keys(execute, self._next_key - 1)\n",
        "",
        (
            "tests/conformance/test_sqlite_store.py::TestSqliteStore::test_keys_of_what_is_unsubscribed_or_forgotten_are_not_used_again",
        ),
        "A new execution gets the journal of a deleted one.",
    ),
    Mutant(
        "put-letters-twice",
        "P1",
        "stores/sql/sqlite/mailbox.sql",
        "ON CONFLICT (request_id) DO NOTHING",
        "ON CONFLICT (request_id) DO UPDATE SET position = position + 1000",
        (
            "tests/conformance/test_sqlite_store.py::TestSqliteStore::test_mail_of_many_clients_is_taken_once_each_and_in_order",
        ),
        "A request that is posted again moves behind later ones.",
    ),
)
