"""Takes over what others posted: read in order of arrival, at most once, deleted with its effect.

A letter is read once by this node (positions only grow) and handed to its execution in a turn; the
commit that records its effect deletes it. What cannot have an effect (an unknown or ended
execution, an unreadable body) is deleted with a warning that names it: senders learn the same from
the client before they post, so this is the rare loser of a race. What this node cannot take over
but another deployment could (a start of a workflow that is not hosted here or does not take its
arguments, a letter to an execution whose workflow, version or journal is unusable here) stays where
it is, for the next node to read.

A reading ends with the store that it reads: when the store fails, the task of the reading is
cancelled, at whatever it waits for, and after the recovery all letters are read anew. One that went
on with what it had read before could hand over a letter a second time.
"""

import asyncio
import functools
from collections.abc import Coroutine
from typing import Any

import msgspec

from counterpoint.errors import StoreError
from counterpoint.kernel.replay import fold
from counterpoint.kernel.saga import PASSED_ITS_PIVOT
from counterpoint.model.records import RetryRequested, TerminateRequested, UndoRequested
from counterpoint.model.rows import ExecutionRow, MailRow
from counterpoint.model.states import Status
from counterpoint.runtime import acts
from counterpoint.runtime.beginnings import Beginnings
from counterpoint.runtime.host import Host
from counterpoint.runtime.journals import records_of
from counterpoint.runtime.letters import UNDONE
from counterpoint.runtime.log import logger
from counterpoint.runtime.mail import (
    AttemptMail,
    ChildEndedMail,
    ChildUndoneMail,
    ContinueMail,
    EventAct,
    Mail,
    PublishMail,
    ResetMail,
    RetryMail,
    StartMail,
    TerminateMail,
    UndoMail,
    read_mail,
)
from counterpoint.runtime.recovery import PROBE, is_damage
from counterpoint.runtime.resident import Resident
from counterpoint.runtime.starts import starts_decided

PAGE = 500
ROOM_AFTER_SECONDS = 0.02
"""How long mail to what does not fit in memory waits before somebody looks for room again."""
START = "start"
"""The kind of a `StartMail`."""


