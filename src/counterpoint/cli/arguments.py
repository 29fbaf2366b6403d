"""The arguments of a workflow as they are written on a command line.

Each is a JSON value, in order, or `name=` and a JSON value. Text that cannot be JSON (it does not
begin like an object, a list or a string, and is no number or literal) stands for itself, so that
`Ada` need not be written `'"Ada"'`. So does what is JSON, where the parameter takes text only: `2`
is the number where that fits, and the text where it does not. What was written is decoded by the
workflow's own signature.
"""

import json
import re
import shlex
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from counterpoint.authoring.registry import AnyWorkflow
from counterpoint.authoring.signature import Codec, Signature, arguments_error, object_codec
from counterpoint.cli.failures import CommandError, Exit, user_input
from counterpoint.cli.output import shorten
from counterpoint.cli.target import Target
from counterpoint.errors import ArgumentsError

Given = dict[str, msgspec.Raw]
_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_SHOWN_CHARS_MAX = 60
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
        CommandError: something is not JSON, is given twice, or cannot be used for another reason.
        ArgumentsError: the arguments do not fit the parameters; names the fields.
        PayloadError: they cannot be recorded.
    """
    if whole is not None and texts:
        raise CommandError("give the arguments one by one or with --json-args, not both")
    signature = workflow.signature
    with user_input(f"{signature.name} cannot be started with these arguments"):
        written = {} if whole is not None else _each(signature, texts)
        given = _whole(signature, whole) if whole is not None else _fitting(signature, written)
        values = _bind(signature, given, written)
        signature.decode_arguments(signature.encode_arguments(tuple(values), {}))
    return values


def read_value(text: str, what: str) -> msgspec.Raw:
    """Return a JSON value as it is written, or text that stands for itself.

    Raises:
        CommandError: it begins as JSON and is not.
    """
    try:
        return _raw.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        if text.lstrip()[:1] in {"{", "[", '"'}:
            raise CommandError(
                f"{what} is not JSON: {error}: {text}; as text, write {_as_text(text)}"
            ) from None
        with user_input(what):
            return _text(text)
    except RecursionError:
        raise CommandError(f"{what} is nested too deeply") from None


def _text(text: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(text))


def _as_text(text: str) -> str:
    """Return how a shell is given *text* as a JSON string."""
    return shlex.quote(shorten(json.dumps(text, ensure_ascii=False), _SHOWN_CHARS_MAX))


def _each(signature: Signature, texts: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
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
        given[name] = value
    return given


def _fitting(signature: Signature, written: dict[str, str]) -> Given:
    """Return each argument as the JSON value that it is, or as text where only that fits."""
    hints = signature.hints()
    given: Given = {}
    for name, text in written.items():
        value = read_value(text, f"the argument {name!r}")
        codec = object_codec({name: hints[name]}, signature.name)
        if not _fits(codec, name, value) and _fits(codec, name, _text(text)):
            value = _text(text)
        given[name] = value
    return given


def _fits(codec: Codec, name: str, value: msgspec.Raw) -> bool:
    try:
        codec.decode(msgspec.json.encode({name: value}))
    except ValidationError:
        return False
    return True


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


def _bind(signature: Signature, given: Given, written: dict[str, str]) -> list[Any]:
    unknown = [name for name in given if name not in signature.names]
    if unknown:
        raise CommandError(
            f"{signature.name} has no parameter {', '.join(unknown)}: {_usage(signature)}"
        )
    positional = signature.names[: signature.positional]
    named_only = [name for name in given if name not in positional]
    if named_only:
        raise CommandError(
            f"{', '.join(named_only)} cannot be given: a start passes arguments by position; take "
            f"the * out of the parameters. {_usage(signature)}"
        )
    missing = [n for n in signature.names if n not in given and n not in signature.defaults]
    if missing:
        raise CommandError(f"{', '.join(missing)} is missing: {_usage(signature)}")
    hints = signature.hints()
    codec = object_codec({name: hints[name] for name in given}, signature.name)
    try:
        values: dict[str, Any] = codec.decode(msgspec.json.encode(given))
    except ValidationError as error:
        wrong = arguments_error(signature.name, error)
        raise ArgumentsError(
            f"{wrong}{_advice(given, written, wrong.fields)}", fields=wrong.fields
        ) from error
    values = {**signature.defaults, **values}
    return [values[name] for name in positional]


def _advice(given: Given, written: dict[str, str], fields: Sequence[str]) -> str:
    """Return how text is written, where a value was read as something else and did not fit."""
    for name, text in written.items():
        if name in fields and not bytes(given[name]).startswith(b'"'):
            return f"; as text, write {_as_text(text)}"
    return ""


def _too_many(signature: Signature, count: int) -> CommandError:
    return CommandError(f"{count} arguments are too many: {_usage(signature)}")


def _usage(signature: Signature) -> str:
    parameters = ", ".join(str(parameter) for parameter in signature.parameters.values())
    return f"{signature.name} takes ({parameters})"
