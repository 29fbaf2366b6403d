"""JSON Schemas of contracts: one text for what means the same, and how two of them differ.

In canonical form a schema has no titles, descriptions, examples and comments, one order, and
definitions that are named by number: the name of a nested class and the module that it is in are
no part of a contract. Definitions with the same content become one.
"""

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from counterpoint.authoring.schema_document import (
    COMPOSITIONS,
    DEFINITIONS,
    Document,
    Json,
    Schema,
    members,
)

Naming: TypeAlias = Callable[[str], str]
_Seen: TypeAlias = "frozenset[tuple[str | None, str | None]]"

DIFFERENCES_MAX = 10
_VALUES_SHOWN_MAX = 5
_SHOWN_CHARS_MAX = 60
_ABSENT = "\ud800"  # no default: no text that JSON in UTF-8 can hold

_SAYS_NOTHING = frozenset({"title", "description", "examples", "$comment", "deprecated"})
_UNORDERED = frozenset({"required", "enum", "type"})
_SCHEMAS_BY_NAME = frozenset({"properties", "patternProperties", "dependentSchemas"})
_SCHEMAS = COMPOSITIONS | {
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
}

_COMPARED = (
    _SAYS_NOTHING
    | DEFINITIONS
    | _UNORDERED
    | {
        "$ref",
        "additionalProperties",
        "const",
        "default",
        "discriminator",
        "format",
        "items",
        "prefixItems",
        "properties",
        "uniqueItems",
    }
)
_WORDS = {
    "array": "a list",
    "boolean": "a boolean",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "set": "a set",
    "string": "a string",
}


def canonical_schema(schema: Mapping[str, object]) -> str:
    """Return a JSON Schema as JSON text that is equal for schemas that mean the same.

    Titles, descriptions, examples, comments and marks of deprecation are left out; no order of keys
    counts, nor that of `required`, `enum`, `type`, `anyOf`, `oneOf`, `allOf` and of defaults of
    sets, nor the names and the order of definitions. Other defaults stay as they are.
    """
    return _canonical(Document.read(json.dumps(schema, default=str)))


def _canonical(document: Document) -> str:
    [digests] = _digests(document)
    numbers = {digest: number for number, digest in enumerate(sorted(set(digests.values())), 1)}
    names = {reference: f"#/$defs/{numbers[digest]}" for reference, digest in digests.items()}
    normal = _normal(document, document.root, _named(names))
    if names and isinstance(normal, dict):
        definitions: Schema = {
            name.rpartition("/")[2]: _normal(document, document.target(reference), _named(names))
            for reference, name in names.items()
        }
        normal["$defs"] = definitions
    return _text(normal)


def _digests(*documents: Document) -> list[dict[str, str]]:
    """Return digests of what the references in each document lead to, equal for equal content.

    Definitions may lead to each other in circles. So the digests are refined step by step: each is
    made of the content, with the digests of the step before in place of references. Every step
    keeps apart what the step before kept apart; once one tells no more apart, no later one will.
    """
    digests = [dict.fromkeys(_references(document), "") for document in documents]
    told_apart = 0
    while True:
        digests = [
            {
                reference: _digest(_normal(document, document.target(reference), _named(known)))
                for reference in known
            }
            for document, known in zip(documents, digests, strict=True)
        ]
        count = len({digest for known in digests for digest in known.values()})
        if count == told_apart:
            return digests
        told_apart = count


def _named(names: Mapping[str, str]) -> Naming:
    def name(reference: str) -> str:
        return names.get(reference, reference)

    return name


def _references(document: Document) -> list[str]:
    """Return the references that can be reached, each once."""
    found: dict[str, None] = {}
    waiting: list[Json] = [document.root]

    def note(reference: str) -> str:
        target = document.target(reference)
        if target is not None and reference not in found:
            found[reference] = None
            waiting.append(target)
        return reference

    while waiting:
        _normal(document, waiting.pop(), note)
    return list(found)


def _normal(document: Document, schema: Json, name: Naming) -> Json:
    """Return a schema in canonical order with references named by *name*."""
    if not isinstance(schema, dict):
        return schema
    normal: Schema = {}
    for keyword, value in schema.items():
        if keyword in _SAYS_NOTHING or keyword in DEFINITIONS:
            continue
        if keyword == "default":
            normal[keyword] = _default(document, value, [schema])
        else:
            normal[keyword] = _normal_value(document, keyword, value, name)
    if normal.get("required") == []:
        del normal["required"]
    return normal


