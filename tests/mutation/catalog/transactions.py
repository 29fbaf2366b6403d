"""Mutants of transactions that users write in: all or nothing, one writer, nothing left behind."""

from tests.mutation.mutant import Mutant

_TURN = "runtime/in_transaction.py"
_TRANSACTIONS = "runtime/transactions.py"
_COMMITTER = "runtime/committer.py"
_APART = "runtime/apart.py"
_SQLITE = "stores/sqlite_transaction.py"
_CRASHES = "tests/design/test_transactions_crashes.py::"
_ONCE = _CRASHES + "test_entries_events_and_starts_are_there_once_across_a_crash_at_every_commit"
_DESIGN = "tests/design/test_transactions.py::"
_UNDONE = (
    "tests/unit/runtime/test_transactions.py::"
    "test_an_attempt_has_failed_when_its_transaction_is_undone"
)
_STORE = "tests/unit/stores/test_sqlite_transaction.py::"

MUTANTS = (
    Mutant(
        "record-the-result-beside-the-transaction",
        "P3",
        _COMMITTER,
        "            first = await transaction.commit(batch.commit(self._contracts))\n",
        "            await transaction.roll_back()\n"
        "            first = await self.store.commit(batch.commit(self._contracts))\n",
        (_DESIGN + "test_a_stop_lets_a_transaction_end_and_commits_it",),
        "The step is recorded, and what it wrote is not there.",
    ),
    Mutant(
        "commit-the-transaction-before-the-record",
        "P3",
        _COMMITTER,
        "            first = await transaction.commit(batch.commit(self._contracts))\n",
        "            await transaction.commit(Batch().commit(self._contracts))\n"
        "            first = await self.store.commit(batch.commit(self._contracts))\n",
        (_ONCE,),
        "A crash between the two, and the customer is charged twice.",
    ),
    Mutant(
        "group-what-is-in-a-transaction",
        "P2",
        _COMMITTER,
        "        if resident.transaction is not None:\n            self._held[resident] = None",
        "        if False:\n            self._held[resident] = None",
        (
            "tests/unit/runtime/test_transactions.py::"
            "test_what_is_recorded_while_the_transaction_commits_is_written_after_it",
        ),
        "Two commits of one execution at once: the rows of its journal change places.",
    ),
    Mutant(
        "forget-what-was-held",
        "P2",
        _COMMITTER,
        "            del self._held[resident]\n            self.touch(resident)\n",
        "            del self._held[resident]\n",
        (
            "tests/unit/runtime/test_transactions.py::"
            "test_what_is_recorded_while_the_transaction_commits_is_written_after_it",
        ),
        "What an execution decides while its transaction commits waits for ever.",
    ),
    Mutant(
        "overtake-the-group-commit",
        "P2",
        _APART,
        "            if what not in self.in_group:\n",
        "            if True:\n",
        (
            "tests/unit/runtime/test_transactions.py::"
            "test_a_transaction_waits_for_the_group_commit_that_its_execution_is_in",
        ),
        "The rows of one journal are written in another order than they were decided in.",
    ),
    Mutant(
        "apply-two-transactions-at-once",
        "P3",
        _TURN,
        "    if resident.transaction is not None:  # one after the other\n",
        "    if False:\n",
        (
            "tests/unit/runtime/test_transactions.py::"
            "test_a_second_transaction_of_an_execution_is_applied_after_the_first",
        ),
        "The second result is committed with the first transaction, its rows perhaps never.",
    ),
    Mutant(
        "commit-what-nobody-waits-for",
        "P3",
        _TURN,
        "    if not here or attempt.step not in resident.execution.state.open_steps:\n",
        "    if not here:\n",
        (_DESIGN + "test_an_outcome_that_nobody_waits_for_any_more_is_not_written",),
        "The charge of an order that was terminated is in the books.",
    ),
    Mutant(
        "commit-what-failed",
        "P3",
        _TRANSACTIONS,
        "        except BaseException:\n            await opened.roll_back()\n",
        "        except BaseException:\n            await opened.commit(Commit())\n",
        (_DESIGN + "test_an_attempt_that_fails_leaves_nothing_and_the_next_one_writes",),
        "A failed attempt leaves half of what it wrote.",
    ),
    Mutant(
        "commit-what-cannot-be-recorded",
        "P3",
        _TRANSACTIONS,
        "not isinstance(outcome, Returned):\n            await opened.roll_back()\n",
        "not isinstance(outcome, Returned):\n            await opened.commit(Commit())\n",
        (_DESIGN + "test_a_result_that_cannot_be_recorded_is_not_written",),
        "The call has failed, and what it wrote is there.",
    ),
    Mutant(
        "trust-deferred-constraints",
        "P10",
        _TRANSACTIONS,
        "            await opened.check()\n            attempt.transaction = opened",
        "            attempt.transaction = opened",
        (
            _DESIGN
            + "test_a_deferred_constraint_that_is_broken_fails_the_attempt_and_not_the_commit",
        ),
        "A broken constraint of the user's stops the execution instead of the attempt.",
    ),
    Mutant(
        "commit-others-in-the-users-transaction",
        "P1",
        _COMMITTER,
        "            if self.transactions.alone:\n",
        "            if False:\n",
        (
            "tests/unit/runtime/test_transactions.py::"
            "test_the_committer_waits_for_its_turn_before_it_gathers",
        ),
        "The commit waits for the transaction, and the transaction for the commit.",
    ),
    Mutant(
        "let-a-transaction-take-for-ever",
        "P10",
        _SQLITE,
        "self._loop.call_later(seconds, self._expire)",
        "self._loop.call_later(seconds + 3600, self._expire)",
        (_STORE + "test_one_that_takes_too_long_is_rolled_back_and_says_so",),
        "One activity that waits for a slow service stops everybody.",
    ),
    Mutant(
        "let-users-end-the-transaction",
        "P3",
        _SQLITE,
        "        if action in _ENDS:\n",
        "        if False:\n",
        (_STORE + "test_what_is_not_the_users_affair_is_refused",),
        "What the user wrote is committed without the step.",
    ),
    Mutant(
        "let-users-change-the-journal",
        "P8",
        _SQLITE,
        "    return table is not None and table.lower() in _OURS\n",
        "    return False\n",
        (_STORE + "test_what_is_not_the_users_affair_is_refused",),
        "A statement of the user's damages journals.",
    ),
    Mutant(
        "forget-to-undo-what-failed",
        "P3",
        _TRANSACTIONS,
        "        except BaseException:\n            await opened.roll_back()\n",
        "        except BaseException:\n",
        (_UNDONE + "[wrong]",),
        "A failed attempt keeps its transaction open, and with it the rows that it has locked.",
    ),
    Mutant(
        "forget-to-undo-what-cannot-be-recorded",
        "P3",
        _TRANSACTIONS,
        "        if not isinstance(outcome, Returned):\n            await opened.roll_back()\n",
        "",
        (_UNDONE + "[odd]",),
        "A call whose result cannot be recorded keeps its transaction open.",
    ),
    Mutant(
        "report-a-failure-before-it-is-undone",
        "P3",
        _TRANSACTIONS,
        "        except BaseException:\n            await opened.roll_back()\n",
        "        except BaseException:\n            opened.abandon()\n",
        (_UNDONE + "[wrong]",),
        "The next attempt waits for rows that the failed one still locks.",
    ),
)
