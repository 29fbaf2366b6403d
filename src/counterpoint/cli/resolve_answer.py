"""What a person says became of a call: one of four answers, and how it is sent.

An answer is read without the app where that can be done; what it has to fit (the result's type, the
class of a business error) is looked up when it is sent, for the call that it is about.
"""

import builtins
import json
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, NoReturn

import msgspec
from pydantic import ValidationError

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.business import BusinessError, business_type
from counterpoint.authoring.signature import arguments_error
from counterpoint.cli.arguments import read_value
from counterpoint.cli.failures import CommandError, user_input
from counterpoint.cli.output import shorten
from counterpoint.cli.target import Target
from counterpoint.errors import NotDone
from counterpoint.runtime.description import CallDescription
from counterpoint.runtime.handle import Execution

ONE_OF = "say what became of the call with one of --result, --error, --done and --not-done"
_SHOWN_CHARS_MAX = 60


class Outcome(StrEnum):
    """What became of a call."""

    RESULT = "result"
    ERROR = "error"
    DONE = "done"
    NOT_DONE = "not-done"


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome, and the value or the error that belongs to it."""

    outcome: Outcome
    result: Any = None
    """A plain JSON value."""
    text: str | None = None
    """The result as it was written, where it may stand for itself."""
    error: str = ""
    """TYPE or TYPE:MESSAGE."""
    facts: dict[str, Any] | None = None

    @property
    def words(self) -> str:
        """The answer for a list of many."""
        match self.outcome:
            case Outcome.RESULT:
                return f"returned {shorten(json.dumps(self.result), _SHOWN_CHARS_MAX)}"
            case Outcome.ERROR:
                return f"failed with {shorten(self.error, _SHOWN_CHARS_MAX)}"
            case Outcome.DONE:
                return "is done"
            case Outcome.NOT_DONE:
                return "did not happen: it is tried again"


def read_answer(
    result: str | None, error: str | None, facts: str | None, *, done: bool, not_done: bool
) -> Answer:
    """Return the answer that the options give.

    Raises:
        CommandError: it is not exactly one, or cannot be read.
    """
    given = (result is not None) + (error is not None) + done + not_done
    if given != 1:
        raise CommandError(ONE_OF if not given else f"{ONE_OF}, not with {given} of them")
    if facts is not None and error is None:
        raise CommandError("--facts belong to --error")
    if result is not None:
        plain = msgspec.json.decode(read_value(result, "the result"))
        return Answer(Outcome.RESULT, plain, result)
    if error is not None:
        return Answer(Outcome.ERROR, error=error, facts=read_facts(facts, "--facts"))
    return Answer(Outcome.DONE if done else Outcome.NOT_DONE)


def read_facts(text: str | None, what: str) -> dict[str, Any] | None:
    """Return the facts of an error, written as a JSON object.

    Raises:
        CommandError: they are no JSON object.
    """
    if text is None:
        return None
    try:
        found: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise CommandError(
            f'{what} is no JSON object: {error}: write it like \'{{"reason": "x"}}\''
        ) from None
    return found


async def send(
    target: Target,
    execution: Execution[Any],
    call: CallDescription,
    answer: Answer,
    *,
    actor: str | None,
    reason: str | None,
) -> None:
    """State the outcome of *call*.

    Raises:
        CommandError: the answer does not fit the call; says which one does.
        ExecutionRefusedError, ExecutionNotFoundError, PayloadError: as `Execution.resolve`.
    """
    check_fits(target, execution.id, call, answer)
    activity = target.app.registry.callee(call.name)
    number = call.call
    match answer.outcome:
        case Outcome.RESULT:
            value = _result(activity, answer)
            await execution.resolve(number, result=value, actor=actor, reason=reason)
        case Outcome.ERROR:
            error = _error(target, call, activity, answer)
            await execution.resolve(number, error=error, actor=actor, reason=reason)
        case Outcome.DONE:
            await execution.resolve(number, done=True, actor=actor, reason=reason)
        case Outcome.NOT_DONE:
            await execution.resolve(number, error=NotDone(), actor=actor, reason=reason)


def check_activity(target: Target, name: str) -> None:
    """Refuse an activity, or compensation, that the app does not have; without one, none is.

    Raises:
        CommandError: names those that are like it.
    """
    if target.name is None:
        return
    registry = target.app.registry
    known = {*registry.activities, *registry.stubs}
    known |= {undo.name for undo in registry.compensations.values()}
    parts = {full.rpartition(".")[2]: full for full in known}
    if name in known or name in parts:
        return
    close = [parts[part] for part in get_close_matches(name.rpartition(".")[2], parts)]
    close = close or get_close_matches(name, known)
    advice = (
        f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(sorted(known))}"
    )
    raise CommandError(f"--call-of: {target.name} has no activity {name!r}: {advice}")


def being_undone(call: CallDescription) -> bool:
    """Whether it is the undoing of a call that an answer is about."""
    return call.compensation is not None and call.compensated_at is None


def check_fits(target: Target, id: str, call: CallDescription, answer: Answer) -> None:
    """Refuse an answer that no such call can have; what the store has to say comes later.

    Raises:
        CommandError: says which answers fit.
    """
    activity = target.app.registry.callee(call.name)
    if being_undone(call):
        if answer.outcome in (Outcome.RESULT, Outcome.ERROR):
            raise CommandError(
                f"call {call.call} of {id} is being undone by {call.compensation}: pass --done if "
                "it is undone, or --not-done to try it again"
            )
    elif answer.outcome is Outcome.RESULT:
        _result(activity, answer)
    elif answer.outcome is Outcome.ERROR:
        _error(target, call, activity, answer)
    elif answer.outcome is Outcome.DONE and activity is not None:
        try:
            activity.signature.result.decode(b"null")
        except ValidationError:
            raise CommandError(
                f"{call.name} returns something (call {call.call} of {id}): pass it with "
                "--result JSON instead of --done"
            ) from None


def _result(activity: Activity[..., Any] | None, answer: Answer) -> Any:
    """Return the result as JSON, or as text where only that is what the activity returns."""
    if activity is None:
        return answer.result
    decode = activity.signature.result.decode
    with user_input(f"{activity.name} cannot have returned that"):
        try:
            decode(msgspec.json.encode(answer.result))
        except ValidationError as error:
            if answer.text is None or isinstance(answer.result, str):
                raise _unfit(activity, error) from None
            try:
                decode(msgspec.json.encode(answer.text))
            except ValidationError:
                raise _unfit(activity, error) from None
            return answer.text
    return answer.result


def _unfit(activity: Activity[..., Any], error: ValidationError) -> CommandError:
    wrong = arguments_error(activity.name, error, "result")
    return CommandError(str(wrong).replace("does not accept these", "does not return such a"))


# ---- errors -----------------------------------------------------------------------------------


def _error(
    target: Target, call: CallDescription, activity: Activity[..., Any] | None, answer: Answer
) -> Exception:
    kind, _, message = answer.error.partition(":")
    kind, message = kind.strip(), message.strip()
    found = _business_type(target, kind, activity)
    if found is not None:
        if message:
            raise CommandError(
                f"{kind} is a business error: its facts say what happened; pass --facts "
                f"'{_sample(found)}' instead of a message"
            )
        return _business(found, kind, call, answer.facts or {})
    if answer.facts is not None:
        _no_business_error(target, kind)
    builtin = getattr(builtins, kind.removeprefix("builtins."), None)
    if isinstance(builtin, type) and issubclass(builtin, Exception):
        made = type(builtin.__name__, (Exception,), {"__module__": "builtins"})
        plain: Exception = made(message)
        return plain
    service, dot, name = kind.rpartition(".")
    if not all(part.isidentifier() for part in kind.split(".")):
        raise CommandError(f"--error {answer.error!r}: write TYPE or TYPE:MESSAGE")
    if not dot or service in target.app.registry.services or target.name is None:
        _no_business_error(target, kind)
    other: Exception = type(name, (Exception,), {"__module__": service})(message)
    return other


def _business_type(
    target: Target, kind: str, activity: Activity[..., Any] | None
) -> type[BusinessError] | None:
    """Return the app's business error of that name, or of its last part, or None."""
    service, dot, _ = kind.rpartition(".")
    if target.name is None or not kind:
        return None
    found = business_type(kind, _nowhere if activity is None else activity.function)
    if found is None or found.recorded_name is not None or not dot:
        return found
    return found if service in target.app.registry.services else None


