"""A JSON Schema whose references, which may lead in circles, can be followed."""

import json
from collections.abc import Iterator
from typing import TypeAlias
from urllib.parse import unquote

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Schema: TypeAlias = "dict[str, Json]"

DEFINITIONS = frozenset({"$defs", "definitions"})
"""Where definitions are: what is there counts only if a reference leads to it."""
COMPOSITIONS = frozenset({"anyOf", "oneOf", "allOf"})


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
            for keyword in COMPOSITIONS & current.keys():
                waiting.extend(members(current[keyword]))
            reference = current.get("$ref")
            if isinstance(reference, str) and reference not in references:
                references.add(reference)
                waiting.append(self.target(reference))


def members(value: Json) -> list[Json]:
    """Return the members of a list; none of anything else."""
    return value if isinstance(value, list) else []


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
