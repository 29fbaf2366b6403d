"""Takes over what others posted: read in order of arrival, at most once, deleted with its effect.

A letter is read once by this node (positions only grow) and handed to its execution in a turn; the
commit that records its effect deletes it. What cannot have an effect (an unknown or ended
execution, an unreadable body) is deleted with a warning that names it: senders learn the same from
the client before they post, so this is the rare loser of a race. What this node cannot take over
but another deployment could (a start of a workflow that is not hosted here or does not take its
arguments, a letter to an execution whose workflow, version or journal is unusable here) stays where
it is, for the next node to read.
"""

import asyncio

import msgspec

from counterpoint.authoring.failures import safe_str
from counterpoint.errors import StoreError
from counterpoint.model.records import RetryRequested, Started
from counterpoint.model.rows import ExecutionRow, MailRow
from counterpoint.runtime import inputs
from counterpoint.runtime.host import Host
from counterpoint.runtime.journals import journal_records
from counterpoint.runtime.log import logger
from counterpoint.runtime.mail import RetryMail, StartMail, read_mail
from counterpoint.runtime.recovery import PROBE, is_damage
from counterpoint.runtime.starts import about_to_begin, execution_row, starts_decided

PAGE = 500


class Intake:
    """The reader of a node's mail."""

    def __init__(self, node: Host) -> None:
        self.node = node
        self._after = 0
        self._woken = asyncio.Event()
        self._woken.set()
        self._reading = False

    @property
    def quiet(self) -> bool:
        """Whether all mail that this node knows of is taken over."""
        return not (self._reading or self._woken.is_set())

    def poke(self) -> None:
        """Look for mail now."""
        self._woken.set()

    def restart(self) -> None:
        """Read all mail again: the store was opened again."""
        self._after = 0
        self._woken.set()

    def again(self, row: MailRow) -> None:
        """Read a letter again: its execution left memory before the letter reached it."""
        self._after = min(self._after, row.position - 1)
        self._woken.set()

    async def run(self) -> None:
        """Take mail over whenever there is some, until cancelled."""
        shared = self.node.store.features.shared
        seconds = self.node.settings.poll_interval.total_seconds() if shared else None
        while True:
            try:
                # Not `wait_for`: on Python 3.11 it can swallow the cancellation that ends this.
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                if self.node.fault is not None or not await self._changed():
                    continue
            self._woken.clear()
            self._reading = True
            try:
                await self._read()
            finally:
                self._reading = False
                self.node.check_idle()

    async def _changed(self) -> bool:
        try:
            return await self.node.store.changed()
        except StoreError as error:
            logger.warning("the store cannot be polled: %s", error)
            return False

    async def _read(self) -> None:
        while self.node.fault is None:
            try:
                rows = await self.node.store.mail(after=self._after, limit=PAGE)
            except StoreError as error:
                self.node.store_failed(error)  # and all mail is read again afterwards
                return
            for row in rows:
                if self._stopped():
                    return  # the rest is read again afterwards
                self._after = row.position
                try:
                    await self._take(row)
                except StoreError as error:
                    if is_damage(error):
                        self._leave(row, f"its execution cannot be read: {error}")
                        continue
                    self.node.store_failed(error)  # and the letter is read again afterwards
                    return
            if len(rows) < PAGE:
                return

    def _stopped(self) -> bool:
        return self.node.fault is not None

    async def _take(self, row: MailRow) -> None:
        node = self.node
        if row.kind == PROBE:
            node.committer.take(row.position)
            return
        try:
            mail = read_mail(row, node.codec)
        except msgspec.MsgspecError as error:
            self._discard(row, f"its body cannot be read: {error}")
            return
        if isinstance(mail, StartMail):
            await self._start(row, mail)
            return
        await starts_decided(node.starting, row.execution_id)
        resident = await node.load(row.execution_id)
        if resident is not None:
            node.push(inputs.deliver_mail, resident, row, mail)
            return
        if self.node.fault is not None:
            return
        found = await node.store.execution(row.execution_id)
        if found is not None and found.status.live:
            logger.warning(
                "a %s for %s waits: the execution cannot be run here", row.kind, row.execution_id
            )
        elif found is not None and isinstance(mail, RetryMail):
            await self._retry_failed(row, mail, found)
        elif found is None and await about_to_begin(node.store, row.execution_id):
            logger.warning("a %s for %s waits, as its start does", row.kind, row.execution_id)
        else:
            self._discard(row, "the execution is unknown or has ended")

    async def _start(self, row: MailRow, mail: StartMail) -> None:
        node = self.node
        program = node.registry.program(mail.workflow)
        if program is None:
            self._leave(row, f"no service of this app has {mail.workflow}")
            return
        first = node.starting.get(row.execution_id)
        if first is not None:
            await asyncio.wait([first])
        if await node.store.execution(row.execution_id) is not None:
            node.committer.take(row.position)  # the same start, posted twice
            return
        try:
            program.decode_arguments(mail.arguments)
        except Exception as error:  # noqa: BLE001 - a user's validator may raise anything
            self._leave(row, safe_str(error))
            return
        key = await node.next_key()
        now = node.clock.now()
        workflow = program.workflow
        execution = execution_row(
            key, row.execution_id, workflow, mail.arguments, now, mail.correlation_id
        )
        started = Started(now, workflow.name, workflow.version, mail.arguments)
        written = node.committer.store_only(execution, [started], row.position)
        node.starting[row.execution_id] = written
        written.add_done_callback(
            lambda done: self._written(done, row.execution_id, execution.wake_at)
        )

    def _written(
        self, done: "asyncio.Future[None]", execution_id: str, wake_at: int | None
    ) -> None:
        del self.node.starting[execution_id]
        if not done.cancelled() and done.exception() is None:
            self.node.due.reconsider(wake_at)
            self.node.due.poke()

    async def _retry_failed(self, row: MailRow, mail: RetryMail, found: ExecutionRow) -> None:
        node = self.node
        if found.status != "failed":
            self._discard(row, "there is nothing to retry")
            return
        records = journal_records(await node.store.journal(found.key), node.codec)
        request = RetryRequested(
            max(node.clock.now(), found.finished_at or 0), row.request_id, mail.actor, mail.reason
        )
        node.push(inputs.retry_failed, found, records, request, row.position)

    def _leave(self, row: MailRow, why: str) -> None:
        """Leave an acknowledged letter in the mailbox: a node that can take it, will."""
        logger.warning("a %s for %r waits where it is: %s", row.kind, row.execution_id, why)

    def _discard(self, row: MailRow, why: str) -> None:
        logger.warning("a %s for %r was not taken: %s", row.kind, row.execution_id, why)
        self.node.committer.take(row.position)
