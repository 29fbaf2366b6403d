"""Mutants of letters: what people, clients and other executions ask of an execution."""

from tests.mutation.mutant import Mutant

_ACTS = "runtime/acts.py"
_INTAKE = "runtime/intake.py"
_LETTERS = "runtime/letters.py"

MUTANTS = (
    Mutant(
        "lose-a-letter",
        "P2",
        _LETTERS,
        "return [mail_row(to, mail, now, codec) for to, mail in sent]",
        "return [mail_row(to, mail, now, codec) for to, mail in sent[:1]]",
        ("tests/design/test_children_crashes.py::test_two_hundred_children_of_a_gather_end",),
        "Of two children that are called together one never begins.",
    ),
    Mutant(
        "take-a-letter-twice",
        "P1",
        _ACTS,
        "    elif row.request_id not in execution.state.request_ids:\n",
        "    else:\n",
        (
            "tests/runtime/test_letters_believed.py::test_a_letter_that_is_posted_again_after_its_effect_has_no_second_one",
        ),
        "A signal counts twice.",
    ),
    Mutant(
        "delete-a-letter-before-its-effect",
        "P1",
        _ACTS,
        "    resident.taken.append(row.position)  # never before the record that it has led to\n",
        "    node.committer.take(row.position)\n",
        (
            "tests/runtime/test_commit_batches.py::test_a_letter_is_deleted_with_its_effect_although_a_value_beside_it_is_refused",
        ),
        "A signal whose record is refused is gone.",
    ),
    Mutant(
        "forget-a-letter-to-what-left-memory",
        "P1",
        _ACTS,
        "        node.read_again(row)\n        return\n    if isinstance(mail, UndoMail):",
        "        return\n    if isinstance(mail, UndoMail):",
        (
            "tests/simulation/test_found.py::test_letter_to_an_execution_that_is_being_reloaded_is_not_forgotten",
        ),
        "A signal to an execution that was being evicted waits for the next start.",
    ),
    Mutant(
        "delete-what-this-node-cannot-take",
        "P1",
        _INTAKE,
        '        logger.warning("a %s for %r waits where it is: %s", row.kind,',
        "        self.node.committer.take(row.position)\n"
        '        logger.warning("a %s for %r waits where it is: %s", row.kind,',
        (
            "tests/runtime/test_same_id.py::test_a_start_of_a_workflow_that_is_not_hosted_waits_for_a_node_that_has_it",
        ),
        "A start that was accepted is dropped by the first node that does not host it.",
    ),
    Mutant(
        "let-a-letter-overtake",
        "P1",
        _INTAKE,
        "        return first is not None and first <= row.position\n",
        "        return False\n",
        ("tests/design/test_continue_as_new.py::test_unread_signals_go_with_it_in_their_order",),
        "The second signal arrives before the first.",
    ),
    Mutant(
        "let-one-unreadable-letter-stop-the-mail",
        "P10",
        _INTAKE,
        "        except msgspec.MsgspecError as error:\n",
        "        except ZeroDivisionError as error:\n",
        (
            "tests/runtime/test_damage.py::test_letter_that_cannot_be_read_is_dropped_with_a_warning",
        ),
        "A letter that nobody can read stops the node.",
    ),
    Mutant(
        "let-one-damaged-journal-stop-the-node",
        "P10",
        "runtime/recovery.py",
        "    return isinstance(error, StoreCorruptError)\n",
        "    return False\n",
        (
            "tests/runtime/test_faults_store.py::test_one_damaged_journal_stops_its_execution_and_no_other",
        ),
        "One damaged journal stops all executions.",
    ),
    Mutant(
        "believe-a-letter-of-an-earlier-attempt",
        "P2",
        _ACTS,
        "of.run == execution.run and of.attempt == step.attempts and step.retry_at is None",
        "of.run == execution.run",
        (
            "tests/runtime/test_letters_believed.py::test_the_end_of_a_child_that_is_not_the_one_waited_for_is_not_believed",
        ),
        "The failure of a child's first attempt is taken for that of its second.",
    ),
    Mutant(
        "believe-a-letter-of-an-earlier-run",
        "P2",
        _ACTS,
        "return of.run == execution.run and of.attempt",
        "return of.attempt",
        (
            "tests/runtime/test_letters_believed.py::test_the_end_of_a_child_that_is_not_the_one_waited_for_is_not_believed",
        ),
        "The result of a child of the last run is taken for that of this run's.",
    ),
    Mutant(
        "cancel-whoever-has-the-id",
        "P9",
        _LETTERS,
        "    return of is None or (parent is not None and",
        "    return True or (parent is not None and",
        (
            "tests/runtime/test_review_sagas.py::test_a_child_call_given_up_does_not_cancel_an_execution_that_has_its_id",
        ),
        "A parent cancels an execution that was never its child.",
    ),
    Mutant(
        "forget-a-signal-in-continue-as-new",
        "P1",
        _LETTERS,
        "for signals in state.unread.values() for signal in signals]",
        "for signals in state.unread.values() for signal in list(signals)[:1]]",
        (
            "tests/design/test_continue_as_new_crashes.py::test_signals_that_came_while_it_worked_go_with_it_before_those_that_come_later",
        ),
        "Of two signals that came before the next run began one is gone.",
    ),
    Mutant(
        "forget-what-was-read-in-continue-as-new",
        "P5",
        _LETTERS,
        "for (of, key), place in state.event_positions.items()]",
        "for (of, key), place in list(state.event_positions.items())[:0]]",
        ("tests/design/test_mix_waits_acts.py::test_continue_as_new_takes_the_positions_along",),
        "The next run gets the events of the last one again.",
    ),
    Mutant(
        "forget-a-signal-that-nobody-waits-for",
        "P1",
        "kernel/signals.py",
        "        self._unread.setdefault(record.name, deque()).append(record.value)\n",
        "",
        ("tests/runtime/test_signals.py::test_signal_that_comes_before_the_wait_is_kept",),
        "A signal that comes early is gone.",
    ),
    Mutant(
        "forget-later-signals-at-a-reset",
        "P1",
        "runtime/beginnings.py",
        "later = [one for one in records[to:] if isinstance(one, SignalReceived)]",
        "later = list[SignalReceived]()",
        ("tests/design/test_execution_reset.py::test_reset_keeps_signals",),
        "A reset swallows signals that were accepted.",
    ),
    Mutant(
        "acknowledge-a-start-that-another-node-begins-at-once",
        "P1",
        "runtime/access.py",
        "    await access.post(execution_id, mail)\n",
        "    pending = asyncio.ensure_future(access.post(execution_id, mail))\n"
        "    pending.add_done_callback(lambda _: None)\n",
        (
            "tests/unit/authoring/test_hosting.py::test_a_start_of_what_is_elsewhere_is_durable_when_it_returns",
        ),
        "A start of another node's workflow was accepted, and is gone after a crash.",
    ),
)