class Intake:
    """The reader of a node's mail."""

    def __init__(self, node: Host) -> None:
        self.node = node
        self.beginnings = Beginnings(node, self.again)
        self._after = 0
        self._again: dict[str, int] = {}
        """By execution, the position of the first of its letters that has to be read again."""
        self._left: set[str] = set()
        """Ids whose starts were left in the mailbox; what is posted to them comes behind these."""
        self._woken = asyncio.Event()
        self._woken.set()
        self._reading: asyncio.Task[None] | None = None
        self._first = True
        """Nothing has been read since the store was opened: the scan for due work waits for it."""
        self._waits_for_room = False

    @property
    def quiet(self) -> bool:
        """Whether all mail that this node knows of is taken over, or waits for room in memory."""
        if self._reading is not None or self._woken.is_set():
            return False
        if self.node.fault is not None:
            return True  # all mail is read again after the recovery, which waits for time to pass
        return not (self._again and self.node.room() > 0)

    def poke(self) -> None:
        """Look for mail now."""
        self._woken.set()

    def drop(self) -> None:
        """Hand over nothing more of what is being read: the store failed."""
        if self._reading is not None:
            self._reading.cancel()

    def restart(self) -> None:
        """Read all mail again: the store was opened again."""
        self._after = 0
        self._again.clear()
        self._left.clear()
        self._first = True
        self._woken.set()

    def again(self, row: MailRow) -> None:
        """Read a letter again, and the later ones to its execution, in their order.

        Its execution left memory before the letter reached it, or has begun only now. Nothing else
        is read twice: what was handed over is in the mailbox until its effect is committed.
        """
        first = self._again.get(row.execution_id, row.position)
        self._again[row.execution_id] = min(first, row.position)
        self._woken.set()

    async def run(self) -> None:
        """Take mail over whenever there is some, until cancelled."""
        features = self.node.store.features
        polls = features.shared and not features.many_nodes  # else `membership` pokes
        seconds = self.node.settings.poll_interval.total_seconds() if polls else None
        while True:
            try:
                # Not `wait_for`: on Python 3.11 it can swallow the cancellation that ends this.
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                if self.node.fault is not None or not await self._changed():
                    continue
            self._woken.clear()
            self._reading = asyncio.get_running_loop().create_task(self._read())
            try:
                await self._until_read(self._reading)
            finally:
                self._reading = None
                if self._first:
                    self._first = False
                    self.node.due.poke()
                self.node.check_idle()

    async def _until_read(self, reading: "asyncio.Task[None]") -> None:
        try:
            await asyncio.wait([reading])
        finally:
            reading.cancel()
        if not reading.cancelled():
            reading.result()

    async def _changed(self) -> bool:
        try:
            return await self.node.store.changed()
        except StoreError as error:
            logger.warning("the store cannot be polled: %s", error)
            return False

    async def _read(self) -> None:
        """Read what is new, and then what has to be read again."""
        await self._read_mail(self._after, None)
        while self._again and not self._stopped():
            if self.node.room() <= 0:  # it would be evicted before its letter reached it, again
                self._wait_for_room()
                return
            execution_id = next(iter(self._again))
            first = self._again.pop(execution_id)
            await self._read_mail(first - 1, execution_id)

    def _wait_for_room(self) -> None:
        if not self._waits_for_room:
            self._waits_for_room = True
            asyncio.get_running_loop().call_later(ROOM_AFTER_SECONDS, self._look_for_room)

    def _look_for_room(self) -> None:
        self._waits_for_room = False
        if self._again and not self.node.stopping:
            if self.node.room() > 0:
                self._woken.set()
            else:
                self._wait_for_room()

    async def _read_mail(self, after: int, only: str | None) -> None:
        """Read the letters behind a position: the new ones, or those read before to one id."""
        last = self._after
        while not self._stopped():
            try:
                rows = await self.node.store.mail(after=after, limit=PAGE)
            except StoreError as error:
                self.node.store_failed(error)  # and all mail is read again afterwards
                return
            for row in rows:
                if self._stopped():
                    return  # the rest is read again afterwards
                after = row.position
                if only is None:
                    self._after = after
                elif after > last:
                    return
                if only in (None, row.execution_id) and not self._is_put_off(row):
                    await self._safely(row, self._take(row))
            if len(rows) < PAGE:
                return
            await asyncio.sleep(0)  # what was taken is written meanwhile

    def _is_put_off(self, row: MailRow) -> bool:
        """Whether a letter is read again anyway, behind an earlier one to the same execution."""
        first = self._again.get(row.execution_id)
        return first is not None and first <= row.position

    async def _safely(self, row: MailRow, taking: Coroutine[Any, Any, None]) -> None:
        try:
            await taking
        except StoreError as error:
            if is_damage(error):
                self._leave(row, f"what it is about cannot be read: {error}")
            else:
                self.node.store_failed(error)  # and the letter is read again afterwards

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
        if isinstance(mail, PublishMail):  # later letters do not wait until its events are written
            node.spawn(self._safely(row, node.messaging.publish(row, mail)))
            return
        if isinstance(mail, EventAct):
            why = await node.messaging.take(row, mail)
        else:
            why = await self._take_for_execution(row, mail)
        if why is not None:
            self._leave(row, why)

    async def _take_for_execution(self, row: MailRow, mail: Mail) -> str | None:
        """Take over a letter to one execution; return why it has to wait, if it has."""
        node = self.node
        await starts_decided(node.starting, row.execution_id)
        if not isinstance(mail, StartMail) or mail.again:
            deliver = functools.partial(self._deliver, row, mail)
            if await node.load(row.execution_id, deliver) is not None:
                return None
        if node.fault is not None:
            return None
        found = await node.store.execution(row.execution_id)
        if self._is_put_off(row):
            return None
        if found is not None and not node.owns(found):  # another node began it meanwhile
            node.committer.answer(row.position, row._replace(position=0))
            return None
        return await self._begin(row, mail, found)

    def _deliver(self, row: MailRow, mail: Mail, resident: Resident) -> None:
        if self._is_put_off(row):
            return  # while it waited for its execution, an earlier letter has come to wait, too
        if isinstance(mail, UndoMail):  # it runs again: undone is what has ended
            self.beginnings.read_after(row)
        self.node.push(acts.deliver_mail, resident, row, mail)

    async def _begin(self, row: MailRow, mail: Mail, found: ExecutionRow | None) -> str | None:
        """Take over a letter to what is not in memory; return why it has to wait, if it has."""
        if isinstance(mail, StartMail):
            return await self.beginnings.start(row, mail, found)
        over = found is None or not (found.status.live or found.status is Status.CONTINUED)
        if over and isinstance(mail, AttemptMail):
            self.node.remote.drop_letter(row, mail)
            return None
        if found is None:
            if row.execution_id in self._left:
                self.beginnings.read_after(row)
                return "its execution has not been started"
            self._discard(row, "the execution is unknown")
            return None
        if isinstance(mail, ContinueMail):
            return await self.beginnings.continue_as_new(row, mail, found)
        if found.status.live:
            if isinstance(mail, TerminateMail):
                await self._terminate(row, mail, found)
                return None
            return "its execution cannot be run here"
        if found.status is Status.CONTINUED:
            self.beginnings.read_after(row)
            return None
        return await self._take_ended(row, mail, found)

    async def _take_ended(self, row: MailRow, mail: Mail, found: ExecutionRow) -> str | None:
        """Take over a letter to an execution that has ended; return why it has to wait."""
        node = self.node
        now = max(node.clock.now(), found.finished_at or 0)
        here = node.registry.program(found.name, found.version) is not None
        match mail:
            case RetryMail() | ResetMail() if not here:
                return f"no service of this app has {found.name} version {found.version}"
            case RetryMail() if found.status is Status.FAILED and found.parent_key is None:
                request = RetryRequested(now, row.request_id, mail.actor, mail.reason)
                records = await records_of(node.store, node.codec, found)
                node.push(acts.retry_failed, found, records, request, row)
                await asyncio.sleep(0)  # its turn: the next letter meets it in memory
            case ResetMail():
                await self.beginnings.reset(row, mail, found)
            case UndoMail() if node.registry.program(found.name) is None:
                self._leave(row, f"no service of this app has {found.name}")
            case UndoMail() if found.status is Status.COMPLETED:
                request_undo = UndoRequested(now, row.request_id)
                records = await records_of(node.store, node.codec, found)
                if fold(records).pivoted:  # in a run that was begun by a reset since
                    stays = ChildUndoneMail(mail.of, PASSED_ITS_PIVOT)
                    self.beginnings.reply(row, mail.of, stays)
                    return None
                node.push(acts.undo_child, found, records, request_undo, mail.of, row)
                await asyncio.sleep(0)
            case UndoMail():
                why = None if found.status in UNDONE else f"it was {found.status}"
                self.beginnings.reply(row, mail.of, ChildUndoneMail(mail.of, why))
            case ChildEndedMail() | ChildUndoneMail():
                node.committer.take(row.position)  # the parent did not wait for it
            case _:
                self._discard(row, f"the execution has ended: it is {found.status}")
        return None

    async def _terminate(self, row: MailRow, mail: TerminateMail, found: ExecutionRow) -> None:
        node = self.node
        request = TerminateRequested(node.clock.now(), row.request_id, mail.actor, mail.reason)
        records = await records_of(node.store, node.codec, found)
        node.push(acts.terminate_unhosted, found, records, request, row, mail.of)
        await asyncio.sleep(0)

    def _leave(self, row: MailRow, why: str) -> None:
        """Leave an acknowledged letter in the mailbox: a node that can take it, will."""
        if row.kind == START:
            self._left.add(row.execution_id)
        logger.warning("a %s for %r waits where it is: %s", row.kind, row.execution_id, why)

    def _discard(self, row: MailRow, why: str) -> None:
        logger.warning("a %s for %r was not taken: %s", row.kind, row.execution_id, why)
        self.node.committer.take(row.position)
