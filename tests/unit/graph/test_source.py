"""Where source is found, and what may be made of it."""

import asyncio
import contextlib
import functools
from typing import Any

from tests.unit.graph import drawn

from counterpoint import workflow
from counterpoint.graph.source import function_node, shown
from counterpoint.graph.vocabulary import Verb, definition_of, function_of, is_followed, verb_of


def test_the_tree_of_a_decorated_function_is_found_by_its_place() -> None:
    node = function_node(drawn.straight.function)  # type: ignore[arg-type]

    assert node is not None
    assert node.name == "straight"


def test_a_function_without_a_file_or_with_another_source_has_no_tree() -> None:
    scope: dict[str, Any] = {"__name__": "made"}
    exec(compile("def made(): ...", "<made>", "exec"), scope)  # noqa: S102 - has no file

    assert function_node(scope["made"]) is None


def test_long_source_is_shortened() -> None:
    node = function_node(drawn.expressions.function)  # type: ignore[arg-type]

    assert len(shown(node)) == 80
    assert shown(node).endswith("…")


def test_only_functions_of_the_user_are_followed() -> None:
    managed = function_of(drawn.announced)

    assert managed is not None
    assert managed.__name__ == "announced", "not the one of contextlib"
    assert is_followed(managed, drawn.__name__)
    assert not is_followed(contextlib.asynccontextmanager, drawn.__name__)  # type: ignore[arg-type]
    assert not is_followed(workflow.signal, drawn.__name__)  # type: ignore[arg-type]
    assert function_of(drawn.create) is None


def test_what_a_name_means_is_known_by_the_object_behind_it() -> None:
    twice = functools.partial(functools.partial(drawn.charge, "a"), "b")

    assert definition_of(twice) is drawn.charge
    assert definition_of(drawn.straight) is drawn.straight
    assert [verb_of(one) for one in (workflow.signal, asyncio.gather, print)] == [
        Verb.SIGNAL,
        Verb.GATHER,
        None,
    ]
