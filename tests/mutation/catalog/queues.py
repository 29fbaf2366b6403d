"""Mutants of the order of events: keys, blocks, holds, cursors, positions, streams."""

from tests.mutation.mutant import Mutant

_DELIVERIES = "runtime/messaging/deliveries.py"
_DISPATCHER = "runtime/messaging/dispatcher.py"
_OPENING = "runtime/messaging/opening.py"
_POSITIONS = "runtime/messaging/positions.py"
_QUEUES = "runtime/messaging/queues.py"
_STREAMS = "runtime/messaging/streams.py"
_WRITING = "runtime/messaging/writing.py"

MUTANTS = (
    Mutant(
        "let-events-of-a-key-run-beside-each-other",
        "P6",
        _DISPATCHER,
        "                queue = lane.queue(event.key)\n                item = Item(",
        "                queue = lane.queue(event.id)\n                item = Item(",
        (
            "tests/design/test_events_order.py::test_one_key_waits_and_the_others_run_beside_each_other",
        ),
        "Two events of one order are handled at the same time.",
    ),
    Mutant(
        "deliver-a-blocked-event",
        "P6",
        _DISPATCHER,
        "if queue.active is not None or queue.blocked is not None or self.node.stopping:",
        "if queue.active is not None or self.node.stopping:",
        (
            "tests/design/test_events_replays.py::test_a_redriven_dead_letter_of_a_replay_is_retried_beside_what_blocks_its_key",
        ),
        "What waits for its retry is delivered as soon as something follows it.",
    ),
    Mutant(
        "deliver-a-parked-event",
        "P6",
        _DELIVERIES,
        "        if parks:\n            self._block(delivery)\n            return\n",
        "",
        (
            "tests/design/test_events_order.py::test_what_is_parked_behind_a_dead_letter_comes_in_order_once_it_is_redriven",
        ),
        "What waits behind a dead letter is delivered.",
    ),
    Mutant(
        "park-behind-what-may-be-skipped",
        "P6",
        _DELIVERIES,
        'return isinstance(target, Workflow) or target.on_dead == "park"',
        "return True",
        ("tests/design/test_events_order.py::test_on_dead_skip_lets_later_events_pass",),
        "A reaction that lets events pass stops its key.",
    ),
    Mutant(
        "overtake-what-was-left-in-the-log",
        "P6",
        _QUEUES,
        "if not self.cursors and self.blocked is None and len(self.items) < QUEUE_MAX:",
        "if self.blocked is None and len(self.items) < QUEUE_MAX:",
        (
            "tests/unit/runtime/test_key_queues.py::test_nothing_is_appended_from_elsewhere_while_something_is_left_in_the_log",
        ),
        "A new event is delivered before older ones of its key.",
    ),
    Mutant(
        "begin-beside-a-thread-that-goes-on",
        "P6",
        _DELIVERIES,
        "        if attempt.thread is not None and not attempt.thread.done():\n",
        "        if False:\n",
        (
            "tests/runtime/test_review_events.py::test_the_next_event_of_a_key_does_not_run_beside_the_thread_of_a_dead_letter",
        ),
        "An event is handled while the thread of the one before still runs.",
    ),
    Mutant(
        "forget-what-was-left-in-the-log",
        "P4",
        _DISPATCHER,
        "            if cursor.missed <= cursor.last and reached >= stream.offered:\n",
        "            if True:\n",
        (
            "tests/design/test_events_bounds.py::test_a_thousand_events_of_one_key_are_read_page_by_page",
        ),
        "Behind a dead letter only one page of events is delivered.",
    ),
    Mutant(
        "leave-less-in-the-log-than-was-forgotten",
        "P4",
        _QUEUES,
        "                cursor.last = min(cursor.last, position - 1)\n",
        "",
        (
            "tests/unit/runtime/test_key_queues.py::test_what_is_behind_a_blocked_event_is_read_again_from_there",
        ),
        "What a retried event pushed out of memory a second time is not delivered.",
    ),
    Mutant(
        "write-no-hold",
        "P4",
        "runtime/batch.py",
        "            self.held.append(note.held)\n",
        "            pass\n",
        (
            "tests/runtime/test_events_kept.py::test_what_is_parked_is_delivered_after_positions_have_passed_it_and_a_crash",
        ),
        "A crash, and what waited behind a dead letter is forgotten.",
    ),
    Mutant(
        "ignore-a-hold-at-restart",
        "P4",
        _OPENING,
        "        for stream in streams:\n            if row.position <= stream.frontier:\n",
        "        for stream in streams:\n            if False:\n",
        (
            "tests/design/test_events_subscriptions.py::test_a_new_reaction_does_not_make_others_lose_what_is_parked",
        ),
        "A restart, and what waited behind a dead letter is forgotten.",
    ),
    Mutant(
        "release-a-hold-that-covers-the-log",
        "P4",
        _QUEUES,
        "        return not (self.cursors or self.blocked or self.unmet) and (\n",
        "        return not (self.blocked or self.unmet) and (\n",
        (
            "tests/unit/runtime/test_key_queues.py::test_a_hold_stays_while_something_is_left_in_the_log",
        ),
        "A crash while a key catches up, and the rest of its events is forgotten.",
    ),
    Mutant(
        "release-a-hold-that-nobody-has-met",
        "P4",
        _QUEUES,
        "        return not (self.cursors or self.blocked or self.unmet) and (\n",
        "        return not (self.cursors or self.blocked) and (\n",
        (
            "tests/runtime/test_review_messaging.py::test_a_hold_stays_while_what_is_below_it_is_delivered_to_a_new_reaction",
        ),
        "A catching up that has not come to a held key finds it released.",
    ),
    Mutant(
        "release-an-unmet-hold-when-its-queue-is-empty",
        "P4",
        _DISPATCHER,
        "        elif not queue.unmet:\n",
        "        else:\n",
        (
            "tests/runtime/test_review_messaging.py::test_a_hold_stays_while_what_is_below_it_is_delivered_to_a_new_reaction",
        ),
        "A dead letter that is dealt with frees a hold below which nothing was read.",
    ),
    Mutant(
        "let-a-released-hold-cover-what-follows",
        "P4",
        _WRITING,
        "        queue.hold = None  # from now on it covers nothing\n",
        "",
        (
            "tests/unit/runtime/test_key_queues.py::test_a_hold_that_is_being_released_covers_nothing_that_comes",
        ),
        "A position moves over an event whose hold is being deleted, and a crash forgets it.",
    ),
    Mutant(
        "advance-a-position-over-what-is-in-memory",
        "P4",
        _POSITIONS,
        "        if position < hold:\n",
        "        if False:\n",
        ("tests/unit/runtime/test_key_queues.py::test_what_is_in_memory_bounds_the_position",),
        "A crash forgets the events that were in memory.",
    ),
    Mutant(
        "advance-a-position-over-what-was-left-in-the-log",
        "P4",
        _POSITIONS,
        "        if cursor.last + 1 < hold:\n",
        "        if False:\n",
        (
            "tests/unit/runtime/test_key_queues.py::test_what_was_left_in_the_log_bounds_the_position",
        ),
        "A crash forgets the events of a long queue.",
    ),
    Mutant(
        "take-a-position-from-one-stream-only",
        "P4",
        _POSITIONS,
        "        reached = min(reached, low.get(stream, NOWHERE))\n",
        "        reached = min(reached, low.get(streams[-1], NOWHERE))\n",
        (
            "tests/unit/runtime/test_key_queues.py::test_what_an_earlier_stream_has_brought_bounds_the_position",
        ),
        "A crash forgets what is left of a catching up.",
    ),
    Mutant(
        "end-a-replay-with-dead-letters",
        "P10",
        _POSITIONS,
        "if subscription.passed_over or any(",
        "if any(",
        (
            "tests/design/test_events_replays.py::test_a_dead_letter_of_a_replay_is_kept_until_it_is_redriven",
        ),
        "The dead letters of a replay disappear with it.",
    ),
    Mutant(
        "end-a-replay-before-its-last-delivery",
        "P4",
        _POSITIONS,
        "return used(lanes).isdisjoint(streams)",
        "return True",
        (
            "tests/design/test_events_replays.py::test_a_dead_letter_of_a_replay_is_kept_until_it_is_redriven",
        ),
        "A replay is over although its last events are not delivered.",
    ),
    Mutant(
        "take-from-memory-what-comes-after-the-unread",
        "P4",
        _STREAMS,
        "if live.backlog or dispatcher.full or event.position != live.frontier + 1:",
        "if dispatcher.full:",
        (
            "tests/unit/runtime/test_key_queues.py::test_what_comes_while_older_events_are_unread_is_left_to_be_read",
        ),
        "A new event moves the stream over older ones that were not read yet.",
    ),
    Mutant(
        "forget-what-was-appended-during-a-read",
        "P4",
        _STREAMS,
        "            stream.backlog = self._grew  # what was appended meanwhile has said so\n",
        "            stream.backlog = False\n",
        (
            "tests/runtime/test_events_kept.py::test_what_is_published_while_the_log_is_read_is_delivered",
        ),
        "An event that is committed while the log is read waits for the next one.",
    ),
    Mutant(
        "deliver-twice-where-streams-meet",
        "P5",
        _QUEUES,
        "s for s in found if s.takes(place, event.key) and place > self.joined.get(s, -1)",
        "s for s in found if s.takes(place, event.key)",
        (
            "tests/design/test_events_subscriptions.py::test_a_removed_reaction_is_kept_with_its_dead_letter_and_what_waits_behind_it",
        ),
        "Who has caught up gets from both streams what lies between them.",
    ),
    Mutant(
        "put-what-a-fault-interrupted-into-new-queues",
        "P5",
        _DISPATCHER,
        "        if generation != self.generation:\n            return\n        # A stream",
        "        # A stream",
        (
            "tests/unit/runtime/test_key_queues.py::test_what_was_being_read_when_everything_was_forgotten_begins_nothing",
        ),
        "Events read before a fault are put into queues that nobody has any more.",
    ),
    Mutant(
        "join-the-others-before-having-caught-up",
        "P4",
        _STREAMS,
        "if stream.frontier < ahead.frontier:",
        "if False:",
        (
            "tests/runtime/test_events_kept.py::test_who_catches_up_misses_nothing_that_comes_meanwhile",
        ),
        "Who comes back after a week misses what came while it read.",
    ),
    Mutant(
        "forget-what-is-left-in-the-log-during-a-read",
        "P6",
        _DISPATCHER,
        "read = {s: cursor for s, cursor in queue.cursors.items() if cursor.last >= after}",
        "read = dict(queue.cursors)",
        (
            "tests/unit/runtime/test_key_queues.py::test_what_is_left_in_the_log_during_a_read_is_read_the_next_time",
        ),
        "What a second stream left further below is passed over.",
    ),
    Mutant(
        "give-an-event-to-the-youngest-wait",
        "P8",
        "runtime/messaging/taking.py",
        "            min(about_it),\n",
        "            max(about_it),\n",
        ("tests/design/test_mix_waits.py::test_waits_for_one_key_get_one_event_each",),
        "Of two tasks that wait for one key the second gets the first event.",
    ),
)
