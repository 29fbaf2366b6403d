"""Settings: what is given, then the environment, then the default; errors name the variable."""

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from counterpoint import DefinitionError, Settings

NUMBERS = [f.name for f in fields(Settings) if isinstance(f.default, int)]
DURATIONS = [f.name for f in fields(Settings) if isinstance(f.default, timedelta)]


def test_what_is_given_comes_before_the_environment_and_that_before_defaults() -> None:
    environ = {"COUNTERPOINT_MAX_RUNNING": "7", "COUNTERPOINT_THREADS_MAX": "8", "PATH": "x"}

    settings = Settings.load({"max_running": 5}, environ)

    assert (settings.max_running, settings.threads_max) == (5, 8)
    assert settings.max_resident == Settings().max_resident


@pytest.mark.parametrize("name", DURATIONS)
def test_durations_are_seconds_in_the_environment(name: str) -> None:
    settings = Settings.load({}, {f"COUNTERPOINT_{name.upper()}": "1.5"})

    assert getattr(settings, name) == timedelta(seconds=1.5)


def test_text_is_taken_as_it_is() -> None:
    assert Settings.load({}, {"COUNTERPOINT_STORE": "memory:"}).store == "memory:"


@pytest.mark.parametrize(
    ("name", "text"),
    [(n, t) for n in NUMBERS for t in ("many", "1.5", "", "0", "-1")]
    + [(n, t) for n in DURATIONS for t in ("soon", "", "-1", "nan", "inf", "1e300")],
)
def test_errors_name_the_variable(name: str, text: str) -> None:
    variable = f"COUNTERPOINT_{name.upper()}"

    with pytest.raises(DefinitionError, match=variable):
        Settings.load({}, {variable: text})


def test_an_unknown_setting_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DefinitionError, match="unknown setting max_runing; known: store, "):
        Settings.load({"max_runing": 1}, {})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_running": "5"}, "max_running takes a int"),
        ({"max_running": True}, "max_running takes a int"),
        ({"max_running": 0}, "max_running is at least 1"),
        ({"stop_within": 5}, "stop_within takes a timedelta"),
        ({"stop_within": timedelta(-1)}, "stop_within cannot be negative"),
        ({"store": None}, "store takes a str"),
    ],
)
def test_values_of_another_type_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Settings.load(given, {})
