"""Every feature that leaves something in a journal has a journal that is replayed."""

from pathlib import Path

import pytest
from tests.histories.features import (
    OF_ACTIVITIES,
    OF_INCIDENTS,
    OF_OPERATORS,
    OF_WORKFLOWS,
    SHOWN,
)

from counterpoint import Cause, Execution, activity, workflow

FOLDER = Path(__file__).parent / "format-1"
ONLY_READ = {"describe", "journal", "result", "id"}


@pytest.mark.parametrize(("file", "shows"), [row for _, row in SHOWN], ids=[n for n, _ in SHOWN])
def test_the_feature_is_in_the_journal_that_is_said_to_show_it(file: str, shows: str) -> None:
    assert shows in (FOLDER / f"{file}.jsonl").read_text()


def test_every_name_of_a_workflow_and_of_an_activity_is_shown() -> None:
    assert set(OF_WORKFLOWS) == set(workflow.__all__)
    assert set(OF_ACTIVITIES) == set(activity.__all__)


def test_every_act_of_an_operator_is_shown() -> None:
    acts = {name for name in vars(Execution) if not name.startswith("_")}

    assert set(OF_OPERATORS) == acts - ONLY_READ


def test_every_cause_of_an_incident_is_shown() -> None:
    assert set(OF_INCIDENTS) == {cause.value for cause in Cause}
