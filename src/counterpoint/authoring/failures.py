"""Errors to and from their recorded form."""

import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from counterpoint.authoring.business import BusinessError, business_name, business_type
from counterpoint.errors import ActivityFailed, ExecutionFailed, RecordedError
from counterpoint.kernel.blame import FAILED_CALL, parts_of
from counterpoint.model.records import CallFailed, ChildFailed, Failure

MESSAGE_CHARS_MAX = 2_000
TRACEBACK_CHARS_MAX = 4_000
ACTIVITY_FAILED = "counterpoint.ActivityFailed"
EXECUTION_FAILED = "counterpoint.ExecutionFailed"


class _EndFacts(msgspec.Struct, frozen=True):
    """What an `ExecutionFailed` says of the execution that failed."""

    execution_id: str
    status: str
    error: Failure | None


_end_facts = msgspec.json.Decoder(_EndFacts)


def failure_of(error: BaseException, service: str) -> Failure:
    """Return the recorded form of an error that *service* raised; never raises itself."""
    facts = None
    if isinstance(error, BusinessError):
        try:
            facts = msgspec.Raw(error.recorded_facts())
        except Exception as defect:  # noqa: BLE001 - a user's class may be wrong in any way
            message = f"its facts cannot be recorded ({safe_str(defect)}): {safe_str(error)}"
            return Failure(_type_name(error), message, traceback=_where(error))
    message = safe_str(error)[:MESSAGE_CHARS_MAX]
    if isinstance(error, BusinessError) and facts is not None:
        return Failure(_utf8(business_name(error, service)), message, True, facts)
    if isinstance(error, ActivityFailed):
        return Failure(ACTIVITY_FAILED, message, facts=_activity_facts(error))
    if isinstance(error, ExecutionFailed):
        return Failure(EXECUTION_FAILED, message, facts=_execution_facts(error, service))
    parts = parts_of(error)
    if parts:
        causes = "; ".join(f"{type(e).__name__}: {safe_str(e)}" for e in parts)
        message = _utf8(f"{message}: {causes}")[:MESSAGE_CHARS_MAX]
    return Failure(_type_name(error), message, traceback=_where(error))


def error_of(failure: Failure, near: Callable[..., Any]) -> Exception:
    """Return the error that *failure* records: its own type where that crosses the journal.

    *near* is a function in whose module a business error's class is looked for first.
    """
    if failure.business:
        found = business_type(failure.type, near)
        if found is not None:
            error = found.from_payload(bytes(failure.facts))
            error.__dict__["recorded_as"] = failure.type  # its owner stays, whoever passes it on
            return error
    if failure.type == EXECUTION_FAILED and bytes(failure.facts) != b"null":
        return _execution_failed(failure, near)
    facts = facts_of(failure)
    if failure.type == ACTIVITY_FAILED:
        return ActivityFailed(**facts)
    return RecordedError(failure.type, failure.message, facts)


def in_words(failure: Failure) -> str:
    """Return a recorded error as one line: its type, and its message if it has one."""
    if failure.type in (ACTIVITY_FAILED, EXECUTION_FAILED):
        return failure.message
    name = failure.type.removeprefix("builtins.")
    return f"{name}: {failure.message}" if failure.message else name


def facts_of(failure: Failure) -> dict[str, Any]:
    """Return the recorded facts of an error as plain JSON values; empty if there are none."""
    facts: dict[str, Any] = msgspec.json.decode(failure.facts) or {}
    return facts


def call_error(
    record: CallFailed | ChildFailed, callee: str, near: Callable[..., Any]
) -> Exception:
    """Return what a workflow sees of a failed call.

    That is the business error itself; of others `ActivityFailed`, or of a child `ExecutionFailed`.
    """
    failure = record.error
    error: Exception
    if failure.business:
        error = error_of(failure, near)
    elif isinstance(record, ChildFailed):
        why = in_words(failure) if failure.type else ""
        cause = error_of(failure, near) if failure.type else None
        error = ExecutionFailed(callee, record.status, cause, why)
        error.__cause__ = cause
    else:
        return ActivityFailed(
            callee,
            call=record.call,
            attempts=record.attempts,
            outcome_unknown=record.outcome_unknown,
            type=failure.type,
            message=failure.message,
            facts=facts_of(failure),
        )
    error.__dict__[FAILED_CALL] = record.call  # says which call to try again on `retry()`
    return error


def _type_name(error: BaseException) -> str:
    return _utf8(f"{type(error).__module__}.{type(error).__qualname__}")


def _utf8(text: str) -> str:
    """Return *text* with what cannot be written as UTF-8 escaped."""
    return text.encode(errors="backslashreplace").decode()


def safe_str(error: BaseException) -> str:
    """Return `str(error)`, or what can be said where that fails."""
    try:
        text = str(error)
        text.encode()
    except BaseException as second:  # noqa: BLE001 - a user's __str__ may raise anything
        names = type(error).__qualname__, type(second).__name__
        return _utf8(f"{names[0]} (its message cannot be shown: {names[1]})")
    return text


def _activity_facts(error: ActivityFailed) -> msgspec.Raw:
    facts: dict[str, object] = {
        "activity": error.activity,
        "call": error.call,
        "attempts": error.attempts,
        "outcome_unknown": error.outcome_unknown,
        "type": error.type,
        "message": error.message,
        "facts": error.facts,
    }
    return msgspec.Raw(msgspec.json.encode(facts, enc_hook=str))


def _execution_facts(error: ExecutionFailed, service: str) -> msgspec.Raw:
    cause = None if error.error is None else failure_of(error.error, service)
    return msgspec.Raw(msgspec.json.encode(_EndFacts(error.execution_id, error.status, cause)))


def _execution_failed(failure: Failure, near: Callable[..., Any]) -> ExecutionFailed:
    facts = _end_facts.decode(failure.facts)
    cause = None if facts.error is None else error_of(facts.error, near)
    why = "" if facts.error is None else in_words(facts.error)
    error = ExecutionFailed(facts.execution_id, facts.status, cause, why)
    error.__cause__ = cause
    return error


def _where(error: BaseException) -> str | None:
    try:
        text = "".join(traceback.format_exception(error, limit=-12))
        text.encode()
    except BaseException:  # noqa: BLE001 - formatting calls the user's __str__ and __repr__
        return None
    return text[-TRACEBACK_CHARS_MAX:]
