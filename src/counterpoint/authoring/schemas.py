"""JSON Schemas of contracts: one text for what means the same, and how two of them differ.

In canonical form a schema has no titles, descriptions, examples and comments, one order, and
definitions that are named by number: the name of a nested class and the module that it is in are
no part of a contract. Definitions with the same content become one.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias
from urllib.parse import unquote

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Schema: TypeAlias = "dict[str, Json]"
Naming: TypeAlias = Callable[[str], str]

_SAYS_NOTHING = frozenset({"title", "description", "examples", "$comment", "deprecated"})
_DEFINITIONS = frozenset({"$defs", "definitions"})  # reached through references only
_UNORDERED = frozenset({"required", "enum", "type"})
_UNORDERED_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf"})
_SCHEMAS_BY_NAME = frozenset({"properties", "patternProperties", "dependentSchemas"})
_SCHEMAS = _UNORDERED_SCHEMAS | {
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


def canonical_schema(schema: Mapping[str, object]) -> str:
    """Return a JSON Schema as JSON text that is equal for schemas that mean the same.

    Titles, descriptions, examples, comments and marks of deprecation are left out; no order of keys
    counts, nor that of `required`, `enum`, `type`, `anyOf`, `oneOf`, `allOf` and of defaults of
    sets, nor the names and the order of definitions. Other defaults stay as they are.
    """
    return _canonical(Document.read(json.dumps(schema, default=str)))


class Document:
    """A schema whose references can be followed."""

    def __init__(self, root: Schema) -> None:
        self.root = root

    @staticmethod
    def read(text: str) -> "Document":
        """Return the document that a text holds; whole numbers become integers."""
        root: Schema = json.loads(text, parse_float=_number, parse_constant=str)
        return Document(root)

    def target(self, reference: str) -> Json:
        """Return the schema that a reference leads to; None if it leads out of the document."""
        if not reference.startswith("#"):
            return None
        found: Json = self.root
        for part in unquote(reference[1:]).split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                return None
            found = found[name]
        return found if isinstance(found, dict | bool) else None

    def part(self, schema: Schema) -> "Document":
        """Return a schema inside this document as a document of its own."""
        definitions = {name: self.root[name] for name in _DEFINITIONS if name in self.root}
        return Document({**schema, **definitions})

    def resolved(self, schema: Json) -> Schema:
        """Return a schema with what it refers to; what is written beside the reference wins."""
        beside: Schema = {}
        seen: set[str] = set()
        while isinstance(schema, dict) and isinstance(reference := schema.get("$ref"), str):
            target = self.target(reference)
            if target is None or reference in seen:
                break
            seen.add(reference)
            beside = {**{key: schema[key] for key in schema if key != "$ref"}, **beside}
            schema = target
        if isinstance(schema, dict):
            return {**schema, **beside}
        return beside if schema is True else {"not": {}, **beside}

    def alternatives(self, schema: Json) -> Iterator[Schema]:
        """Yield a schema, what it refers to, and everything that it is composed of."""
        waiting, references = [schema], set[str]()
        while waiting:
            current = waiting.pop()
            if not isinstance(current, dict):
                continue
            yield current
            for keyword in _UNORDERED_SCHEMAS & current.keys():
                waiting.extend(_list(current[keyword]))
            reference = current.get("$ref")
            if isinstance(reference, str) and reference not in references:
                references.add(reference)
                waiting.append(self.target(reference))


def _canonical(document: Document) -> str:
    digests = _digests(document)
    numbers = {digest: number for number, digest in enumerate(sorted(set(digests.values())), 1)}
    names = {reference: f"#/$defs/{numbers[digest]}" for reference, digest in digests.items()}

    def name(reference: str) -> str:
        return names.get(reference, reference)

    normal = _normal(document, document.root, name)
    if names and isinstance(normal, dict):
        definitions: Schema = {
            name.rpartition("/")[2]: _normal(
                document, document.target(reference), names.__getitem__
            )
            for reference, name in names.items()
        }
        normal["$defs"] = definitions
    return _text(normal)


def _digests(document: Document) -> dict[str, str]:
    """Return a digest of what each reference leads to, equal for equal content.

    Definitions may lead to each other in circles. So the digests are refined step by step: each is
    made of the content, with the digests of the step before in place of references. Every step
    keeps apart what the step before kept apart; once one tells no more apart, no later one will.
    """
    digests = dict.fromkeys(_references(document), "")
    told_apart = 0
    while True:

        def name(reference: str, digests: Mapping[str, str] = digests) -> str:
            return digests.get(reference, reference)

        digests = {
            reference: _digest(_normal(document, document.target(reference), name))
            for reference in digests
        }
        count = len(set(digests.values()))
        if count == told_apart:
            return digests
        told_apart = count


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
        if keyword in _SAYS_NOTHING or keyword in _DEFINITIONS:
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
        return {**value, "mapping": _mapping(value.get("mapping"), name)}
    if keyword in _SCHEMAS_BY_NAME and isinstance(value, dict):
        return {key: _normal(document, part, name) for key, part in value.items()}
    if keyword == "dependentRequired" and isinstance(value, dict):
        return {key: sorted(_list(names), key=_text) for key, names in value.items()}
    if keyword in _UNORDERED and isinstance(value, list):
        return sorted(value, key=_text)
    if keyword in _SCHEMAS:
        if isinstance(value, list):
            parts = [_normal(document, part, name) for part in value]
            return sorted(parts, key=_text) if keyword in _UNORDERED_SCHEMAS else parts
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
        members = [_default(document, member, items) for member in value]
        unordered = any(part.get("uniqueItems") is True for part in parts)
        return sorted(members, key=_text) if unordered else members
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


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
