"""What users' values and errors are in a record: their own recorded bytes, never decoded here."""

from typing import TypeAlias

import msgspec

Payload: TypeAlias = msgspec.Raw
NULL = msgspec.Raw(b"null")


class RecordBase(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Common settings of all records."""


class Failure(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An error as recorded: enough to raise the same type with the same facts again."""

    type: str
    """The recorded name: `payments.PaymentDeclined`, or `builtins.ValueError` for others."""
    message: str
    business: bool = False
    """The error is a `BusinessError`: `facts` are its own fields."""
    facts: Payload = NULL
    """JSON null where there are none."""
    traceback: str | None = None
    """Where it was raised, bounded in length; for people only."""
