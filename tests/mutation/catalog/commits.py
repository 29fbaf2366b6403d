"""Mutants of the commit: what is written together, performed after it, and believed."""

from tests.mutation.mutant import Mutant

_BATCH = "runtime/batch.py"
_COMMITTER = "runtime/committer.py"
_DUE = "runtime/due.py"
_FAULTS = "runtime/faults.py"
_NODE = "runtime/node.py"

MUTANTS = (
    Mutant(
        "acknowledge-a-start-before-its-commit",
        "P1",
        "runtime/inputs.py",
        "    resident.execution.start(started, arguments)\n",
        "    resident.execution.start(started, arguments)\n"
        "    if resident.started is not None and not resident.started.done():\n"
        "        resident.started.set_result(None)\n",
        ("tests/runtime/test_starting.py::test_start_is_not_acknowledged_before_its_commit",),
        "An order that was accepted is gone after a crash.",
    ),
    Mutant(
        "acknowledge-a-letter-before-its-commit",
        "P1",
        _COMMITTER,
        "        self._mail.append((mail, future))\n",
        "        self._mail.append((mail, future))\n        future.set_result(None)\n",
        ("tests/design/test_execution_acts.py::test_an_acknowledged_act_survives_a_crash",),
        "A signal that was accepted is gone after a crash.",
    ),
    Mutant(
        "acknowledge-a-publish-before-its-commit",
        "P1",
        "runtime/messaging/publishing.py",
        "            return await asyncio.shield(done)\n        places =",
        "            return True\n        places =",
        ("tests/design/test_events_publishing.py::test_publish_returns_when_the_event_is_durable",),
        "An event that was accepted is gone after a crash.",
    ),
    Mutant(
        "begin-effects-before-the-commit",
        "P2",
        _COMMITTER,
        "            self._gathering.add(batch, resident, records, journal, now, self.calls_of)\n",
        "            self._gathering.add(batch, resident, records, journal, now, self.calls_of)\n"
        "            self._perform(resident, records)\n"
        "            batch.performed[-1] = (resident, [])\n",
        (
            "tests/runtime/test_commits.py::test_nothing_is_performed_before_the_commit_of_its_cause",
        ),
        "A crash at the commit, and the card is charged for an order that nobody knows.",
    ),
    Mutant(
        "log-before-the-commit",
        "P2",
        _COMMITTER,
        "            self._gathering.add(batch, resident, records, journal, now, self.calls_of)\n",
        "            self._gathering.add(batch, resident, records, journal, now, self.calls_of)\n"
        "            _speak(resident)\n",
        (
            "tests/runtime/test_commit_batches.py::test_what_a_workflow_logs_is_heard_after_the_commit",
        ),
        "The log tells what never happened.",
    ),
    Mutant(
        "write-two-commits-at-once",
        "P2",
        _COMMITTER,
        "            self._woken.clear()\n            await self._flush_ready()\n",
        "            self._woken.clear()\n"
        "            self._turn = asyncio.Lock()\n"
        "            asyncio.get_running_loop().create_task(self._flush_ready())\n",
        ("tests/runtime/test_commit_batches.py::test_one_commit_waits_for_the_one_before",),
        "The rows of one journal are written in another order than they were decided in.",
    ),
    Mutant(
        "stop-beside-the-commit-under-way",
        "P2",
        _COMMITTER,
        "        async with self._turn:\n            while self._anything:\n",
        "        if True:\n            while self._anything:\n",
        (
            "tests/runtime/test_stop_in_commit.py::"
            "test_stop_waits_for_the_commit_of_what_an_attempt_returned",
            "tests/runtime/test_stop_in_commit.py::"
            "test_stop_writes_nothing_beside_the_commit_under_way",
        ),
        "A stop that looks for work while a commit is written cuts it off, or overtakes it.",
    ),
    Mutant(
        "report-success-of-an-unknown-commit",
        "P1",
        _COMMITTER,
        "        except UNWRITABLE as error:\n            self._give_up(batch, error, life)\n",
        "        except UNWRITABLE:\n            self._acknowledge(batch, 0, life)\n",
        (
            "tests/runtime/test_store_failures.py::test_commit_that_was_written_but_reported_as_failed_repeats_no_recorded_step",
        ),
        "A full disk swallows what was acknowledged.",
    ),
    Mutant(
        "believe-memory-after-a-failed-commit",
        "P2",
        _FAULTS,
        "        node.drop_everything(error)\n        if node.fault is not None:\n",
        "        if node.fault is not None:\n",
        (
            "tests/runtime/test_attempts_in_doubt.py::test_an_attempt_that_was_under_way_when_the_store_failed_is_cut_off",
        ),
        "What is in memory goes on from records that the store does not have.",
    ),
    Mutant(
        "let-one-culprit-stop-everybody",
        "P10",
        _COMMITTER,
        "                await self._write_singly(batch, life)\n",
        "                self._give_up(batch, culprit, life)\n",
        (
            "tests/runtime/test_faults_store.py::test_write_that_the_store_refuses_stops_its_execution_and_no_other",
        ),
        "One value that the store refuses fails everybody in its commit.",
    ),
    Mutant(
        "tell-a-culprit-nothing",
        "P10",
        _COMMITTER,
        "                self._refuse(one, culprit)\n",
        "                pass\n",
        (
            "tests/runtime/test_commit_batches.py::test_who_wrote_what_is_refused_is_told_and_waits_no_longer",
        ),
        "Who wrote what the store refuses waits for ever.",
    ),
    Mutant(
        "forget-letters-that-did-not-fit",
        "P1",
        _COMMITTER,
        "        del self._mail[:BATCH_MAX]\n",
        "        self._mail.clear()\n",
        (
            "tests/runtime/test_commit_batches.py::test_letters_beyond_a_batch_are_written_with_the_next_ones",
        ),
        "Of 3,000 signals at once 1,000 are never written.",
    ),
    Mutant(
        "forget-notes-that-did-not-fit",
        "P4",
        _COMMITTER,
        "        del self._notes[:BATCH_MAX]\n",
        "        self._notes.clear()\n",
        (
            "tests/runtime/test_commit_batches.py::test_events_beyond_a_batch_are_written_with_the_next_ones",
        ),
        "Of 3,000 events at once 1,000 are never published.",
    ),
    Mutant(
        "forget-starts-that-did-not-fit",
        "P1",
        _COMMITTER,
        "        del self._stored[:BATCH_MAX]\n",
        "        self._stored.clear()\n",
        (
            "tests/runtime/test_commit_batches.py::test_children_beyond_a_batch_begin_with_the_next_ones",
        ),
        "Of 3,000 children at once 1,000 never begin.",
    ),
    Mutant(
        "publish-what-a-refused-start-published",
        "P4",
        _BATCH,
        "(self.mail_of, self.attributes_of, self.events_of, self.waits_of)",
        "(self.mail_of, self.attributes_of, self.waits_of)",
        (
            "tests/runtime/test_commit_batches.py::test_a_second_start_of_an_id_publishes_nothing_beside_a_first_one",
        ),
        "A start of an id that exists publishes its first events all the same.",
    ),
    Mutant(
        "send-what-a-refused-start-sent",
        "P2",
        _BATCH,
        "(self.mail_of, self.attributes_of, self.events_of, self.waits_of)",
        "(self.attributes_of, self.events_of, self.waits_of)",
        (
            "tests/runtime/test_commit_batches.py::test_a_second_start_of_an_id_calls_no_children_beside_a_first_one",
        ),
        "A start of an id that exists begins children that nobody waits for.",
    ),
    Mutant(
        "lose-letters-beside-a-culprit",
        "P1",
        _BATCH,
        "            one.mail_of = _only(self.mail_of, key)\n",
        "",
        (
            "tests/runtime/test_commit_batches.py::test_a_child_begins_although_a_value_beside_its_call_is_refused",
        ),
        "A child is never begun because somebody else's value was refused.",
    ),
    Mutant(
        "lose-events-beside-a-culprit",
        "P4",
        _BATCH,
        "            one.events_of = _only(self.events_of, key)\n",
        "",
        (
            "tests/runtime/test_commit_batches.py::test_an_event_is_published_although_a_value_beside_it_is_refused",
        ),
        "An event is never published because somebody else's value was refused.",
    ),
    Mutant(
        "keep-letters-taken-beside-a-culprit",
        "P1",
        _BATCH,
        "            one.taken_of = _only(self.taken_of, key)\n",
        "",
        (
            "tests/runtime/test_commit_batches.py::test_a_letter_is_deleted_with_its_effect_although_a_value_beside_it_is_refused",
        ),
        "A signal stays in the mailbox for ever because somebody else's value was refused.",
    ),
    Mutant(
        "forget-a-timer-at-recovery",
        "P1",
        "kernel/facts.py",
        "        times = list(self.timers.values())\n",
        "        times = list[int]()\n",
        (
            "tests/runtime/test_timers.py::test_sleeps_within_one_workflow_end_in_the_order_of_their_times",
        ),
        "A workflow that sleeps when the node dies sleeps for ever.",
    ),
    Mutant(
        "forget-what-was-under-way",
        "P1",
        "runtime/resident.py",
        "        if self.busy or state.settling or self.reload:\n",
        "        if state.settling or self.reload:\n",
        (
            "tests/runtime/test_attempts_in_doubt.py::test_an_interrupted_call_is_made_again_within_moments",
        ),
        "An order whose payment was under way when the node died is never looked at again.",
    ),
    Mutant(
        "forget-what-leaves-memory",
        "P1",
        _DUE,
        "        self._cursor = min(self._cursor, place)\n"
        "        self._sent_back = min(self._sent_back, place)\n",
        "",
        ("tests/unit/runtime/test_due.py::test_what_leaves_memory_below_the_cursor_is_met_again",),
        "A workflow that was evicted while it slept is not met again.",
    ),
    Mutant(
        "ring-no-alarm-for-what-leaves-memory",
        "P1",
        _DUE,
        "        self._set_alarm(wake_at)\n\n    async def run",
        "\n    async def run",
        ("tests/unit/runtime/test_due.py::test_what_leaves_memory_rings_when_its_time_has_come",),
        "A workflow that was evicted while it slept oversleeps.",
    ),
    Mutant(
        "scan-on-after-a-fault-from-where-it-was",
        "P1",
        _DUE,
        "        self._began_at = max(self._began_at, newest)\n        self._cursor = BEGINNING\n",
        "        self._began_at = max(self._began_at, newest)\n",
        ("tests/unit/runtime/test_due.py::test_a_scan_that_begins_again_begins_before_everything",),
        "What was in memory at a fault is not met again.",
    ),
    Mutant(
        "move-the-cursor-over-what-loading-sends-back",
        "P1",
        _DUE,
        "            self._cursor = min(self._cursor, self._sent_back)\n",
        "",
        (
            "tests/unit/runtime/test_due.py::"
            "test_what_leaves_memory_while_one_group_is_loaded_is_not_passed_by_the_next",
        ),
        "What was evicted while others were loaded is not met again.",
    ),
    Mutant(
        "believe-a-clock-that-was-set-back",
        "P1",
        _DUE,
        "until = max(self.clock.now(), self._began_at)",
        "until = self.clock.now()",
        ("tests/unit/runtime/test_due.py::test_what_began_before_the_clock_was_set_back_is_due",),
        "After the clock was set back interrupted orders wait until it has caught up.",
    ),
    Mutant(
        "set-no-alarm-for-what-comes",
        "P1",
        _DUE,
        "        if coming:\n",
        "        if False:\n",
        ("tests/unit/runtime/test_due.py::test_what_comes_is_loaded_when_its_time_has_come",),
        "After a restart a workflow sleeps on when its time has come.",
    ),
    Mutant(
        "read-no-letter-after-a-fault",
        "P1",
        _FAULTS,
        "        node.intake.restart()\n",
        "",
        (
            "tests/runtime/test_store_failures.py::test_commit_that_was_written_but_reported_as_failed_repeats_no_recorded_step",
        ),
        "A signal that was taken when the store failed has no effect.",
    ),
    Mutant(
        "look-for-no-work-after-a-fault",
        "P1",
        _FAULTS,
        "        node.due.restart()\n",
        "",
        (
            "tests/runtime/test_letters_believed.py::test_what_a_failure_of_the_store_interrupts_goes_on_by_itself",
        ),
        "What the store's failure interrupted waits for the next start.",
    ),
    Mutant(
        "commit-after-death",
        "P7",
        _NODE,
        '        self.committer.drop(NodeStoppedError("the node crashed"))\n'
        "        await self.activities.stop(0)\n",
        "        await self.committer.flush()\n        await self.activities.stop(0)\n",
        (
            "tests/runtime/test_letters_believed.py::test_what_waits_for_its_commit_when_the_node_dies_is_not_written",
        ),
        "A node that was declared dead writes over what the next one does.",
    ),
    Mutant(
        "write-an-unknown-commit-again",
        "P1",
        _COMMITTER,
        "    StoreBrokenError,\n    StoreCorruptError,\n)\n",
        "    StoreCorruptError,\n)\n",
        (
            "tests/runtime/test_store_failures.py::test_commit_that_was_written_but_reported_as_failed_repeats_no_recorded_step",
        ),
        "What may be written is taken for refused, and its execution is left alone.",
    ),
    Mutant(
        "go-on-after-a-lost-sync",
        "P1",
        _FAULTS,
        "        if is_fatal(error):\n            self._stay_down(error)\n            return\n",
        "",
        (
            "tests/unit/runtime/test_faults.py::"
            "test_a_store_that_has_lost_what_it_confirmed_is_not_believed_again",
        ),
        "A disk that has lost what it confirmed is believed again.",
    ),
    Mutant(
        "tell-nobody-of-a-commit-that-was-cut-off",
        "P1",
        _COMMITTER,
        '            _disappoint(batch, _left_behind("stopped"))\n',
        "",
        ("tests/runtime/test_stop_in_commit.py",),
        "A start waits for ever for the answer of a node that has ended.",
    ),
)
