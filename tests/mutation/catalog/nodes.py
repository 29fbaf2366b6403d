"""Mutants of what nodes on one PostgreSQL store do with each other."""

from tests.mutation.mutant import Mutant

_SQL = "stores/sql/postgres/"
_MEMBERS = _SQL + "003_cluster.sql"
_LETTERS = _SQL + "004_letters.sql"
_SLOTS = _SQL + "005_slots.sql"
_CALLS = _SQL + "006_calls.sql"
_TESTS = "tests/postgres/test_"
_LOST = _TESTS + "fence.py::test_a_lost_node_writes_nothing"

MUTANTS = (
    Mutant(
        "look-who-is-alive-without-a-lock",
        "P7",
        _SQL + "002_commit.sql",
        "  PERFORM pg_advisory_xact_lock_shared({schema}.lock_class_v1('node'), me::integer);\n",
        "",
        (_TESTS + "fence.py::test_a_commit_under_way_is_waited_for",),
        "A node commits after it was declared dead, beside the one that took its work over.",
    ),
    Mutant(
        "declare-a-node-lost-while-it-commits",
        "P7",
        _MEMBERS,
        "IF NOT {schema}.bury_v1(dead, anyway) THEN",
        "IF false THEN",
        (_TESTS + "fence.py::test_a_commit_under_way_is_waited_for",),
        "Two nodes write one journal.",
    ),
    Mutant(
        "look-at-the-lease-before-the-lock-only",
        "P7",
        _MEMBERS,
        "not renewed any more.\n  IF NOT anyway",
        "not renewed any more.\n  IF false AND NOT anyway",
        (_TESTS + "nodes.py::test_a_lease_renewed_while_the_declaration_waits_is_not_over",),
        "A node that works is declared dead.",
    ),
    Mutant(
        "let-leases-run-while-the-server-is-down",
        "P7",
        _MEMBERS,
        "(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint + until - seen_at",
        "until",
        (_TESTS + "nodes.py::test_a_lease_does_not_run_while_the_server_is_down",),
        "A restart of the server makes all nodes declare each other dead.",
    ),
    Mutant(
        "wait-for-ever-for-a-frozen-node",
        "P1",
        _MEMBERS,
        "    PERFORM {schema}.terminate_v1(dead);\n",
        "",
        (
            _TESTS
            + "fence.py::test_a_node_that_is_frozen_in_a_transaction_is_cut_off_a_lease_later",
        ),
        "A node that is stopped in a transaction keeps its work from everybody.",
    ),
    Mutant(
        "open-again-beside-the-former-incarnation",
        "P7",
        "stores/postgres_cluster.py",
        '            await self._value("declare_lost", self._incarnation, True)\n',
        "            pass\n",
        (_TESTS + "fence.py::test_a_zombie_session_of_a_node_that_opens_again_is_ended",),
        "A commit that was given up is written after the node has read what is true.",
    ),
    Mutant(
        "adopt-what-newer-code-has-advanced",
        "P8",
        _MEMBERS,
        "AND version <= (SELECT version",
        "AND 0 <= (SELECT version",
        (_TESTS + "adoption.py::test_a_node_adopts_only_what_it_has_the_code_of",),
        "Old code replays a journal that it cannot know.",
    ),
    Mutant(
        "put-a-dead-node-aside-that-holds-claims",
        "P9",
        _MEMBERS,
        "    ) OR EXISTS (SELECT FROM {schema}.calls WHERE claimed_by = former AND NOT ended);",
        "    );",
        (_TESTS + "adoption.py::test_what_another_adopter_may_still_give_up_is_not_put_aside",),
        "A workflow waits for ever for an activity whose node has died.",
    ),
    Mutant(
        "post-a-letter-past-older-ones-without-a-target",
        "P1",
        _LETTERS,
        "    ) THEN 0 ELSE (\n",
        "    ) AND false THEN 0 ELSE (\n",
        (
            _TESTS + "routing.py::test_letters_to_one_id_keep_their_order",
            _TESTS + "routing.py",
        ),
        "A cancel is handled before the start that was posted first.",
    ),
    Mutant(
        "post-a-letter-past-older-ones-at-another-node",
        "P1",
        _LETTERS,
        "RETURN CASE WHEN here IS NULL OR here = wanted THEN wanted END;",
        "RETURN wanted;",
        (_TESTS + "routing.py::test_a_letter_waits_while_an_older_one_lies_at_another_node",),
        "Signals arrive in another order than they were sent in.",
    ),
    Mutant(
        "take-what-was-adopted-meanwhile",
        "P7",
        _LETTERS,
        "WHERE owner IS NOT DISTINCT FROM former FOR UPDATE",
        "FOR UPDATE",
        (_TESTS + "routing.py::test_who_routes_does_not_take_what_was_adopted_since_it_looked",),
        "Two living nodes run one execution.",
    ),
    Mutant(
        "keep-ones-progress-when-slots-arrive",
        "P4",
        _SLOTS,
        "DO UPDATE SET position = least(progress.position, excluded.position);",
        "DO NOTHING;",
        (_TESTS + "slots.py::test_who_takes_a_slot_goes_back_to_the_subscriptions_position",),
        "Events that a dead node had not delivered are never delivered.",
    ),
    Mutant(
        "move-a-position-while-slots-are-nobodys",
        "P4",
        _SLOTS,
        "HAVING count(*) = 256;",
        "HAVING count(*) > 0;",
        (_TESTS + "slots.py::test_a_position_stays_while_a_slot_has_no_living_owner",),
        "Events that a dead node had not delivered are never delivered.",
    ),
    Mutant(
        "count-claims-while-others-claim",
        "P3",
        _CALLS,
        "    PERFORM pg_advisory_xact_lock({schema}.lock_class_v1('claims'), 0);\n",
        "",
        (
            _TESTS + "claims.py::test_who_counts_claims_waits_for_others_who_do",
            _TESTS + "claims.py::test_a_limit_holds_while_many_claim_at_once",
        ),
        "A provider that allows seven calls at once gets more.",
    ),
    Mutant(
        "commit-without-the-fence",
        "P7",
        _SQL + "002_commit.sql",
        "  IF me <> 0 THEN\n    PERFORM {schema}.fence_v1(me);",
        "  IF false THEN\n    PERFORM {schema}.fence_v1(me);",
        (_LOST + "[commit]",),
        "A node that was stopped and goes on writes what another one has done since.",
    ),
    Mutant(
        "look-around-without-the-fence",
        "P7",
        _MEMBERS,
        "  PERFORM {schema}.fence_v1(me);\n  UPDATE {schema}.leases",
        "  UPDATE {schema}.leases",
        (_LOST + "[beat]",),
        "A node that was declared dead never learns it while it has nothing to write.",
    ),
    Mutant(
        "begin-without-the-fence",
        "P7",
        "stores/postgres_transaction.py",
        "            await self._guarded(lambda: self._writer.fence(self._connection))\n",
        "",
        (
            _TESTS + "transaction.py::test_open_transaction_holds_the_fence_that_whoever_declares"
            "_its_node_lost_has_to_take",
        ),
        "The rows that a frozen node's user has locked stay locked after it was declared dead.",
    ),
    Mutant(
        "look-who-is-alive-before-the-lock",
        "P7",
        _SQL + "002_commit.sql",
        "  PERFORM pg_advisory_xact_lock_shared({schema}.lock_class_v1('node'), me::integer);\n"
        "  PERFORM 1 FROM {schema}.nodes\n"
        "  WHERE incarnation = me AND stopped_at IS NULL AND lost_at IS NULL;\n"
        "  IF NOT FOUND THEN\n",
        "  PERFORM 1 FROM {schema}.nodes\n"
        "  WHERE incarnation = me AND stopped_at IS NULL AND lost_at IS NULL;\n"
        "  IF FOUND THEN\n"
        "    PERFORM pg_advisory_xact_lock_shared({schema}.lock_class_v1('node'), me::integer);\n"
        "  ELSE\n",
        (_TESTS + "fence.py::test_a_commit_that_waits_for_a_declaration_is_refused",),
        "A commit that waited while its node was declared dead is written after that.",
    ),
    Mutant(
        "adopt-what-the-living-own",
        "P7",
        _MEMBERS,
        "{schema}.nodes\n  WHERE NOT emptied AND (stopped_at IS NOT NULL OR lost_at IS NOT NULL)",
        "{schema}.nodes\n  WHERE NOT emptied",
        (_TESTS + "adoption.py::test_executions_of_the_living_are_not_adopted",),
        "A node takes executions away from one that runs them.",
    ),
    Mutant(
        "leave-as-if-nothing-were-under-way",
        "P7",
        _MEMBERS,
        "  EXCEPTION WHEN lock_not_available THEN\n    RETURN false;\n  END;\n"
        "  UPDATE {schema}.nodes SET stopped_at",
        "  EXCEPTION WHEN lock_not_available THEN\n    NULL;\n  END;\n"
        "  UPDATE {schema}.nodes SET stopped_at",
        (_TESTS + "fence.py::test_a_node_does_not_leave_while_a_commit_of_it_is_under_way",),
        "What a stopping node still writes is not seen by the one that takes its work over.",
    ),
    Mutant(
        "give-positions-without-the-lock-on-the-log",
        "P6",
        _LETTERS,
        "  PERFORM FROM {schema}.log FOR UPDATE;\n  -- Another node may",
        "  -- Another node may",
        (
            _TESTS + "routing.py::"
            "test_a_letter_that_is_routed_beside_a_commit_comes_behind_its_letters",
        ),
        "Two letters get one position, and a commit that posts one fails.",
    ),
    Mutant(
        "read-the-last-position-before-the-lock",
        "P4",
        _SQL + "002_commit.sql",
        "    UPDATE {schema}.log AS l SET position = l.position + new_events, "
        "mail = l.mail + new_letters\n"
        "    WHERE l.one RETURNING l.position - new_events + 1, l.mail - new_letters "
        "INTO first_event, first_letter;",
        "    SELECT l.position + 1, l.mail INTO first_event, first_letter FROM {schema}.log AS l;\n"
        "    UPDATE {schema}.log AS l SET position = l.position + new_events, "
        "mail = l.mail + new_letters WHERE l.one;",
        (_TESTS + "positions.py::test_later_event_is_not_readable_before_an_earlier_one",),
        "Two nodes that publish at once get one position, and one of them fails.",
    ),
    Mutant(
        "route-an-act-to-a-dead-owner",
        "P1",
        _LETTERS,
        "      AND {schema}.alive_v1(owner)\n    ORDER BY position LIMIT at_most",
        "    ORDER BY position LIMIT at_most",
        (_TESTS + "slots.py::test_an_act_is_not_routed_to_a_dead_owner",),
        "A redrive goes round in circles until somebody takes the slot.",
    ),
    Mutant(
        "route-a-letter-to-a-dead-owner",
        "P1",
        _LETTERS,
        "    LEFT JOIN {schema}.nodes AS owners ON owners.incarnation = newest.owner\n"
        "      AND owners.stopped_at IS NULL AND owners.lost_at IS NULL\n",
        "    LEFT JOIN {schema}.nodes AS owners ON owners.incarnation = newest.owner\n",
        (_TESTS + "routing.py::test_who_routes_takes_over_what_it_hosts_itself",),
        "A signal to an execution of a node that died is never taken.",
    ),
    Mutant(
        "post-to-a-dead-owner",
        "P1",
        _LETTERS,
        "    ON owners.incarnation = newest.owner AND stopped_at IS NULL AND lost_at IS NULL;",
        "    ON owners.incarnation = newest.owner;",
        (_TESTS + "routing.py::test_a_letter_to_what_a_node_owned_that_is_put_aside_is_routed",),
        "A retry of what a dead node had run lies in the mailbox for ever.",
    ),
    Mutant(
        "claim-what-somebody-is-claiming",
        "P3",
        _CALLS,
        "    ORDER BY turn, claimable.number LIMIT at_most FOR UPDATE OF calls SKIP LOCKED\n",
        "    ORDER BY turn, claimable.number LIMIT at_most\n",
        (_TESTS + "claims.py::test_a_call_that_another_node_is_just_claiming_is_left_to_it",),
        "Two nodes make one call.",
    ),
    Mutant(
        "count-the-calls-of-one-node",
        "P10",
        _CALLS,
        "    WHERE claimed_by IS NOT NULL AND NOT ended GROUP BY",
        "    WHERE claimed_by = (SELECT max(incarnation) FROM {schema}.nodes) AND NOT ended "
        "GROUP BY",
        (_TESTS + "claims.py::test_an_activitys_limit_holds_over_all_nodes",),
        "A provider that allows three calls at once gets three from every node.",
    ),
    Mutant(
        "hold-no-subscriptions-while-slots-come",
        "P4",
        _SLOTS,
        "  PERFORM {schema}.fence_v1(me);\n  PERFORM {schema}.hold_subscriptions_v1(of_service);\n"
        "  IF (SELECT",
        "  PERFORM {schema}.fence_v1(me);\n  IF (SELECT",
        (_TESTS + "slots.py::test_slots_do_not_come_while_a_position_moves",),
        "A position moves over events that the last owner of a slot had not delivered.",
    ),
)
