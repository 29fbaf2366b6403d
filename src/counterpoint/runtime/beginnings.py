"""Begins executions that letters ask for: starts, children, next runs, resets.

A new execution is only stored, in the commit that deletes its letter; the scan for due executions
brings it into memory like any other.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from counterpoint.authoring.failures import safe_str
from counterpoint.errors import ConflictError
from counterpoint.kernel.replay import fold
from counterpoint.model.records import (
    NULL,
    ChildOf,
    Failure,
    Record,
    ResetFrom,
    RetryRequested,
    SignalReceived,
    Started,
)
from counterpoint.model.rows import ExecutionRow, MailRow
from counterpoint.model.states import Status
from counterpoint.runtime import acts
from counterpoint.runtime.host import Host
from counterpoint.runtime.journals import records_of
from counterpoint.runtime.letters import answer
from counterpoint.runtime.log import logger
from counterpoint.runtime.mail import (
    ChildEndedMail,
    ChildLink,
    ContinueMail,
    Mail,
    ResetMail,
    StartMail,
    mail_row,
)
from counterpoint.runtime.resetting import prefix_of, refused_reset, run_of
from counterpoint.runtime.starts import (
    execution_row,
    fingerprint_of,
    first_records,
    next_run,
    no_longer_starting,
)

TAKEN = "counterpoint.ExecutionExistsError"


class Beginnings:
    """What a node's mail begins; each method returns why a letter has to wait, or None."""

    def __init__(self, node: Host, again: Callable[[MailRow], None]) -> None:
        self.node = node
        self._again = again
        self._waiting: dict[str, MailRow] = {}
        """The first letter to an execution of which a run is about to begin, or to end."""

    def read_after(self, row: MailRow) -> None:
        """Read a letter again once a run of its execution has begun or ended."""
        self._waiting.setdefault(row.execution_id, row)

    def look_again(self, execution_id: str) -> None:
        """Read the letters to an execution again that wait: a run of it has begun or ended."""
        waiting = self._waiting.pop(execution_id, None)
        if waiting is not None:
            self._again(waiting)

    async def start(self, row: MailRow, mail: StartMail, found: ExecutionRow | None) -> str | None:
        """Start an execution; a child under an id that is taken has failed."""
        node = self.node
        program = node.registry.program(mail.workflow)
        if program is None:
            return f"no service of this app has {mail.workflow}"
        key = await node.next_key()
        while (first := node.starting.get(row.execution_id)) is not None:
            await asyncio.wait([first])
            found = await node.store.execution(row.execution_id)
        if found is not None:
            return await self._start_existing(row, mail, found)
        try:
            program.decode_arguments(mail.arguments)
        except Exception as error:  # noqa: BLE001 - a user's validator may raise anything
            return safe_str(error)
        now = node.clock.now()
        begins_at = None if mail.begins_at is None else max(now, mail.begins_at)
        new = execution_row(
            key,
            row.execution_id,
            program.workflow,
            mail.arguments,
            now,
            mail.correlation_id,
            begins_at=begins_at,
            child=mail.child,
            caused_by=mail.caused_by,
        )
        records = first_records(
            new, mail.arguments, child=mail.child, caused_by=mail.caused_by, hops=mail.hops
        )
        self._store(row, new, records, {})
        return None

    async def continue_as_new(
        self, row: MailRow, mail: ContinueMail, found: ExecutionRow
    ) -> str | None:
        """Begin the run that follows one which continued as new."""
        node = self.node
        program = self.node.registry.program(found.name, found.version)
        if program is None:
            return f"no service of this app has {found.name} version {found.version}"
        if found.status is not Status.CONTINUED:
            node.committer.take(row.position)
            return None
        try:
            program.decode_arguments(mail.arguments)
        except Exception as error:  # noqa: BLE001 - a user's validator may raise anything
            return safe_str(error)
        now = max(node.clock.now(), found.finished_at or 0)
        takes_over = mail.takes_over
        key = await node.next_key()
        new = next_run(found, key, program.workflow, now, takes_over.deadline_at)
        records: list[Record] = [
            Started(now, new.name, new.version, mail.arguments),
            takes_over,
        ]
        if mail.child_of is not None:
            records.append(mail.child_of)
        self._store(row, new, records, takes_over.attributes)
        return None

    async def reset(self, row: MailRow, mail: ResetMail, found: ExecutionRow) -> None:
        """Begin a new run from the records of the last one, up to a number."""
        node = self.node
        program = self.node.registry.program(found.name, found.version)
        records = await records_of(self.node.store, self.node.codec, found)
        why = refused_reset(found, records, mail.to)
        if program is None or why is not None:
            logger.warning("%s is not reset: %s", found.id, why or "its workflow is not here")
            node.committer.take(row.position)
            return
        now = max(node.clock.now(), found.finished_at or 0)
        prefix = prefix_of(records, mail.to)
        to = len(prefix)
        later = [one for one in records[to:] if isinstance(one, SignalReceived)]
        run = run_of(found, records, to)
        mark = ResetFrom(now, run, to, row.request_id, mail.actor, mail.reason)
        state = fold(prefix)
        deadline_at = found.deadline_at
        if deadline_at is not None:  # the time in between does not count
            deadline_at += now - state.updated_at
        new = next_run(found, await node.next_key(), program.workflow, now, deadline_at)
        self._store(row, new, [*prefix, mark, *later], state.attributes)

    # ---- a child whose id is in the store already ---------------------------------------------

    async def _start_existing(
        self, row: MailRow, mail: StartMail, found: ExecutionRow
    ) -> str | None:
        child = mail.child
        if child is None:
            self._take_again(row, mail, found)
            return None
        records = await records_of(self.node.store, self.node.codec, found)
        state = fold(records)
        parent = state.parent
        same = parent is not None and (parent.id, parent.call) == (child.of.id, child.of.call)
        older = parent is not None and parent.id == child.of.id and parent.run < child.of.run
        if mail.anew and older and found.name == mail.workflow:
            return await self._call_anew(row, mail, found, child)
        if parent == child.of and not mail.again:
            self.node.committer.take(row.position)  # it began by this letter, or one just like it
        elif not (mail.again and same):
            self.reply(row, child.of, _id_is_taken(child.of, row.execution_id))
        elif found.status is Status.COMPLETED:
            self.reply(row, child.of, answer(state, child.of))
        elif found.status is Status.FAILED:
            if self.node.registry.program(found.name, found.version) is None:
                return f"no service of this app has {found.name} version {found.version}"
            now = max(self.node.clock.now(), found.finished_at or 0)
            reason = f"{child.of.id} tries it again"
            request = RetryRequested(now, row.request_id, None, reason)
            self.node.push(acts.retry_failed, found, records, request, row, child.of)
            await asyncio.sleep(0)  # its turn: the next letter meets it in memory
        elif found.status.live or found.status is Status.CONTINUED:
            self.read_after(row)
            return "the child runs, and not here"
        else:
            await self._run_anew(row, mail, found, child)
        return None

    def _take_again(self, row: MailRow, mail: StartMail, found: ExecutionRow) -> None:
        """Take over a start of an id that was started before: perhaps the same, posted twice."""
        other = found.name != mail.workflow or found.fingerprint != fingerprint_of(mail.arguments)
        if other and mail.caused_by is not None:
            logger.warning(
                "the event %s/%s does not start %r again: that is %s, started with %s",
                mail.caused_by.source,
                mail.caused_by.id,
                row.execution_id,
                found.name,
                "other arguments",
            )
        self.node.committer.take(row.position)

    async def _call_anew(
        self, row: MailRow, mail: StartMail, found: ExecutionRow, child: ChildLink
    ) -> str | None:
        """Run the child of an earlier run of its parent again, once that has ended."""
        if found.status.live or found.status is Status.CONTINUED:
            self.read_after(row)
            return f"run {found.run} of the child has not ended"
        await self._run_anew(row, mail, found, child)
        return None

    async def _run_anew(
        self, row: MailRow, mail: StartMail, found: ExecutionRow, child: ChildLink
    ) -> None:
        program = self.node.registry.program(found.name, found.version)
        if program is None:
            self.reply(row, child.of, _id_is_taken(child.of, row.execution_id))
            return
        now = max(self.node.clock.now(), found.finished_at or 0)
        key = await self.node.next_key()
        new = next_run(found, key, program.workflow, now, None)
        self._store(row, new, first_records(new, mail.arguments, child=child, hops=mail.hops), {})

    def reply(self, row: MailRow, of: ChildOf, mail: Mail) -> None:
        """Take over a letter of a parent by answering it."""
        node = self.node
        node.committer.answer(row.position, mail_row(of.id, mail, node.clock.now(), node.codec))

    # ---- inside -------------------------------------------------------------------------------

    def _store(
        self,
        letter: MailRow,
        new: ExecutionRow,
        records: Sequence[Record],
        attributes: Mapping[str, str],
    ) -> None:
        node = self.node
        written = node.committer.store_only(new, records, letter.position, attributes)
        node.starting.setdefault(new.id, written)  # a second start of an id will be refused
        written.add_done_callback(lambda done: self._written(done, new, letter))

    def _written(self, done: "asyncio.Future[None]", new: ExecutionRow, letter: MailRow) -> None:
        no_longer_starting(self.node.starting, new.id, done)
        if done.cancelled():
            return
        if isinstance(done.exception(), ConflictError):
            self._again(letter)  # its id was given away meanwhile: a parent has to hear of it
        if done.exception() is not None:
            return
        self.node.due.reconsider(new.wake_at)
        self.node.due.poke()
        self.look_again(new.id)


def _id_is_taken(of: ChildOf, execution_id: str) -> ChildEndedMail:
    error = Failure(TAKEN, f"the id {execution_id!r} belongs to another execution")
    return ChildEndedMail(of, Status.FAILED.value, NULL, error, False, False)
