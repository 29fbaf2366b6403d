"""Mutants of the replay: what agrees, what differs, and what is recorded then."""

from tests.mutation.mutant import Mutant

_EXECUTION = "kernel/execution.py"

MUTANTS = (
    Mutant(
        "swap-two-completions-on-replay",
        "P2",
        _EXECUTION,
        "            self._replay_code(history.turns(), history.seen_late(resumes_at))\n",
        "            turns = list(history.turns())\n"
        "            for one, two in zip(turns, turns[1:], strict=False):\n"
        "                done = isinstance(one.inputs[0], r.CallCompleted) and not one.decisions\n"
        "                if done and isinstance(two.inputs[0], r.CallCompleted):\n"
        "                    one.inputs, two.inputs = two.inputs, one.inputs\n"
        "            self._replay_code(iter(turns), history.seen_late(resumes_at))\n",
        (
            "tests/unit/kernel/test_replayed_order.py::test_results_reach_a_replay_in_the_order_in_which_they_came",
        ),
        "Code that remembers which call was first remembers another one after a restart.",
    ),
    Mutant(
        "perform-a-recorded-call-again",
        "P2",
        _EXECUTION,
        "            recorded = expected.popleft()\n",
        "            recorded = expected.popleft()\n            self.pending.append(recorded)\n",
        (
            "tests/unit/kernel/test_replay.py::test_every_prefix_of_a_journal_replays_to_the_state_that_it_left",
        ),
        "A restart charges the customer again.",
    ),
    Mutant(
        "compare-nothing-on-replay",
        "P8",
        _EXECUTION,
        "if expected and agree(expected[0], decision, self.id, self.run):",
        "if expected:",
        (
            "tests/unit/kernel/test_divergence.py::test_changed_order_is_reported_where_the_code_calls",
        ),
        "Changed code gets the results of other calls.",
    ),
    Mutant(
        "compare-kinds-without-names",
        "P8",
        "kernel/divergence.py",
        "return recorded.call == found.call and recorded.name == found.name",
        "return recorded.call == found.call",
        (
            "tests/unit/kernel/test_divergence.py::test_changed_order_is_reported_where_the_code_calls",
        ),
        "The result of one activity is taken for that of another.",
    ),
    Mutant(
        "let-code-decide-less-than-recorded",
        "P8",
        _EXECUTION,
        "if turn.decisions and self.divergence is None:",
        "if False:",
        (
            "tests/unit/kernel/test_divergence.py::test_a_removed_call_is_reported_where_the_code_waits",
        ),
        "Code that no longer makes a recorded call goes on as if it had.",
    ),
    Mutant(
        "let-code-set-a-timer-that-nobody-recorded",
        "P8",
        _EXECUTION,
        "if unwritten and not taken_back:",
        "if False:",
        ("tests/unit/kernel/test_divergence.py::test_an_added_timer_is_reported",),
        "Changed code waits for a timer that never fires.",
    ),
    Mutant(
        "write-on-after-a-divergence",
        "P8",
        _EXECUTION,
        "        if self.divergence is not None:\n            self.evict()\n",
        "        if self.divergence is not None:\n            self.divergence = None\n",
        ("tests/unit/kernel/test_divergence.py::test_no_code_runs_after_a_divergence",),
        "Code that differs from its journal goes on and damages it.",
    ),
    Mutant(
        "know-on-replay-of-a-pivot-to-come",
        "P8",
        _EXECUTION,
        "        if self.pivoted or self.loop.is_closed():\n",
        "        if self.state.pivoted or self.loop.is_closed():\n",
        ("tests/design/test_pivot.py::test_incident_past_the_pivot_survives_a_restart",),
        "After a restart a saga past its pivot does not agree with its own journal.",
    ),
    Mutant(
        "fire-a-timer-that-was-cancelled",
        "P8",
        _EXECUTION,
        "        if timer in self.state.timers:\n",
        "        if timer not in self.state.waits:\n",
        ("tests/unit/kernel/test_races.py::test_no_signal_is_lost_to_a_timeout_in_one_commit",),
        "Of two timers that are due together, the first cancels the second, which fires all the "
        "same.",
    ),
    Mutant(
        "fire-due-timers-newest-first",
        "P8",
        "kernel/facts.py",
        "return [number for _, number in sorted(due)]",
        "return [number for _, number in sorted(due, reverse=True)]",
        (
            "tests/runtime/test_timers.py::test_sleeps_within_one_workflow_end_in_the_order_of_their_times",
        ),
        "After a pause a long timeout beats a short sleep.",
    ),
    Mutant(
        "raise-no-incident-for-a-divergence",
        "P8",
        "runtime/inputs.py",
        "if not any(incident.message == str(divergence) for incident in known):",
        "if False:",
        (
            "tests/runtime/test_retrying_executions.py::test_code_that_disagrees_with_the_journal_is_an_incident",
        ),
        "An execution that today's code cannot go on with says nothing to anybody.",
    ),
    Mutant(
        "let-a-finally-block-call-at-eviction",
        "P8",
        "kernel/loop.py",
        "        self._closed = True\n        self._ready.clear()\n",
        "        self._ready.clear()\n",
        (
            "tests/unit/kernel/test_eviction.py::test_nothing_asked_for_during_eviction_gets_through",
        ),
        "Code that only leaves memory makes the calls of its `finally` blocks.",
    ),
    Mutant(
        "keep-the-failure-that-a-retry-takes-back",
        "P8",
        "kernel/replay.py",
        "        self._take_back_failure(end)\n",
        "",
        (
            "tests/unit/kernel/test_retry.py::test_the_failed_call_is_tried_again_and_the_code_goes_on",
        ),
        "A person's retry of a failed workflow fails at once with the old error.",
    ),
    Mutant(
        "ask-the-clock-for-the-time-of-a-replay",
        "P8",
        _EXECUTION,
        "self.now = max(record.at, seen_late.get(id(record), 0))",
        "self.now = self.state.updated_at",
        (
            "tests/unit/kernel/test_replayed_order.py::test_each_input_of_a_replay_is_seen_at_its_own_time",
        ),
        "`workflow.now()` says something else after a restart.",
    ),
    Mutant(
        "seed-chance-anew-in-each-life",
        "P8",
        _EXECUTION,
        'random.Random(f"{self.id}/{run}")',
        'random.Random(f"{self.id}/{run}/{id(self)}")',
        ("tests/unit/kernel/test_asyncio.py::test_time_and_chance_are_the_same_on_replay",),
        "`workflow.uuid4()` gives another id after a restart, and the order is placed twice.",
    ),
    Mutant(
        "skip-the-digest-check",
        "P8",
        "stores/rows.py",
        "if zlib.crc32(row.body) != row.digest:",
        "if False:",
        (
            "tests/conformance/test_sqlite_store.py::TestSqliteStore::test_damaged_body_is_reported_with_its_place",
        ),
        "A damaged journal is believed.",
    ),
)