def _normal_value(document: Document, keyword: str, value: Json, name: Naming) -> Json:
    if keyword == "$ref" and isinstance(value, str):
        return name(value)
    if keyword == "discriminator" and isinstance(value, dict):
        return {key: _mapping(part, name) for key, part in value.items()}
    if keyword in _SCHEMAS_BY_NAME and isinstance(value, dict):
        return {key: _normal(document, part, name) for key, part in value.items()}
    if keyword == "dependentRequired" and isinstance(value, dict):
        return {key: sorted(members(names), key=_text) for key, names in value.items()}
    if keyword in _UNORDERED and isinstance(value, list):
        return sorted(value, key=_text)
    if keyword in _SCHEMAS:
        if isinstance(value, list):
            parts = [_normal(document, part, name) for part in value]
            return sorted(parts, key=_text) if keyword in COMPOSITIONS else parts
        return _normal(document, value, name)
    return value


def _mapping(mapping: Json, name: Naming) -> Json:
    if not isinstance(mapping, dict):
        return mapping
    return {tag: name(to) if isinstance(to, str) else to for tag, to in mapping.items()}


def _default(document: Document, value: Json, schemas: list[Json]) -> Json:
    """Return a default in which the members of sets, which come in any order, are sorted."""
    parts = [part for schema in schemas for part in document.alternatives(schema)]
    if isinstance(value, list):
        items = [part["items"] for part in parts if "items" in part]
        values = [_default(document, member, items) for member in value]
        unordered = any(part.get("uniqueItems") is True for part in parts)
        return sorted(values, key=_text) if unordered else values
    if isinstance(value, dict):
        return {
            key: _default(document, member, [_member(part, key) for part in parts])
            for key, member in value.items()
        }
    return value


def _member(schema: Schema, name: str) -> Json:
    """Return the schema of one property of an object."""
    properties = schema.get("properties")
    if isinstance(properties, dict) and name in properties:
        return properties[name]
    return schema.get("additionalProperties")


def _digest(value: Json) -> str:
    return hashlib.blake2b(_text(value).encode(), digest_size=16).hexdigest()


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def schema_difference(published: str, declared: str) -> list[str]:
    """Return in words, field by field, how a declared schema differs from the published one.

    There are at most ten lines and one that counts the others, and none if both mean the same.
    """
    was, now = Document.read(published), Document.read(declared)
    if _canonical(was) == _canonical(now):
        return []
    lines = _Comparison(was, now).run() or ["the event: its schema is another one"]
    more = len(lines) - DIFFERENCES_MAX
    return [*lines[:DIFFERENCES_MAX], f"and {more} more"] if more > 0 else lines


class _Branch(NamedTuple):
    """One of the alternatives that a value has, and the reference that led to it, if one did."""

    reference: str | None
    schema: Schema


