"""The arguments of a workflow as they are written on a command line.

Each is a JSON value, in order, or `name=` and a JSON value. Text that cannot be JSON (it does not
begin like an object, a list or a string, and is no number or literal) stands for itself, so that
`Ada` need not be written `'"Ada"'`. What was written is decoded by the workflow's own signature.
"""

import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from counterpoint.authoring.registry import AnyWorkflow
from counterpoint.authoring.signature import Signature, arguments_error, object_codec
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.target import Target

Given = dict[str, msgspec.Raw]
_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_raw = msgspec.json.Decoder(msgspec.Raw)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])


def find_workflow(target: Target, name: str) -> AnyWorkflow:
    """Return the workflow of a recorded name, or of its last part where that is clear.

    Raises:
        CommandError: the app has none, or several.
    """
    known = target.app.registry.workflows
    if name in known:
        return known[name]
    matches = [full for full in known if full.rpartition(".")[2] == name]
    if len(matches) == 1:
        return known[matches[0]]
    if matches:
        raise CommandError(f"{name!r} may be {' or '.join(matches)}: write the full name")
    close = get_close_matches(name, known, n=1)
    advice = (
        f"did you mean {close[0]}?" if close else f"it has {', '.join(sorted(known)) or 'none'}"
    )
    raise CommandError(f"{target.name} has no workflow {name!r}: {advice}", Exit.NOT_FOUND)


def read_arguments(workflow: AnyWorkflow, texts: Sequence[str], whole: str | None) -> list[Any]:
    """Return the positional arguments that the command line gives for *workflow*.

    Raises:
        CommandError: something is not JSON, or is given twice.
        ArgumentsError: the arguments do not fit the parameters; names the fields.
    """
    if whole is not None and texts:
        raise CommandError("give the arguments one by one or with --json-args, not both")
    signature = workflow.signature
    given = _each(signature, texts) if whole is None else _whole(signature, whole)
    return _bind(signature, given)


def read_value(text: str, what: str) -> msgspec.Raw:
    """Return a JSON value as it is written, or text that stands for itself.

    Raises:
        CommandError: it begins as JSON and is not.
    """
    try:
        return _raw.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        if text.lstrip()[:1] in {"{", "[", '"'}:
            raise CommandError(f"{what} is not JSON: {error}: {text}") from None
        return msgspec.Raw(msgspec.json.encode(text))


def _each(signature: Signature, texts: Sequence[str]) -> Given:
    given: Given = {}
    for position, text in enumerate(texts):
        named = _NAMED.fullmatch(text)
        if named is not None and named[1] in signature.names:
            name, value = named[1], named[2]
        elif position >= len(signature.names):
            raise _too_many(signature, len(texts))
        else:
            name, value = signature.names[position], text
        if name in given:
            raise CommandError(f"the argument {name!r} is given twice")
        given[name] = read_value(value, f"the argument {name!r}")
    return given


def _whole(signature: Signature, text: str) -> Given:
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except OSError as error:
            raise CommandError(f"--json-args {text}: {error.strerror}") from error
    try:
        if not text.lstrip().startswith("["):
            return _object.decode(text)
        values = _array.decode(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise CommandError(
            f"--json-args is neither a JSON object by parameter name nor a list: {error}"
        ) from None
    if len(values) > len(signature.names):
        raise _too_many(signature, len(values))
    return dict(zip(signature.names, values, strict=False))


def _bind(signature: Signature, given: Given) -> list[Any]:
    unknown = [name for name in given if name not in signature.names]
    if unknown:
        raise CommandError(
            f"{signature.name} has no parameter {', '.join(unknown)}: {_usage(signature)}"
        )
    missing = [n for n in signature.names if n not in given and n not in signature.defaults]
    if missing:
        raise CommandError(f"{', '.join(missing)} is missing: {_usage(signature)}")
    hints = signature.hints()
    codec = object_codec({name: hints[name] for name in given}, signature.name)
    try:
        values: dict[str, Any] = codec.decode(msgspec.json.encode(given))
    except ValidationError as error:
        raise arguments_error(signature.name, error) from error
    values = {**signature.defaults, **values}
    return [values[name] for name in signature.names]


def _too_many(signature: Signature, count: int) -> CommandError:
    return CommandError(f"{count} arguments are too many: {_usage(signature)}")


def _usage(signature: Signature) -> str:
    parameters = ", ".join(str(parameter) for parameter in signature.parameters.values())
    return f"{signature.name} takes ({parameters})"
