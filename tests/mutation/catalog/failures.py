"""Mutants of what goes on beside a failure of the store, and of two that do the same at once."""

from tests.mutation.mutant import Mutant

_LEFT_BEHIND = "tests/runtime/test_commits_left_behind.py"
_READINGS = "tests/runtime/test_failures_beside_readings.py"
_WAL = "tests/unit/stores/test_wal.py"

MUTANTS = (
    Mutant(
        "perform-a-commit-that-a-failure-left-behind",
        "P9",
        "runtime/committer.py",
        "        if life != self._life:\n",
        "        if False:\n",
        (f"{_LEFT_BEHIND}::test_commit_that_returns_after_another_failure_begins_nothing",),
        "An attempt begins of which nobody knows: a saga is undone beside it.",
    ),
    Mutant(
        "fail-again-for-a-commit-that-a-failure-left-behind",
        "P1",
        "runtime/committer.py",
        "        if life == self._life:  # else",
        "        if True:  # else",
        (f"{_LEFT_BEHIND}::test_failure_of_a_commit_after_another_failure_stops_nothing_anew",),
        "A node that has recovered drops everything once more.",
    ),
    Mutant(
        "refuse-both-of-two-starts-of-an-id",
        "P1",
        "runtime/batch.py",
        "            refused.update(keys[1:] if len(keys) > 1 else keys)\n",
        "            refused.update(keys)\n",
        (
            f"{_LEFT_BEHIND}"
            "::test_second_start_of_an_id_in_one_commit_is_refused_and_the_first_one_written",
        ),
        "Two clients start the same order at once, both are told that it exists, and it does not.",
    ),
    Mutant(
        "scan-on-with-what-was-due-before-the-store-failed",
        "P1",
        "runtime/due.py",
        "                if life != self._life:\n                    return\n",
        "",
        (
            "tests/unit/runtime/test_due.py"
            "::test_scan_that_loads_while_the_store_is_opened_again_begins_anew",
        ),
        "An order that was interrupted waits for the next start of a node.",
    ),
    Mutant(
        "take-a-childs-start-for-that-of-another",
        "P9",
        "runtime/beginnings.py",
        "        if parent == child.of and not mail.again:\n",
        "        if False:\n",
        (f"{_READINGS}::test_letter_of_a_child_that_has_begun_by_it_changes_nothing",),
        "A parent fails because its own child has the id of its child.",
    ),
    Mutant(
        "offer-what-a-replaced-stream-reads",
        "P5",
        "runtime/messaging/streams.py",
        "        if not self._serves(stream):\n            return False\n",
        "",
        (
            "tests/unit/runtime/test_streams.py"
            "::test_streams_that_a_failure_replaced_are_read_no_further",
        ),
        "What was read before the store failed is delivered beside what is read after it.",
    ),
    Mutant(
        "read-streams-that-were-replaced",
        "P10",
        "runtime/messaging/streams.py",
        "stream.backlog and self._serves(stream) and",
        "stream.backlog and",
        (
            "tests/unit/runtime/test_streams.py"
            "::test_streams_that_a_failure_replaced_are_read_no_further",
        ),
        "A node that has recovered fails again when what it does not need cannot be read.",
    ),
    Mutant(
        "go-round-until-a-start-is-written",
        "P10",
        "runtime/inputs.py",
        "there.started.add_done_callback(lambda _: node.push(adopt, row, records, loaded, calls))",
        "node.push(adopt, row, records, loaded, calls)",
        (f"{_READINGS}::test_load_that_meets_a_start_under_way_waits_for_it_without_going_round",),
        "A slow disk costs a whole core.",
    ),
    Mutant(
        "let-a-later-letter-overtake-one-that-waits",
        "P6",
        "runtime/intake.py",
        "        if self._is_put_off(row):\n            return  # while",
        "        if False:\n            return  # while",
        (
            "tests/design/test_continue_as_new_crashes.py"
            "::test_no_signal_is_lost_in_the_moment_of_continuing_wherever_the_node_dies",
        ),
        "A signal that was sent last is read first.",
    ),
    Mutant(
        "believe-a-log-that-nobody-synced",
        "P1",
        "stores/sqlite.py",
        "            make_durable(self.file)\n",
        "",
        (f"{_WAL}::test_store_believes_no_log_that_it_could_not_sync",),
        "What is acknowledged behind a page that never reached the disk goes with it.",
    ),
    Mutant(
        "never-move-the-log-into-the-file",
        "P10",
        "stores/sqlite.py",
        "            self._move_log(self._checkpoints)\n",
        "            pass\n",
        (f"{_WAL}::test_log_of_a_node_is_moved_into_the_file_before_it_grows_for_ever",),
        "The log fills the disk.",
    ),
    Mutant(
        "keep-a-failed-checkpoint-to-oneself",
        "P10",
        "stores/wal.py",
        "            if is_unconfirmed(error):\n",
        "            if False:\n",
        (f"{_WAL}::test_sync_that_fails_in_a_checkpoint_ends_the_store_for_good",),
        "A disk that cannot sync is noticed by nobody.",
    ),
    Mutant(
        "hash-the-first-tasks-of-all-executions-alike",
        "P10",
        "kernel/loop.py",
        "        self._hash = loop.salt + number\n",
        "        self._hash = number\n",
        ("tests/unit/kernel/test_hashes.py::test_first_tasks_of_executions_hash_apart",),
        "Five thousand executions in memory cost twice as much each.",
    ),
    Mutant(
        "turn-until-nothing-is-left",
        "P10",
        "runtime/turns.py",
        "self._inbox[:INPUTS_MAX], self._inbox[INPUTS_MAX:]",
        "self._inbox, []",
        ("tests/unit/runtime/test_turns.py::test_others_run_between_the_turns_of_a_crowd",),
        "Ten thousand timers of one moment block the loop for seconds.",
    ),
    Mutant(
        "delete-the-letters-of-what-is-given-up",
        "P1",
        "runtime/node.py",
        "        resident.taken, resident.changes = [], None  # they go with the records\n",
        "",
        (
            "tests/runtime/test_engine_defects.py"
            "::test_a_letter_whose_effect_was_dropped_is_read_again",
        ),
        "A signal is gone that was acknowledged, because the engine failed at its execution.",
    ),
)
