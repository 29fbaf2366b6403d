"""The owner's side of calls that travel: offers, cancellations, and what comes back.

What is offered or cancelled is written in the commit of the record that decides it (`changes_by`);
what comes back is a letter, whose effect, whose deletion and whose row's deletion are one commit.
See `runtime.remote` for why nothing is lost and nothing happens twice.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from counterpoint.authoring.failures import failure_of
from counterpoint.errors import StoreError
from counterpoint.kernel import attempts
from counterpoint.kernel.retry import LOST
from counterpoint.kernel.settled import MISSING
from counterpoint.kernel.steps import Call
from counterpoint.model import records as r
from counterpoint.model.cluster import CallRow
from counterpoint.model.outcomes import Outcome, Raised, Returned
from counterpoint.ports.cluster import ClusterStore
from counterpoint.runtime import inputs
from counterpoint.runtime.call_changes import CallChanges
from counterpoint.runtime.host import Host
from counterpoint.runtime.mail import AttemptBeatMail, AttemptEndedMail, AttemptMail
from counterpoint.runtime.remote_call import (
    Elsewhere,
    Ending,
    outbox_of,
    raised_by,
    read_policy,
    remote_call,
)
from counterpoint.runtime.resident import Resident


class Route(NamedTuple):
    """Under which names a step is offered to other nodes."""

    activity: str
    service: str
    here: bool
    """This node hosts it, too: a limit makes it go through a claim."""


class RemoteOffers:
    """What a node's executions ask of other nodes."""

    def __init__(self, node: Host, store: ClusterStore) -> None:
        self.node = node
        self.store = store
        self._routes: dict[tuple[str, bool], Route | None] = {}

    # ---- with a commit ------------------------------------------------------------------------

    def changes_by(
        self, resident: Resident, records: Sequence[r.Record], first_seq: int, now: int
    ) -> CallChanges | None:
        """Return what *records* decide about attempts on other nodes, to be written with them.

        An attempt that begins now and does not run here is from now on looked after elsewhere.
        """
        for seq, record in enumerate(records, first_seq):
            match record:
                case r.CallScheduled():
                    self._offer(resident, record.call, seq, now)
                case r.CompensationScheduled():
                    self._offer(resident, -record.call, seq, now)
                case r.AttemptStarted():
                    self._offer(resident, record.step, seq, now)
                case r.CallCancelled():
                    self._cancel(resident, record.call)
                case r.Ended():
                    for step in resident.elsewhere:
                        self._cancel(resident, step)
                case _:
                    pass
        changes, resident.changes = resident.changes, None
        return changes

    def _offer(self, resident: Resident, step: int, began: int, now: int) -> None:
        state = resident.execution.state
        if step not in state.under_way or step in resident.elsewhere:
            return
        call = state.calls[abs(step)]
        if step > 0 and call.cancelled:
            return
        route = self._route(call, step)
        if route is not None:
            self._send(resident, step, route, Elsewhere(began, here=route.here), now)

    def _send(
        self, resident: Resident, step: int, route: Route, there: Elsewhere, now: int
    ) -> None:
        execution, codec = resident.execution, self.node.codec
        call, under_way = execution.state.calls[abs(step)], execution.state.open_steps[step]
        body = remote_call(resident.run, resident.correlation_id, call, under_way, step)
        row = CallRow(
            resident.key,
            step,
            there.began,
            resident.id,
            resident.row.name,
            route.service,
            route.activity,
            now,
            codec.tag,
            codec.encode(msgspec.json.encode(body)),
        )
        resident.elsewhere[step] = there
        resident.change_calls().offered.append(row)

    def _cancel(self, resident: Resident, step: int) -> None:
        there = resident.elsewhere.get(step)
        if there is not None:
            resident.change_calls().cancelled.append((resident.key, step, there.began))

    def _route(self, call: Call, step: int) -> Route | None:
        """Return how a step travels; None if it runs here."""
        undone = step < 0 and not call.registered
        key = (call.name, undone)
        if key not in self._routes:
            self._routes[key] = self._find_route(call, undone=undone)
        return self._routes[key]

    def _find_route(self, call: Call, *, undone: bool) -> Route | None:
        registry = self.node.registry
        if undone:
            name = call.undo_name or call.name
            here = registry.compensation(call.name) is not None
            known = registry.whole.compensation(call.name) or registry.callee(call.name)
        else:
            name = call.name
            here = registry.activity(name) is not None
            known = registry.callee(name)
        if here and not registry.limits_of(name):
            return None
        service = name.rpartition(".")[0] if known is None else known.service
        return Route(name, service, here)

    # ---- after a commit -----------------------------------------------------------------------

    def withdraw(self, resident: Resident, step: int, there: Elsewhere) -> None:
        """A call was cancelled: settle it, unless somebody has claimed it and will write."""
        if not there.withdrawing:
            there.withdrawing = True
            self.node.spawn(self._see_withdrawn(resident, step, there))

    async def _see_withdrawn(self, resident: Resident, step: int, there: Elsewhere) -> None:
        node = self.node
        try:
            rows = await self.store.calls_of(resident.key)
        except StoreError as error:
            node.store_failed(error)  # and the execution is read again afterwards
            return
        claimed = any((row.step, row.attempt) == (step, there.began) for row in rows)
        node.push(_withdrawn, resident, step, there, claimed)

    # ---- an execution that comes into memory --------------------------------------------------

    def recall(
        self, resident: Resident, records: Sequence[r.Record], rows: Sequence[CallRow], now: int
    ) -> None:
        """Note which attempts other nodes look after, before the others are taken for lost.

        An attempt of what is not hosted here, and that nobody looks after, ran on a former owner.
        """
        state = resident.execution.state
        if not state.under_way:
            return
        began = _beginnings(records)
        for row in rows:
            if row.step in state.under_way and abs(row.attempt) == began.get(row.step):
                resident.elsewhere[row.step] = Elsewhere(row.attempt)
        policy_of = inputs.policies(self.node, resident)
        for step in state.under_way:
            if step in resident.elsewhere or step not in began:
                continue
            cancelled = step > 0 and state.calls[step].cancelled
            if not cancelled and policy_of(step) is None:
                self.ask(resident, step, began[step], now)

    def ask(self, resident: Resident, step: int, began: int, now: int) -> None:
        """Ask whoever hosts a step how it is tried: its attempt is lost, and nobody here knows."""
        route = self._route(resident.execution.state.calls[abs(step)], step)
        if route is not None:
            self._send(resident, step, route, Elsewhere(-abs(began)), now)
            self.node.committer.touch(resident)


