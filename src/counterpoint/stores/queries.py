"""SQL from the package's `.sql` files: each query has a name line, a sentence and a statement."""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def read_sql(path: str) -> str:
    """Return the text of one file below `sql/`, such as `sqlite/journal.sql`."""
    return files("counterpoint.stores").joinpath("sql", *path.split("/")).read_text("utf-8")


@cache
def load_queries(*paths: str) -> dict[str, str]:
    """Return the queries of some files by name, without their comments."""
    queries: dict[str, str] = {}
    for path in paths:
        _, *parts = _NAME.split(read_sql(path))
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            lines = [line for line in text.strip().splitlines() if not line.startswith("--")]
            queries[name] = "\n".join(lines).strip()
    return queries


@cache
def queries_of(schema: str, *paths: str) -> dict[str, str]:
    """Return the queries of some files by name, about the tables of a schema."""
    return {name: in_schema(text, schema) for name, text in load_queries(*paths).items()}


def in_schema(text: str, schema: str) -> str:
    """Return a statement with the schema's name, as it stands in SQL, in the braces' place."""
    return text.replace("{schema}", schema)