class _Comparison:
    """Walks through two schemas side by side; *place* is the path of a field, empty at the top.

    What is less deep comes first. What is nested in itself is compared once: `seen` are the pairs
    of references on the way to a place. Where types lead to each other in many ways, each pair
    is compared in ten places at most.
    """

    def __init__(self, was: Document, now: Document) -> None:
        self.was = was
        self.now = now
        self.names_was, self.names_now = map(_named, _digests(was, now))
        self.lines: list[str] = []
        self.waiting: deque[tuple[str, Json, Json, _Seen]] = deque()
        self.visits = Counter[tuple[str | None, str | None]]()

    def run(self) -> list[str]:
        """Return the differences, each once."""
        self._compare("", self.was.root, self.now.root, frozenset())
        while self.waiting:
            self._compare_now(*self.waiting.popleft())
        return list(dict.fromkeys(self.lines))

    def _compare(self, place: str, was: Json, now: Json, seen: _Seen) -> None:
        """Add the differences between what may stand in one place, when its turn comes."""
        if not self._same("items", was, now):
            self.waiting.append((place, was, now, seen))

    def _compare_now(self, place: str, was: Json, now: Json, seen: _Seen) -> None:
        pair = (_reference(was), _reference(now))
        if self._is_known(pair, seen):
            return
        seen |= {pair}
        gone, new = _branches(self.was, was), _branches(self.now, now)
        described = _described_all(gone), _described_all(new)
        self._drop_equal(gone, new)
        for kind in (_variant, _kind):
            for before, after in _twins(gone, new, kind):
                gone.remove(before)
                new.remove(after)
                twins = (before.reference, after.reference)
                if not self._is_known(twins, seen):
                    self._alike(place, before.schema, after.schema, seen | {twins})
        if gone or new:
            self._changed(place, *described)

    def _is_known(self, pair: tuple[str | None, str | None], seen: _Seen) -> bool:
        if pair == (None, None):
            return False
        if pair in seen:
            return True
        self.visits[pair] += 1
        return self.visits[pair] > DIFFERENCES_MAX

    def _drop_equal(self, gone: list[_Branch], new: list[_Branch]) -> None:
        for branch in list(gone):
            for other in new:
                if self._same("items", branch.schema, other.schema):
                    gone.remove(branch)
                    new.remove(other)
                    break

    def _alike(self, place: str, was: Schema, now: Schema, seen: _Seen) -> None:
        """Compare two schemas of one kind, neither of which has alternatives."""
        before, after = _values(was), _values(now)
        if before is not None and after is not None:
            for value in _only_in(before, after):
                self._say(place, f"the value {_shown(value)} is gone")
            for value in _only_in(after, before):
                self._say(place, f"the value {_shown(value)} is new")
        elif _described(was) != _described(now):
            self._changed(place, _described(was), _described(now))
        self._properties(place, was, now, seen)
        self._other_properties(place, was, now, seen)
        self._positions(place, was, now, seen)
        self._compare(f"{place}[]", was.get("items", True), now.get("items", True), seen)
        for keyword in sorted((was.keys() | now.keys()) - _COMPARED):
            if not self._same(keyword, was.get(keyword), now.get(keyword)):
                self._keyword(place, keyword, was.get(keyword), now.get(keyword))

    def _properties(self, place: str, was: Schema, now: Schema, seen: _Seen) -> None:
        before, after = _dict(was.get("properties")), _dict(now.get("properties"))
        for name in sorted(before.keys() | after.keys()):
            field = f"{place}.{name}" if place else name
            if name not in after:
                self._say(field, "is gone")
                continue
            need = _need(now, name)
            default = self.now.resolved(after[name]).get("default", _ABSENT)
            if name not in before:
                shown = "" if default is _ABSENT else f", default {_shown(default)}"
                self._say(field, f"is new ({need}{shown})")
                continue
            if need != _need(was, name):
                self._say(field, f"was {_need(was, name)}, is {need}")
            self._default(field, self.was.resolved(before[name]).get("default", _ABSENT), default)
            self._compare(field, before[name], after[name], seen)

    def _default(self, place: str, was: Json, now: Json) -> None:
        if _text(was) == _text(now):
            return
        if was == _ABSENT:
            self._say(place, f"has a default now, {_shown(now)}")
        elif now == _ABSENT:
            self._say(place, f"has no default now, it was {_shown(was)}")
        else:
            self._say(place, f"default was {_shown(was)}, is {_shown(now)}")

    def _other_properties(self, place: str, was: Schema, now: Schema, seen: _Seen) -> None:
        """Compare what fields without a name of their own may be, such as those of a mapping."""
        before, after = (schema.get("additionalProperties", True) for schema in (was, now))
        if (before is False) != (after is False):
            words = ("allowed", "forbidden") if after is False else ("forbidden", "allowed")
            self._say(place, f"other fields were {words[0]}, are {words[1]}")
        elif after is not False:
            self._compare(f"{place}[key]", before, after, seen)

    def _positions(self, place: str, was: Schema, now: Schema, seen: _Seen) -> None:
        before, after = members(was.get("prefixItems")), members(now.get("prefixItems"))
        for index in range(max(len(before), len(after))):
            position = f"{place}[{index}]"
            if index >= len(before):
                self._say(position, "is new")
            elif index >= len(after):
                self._say(position, "is gone")
            else:
                self._compare(position, before[index], after[index], seen)

    def _keyword(self, place: str, keyword: str, was: Json, now: Json) -> None:
        if isinstance(was, dict | list) or isinstance(now, dict | list):
            self._say(place, f"{keyword} has changed")
        elif was is None:
            self._say(place, f"{keyword} {_shown(now)} is new")
        elif now is None:
            self._say(place, f"{keyword} {_shown(was)} is gone")
        else:
            self._say(place, f"{keyword} was {_shown(was)}, is {_shown(now)}")

    def _changed(self, place: str, was: str, now: str) -> None:
        self._say(place, f"was {was}, is {now if now != was else 'another one'}")

    def _say(self, place: str, words: str) -> None:
        self.lines.append(f"field {place}: {words}" if place else f"the event: {words}")

    def _same(self, keyword: str, was: Json, now: Json) -> bool:
        before = _normal(self.was, {keyword: was}, self.names_was)
        after = _normal(self.now, {keyword: now}, self.names_now)
        return _text(before) == _text(after)


