"""Mutants of attempts: how often a step is tried, under which key, and what is known of it."""

from tests.mutation.mutant import Mutant

_ATTEMPTS = "kernel/attempts.py"
_RETRY = "kernel/retry.py"
_STATE = "kernel/state.py"

MUTANTS = (
    Mutant(
        "retry-a-business-error",
        "P3",
        "runtime/activities.py",
        "failure = failure_of(refused, attempt.work.service)\n"
        "        return Raised(failure, final=True,",
        "failure = failure_of(refused, attempt.work.service)\n"
        "        return Raised(failure, final=False,",
        ("tests/runtime/test_business_errors.py::test_business_error_is_not_retried",),
        "A declined card is charged ten times.",
    ),
    Mutant(
        "retry-at-most-once-after-an-exception",
        "P3",
        _RETRY,
        "if not unknown and not raised.final and",
        "if not raised.final and",
        (
            "tests/design/test_failure_at_most_once.py::test_any_other_error_asks_a_person_and_nothing_is_called_again",
        ),
        "A transfer that may have happened is made again.",
    ),
    Mutant(
        "retry-at-most-once-after-a-lost-node",
        "P3",
        _RETRY,
        "    if policy.at_most_once:\n",
        "    if policy.at_most_once and step.attempts > 1:\n",
        ("tests/design/test_failure_at_most_once.py::test_a_crash_during_the_call_asks_a_person",),
        "A transfer that was under way when the node died is made again.",
    ),
    Mutant(
        "retry-at-most-once-because-others-were-retried",
        "P3",
        "kernel/incidents.py",
        "if policy.at_most_once and step.may_have_happened and not step.stuck:",
        "if False:",
        (
            "tests/design/test_failure_at_most_once_acts.py::test_retry_of_a_failed_workflow_never_makes_a_call_again_that_may_have_happened",
        ),
        "A person retries a failed workflow and makes a transfer again without having been asked.",
    ),
    Mutant(
        "forget-an-interrupted-call",
        "P3",
        _ATTEMPTS,
        "waits = step.retry_at is not None or step.stuck\n",
        "waits = True\n",
        (
            "tests/runtime/test_attempts_in_doubt.py::test_an_interrupted_call_is_made_again_within_moments",
        ),
        "A call that was under way when the node died is never made again.",
    ),
    Mutant(
        "count-a-lost-attempt-not-at-all",
        "P3",
        _STATE,
        "        step.lost_in_a_row += 1\n",
        "",
        (
            "tests/runtime/test_lost_attempts.py::test_three_lost_attempts_in_a_row_wait_for_a_person",
        ),
        "A call that kills its node kills every node, for ever.",
    ),
    Mutant(
        "count-no-attempt",
        "P3",
        _ATTEMPTS,
        "r.AttemptStarted(at, number, step.attempts + 1)",
        "r.AttemptStarted(at, number, step.attempts)",
        (
            "tests/runtime/test_attempts_in_doubt.py::test_a_call_that_fails_for_ever_has_its_attempts_and_no_more",
        ),
        "A call that fails is tried for ever.",
    ),
    Mutant(
        "take-a-call-decided-now-for-a-lost-one",
        "P3",
        _ATTEMPTS,
        "if number not in state.open_steps or number in new or step.remote:",
        "if number not in state.open_steps or step.remote:",
        (
            "tests/runtime/test_stored_starts.py::test_first_call_of_an_execution_that_a_client_started_has_lost_no_attempt",
        ),
        "The first attempt of a posted start is recorded as lost before it has begun.",
    ),
    Mutant(
        "undo-under-the-key-of-the-call",
        "P3",
        "model/ids.py",
        'else f"/{run}/{-step}c"',
        'else f"/{run}/{-step}"',
        (
            "tests/design/test_compensation_patience.py::test_all_attempts_of_a_compensation_carry_one_key_of_their_own",
        ),
        "The payment service answers a refund with the result of the charge.",
    ),
    Mutant(
        "use-the-keys-of-an-earlier-run",
        "P3",
        "model/ids.py",
        'tail = f"/{run}/{step}" if step > 0',
        'tail = f"/1/{step}" if step > 0',
        (
            "tests/design/test_continue_as_new.py::test_next_run_has_an_empty_journal_and_idempotency_keys_of_its_own",
        ),
        "The second month is not charged: its key was used in the first.",
    ),
    Mutant(
        "give-each-attempt-a-key-of-its-own",
        "P3",
        "runtime/attempt.py",
        "key = idempotency_key(owner.id, owner.run, self.step)",
        'key = idempotency_key(f"{owner.id}.{self.number}", owner.run, self.step)',
        ("tests/runtime/test_retries.py::test_every_attempt_carries_the_same_idempotency_key",),
        "A retried charge is a second charge.",
    ),
    Mutant(
        "give-each-delivery-a-key-of-its-own",
        "P3",
        "runtime/messaging/attempt.py",
        "idempotency_key(delivery.id, delivery.run, 1)",
        "idempotency_key(delivery.id, self.number, 1)",
        ("tests/runtime/test_events_kept.py::test_attempts_at_one_event_have_one_idempotency_key",),
        "A retried reaction is a second one to the services that it calls.",
    ),
    Mutant(
        "leave-a-thread-that-nobody-waits-for",
        "P9",
        "runtime/activities.py",
        "if attempt.timed_out or attempt.reported or not attempt.cancelled:",
        "if True:",
        (
            "tests/design/test_compensation_settling.py::test_thread_that_cannot_be_stopped_is_waited_for_and_undone",
        ),
        "What a thread still does is undone before it is done.",
    ),
    Mutant(
        "forget-outcome-unknown-of-an-earlier-attempt",
        "P9",
        _STATE,
        "step.may_have_happened |= record.may_have_happened",
        "step.may_have_happened = record.may_have_happened",
        (
            "tests/runtime/test_attempts_in_doubt.py::test_doubt_about_the_first_of_three_attempts_is_not_forgotten",
        ),
        "A timeout and then a refusal: what the first attempt did is not undone.",
    ),
    Mutant(
        "forget-outcome-unknown-of-a-failed-call",
        "P9",
        _RETRY,
        "        step.may_have_happened or raised.may_have_happened,\n",
        "        raised.may_have_happened,\n",
        (
            "tests/design/test_compensation_outcomes.py::test_business_error_after_an_attempt_in_doubt_is_undone",
        ),
        "What an attempt may have done before the last one refused is not undone.",
    ),
    Mutant(
        "forget-outcome-unknown-of-a-lost-attempt",
        "P9",
        _STATE,
        "        step.may_have_happened = True\n        step.retry_at = record.retry_at\n",
        "        step.retry_at = record.retry_at\n",
        (
            "tests/design/test_compensation_outcomes.py::test_lost_attempt_leaves_doubt_although_a_later_one_says_that_nothing_happened",
        ),
        "What a dying node did is not undone.",
    ),
    Mutant(
        "forget-outcome-unknown-of-a-cancelled-call",
        "P9",
        _ATTEMPTS,
        "unknown = step.may_have_happened or began",
        "unknown = False",
        (
            "tests/runtime/test_cancelling.py::test_call_cut_off_by_a_cancellation_is_undone_without_a_result",
        ),
        "What a cancelled call did before it was cancelled is not undone.",
    ),
    Mutant(
        "doubt-a-business-error",
        "P9",
        "runtime/activities.py",
        "final=True, may_have_happened=False)\n\n    def _cut_off",
        "final=True, may_have_happened=True)\n\n    def _cut_off",
        (
            "tests/design/test_compensation_outcomes.py::test_call_that_ended_with_a_business_error_is_not_undone",
        ),
        "A declined charge is refunded.",
    ),
)