def _business(
    found: type[BusinessError], kind: str, call: CallDescription, facts: dict[str, Any]
) -> BusinessError:
    service = call.name.partition(".")[0]
    recorded = found.recorded_name or (kind if "." in kind else f"{service}.{kind}")
    with user_input(f"the facts of {recorded}"):
        try:
            error = found.from_payload(msgspec.json.encode(facts))
        except ValidationError as wrong:
            words = arguments_error(recorded, wrong, "facts")
            raise CommandError(f"{words}; pass them with --facts '{_sample(found)}'") from None
        unknown = sorted(facts.keys() - error.__dict__["facts"].keys())
        if unknown:
            raise CommandError(f"{recorded} has no fact {', '.join(unknown)}: {_sample(found)}")
    error.__dict__["recorded_as"] = recorded
    return error


def _sample(found: type[BusinessError]) -> str:
    """Return facts of an error as one writes them, with dots for the values."""
    names = [name for kind in reversed(found.__mro__) for name in vars(kind).get(_HINTS, ())]
    own = [name for name in names if not name.startswith("_") and name != "recorded_name"]
    return "{" + ", ".join(f'"{name}": …' for name in own) + "}"


_HINTS = "__annotations__"


def _no_business_error(target: Target, kind: str) -> NoReturn:
    if target.name is None:
        raise CommandError(
            f"--error {kind}: whether it is a business error is in the code of the app: pass --app"
        )
    known = sorted(_business_names(BusinessError))
    close = get_close_matches(kind.rpartition(".")[2], known, n=1)
    advice = f"did you mean {close[0]}?" if close else f"it has {', '.join(known) or 'none'}"
    raise CommandError(f"{target.name} has no business error {kind!r}: {advice}")


def _business_names(kind: type[BusinessError]) -> set[str]:
    names: set[str] = set()
    for one in kind.__subclasses__():
        names.add(one.recorded_name or one.__name__)
        names |= _business_names(one)
    return names


def _nowhere() -> None:
    """A function in whose module no business error is defined."""
