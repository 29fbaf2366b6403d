"""Mutants of what nodes on one PostgreSQL store do with each other."""

from tests.mutation.mutant import Mutant

_SQL = "stores/sql/postgres/"
_MEMBERS = _SQL + "003_cluster.sql"
_LETTERS = _SQL + "004_letters.sql"
_SLOTS = _SQL + "005_slots.sql"
_CALLS = _SQL + "006_calls.sql"
_TESTS = "tests/postgres/test_"

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
        (_TESTS + "claims.py::test_a_limit_holds_while_many_claim_at_once",),
        "A provider that allows seven calls at once gets more.",
    ),
)
