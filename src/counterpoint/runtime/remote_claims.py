"""The host's side of calls that travel: claims, the attempts that they run, and the letters back.

A claim is ended by one commit, which marks its row and posts the letter that tells how. A claim
that no such commit has ended belongs to its node for as long as that may commit; afterwards another
node ends it, as a lost attempt.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from counterpoint.authoring.failures import failure_of
from counterpoint.errors import StoreBusyError, StoreError
from counterpoint.model.cluster import CallRow, Limit, Step
from counterpoint.model.outcomes import Outcome
from counterpoint.model.records import Failure, Payload
from counterpoint.ports.cluster import ClusterStore
from counterpoint.runtime.attempt import (
    Attempt,
    CallAttempt,
    CompensationAttempt,
    RegisteredAttempt,
)
from counterpoint.runtime.batch import Note
from counterpoint.runtime.call_changes import CallChanges
from counterpoint.runtime.host import Host
from counterpoint.runtime.log import logger
from counterpoint.runtime.mail import AttemptBeatMail, AttemptEndedMail, mail_row
from counterpoint.runtime.remote_call import (
    Ending,
    Policy,
    RemoteCall,
    call_of,
    place_of,
    written_ending,
    written_policy,
)
from counterpoint.runtime.transactions import OpenTransaction

CLAIMS_MAX = 50
"""How many calls are claimed at once, so that other nodes get their share of many."""
BEAT_INTERVAL = 1_000_000
"""Microseconds between two letters about heartbeats of one attempt."""
BUSY_AFTER = 50_000
"""Microseconds until this node tries again to claim from a store that was busy."""
TRIES = 3
IN_VAIN_SECONDS = 0.001
IN_VAIN_MAX = 10
"""For so many times that a node looked in vain, it waits that much longer before the next look."""
SHARE_OF_BUSY = 10
"""One of so many places is for calls of other nodes, however much a node has to do itself."""
DOUBT = Failure(
    "counterpoint.OutcomeUnknown", "an earlier attempt may have happened; this one was not made"
)


class Claim:
    """An attempt's owner on the node that has claimed it: the execution as it is known there."""

    __slots__ = ("beat", "beat_at", "beats", "correlation_id", "id", "place", "reported", "run")

    def __init__(self, row: CallRow, remote: RemoteCall) -> None:
        self.place = place_of(row)
        self.id = row.execution_id
        self.run = remote.run
        self.correlation_id = remote.correlation_id
        self.beat: Payload | None = None
        """The newest heartbeat's detail that was not sent yet."""
        self.beats = False
        """A letter about it is due."""
        self.beat_at = 0
        self.reported = False