def _beginnings(records: Sequence[r.Record]) -> dict[int, int]:
    """Return by step the number of the record with which its newest attempt began."""
    began: dict[int, int] = {}
    for seq, record in enumerate(records, 1):
        match record:
            case r.CallScheduled():
                began[record.call] = seq
            case r.CompensationScheduled():
                began[-record.call] = seq
            case r.AttemptStarted():
                began[record.step] = seq
            case _:
                pass
    return began


# ---- in a turn -----------------------------------------------------------------------------------


def _withdrawn(
    node: Host, now: int, resident: Resident, step: int, there: Elsewhere, claimed: bool
) -> None:
    """Settle a cancelled call that nobody had claimed; else its claim's letter settles it."""
    there.withdrawing = False
    if node.residents.get(resident.id) is not resident:
        return
    if resident.elsewhere.get(step) is not there or claimed:
        node.settle(resident)
        return
    del resident.elsewhere[step]
    lost = Raised(LOST) if there.began < 0 else None  # its attempt may have happened
    attempts.settle_cancelled(resident.execution, step, lost, now)
    node.committer.touch(resident)


def take_letter(node: Host, now: int, resident: Resident, mail: AttemptMail) -> None:
    """Take over what a node says about an attempt that it has claimed.

    A letter about what has settled meanwhile, or about an earlier run, changes nothing.
    """
    there = resident.elsewhere.get(mail.step)
    ours = mail.key == resident.key and there is not None and there.began == mail.began
    execution = resident.execution
    if isinstance(mail, AttemptBeatMail):
        if ours:
            execution.note(r.HeartbeatRecorded(execution.stamp(now), mail.step, mail.detail))
        return
    resident.change_calls().over.append((mail.key, mail.step, mail.began))
    if not ours:
        return
    del resident.elsewhere[mail.step]
    if mail.beats:
        execution.note(r.HeartbeatRecorded(execution.stamp(now), mail.step, mail.beat))
    _end(node, now, resident, mail)


def _end(node: Host, now: int, resident: Resident, mail: AttemptEndedMail) -> None:
    execution, ending, number = resident.execution, mail.ending, mail.step
    call = execution.state.calls[abs(number)]
    if ending.postponed:
        _postpone(node, now, resident, call, number)
        return
    policy = inputs.policies(node, resident)(number)
    if mail.policy is not None:  # whoever hosts it knows best
        policy = read_policy(mail.policy)
    if policy is not None and not ending.lost:
        outcome = _outcome(node, call, number, ending)
        if isinstance(outcome, Returned):
            resident.outbox += outcome.outbox  # written with the record of the result
        dice = node.dice.random()
        attempts.end_attempt(execution, number, outcome, policy, now, dice)
    elif number > 0 and call.cancelled:
        attempts.settle_cancelled(execution, number, Raised(LOST), now)
    elif policy is not None:
        attempts.lose_attempt(execution, number, policy, now)
    else:
        node.remote.ask(resident, number, mail.began, now)


def _postpone(node: Host, now: int, resident: Resident, call: Call, number: int) -> None:
    """The node that had claimed an attempt stopped before it began: another one begins at once."""
    execution = resident.execution
    if number > 0 and call.cancelled:
        attempts.settle_cancelled(execution, number, None, now)
        return
    step = execution.state.open_steps[number]
    execution.note(r.AttemptPostponed(execution.stamp(now), number, step.attempts))
    node.push(inputs.look, resident)


def _outcome(node: Host, call: Call, number: int, ending: Ending) -> Outcome:
    """Return the outcome that a letter tells; a result that does not fit here is a failure."""
    if ending.error is not None:
        return raised_by(ending, ending.error)
    known = node.registry.callee(call.name) if number > 0 else None
    value = MISSING
    if known is not None:
        try:
            value = known.signature.result.decode(ending.result)
        except Exception as error:  # noqa: BLE001 - whatever a user's type raises
            return Raised(failure_of(error, known.service), final=True)
    return Returned(ending.result, value, outbox_of(ending))
