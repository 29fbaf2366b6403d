"""Mutants of a node beside others: its lease, what it owns, its share of the slots."""

from tests.mutation.mutant import Mutant

_MEMBERSHIP = "runtime/membership.py"
_NODE = "runtime/node.py"
_SHARES = "runtime/messaging/shares.py"
_STREAMS = "runtime/messaging/streams.py"
_FAULTS = "tests/unit/runtime/test_faults.py"
_LEASE = "tests/unit/runtime/test_membership.py"
_OWNERS = "tests/runtime/test_owners.py"
_SLOTS = "tests/unit/runtime/test_shares.py"
_READING = "tests/unit/runtime/test_streams.py"
_LEAVING = "tests/unit/runtime/test_leaving_slots.py"

MUTANTS = (
    Mutant(
        "take-over-without-renewing-the-lease",
        "P7",
        _MEMBERSHIP,
        "            if self._loop.time() > until:\n                self._more = True\n",
        "            if False:\n                self._more = True\n",
        (f"{_LEASE}::test_what_waits_for_events_is_looked_for_once_when_all_is_taken_over",),
        "Who takes over much from a dead node is declared dead, too.",
    ),
    Mutant(
        "declare-all-dead-before-renewing-the-lease",
        "P7",
        _MEMBERSHIP,
        "            if self._loop.time() > until:\n                self.poke()\n",
        "            if False:\n                self.poke()\n",
        (f"{_LEASE}::test_the_lease_is_renewed_before_many_frozen_nodes_were_asked_for",),
        "Nodes that are frozen keep a living one until its own lease is over.",
    ),
    Mutant(
        "open-without-renewing-the-lease",
        "P7",
        _MEMBERSHIP,
        "                await self.store.beat()\n\n",
        "                pass\n\n",
        (f"{_LEASE}::test_the_lease_is_renewed_while_a_node_opens",),
        "A node that reads long after a restart is declared dead, restarts, and so on.",
    ),
    Mutant(
        "own-everything",
        "P7",
        _NODE,
        "return self.cluster is None or row.owner == self.cluster.incarnation",
        "return True",
        (f"{_OWNERS}::test_an_execution_of_another_node_is_not_loaded",),
        "Two nodes run one execution, and write one journal.",
    ),
    Mutant(
        "keep-letters-for-others",
        "P1",
        "runtime/intake.py",
        "        if found is not None and not node.owns(found):",
        "        if False:",
        (f"{_OWNERS}::test_a_letter_to_an_execution_that_began_elsewhere_is_passed_on",),
        "A cancel that was routed a moment before the execution began has no effect.",
    ),
    Mutant(
        "use-keys-that-were-reserved-before-a-failure",
        "P2",
        "runtime/keys.py",
        "        self._left = iter(range(0))\n\n    async def next",
        "        pass\n\n    async def next",
        (
            "tests/unit/runtime/test_keys.py::"
            "test_what_was_reserved_before_the_store_was_opened_again_is_not_used",
        ),
        "A restored database gives another node the same keys, and their journals mix.",
    ),
    Mutant(
        "reserve-keys-for-every-start",
        "P10",
        "runtime/keys.py",
        "        async with self._one:  # many",
        "        if True:  # many",
        ("tests/unit/runtime/test_keys.py::test_many_starts_of_one_moment_reserve_once",),
        "A hundred starts of one moment wait for a hundred updates of one row.",
    ),
    Mutant(
        "publish-after-the-end",
        "P1",
        "runtime/messaging/publishing.py",
        "        self.node.check_accepting()  # it may have ended while the store was asked\n",
        "",
        (
            "tests/runtime/test_stopping_while_asking.py::"
            "test_an_event_whose_id_is_looked_up_while_the_node_stops_is_refused",
        ),
        "Who publishes while the node stops waits for ever.",
    ),
    Mutant(
        "tell-an-end-that-is-not-the-last-word",
        "P1",
        "runtime/distant_results.py",
        "        if await about_to_begin(node.store, execution_id):\n",
        "        if False:\n",
        (
            "tests/unit/runtime/test_distant_results.py::"
            "test_an_end_that_is_not_the_last_word_is_not_told",
        ),
        "Who has an order retried hears at once that it has failed.",
    ),
    Mutant(
        "count-what-the-store-counts-once-more",
        "P1",
        _NODE,
        "self.activities.limits.shared = self.cluster is not None",
        "self.activities.limits.shared = False",
        (
            "tests/postgres/test_hosting.py::"
            "test_limits_are_counted_by_the_store_and_not_once_more_by_the_node",
        ),
        "A claimed call waits for a rate that it has passed already.",
    ),
    Mutant(
        "believe-what-a-recovery-read-before-the-next-failure",
        "P4",
        "runtime/faults.py",
        "            self._failed_again = error\n",
        "",
        (f"{_FAULTS}::test_what_was_read_before_another_failure_is_read_again",),
        "Events whose queues were forgotten are never delivered.",
    ),
    Mutant(
        "stay-down-and-keep-the-lease",
        "P1",
        "runtime/faults.py",
        "            self.node.keep(asyncio.get_running_loop().create_task("
        "self.node.store.close()))\n",
        "            pass\n",
        (f"{_FAULTS}::test_a_node_that_stays_down_opens_its_store_no_more",),
        "The work of a node that is of no use any more waits for somebody to kill it.",
    ),
    Mutant(
        "give-a-slot-back-while-a-delivery-is-under-way",
        "P6",
        _SHARES,
        "free = leaving - self.dispatcher.under_way(service, leaving)",
        "free = set(leaving)",
        (f"{_SLOTS}::test_a_slot_of_which_something_is_under_way_is_not_given_back",),
        "Two nodes handle events of one order at the same time.",
    ),
    Mutant(
        "give-a-slot-back-before-its-hold-is-written",
        "P6",
        "runtime/messaging/dispatcher.py",
        "        } | {slot for of, slot in self.writing if of == service and slot in slots}\n",
        "        }\n",
        (f"{_LEAVING}::test_a_slot_stays_until_the_end_of_a_hold_is_written",),
        "The end of a hold takes away what the slot's next owner relies on.",
    ),
    Mutant(
        "say-how-far-one-is-while-a-slot-leaves",
        "P4",
        _SHARES,
        "                if not owned or service in self.leaving:\n",
        "                if not owned:\n",
        (f"{_SLOTS}::test_nothing_is_said_of_progress_while_a_slot_leaves",),
        "Events of a slot on its way to another node are passed over.",
    ),
    Mutant(
        "say-how-far-one-was-before-slots-came",
        "P4",
        _SHARES,
        "        for service, owned in list(self.owned.items()):\n",
        "        before = {service: progress(service) for service in self.owned}\n"
        "        progress = before.__getitem__\n"
        "        for service, owned in list(self.owned.items()):\n",
        (f"{_SLOTS}::test_no_progress_of_before_slots_came_is_written_after_it",),
        "Events that a dead node had not delivered are never delivered.",
    ),
    Mutant(
        "act-on-what-was-read-before-a-failure",
        "P7",
        _SHARES,
        "            if life != self.dispatcher.generation:\n"
        "                return  # the store failed: what was read is about",
        "            life = self.dispatcher.generation\n"
        "            if False:\n"
        "                return  # the store failed: what was read is about",
        (f"{_SLOTS}::test_what_was_read_before_a_failure_of_the_store_takes_no_slots",),
        "A node that comes back takes slots for services that it has forgotten, and ends.",
    ),
    Mutant(
        "give-those-a-share-who-hand-over",
        "P4",
        _SHARES,
        "        and not node.draining\n",
        "",
        (f"{_SLOTS}::test_a_node_that_hands_over_has_no_share",),
        "The events of a node that is drained wait until it is gone.",
    ),
    Mutant(
        "give-those-a-share-who-host-no-reaction",
        "P4",
        _SHARES,
        "        and not set(names).isdisjoint(node.subscriptions)\n",
        "",
        (f"{_SLOTS}::test_a_node_that_hands_over_has_no_share",),
        "Half of the events wait at a node that has no code for them.",
    ),
    Mutant(
        "join-before-those-that-are-behind",
        "P4",
        _STREAMS,
        " or any(one.joins is stream for one in self.others):",
        ":",
        (
            f"{_READING}::"
            "test_what_comes_while_one_subscription_is_behind_is_offered_once_and_in_order",
        ),
        "A reaction that is behind gets what is new before what is old.",
    ),
    Mutant(
        "join-the-live-stream-from-ahead",
        "P6",
        _STREAMS,
        "        if stream.frontier > ahead.frontier or any(",
        "        if any(",
        (f"{_READING}::test_a_stream_that_is_ahead_of_the_live_one_waits_for_it",),
        "Events are offered twice, and a queue is not in the order of the log.",
    ),
    Mutant(
        "put-what-others-append-into-the-past",
        "P4",
        _STREAMS,
        "            self.grew()\n\n    def merge",
        "            pass\n\n    def merge",
        (f"{_READING}::test_a_stream_that_is_ahead_of_the_live_one_waits_for_it",),
        "Where notifications are lost the events of other nodes are delivered late, or never.",
    ),
)
