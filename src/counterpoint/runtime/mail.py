"""What others ask of an execution, as it travels through the mailbox."""

from typing import TypeAlias

import msgspec

from counterpoint.model.ids import generate_id
from counterpoint.model.messages import slot_of
from counterpoint.model.records import NULL, CausedBy, ChildOf, Continued, Failure, Payload
from counterpoint.model.rows import MailRow
from counterpoint.ports.codec import Codec
from counterpoint.runtime.remote_call import Ending, Policy

EVENTS = "events"
"""Whom letters are addressed to that are about no single execution."""


class ChildLink(msgspec.Struct, frozen=True):
    """Whose step a child is, and the flow that it belongs to."""

    of: ChildOf
    parent_key: int
    root_key: int


class PostedEvent(msgspec.Struct, frozen=True, array_like=True):
    """An event as a client posts it: a row of the log without what the log gives it."""

    source: str
    id: str
    event_type: str
    version: int
    key: str
    correlation_id: str
    causation_id: str | None
    hops: int
    traceparent: str | None
    time: int
    data: Payload


class StartMail(msgspec.Struct, frozen=True, tag="start"):
    """Start an execution; from a process that does not host the store, or from its parent."""

    workflow: str
    arguments: Payload
    correlation_id: str | None = None
    begins_at: int | None = None
    child: ChildLink | None = None
    again: bool = False
    """The parent tries the call again: what has become of the child is used, or it runs anew."""
    anew: bool = False
    """The parent was reset: the child that an earlier run of it called by this id runs anew."""
    caused_by: CausedBy | None = None
    """The event that starts it."""
    hops: int = 0
    """How many events led to a parent's call of it."""


class SignalMail(msgspec.Struct, frozen=True, tag="signal"):
    """Hand a value to an execution under a name."""

    name: str
    value: Payload


