"""What others ask of an execution, as it travels through the mailbox."""

from typing import TypeAlias

import msgspec

from counterpoint.model.ids import generate_id
from counterpoint.model.records import Payload
from counterpoint.model.rows import MailRow
from counterpoint.ports.codec import Codec


class StartMail(msgspec.Struct, frozen=True, tag="start"):
    """Start an execution; from a process that does not host the store."""

    workflow: str
    arguments: Payload
    correlation_id: str | None = None


class SignalMail(msgspec.Struct, frozen=True, tag="signal"):
    """Hand a value to an execution under a name."""

    name: str
    value: Payload


class CancelMail(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop an execution and, if it is a saga, undo it."""

    actor: str | None = None
    reason: str | None = None


class RetryMail(msgspec.Struct, frozen=True, tag="retry"):
    """Try again what stopped or failed an execution."""

    actor: str | None = None
    reason: str | None = None


Mail: TypeAlias = StartMail | SignalMail | CancelMail | RetryMail

_decoder = msgspec.json.Decoder(Mail)


def mail_row(execution_id: str, mail: Mail, at: int, codec: Codec) -> MailRow:
    """Return the row that posts *mail*, with a request id of its own."""
    body = codec.encode(msgspec.json.encode(mail))
    kind = type(mail).__struct_config__.tag
    return MailRow(0, generate_id(), str(kind), execution_id, at, codec.tag, body)


def read_mail(row: MailRow, codec: Codec) -> Mail:
    """Return what a row asks for.

    Raises:
        msgspec.MsgspecError: it is not what `mail_row` writes.
    """
    mail: Mail = _decoder.decode(codec.decode(row.body))
    return mail
