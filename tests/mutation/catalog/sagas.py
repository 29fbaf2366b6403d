"""Mutants of sagas: what is undone, when, in which order, and who is told."""

from tests.mutation.mutant import Mutant

_SAGA = "kernel/saga.py"

MUTANTS = (
    Mutant(
        "compensate-before-a-sibling-settled",
        "P9",
        _SAGA,
        "    if state.unsettled:\n        return []\n",
        "",
        (
            "tests/design/test_compensation_settling.py::test_nothing_is_undone_while_a_call_is_in_flight",
        ),
        "A reservation that is still being made is released, and is made then.",
    ),
    Mutant(
        "compensate-oldest-first",
        "P9",
        _SAGA,
        "for number in range(state.undo_from or max(state.calls, default=0), 0, -1):",
        "for number in range(1, max(state.calls, default=0) + 1):",
        (
            "tests/design/test_compensation_order.py::test_calls_in_sequence_are_undone_newest_first",
        ),
        "The order is deleted before the payment for it is given back.",
    ),
    Mutant(
        "compensate-several-at-once",
        "P9",
        _SAGA,
        "        if call.undo is not None:\n            return []\n",
        "        if call.undo is not None:\n            continue\n",
        ("tests/design/test_compensation_order.py::test_one_compensation_runs_at_a_time",),
        "An older call is undone although the newer one's compensation still fails.",
    ),
    Mutant(
        "drop-the-compensation-of-a-call-in-doubt",
        "P9",
        "kernel/steps.py",
        "        return self.outcome_unknown\n",
        "        return False\n",
        (
            "tests/design/test_compensation_outcomes.py::test_call_that_timed_out_is_undone_without_a_result",
        ),
        "A charge that timed out stays charged.",
    ),
    Mutant(
        "drop-the-compensation-of-the-first-call",
        "P9",
        _SAGA,
        "max(state.calls, default=0), 0, -1):",
        "max(state.calls, default=0), 1, -1):",
        (
            "tests/design/test_compensation_order.py::test_calls_in_sequence_are_undone_newest_first",
        ),
        "The first thing that a saga did stays.",
    ),
    Mutant(
        "drop-a-compensation-that-is-not-deployed",
        "P9",
        _SAGA,
        "    if call.compensable or not program.knows(call.name):\n"
        "        return _unknown(call, now)\n",
        "",
        (
            "tests/design/test_children_operators.py::test_undoing_a_child_waits_visibly_for_a_deployment_that_hosts_it",
        ),
        "A deployment that forgot a service ends its sagas as compensated.",
    ),
    Mutant(
        "drop-a-compensation-that-ran-out-of-patience",
        "P9",
        "kernel/attempts.py",
        "    if step.attempts >= retry.max_attempts and number not in execution.state.incidents:\n",
        "    if step.attempts >= retry.max_attempts:\n"
        "        execution.note(r.CompensationCompleted(at, -number))\n"
        "    elif False:\n",
        (
            "tests/design/test_compensation_patience.py::test_past_its_patience_it_is_an_incident_that_names_what_fails",
        ),
        "A refund that failed ten times is called done.",
    ),
    Mutant(
        "tell-nobody-that-patience-is-over",
        "P9",
        "kernel/attempts.py",
        "if step.attempts >= retry.max_attempts and number not in",
        "if False and number not in",
        (
            "tests/design/test_compensation_patience.py::test_past_its_patience_it_is_an_incident_that_names_what_fails",
        ),
        "A refund fails for ever, and nobody knows.",
    ),
    Mutant(
        "tell-nobody-of-a-call-that-does-not-settle",
        "P9",
        "runtime/inputs.py",
        "        if state.undoing and state.unsettled:\n",
        "        if False:\n",
        (
            "tests/design/test_compensation_settling.py::test_past_settle_the_execution_is_an_incident_that_names_the_call",
        ),
        "A saga waits for ever for a call that hangs, and nobody knows.",
    ),
    Mutant(
        "undo-past-the-pivot",
        "P9",
        "kernel/ending.py",
        "if program.saga and execution.pivoted:",
        "if False:",
        (
            "tests/design/test_pivot.py::test_uncaught_exception_is_an_incident_and_nothing_is_undone",
        ),
        "A parcel that has left is taken back from the stock.",
    ),
    Mutant(
        "forget-the-pivot-of-an-earlier-run",
        "P9",
        "runtime/letters.py",
        "pivoted = state.pivoted or (state.carried is not None and state.carried.pivoted)",
        "pivoted = state.pivoted",
        (
            "tests/design/test_continue_as_new.py::test_pivot_of_the_first_of_several_runs_is_not_forgotten_by_the_last",
        ),
        "A child that passed its pivot and continued as new is undone with its parent.",
    ),
    Mutant(
        "take-a-failed-child-for-one-that-did-nothing",
        "P9",
        "runtime/letters.py",
        "        not (undone or nothing_began),\n",
        "        False,\n",
        (
            "tests/design/test_children_undoing.py::test_own_compensation_is_called_with_the_error_of_a_child_that_may_have_happened",
        ),
        "What a failed child workflow has done is not undone by its parent.",
    ),
    Mutant(
        "continue-as-new-with-things-to-undo",
        "P9",
        "kernel/calls.py",
        "        return bool(self._undoable)\n",
        "        return False\n",
        (
            "tests/design/test_continue_as_new.py::test_saga_with_something_to_compensate_cannot_continue",
        ),
        "The next run has forgotten what the last one would have had to undo.",
    ),
    Mutant(
        "complete-a-child-before-its-calls-settled",
        "P9",
        "kernel/ending.py",
        "return child and execution.calls.anything_open_to_undo",
        "return False",
        (
            "tests/simulation/test_found.py::test_completed_child_is_undone_when_a_call_that_it_gave_up_has_ended",
        ),
        "A child's abandoned call happens after the child was undone.",
    ),
    Mutant(
        "forget-what-undoes-a-stub",
        "P9",
        "authoring/registry.py",
        "if stub is None else stub.undo\n",
        "if stub is None else None\n",
        ("tests/unit/authoring/test_stubs.py::test_a_harness_runs_what_stands_for_a_stub",),
        "What another repository's activity has done stays when the saga fails.",
    ),
)