class RemoteClaims:
    """What a node does for executions of others, and for its own where a limit holds."""

    def __init__(self, node: Host, store: ClusterStore) -> None:
        self.node = node
        self.store = store
        self.claims: dict[Step, Attempt] = {}
        """Those whose end is not committed yet."""
        self._decoder = msgspec.json.Decoder(RemoteCall)
        self._woken = asyncio.Event()
        self._looking = False
        self._asked = False
        """Somebody else said that there is something to claim, or to cancel."""
        self._hungry = False
        """More may wait to be claimed than there was room for, or than limits allowed."""
        self._in_vain = 0
        """How often in a row there was nothing: others offer what is not hosted here."""
        self._tries = 0
        """How often this node looks again, as a rate allows, before it waits for a hint."""
        self._alarm_at = 0
        self._one = asyncio.Lock()
        """Held while the store is asked: a stop waits for what it was asked."""
        self._life = 0
        """How often everything was dropped: a claim of before is not this node's any more."""
        self.names, self._limits = self._hosted()
        """What this node can claim, by recorded name."""

    def _hosted(self) -> tuple[list[str], list[Limit]]:
        registry = self.node.registry
        undo = [compensation.name for compensation in registry.compensations.values()]
        names = list(dict.fromkeys([*registry.activities, *undo]))
        limits = [limit for name in names for limit in registry.limits_of(name)]
        return names, list(dict.fromkeys(limits))

    @property
    def quiet(self) -> bool:
        """Whether nothing is being looked for."""
        return not (self._looking or self._woken.is_set())

    def poke(self) -> None:
        """Look for calls to claim, and for claims that were cancelled."""
        self._asked = True
        self._woken.set()

    async def run(self) -> None:
        """Claim whenever there may be something, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            self._looking = True
            try:
                await asyncio.sleep(min(self._in_vain, IN_VAIN_MAX) * IN_VAIN_SECONDS)
                async with self._one:
                    await self._look()
            except StoreBusyError as error:  # nothing was claimed
                logger.warning("calls could not be claimed, they are tried again: %s", error)
                self._again_after(BUSY_AFTER)
            except StoreError as error:
                self.node.store_failed(error)
            finally:
                self._looking = False
                self.node.check_idle()

    def drop(self) -> None:
        """Cut off everything: the store failed, and this node's claims are another incarnation's.

        Their outcomes can no more be committed; whoever finds the claims says that they are lost.
        """
        self._life += 1
        claims, self.claims = self.claims, {}
        for attempt in claims.values():
            self.node.activities.forget(attempt)

    def hand_back(self) -> None:
        """Give back what has not begun, so that others begin it: this node stops."""
        for attempt in list(self.claims.values()):
            if not attempt.entered and attempt.task is None:
                self._tell(attempt, Ending(postponed=True))

    async def cut_off(self) -> None:
        """Say of what a stopping node has cut off that it is lost; else others find out later.

        A claim of which the node has not learned yet is waited for: it is given back, for nothing
        of it has begun.
        """
        async with self._one:
            self.hand_back()
        for attempt in list(self.claims.values()):
            self._tell(attempt, Ending(lost=True))

    # ---- claiming -----------------------------------------------------------------------------

    async def _look(self) -> None:
        asked, self._asked = self._asked, False
        self._tries = TRIES if asked else self._tries
        life = self._life
        if asked and self.claims:
            cancelled = await self.store.cancelled_claims()
            if life != self._life:
                return
            for place in cancelled:
                attempt = self.claims.get(place)
                if attempt is not None and not attempt.cancelled:
                    self.node.activities.cancel(attempt)
        while self._takes_work():
            names, room = self._open_to()
            if not names or room <= 0:
                self._hungry = True
                return
            limit = min(room, CLAIMS_MAX)
            rows = await self.store.claim(names, self._limits, limit)
            if life != self._life:
                return
            self._in_vain = 0 if rows else self._in_vain + 1
            for row in rows:
                self._begin(row)
            if len(rows) < limit:
                self._come_back(found=bool(rows))
                return

    def _takes_work(self) -> bool:
        return bool(self.names) and self.node.fault is None and not self.node.stopping

    def _come_back(self, *, found: bool) -> None:
        """Look again as limits allow: after the next end of a claim, or when time has passed.

        Whether a rate or nothing at all keeps calls back is not known: after `TRIES` in vain, the
        next hint is waited for.
        """
        self._hungry = bool(self._limits)
        self._tries = TRIES if found else self._tries - 1
        rates = [limit.rate for limit in self._limits if limit.rate]
        if rates and self._tries > 0:
            self._again_after(int(1_000_000 / max(rates)) + 1)

    def _again_after(self, microseconds: int) -> None:
        clock = self.node.clock
        at = clock.now() + microseconds
        if self._alarm_at <= clock.now() or at < self._alarm_at:
            self._alarm_at = at
            clock.call_at(at, self._woken.set)

    def _open_to(self) -> tuple[list[str], int]:
        """Return what this node can begin now, and how many."""
        activities, settings = self.node.activities, self.node.settings
        room = settings.max_running - len(activities.running) - activities.waiting
        room = max(room, max(1, settings.max_running // SHARE_OF_BUSY) - len(self.claims))
        threads = sum(not attempt.work.is_async for attempt in self.claims.values())
        if threads < settings.threads_max:
            return self.names, room
        registry = self.node.registry
        blocked = {n for n, activity in registry.activities.items() if not activity.is_async}
        blocked |= {c.name for c in registry.compensations.values() if not c.is_async}
        return [name for name in self.names if name not in blocked], room

    def _begin(self, row: CallRow) -> None:
        node = self.node
        place = place_of(row)
        try:
            remote = self._decoder.decode(node.codec.decode(row.body))
        except Exception as error:
            logger.exception("%s: a call cannot be read", row.execution_id)
            failure = Failure("counterpoint.StoreCorruptError", f"it cannot be read: {error}")
            ending = Ending(error=failure, final=True, may_have_happened=False)
            self._post(row.execution_id, AttemptEndedMail(*place, ending))
            return
        claim = Claim(row, remote)
        attempt = self._attempt(claim, remote, row.step)
        if attempt is None:
            message = f"no service of this app has {row.activity} for {remote.name}"
            failure = Failure("counterpoint.UnknownActivity", message)
            ending = Ending(error=failure, may_have_happened=False)
            self._post(row.execution_id, AttemptEndedMail(*place, ending))
            return
        attempt.registry = node.registry
        self.claims[place] = attempt
        if row.attempt < 0:
            self._tell(attempt, Ending(lost=True))
        elif remote.in_doubt and attempt.policy.at_most_once:
            self._tell(attempt, Ending(error=DOUBT))
        elif node.stopping:
            self._tell(attempt, Ending(postponed=True))
        else:
            node.activities.start(attempt)

    def _attempt(self, claim: Claim, remote: RemoteCall, step: int) -> Attempt | None:
        """Return the attempt that a claim runs; None if its name means another one here."""
        registry, limit = self.node.registry, self.node.settings.payload_bytes_max
        call, number = call_of(remote), remote.attempt
        if step < 0 and not remote.registered:
            undo = registry.compensation(remote.name)
            if undo is None:
                return None
            return CompensationAttempt(claim, call, number, undo, limit, self.heartbeat)
        activity = registry.activity(remote.name)
        if activity is None:
            return None
        kind = CallAttempt if step > 0 else RegisteredAttempt
        return kind(claim, call, number, activity, limit, self.heartbeat)

    # ---- telling ------------------------------------------------------------------------------

    def attempt_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """Tell the owner of the execution how an attempt has ended."""
        self._tell(attempt, written_ending(outcome))

    def lost(self, rows: Sequence[CallRow]) -> None:
        """Tell the owners of calls that the nodes are gone which had claimed them."""
        for row in rows:
            mail = AttemptEndedMail(*place_of(row), Ending(lost=True), self._policy(row))
            self._post(row.execution_id, mail)

    def _policy(self, row: CallRow) -> Policy | None:
        """Return how a step is tried, if it is hosted here."""
        try:
            remote = self._decoder.decode(self.node.codec.decode(row.body))
        except Exception:
            logger.exception("%s: a call cannot be read", row.execution_id)
            return None
        attempt = self._attempt(Claim(row, remote), remote, row.step)
        return None if attempt is None else written_policy(attempt.policy)

    def _tell(self, attempt: Attempt, ending: Ending) -> None:
        claim: Claim = attempt.owner
        transaction, attempt.transaction = attempt.transaction, None
        if claim.reported or self.claims.get(claim.place) is not attempt:
            if transaction is not None:
                transaction.abandon()
            return
        claim.reported = True
        policy = written_policy(attempt.policy)
        mail = AttemptEndedMail(*claim.place, ending, policy)
        if claim.beat is not None:
            mail = AttemptEndedMail(*claim.place, ending, policy, claim.beat, beats=True)
            claim.beat = None

        def refused(error: Exception) -> None:
            """It cannot be written how it ended; what is said instead can."""
            logger.error("%s: how a call ended could not be written: %s", claim.id, error)
            if self.claims.get(claim.place) is attempt:
                failure = failure_of(error, attempt.work.service)
                happened = transaction is None  # else it was rolled back
                instead = Ending(error=failure, final=True, may_have_happened=happened)
                self._post(claim.id, AttemptEndedMail(*claim.place, instead, policy))

        self._post(claim.id, mail, refused, transaction)

    def _post(
        self,
        execution_id: str,
        mail: AttemptEndedMail,
        refused: Callable[[Exception], None] | None = None,
        transaction: OpenTransaction | None = None,
    ) -> None:
        """End a claim and say so to the execution's owner, in one commit."""
        node = self.node
        place = (mail.key, mail.step, mail.began)

        def given_up(error: Exception) -> None:
            logger.error("%s: nobody learns how a call ended: %s", execution_id, error)

        note = Note(lambda _: self._ended(place), refused or given_up)
        note.mail = [mail_row(execution_id, mail, node.clock.now(), node.codec)]
        note.calls = CallChanges()
        note.calls.ended.append(place)
        note.transaction = transaction
        node.committer.add(note)

    def _ended(self, place: Step) -> None:
        self.claims.pop(place, None)
        if self._hungry:
            self._woken.set()

    # ---- heartbeats ---------------------------------------------------------------------------

    def heartbeat(self, attempt: Attempt, detail: Payload) -> None:
        """Send the newest detail to the owner, at most once a second. From any thread."""
        self.node.activities.prolong(attempt)
        if attempt.work.is_async:  # at once: it may end before the loop's next round
            self._beat(attempt, detail)
        else:
            self.node.call_threadsafe(self._beat, attempt, detail)

    def _beat(self, attempt: Attempt, detail: Payload) -> None:
        claim: Claim = attempt.owner
        if claim.reported:
            return
        claim.beat = detail
        if not claim.beats:
            claim.beats = True
            clock = self.node.clock
            claim.beat_at = max(clock.now(), claim.beat_at + BEAT_INTERVAL)
            clock.call_at(claim.beat_at, lambda: self._send_beat(attempt))

    def _send_beat(self, attempt: Attempt) -> None:
        claim: Claim = attempt.owner
        claim.beats = False
        detail, claim.beat = claim.beat, None
        if detail is None or claim.reported or self.claims.get(claim.place) is not attempt:
            return
        node = self.node
        mail = AttemptBeatMail(*claim.place, detail)
        note = Note()
        note.mail = [mail_row(claim.id, mail, node.clock.now(), node.codec)]
        node.committer.add(note)