def _branches(document: Document, schema: Json) -> list[_Branch]:
    """Return the alternatives of a schema: one if it has no others."""
    found: list[_Branch] = []
    followed: set[str] = set()

    def follow(schema: Json, reference: str | None) -> None:
        resolved = document.resolved(schema)
        for keyword in ("anyOf", "oneOf"):
            if keyword in resolved:
                for part in members(resolved[keyword]):
                    inner = _reference(part)
                    if inner not in followed:
                        followed.update([inner] if inner else [])
                        follow(part, inner or reference)
                return
        types = resolved.get("type")
        if isinstance(types, list):
            found.extend(_Branch(reference, {**resolved, "type": one}) for one in types)
        else:
            found.append(_Branch(reference, resolved))

    follow(schema, None)
    return found


def _twins(
    gone: list[_Branch], new: list[_Branch], kind: Callable[[Schema], str]
) -> list[tuple[_Branch, _Branch]]:
    """Return those that are the only ones of their kind on either side."""
    before = [kind(branch.schema) for branch in gone]
    after = [kind(branch.schema) for branch in new]
    return [
        (branch, new[after.index(own)])
        for branch, own in zip(gone, before, strict=True)
        if before.count(own) == 1 == after.count(own)
    ]


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "anything"


def _variant(schema: Schema) -> str:
    """Return the kind of a schema and what tells it from others of that kind: constant fields."""
    properties = _dict(schema.get("properties"))
    constants = [
        f"{name} {_shown(part['const'])}"
        for name, part in sorted(properties.items())
        if isinstance(part, dict) and "const" in part
    ]
    return ", ".join([_kind(schema), *constants])


def _described_all(branches: list[_Branch]) -> str:
    words: list[str] = []
    for _, schema in branches:
        _, _, constants = _variant(schema).partition(", ")
        words.append(_described(schema) + (f" with {constants}" if constants else ""))
    return " or ".join(sorted(words, key=lambda word: (word == "null", word))) or "nothing"


def _described(schema: Schema) -> str:
    values = _values(schema)
    if values is not None:
        shown = ", ".join(map(_shown, values[:_VALUES_SHOWN_MAX]))
        more = ", …" if len(values) > _VALUES_SHOWN_MAX else ""
        return f"the value {shown}" if len(values) == 1 else f"one of {shown}{more}"
    kind = "set" if schema.get("uniqueItems") is True else _kind(schema)
    words = _WORDS.get(kind, "anything")
    return f"{words} ({schema['format']})" if "format" in schema else words


def _values(schema: Schema) -> list[Json] | None:
    return [schema["const"]] if "const" in schema else members(schema.get("enum")) or None


def _only_in(values: list[Json], others: list[Json]) -> list[Json]:
    texts = {_text(other) for other in others}
    return [value for value in values if _text(value) not in texts]


def _need(schema: Schema, name: str) -> str:
    return "required" if name in members(schema.get("required")) else "optional"


def _reference(schema: Json) -> str | None:
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    return reference if isinstance(reference, str) else None


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[: _SHOWN_CHARS_MAX - 1]}…"


def _dict(value: Json) -> Schema:
    return value if isinstance(value, dict) else {}
