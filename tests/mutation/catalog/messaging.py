"""Mutants of events: what a delivery writes, who gets an event, and what bad ones do."""

from tests.mutation.mutant import Mutant

_DELIVERIES = "runtime/messaging/deliveries.py"
_EVENT_ROWS = "runtime/event_rows.py"
_TAKING = "runtime/messaging/taking.py"
_WAITS = "runtime/messaging/waits.py"
_WRITING = "runtime/messaging/writing.py"

MUTANTS = (
    Mutant(
        "skip-an-inbox-mark",
        "P5",
        _WRITING,
        "        note.done = row\n",
        "        pass\n",
        (
            "tests/design/test_events_order.py::test_every_event_delivered_twice_has_its_effects_once",
        ),
        "A restart delivers everything again.",
    ),
    Mutant(
        "skip-the-mark-of-a-retried-delivery",
        "P5",
        _WRITING,
        "    else:\n        note.changed = row\n",
        "",
        (
            "tests/design/test_events_lost_nodes.py::test_a_crash_at_any_commit_of_a_retry_loses_and_repeats_nothing",
        ),
        "A restart delivers again what succeeded at the second attempt.",
    ),
    Mutant(
        "ask-the-inbox-nothing",
        "P5",
        "runtime/messaging/log_pages.py",
        "_by_place(await store.reactions(subscriptions, first, last))",
        "{}",
        (
            "tests/design/test_events_order.py::test_every_event_delivered_twice_has_its_effects_once",
        ),
        "What was delivered before a crash is delivered again.",
    ),
    Mutant(
        "ask-the-inbox-nothing-behind-a-blocked-event",
        "P5",
        "runtime/messaging/log_pages.py",
        "_by_place(await store.reactions_at([event.position for event in events]))",
        "{}",
        (
            "tests/design/test_events_replays.py::test_a_dead_letter_of_a_replay_is_kept_until_it_is_redriven",
        ),
        "What was delivered before its key was blocked is delivered again.",
    ),
    Mutant(
        "lose-what-a-reaction-publishes",
        "P4",
        _WRITING,
        "        note.events = events\n",
        "",
        (
            "tests/design/test_events_publishing.py::test_what_workflows_activities_and_reactions_publish_is_delivered_once_recorded",
        ),
        "The flow ends at the first reaction.",
    ),
    Mutant(
        "lose-what-a-reaction-starts",
        "P4",
        _WRITING,
        "                note.mail = [*note.mail, letter]\n",
        "                note.mail = [letter]\n",
        ("tests/runtime/test_events_kept.py::test_everything_that_a_reaction_starts_begins",),
        "Of two workflows that a reaction starts one never begins.",
    ),
    Mutant(
        "lose-what-an-activity-publishes",
        "P4",
        "runtime/gathering.py",
        "if execution.events.used or resident.outbox or resident.waits:",
        "if execution.events.used or resident.waits:",
        ("tests/design/test_mix_publishing.py::test_an_activity_publishes_with_its_result",),
        "An event of an activity waits for the next one of the workflow's own.",
    ),
    Mutant(
        "publish-what-an-activity-published-again",
        "P4",
        _EVENT_ROWS,
        "    outbox, resident.outbox = resident.outbox, []\n",
        "    outbox = resident.outbox\n",
        (
            "tests/runtime/test_events_kept.py::test_what_an_activity_publishes_is_published_once_whatever_comes_next",
        ),
        "Each commit publishes the events of all activities before it.",
    ),
    Mutant(
        "publish-again-at-a-replay",
        "P5",
        _WRITING,
        "if outbox and (subscription.row.publishes or isinstance(subscription.target, Workflow)):",
        "if outbox:",
        (
            "tests/design/test_events_replays.py::test_events_that_a_replay_returns_are_dropped_unless_asked_for",
        ),
        "A replay into one reaction sets off the whole flow again.",
    ),
    Mutant(
        "go-on-before-an-outcome-is-written",
        "P6",
        "runtime/committer.py",
        "        batch.notes = self._notes[:BATCH_MAX]\n",
        "        batch.notes = self._notes[:BATCH_MAX]\n"
        "        for note in batch.notes:\n"
        "            note.written(note.events)\n"
        "            note.written = lambda _: None\n",
        (
            "tests/runtime/test_events_kept.py::test_the_next_event_of_a_key_begins_after_the_commit_of_the_one_before",
        ),
        "The next event of a key is delivered although the one before may be delivered again.",
    ),
    Mutant(
        "retry-a-poison-event-for-ever",
        "P10",
        _DELIVERIES,
        "        if outcome.final or delivery.attempts >= retry.max_attempts:\n",
        "        if outcome.final:\n",
        (
            "tests/design/test_events_bad_input.py::test_a_reaction_that_always_hangs_is_a_dead_letter",
        ),
        "A poison event never becomes a dead letter.",
    ),
    Mutant(
        "count-no-lost-delivery",
        "P10",
        _DELIVERIES,
        "        delivery.lost += 1\n",
        "",
        (
            "tests/design/test_events_lost_nodes.py::test_a_reaction_that_kills_the_node_is_a_dead_letter_after_three_lost_attempts",
        ),
        "An event that kills its node kills every node, for ever.",
    ),
    Mutant(
        "record-no-attempt-that-may-kill",
        "P10",
        _DELIVERIES,
        "            if item.careful:\n",
        "            if False:\n",
        (
            "tests/design/test_events_lost_nodes.py::test_a_reaction_that_kills_the_node_is_a_dead_letter_after_three_lost_attempts",
        ),
        "An event that kills its node at the first attempt kills every node, for ever.",
    ),
    Mutant(
        "drop-a-dead-letter",
        "P10",
        "runtime/batch.py",
        "            self.dead.append(note.dead)\n",
        "            pass\n",
        (
            "tests/design/test_events_bad_input.py::test_data_that_does_not_validate_is_a_dead_letter_that_names_the_field",
        ),
        "An event that nobody could handle is not among the dead letters.",
    ),
    Mutant(
        "accept-events-of-a-newer-version",
        "P10",
        "authoring/event.py",
        "        if version != self.version:\n            data = self._upcast(data, version)\n",
        "        if version < self.version:\n            data = self._upcast(data, version)\n",
        (
            "tests/unit/authoring/test_events_and_reactions_contracts.py::test_data_of_a_newer_version_is_unknown",
        ),
        "A replayed or imported event of a newer version is read as if it were of today's.",
    ),
    Mutant(
        "deliver-events-of-a-newer-version",
        "P10",
        _DELIVERIES,
        "        if event.version > declared and delivery.data is None:\n",
        "        if False:\n",
        (
            "tests/design/test_events_bad_input.py::test_an_event_of_a_newer_version_waits_an_hour_and_is_a_dead_letter_then",
        ),
        "An event of a newer version does not wait for the node that knows it.",
    ),
    Mutant(
        "take-another-event-under-the-same-id",
        "P10",
        "runtime/messaging/publishing.py",
        "                check_same_event(other, row, self._same)\n            seen[place]",
        "                pass\n            seen[place]",
        (
            "tests/design/test_events_publishing.py::test_an_id_that_was_used_for_other_content_is_refused",
        ),
        "A second event under the same id is silently dropped.",
    ),
    Mutant(
        "take-payloads-of-any-size",
        "P10",
        "runtime/attempt.py",
        "        if len(payload) > self.payload_bytes_max:\n",
        "        if False:\n",
        (
            "tests/runtime/test_faults_values.py::test_activity_result_over_the_limit_fails_the_call",
        ),
        "One result of a gigabyte fills the journal.",
    ),
    Mutant(
        "publish-events-of-any-size",
        "P10",
        "authoring/event.py",
        "    if len(data) > limit:\n",
        "    if False:\n",
        (
            "tests/design/test_events_publishing.py::test_an_oversized_event_is_refused_and_one_of_the_greatest_size_is_not",
        ),
        "One event of a gigabyte fills the log.",
    ),
    Mutant(
        "miss-an-event-committed-before-the-wait",
        "P4",
        "runtime/effects.py",
        "        if record.wait in resident.execution.state.event_waits:\n",
        "        if False:\n",
        (
            "tests/design/test_mix_waits_races.py::test_an_event_in_the_commit_before_that_of_the_wait_is_found",
        ),
        "A workflow waits for ever for an event that came a moment earlier.",
    ),
    Mutant(
        "miss-an-event-committed-after-the-wait",
        "P4",
        _WAITS,
        "        if awaited:\n            self._spawn(awaited)\n",
        "",
        ("tests/design/test_mix_waits.py::test_events_come_in_the_order_of_the_log_each_once",),
        "A workflow waits for ever for an event that has come.",
    ),
    Mutant(
        "miss-an-event-that-came-while-no-node-ran",
        "P4",
        "runtime/messaging/messaging.py",
        "        self.node.spawn(self.waits.scan())\n",
        "",
        (
            "tests/design/test_mix_waits_races.py::test_no_event_is_missed_or_read_twice_wherever_the_node_dies",
        ),
        "A crash between an event and its wait, and the workflow waits for ever.",
    ),
    Mutant(
        "hand-a-workflow-an-event-twice",
        "P5",
        _TAKING,
        "    if event.position <= read:  # it went to another wait: this one is about the next\n",
        "    if False:\n",
        ("tests/design/test_mix_waits.py::test_waits_for_one_key_get_one_event_each",),
        "One payment counts as two.",
    ),
    Mutant(
        "hand-a-workflow-events-from-before-its-start",
        "P5",
        _TAKING,
        "    return event.position > wait.position and event.recorded_at >= wait.since\n",
        "    return True\n",
        (
            "tests/runtime/test_events_kept.py::test_a_wait_is_not_given_what_only_another_one_reaches_back_to",
        ),
        "An order is shipped because of the parcel of an earlier one.",
    ),
    Mutant(
        "forget-at-a-stop-how-reactions-failed",
        "P3",
        _DELIVERIES,
        "            if self.node.fault is not None:\n                raise\n            (key,)",
        "            if True:\n                raise\n            (key,)",
        (
            "tests/runtime/test_stop_in_reactions.py::test_failure_of_a_reaction_is_recorded_while_its_node_stops",
        ),
        "A deploy makes a failed attempt again that was over, and its policy does not count it.",
    ),
    Mutant(
        "stop-before-failures-are-told",
        "P3",
        _DELIVERIES,
        "            await asyncio.wait(self._errands)\n",
        "            break\n",
        (
            "tests/runtime/test_stop_in_reactions.py::test_stop_waits_for_the_keys_under_which_failures_are_recorded",
        ),
        "A deploy makes a failed attempt again that was over, if the store is not fast.",
    ),
)
