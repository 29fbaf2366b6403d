"""Mutants of calls between nodes: what is offered, claimed, told, and taken over."""

from tests.mutation.mutant import Mutant

_OFFERS = "runtime/remote_calls.py"
_CLAIMS = "runtime/remote_claims.py"
_CALLS = "tests/runtime/test_remote_calls.py"
_CANCELLING = "tests/runtime/test_remote_cancelling.py"
_LOSSES = "tests/runtime/test_remote_losses.py"
_STOPPING = "tests/runtime/test_remote_stopping.py"
_BOUNDS = "tests/runtime/test_remote_bounds.py"

MUTANTS = (
    Mutant(
        "take-a-letter-and-keep-its-row",
        "P2",
        _OFFERS,
        "    resident.change_calls().over.append((mail.key, mail.step, mail.began))\n",
        "",
        (f"{_CALLS}::test_a_call_runs_where_its_service_is_hosted_and_its_result_comes_back",),
        "The table of calls grows for ever.",
    ),
    Mutant(
        "take-a-letter-about-another-attempt",
        "P2",
        _OFFERS,
        "there is not None and there.began == mail.began",
        "there is not None",
        (f"{_BOUNDS}::test_a_letter_about_an_earlier_attempt_changes_nothing",),
        "The outcome of an attempt that was given up is recorded as that of the next one.",
    ),
    Mutant(
        "take-what-is-elsewhere-for-lost",
        "P3",
        "kernel/attempts.py",
        "        if elsewhere is not None and number in elsewhere:\n            continue\n",
        "",
        (f"{_LOSSES}::test_a_new_owner_that_hosts_the_activity_leaves_it_to_the_one_that_has_it",),
        "A transfer that still runs on its node is made a second time by the new owner.",
    ),
    Mutant(
        "offer-again-what-a-dead-owner-ran",
        "P3",
        _OFFERS,
        "Elsewhere(-abs(began)), now)",
        "Elsewhere(abs(began)), now)",
        (
            f"{_LOSSES}::test_what_a_dead_owner_ran_itself_is_in_doubt_for_one_that_does_not_host_it",
        ),
        "A transfer that the dead node may have made is made again.",
    ),
    Mutant(
        "run-what-is-only-asked-about",
        "P3",
        _CLAIMS,
        "        if row.attempt < 0:\n"
        "            self._tell(attempt, Ending(lost=True))\n"
        "        elif",
        "        if",
        (f"{_LOSSES}::test_a_lost_call_waits_for_somebody_who_knows_whether_it_may_be_made_again",),
        "A transfer that the dead node may have made is made again.",
    ),
    Mutant(
        "make-again-what-may-have-happened",
        "P3",
        _CLAIMS,
        "elif remote.in_doubt and attempt.policy.at_most_once:",
        "elif False:",
        (f"{_BOUNDS}::test_what_may_have_happened_before_a_reset_is_not_done_twice",),
        "A reset makes a transfer again on another node.",
    ),
    Mutant(
        "trust-the-callers-policy",
        "P3",
        _OFFERS,
        "    if mail.policy is not None:  # whoever hosts it knows best\n",
        "    if False:\n",
        (f"{_BOUNDS}::test_a_stub_is_called_once_if_its_implementation_says_so",),
        "Nobody knows what to do with the outcome of a stub's call.",
    ),
    Mutant(
        "settle-what-somebody-has-claimed",
        "P9",
        _OFFERS,
        "    if resident.elsewhere.get(step) is not there or claimed:\n",
        "    if resident.elsewhere.get(step) is not there:\n",
        (f"{_CANCELLING}::test_a_saga_undoes_a_cancelled_call_that_may_have_happened",),
        "A charge that completes after its cancellation is not undone.",
    ),
    Mutant(
        "leave-a-cancelled-call-to-its-node",
        "P9",
        _CLAIMS,
        "                    self.node.activities.cancel(attempt)\n",
        "                    pass\n",
        (f"{_CANCELLING}::test_a_cancelled_call_that_somebody_has_claimed_is_cancelled_there",),
        "A cancelled call runs to its end.",
    ),
    Mutant(
        "forget-the-offers-of-what-has-ended",
        "P9",
        _OFFERS,
        "                    for step in resident.elsewhere:\n"
        "                        self._cancel(resident, step)\n",
        "                    pass\n",
        (f"{_CANCELLING}::test_a_terminated_execution_takes_its_call_back",),
        "A terminated execution's calls are made all the same.",
    ),
    Mutant(
        "say-nothing-of-claims-of-the-dead",
        "P9",
        _CLAIMS,
        "        for row in rows:\n            mail = AttemptEndedMail(",
        "        for row in ():\n            mail = AttemptEndedMail(",
        (f"{_LOSSES}::test_a_call_whose_node_died_is_made_again_by_another_one",),
        "An order whose payment was claimed by a node that died waits for ever.",
    ),
    Mutant(
        "keep-what-was-never-begun",
        "P9",
        _CLAIMS,
        "            if not attempt.entered and attempt.task is None:\n",
        "            if False:\n",
        (
            f"{_LOSSES}::test_what_a_stopping_node_never_began_is_given_back",
            f"{_STOPPING}::test_a_call_whose_claim_is_under_way_when_the_node_stops_is_given_back",
        ),
        "A call that a stopping node never began is in doubt.",
    ),
    Mutant(
        "stop-before-a-claim-is-known",
        "P9",
        _CLAIMS,
        "        async with self._one:\n            self.hand_back()\n",
        "        self.hand_back()\n",
        (f"{_STOPPING}::test_a_call_whose_claim_is_under_way_when_the_node_stops_is_given_back",),
        "A transfer is in doubt because its node was stopped just before it got it.",
    ),
    Mutant(
        "keep-what-has-not-begun-while-others-finish",
        "P9",
        "runtime/node.py",
        "        self.remote.hand_back()\n",
        "",
        (f"{_STOPPING}::test_a_call_that_waits_for_its_turn_is_given_back_when_the_stop_begins",),
        "Calls wait for a node that stops, although others have nothing to do.",
    ),
    Mutant(
        "keep-every-call-of-others-in-memory",
        "P10",
        "runtime/resident.py",
        "        if self.attempts or self.execution.pending or self.started is not None:\n",
        "        if self.elsewhere or self.attempts or self.execution.pending or self.started:\n",
        (f"{_BOUNDS}::test_executions_that_wait_for_another_node_leave_room_in_memory",),
        "A service that is down fills the memory of all that call it, and they do nothing else.",
    ),
    Mutant(
        "claim-without-end",
        "P10",
        _CLAIMS,
        "            limit = min(room, CLAIMS_MAX)\n",
        "            limit = CLAIMS_MAX\n",
        (f"{_CALLS}::test_a_node_claims_no_more_than_it_can_run",),
        "One node takes all calls and lets them wait.",
    ),
    Mutant(
        "forget-the-heartbeat-of-a-failed-attempt",
        "P1",
        _CLAIMS,
        "        if claim.beat is not None:\n",
        "        if False:\n",
        (f"{_CALLS}::test_a_heartbeats_detail_reaches_the_next_attempt",),
        "The next attempt begins a long copy from its first page.",
    ),
    Mutant(
        "offer-beside-the-commit-of-the-call",
        "P9",
        "runtime/batch.py",
        "        for changes in self.calls_of.values():\n            gathered.add(changes)\n",
        "",
        (f"{_CALLS}::test_an_offer_is_written_with_the_record_of_its_call",),
        "A call is recorded, and no node ever learns of it.",
    ),
)