class CancelMail(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop an execution and, if it is a saga, undo it."""

    actor: str | None = None
    reason: str | None = None
    of: ChildOf | None = None
    """Only if it is this step: a child's id may turn out to be somebody else's."""


class RetryMail(msgspec.Struct, frozen=True, tag="retry"):
    """Try again what stopped or failed an execution."""

    actor: str | None = None
    reason: str | None = None


class TerminateMail(msgspec.Struct, frozen=True, tag="terminate"):
    """End an execution at once and undo nothing."""

    actor: str | None = None
    reason: str | None = None
    of: ChildOf | None = None
    """Only if it is this step; see `CancelMail`."""


class ResolveMail(msgspec.Struct, frozen=True, tag="resolve"):
    """The outcome of a call or a compensation, stated by somebody who has looked.

    One of `returned` with `result`, `error`, `done` and `not_done`.
    """

    call: int
    returned: bool = False
    """`result` is what the call returned."""
    result: Payload = NULL
    error: Failure | None = None
    done: bool = False
    not_done: bool = False
    actor: str | None = None
    reason: str | None = None


class ResetMail(msgspec.Struct, frozen=True, tag="reset"):
    """Begin a new run from the records up to a number."""

    to: int
    actor: str | None = None
    reason: str | None = None


class ContinueMail(msgspec.Struct, frozen=True, tag="continue"):
    """Begin the next run of an execution that continues as new."""

    arguments: Payload
    takes_over: Continued
    child_of: ChildOf | None = None


class ChildEndedMail(msgspec.Struct, frozen=True, tag="child-ended"):
    """To a parent: how its child ended."""

    of: ChildOf
    status: str
    result: Payload
    error: Failure | None
    pivoted: bool
    outcome_unknown: bool
    stale: bool = False
    """It ended because of a cancellation that the parent has taken back since."""


class UndoMail(msgspec.Struct, frozen=True, tag="undo"):
    """To a completed child saga: its parent is being undone."""

    of: ChildOf


class ChildUndoneMail(msgspec.Struct, frozen=True, tag="child-undone"):
    """To a parent: its child is undone, or why it stays."""

    of: ChildOf
    stays: str | None = None


class AttemptEndedMail(msgspec.Struct, frozen=True, tag="attempt-ended"):
    """To the owner of an execution: how an attempt ended that another node had claimed."""

    key: int
    """The execution's, with `step` and `began` the name of the claim."""
    step: int
    began: int
    ending: Ending
    policy: Policy | None = None
    """How the step is tried, as whoever hosts it says; None if who writes does not host it."""
    beat: Payload = NULL
    beats: bool = False
    """`beat` is a heartbeat's detail that was not sent yet."""


class AttemptBeatMail(msgspec.Struct, frozen=True, tag="attempt-beat"):
    """To the owner of an execution: an attempt elsewhere goes on, and how far it got."""

    key: int
    step: int
    began: int
    detail: Payload


class PublishMail(msgspec.Struct, frozen=True, tag="publish"):
    """Append events to the log; from a process that does not host the store."""

    events: list[PostedEvent]
    given_ids: bool


class RedriveMail(msgspec.Struct, frozen=True, tag="redrive"):
    """Try a dead letter again, perhaps with other data."""

    subscription: int
    position: int
    data: Payload = NULL
    """What its reaction gets instead of the event's own data; null for that."""
    actor: str | None = None
    reason: str | None = None
    service: str | None = None
    key: str | None = None
    """Whose it is: the letter goes to the node that delivers the events of this key there."""


class DiscardMail(msgspec.Struct, frozen=True, tag="discard"):
    """A dead letter does not matter: what waits behind it may pass."""

    subscription: int
    position: int
    actor: str | None = None
    reason: str | None = None
    service: str | None = None
    key: str | None = None
    """Whose it is: the letter goes to the node that delivers the events of this key there."""


class ReplayMail(msgspec.Struct, frozen=True, tag="replay"):
    """Deliver a range of the log to one reaction again."""

    name: str
    first: int
    last: int
    key: str | None = None
    publish: bool = False
    actor: str | None = None
    reason: str | None = None


class UnsubscribeMail(msgspec.Struct, frozen=True, tag="unsubscribe"):
    """Delete the subscription of a reaction that no app has any more."""

    name: str
    actor: str | None = None
    reason: str | None = None


EventAct: TypeAlias = RedriveMail | DiscardMail | ReplayMail | UnsubscribeMail
"""What people ask for about events, not about one execution."""
AttemptMail: TypeAlias = AttemptEndedMail | AttemptBeatMail
"""Letters from nodes that have claimed a call to the execution that made it."""
Mail: TypeAlias = (
    StartMail
    | SignalMail
    | CancelMail
    | RetryMail
    | TerminateMail
    | ResolveMail
    | ResetMail
    | ContinueMail
    | ChildEndedMail
    | UndoMail
    | ChildUndoneMail
    | AttemptMail
    | PublishMail
    | EventAct
)

_decoder = msgspec.json.Decoder(Mail)


def mail_row(execution_id: str, mail: Mail, at: int, codec: Codec) -> MailRow:
    """Return the row that posts *mail*, with a request id of its own."""
    body = codec.encode(msgspec.json.encode(mail))
    kind = type(mail).__struct_config__.tag
    about, slot = _needs(mail)
    return MailRow(0, generate_id(), str(kind), execution_id, at, codec.tag, body, about, slot)


def _needs(mail: Mail) -> tuple[str | None, int | None]:
    """Return what tells which node can take a letter, where its execution does not."""
    match mail:
        case StartMail():
            return mail.workflow, None
        case RedriveMail() | DiscardMail() if mail.key is not None:
            return mail.service, slot_of(mail.key)
        case _:
            return None, None


def read_mail(row: MailRow, codec: Codec) -> Mail:
    """Return what a row asks for.

    Raises:
        msgspec.MsgspecError: it is not what `mail_row` writes.
    """
    mail: Mail = _decoder.decode(codec.decode(row.body))
    return mail
