"""The journals of reactions that were recorded once are read by every later engine, whole."""

import json
from typing import Any, get_args

import pytest
from tests.histories.reactions import FILE
from tests.histories.test_histories import starts_with

from counterpoint.model import records as r

LINES: list[dict[str, Any]] = [json.loads(line) for line in FILE.read_text().splitlines()]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["key"])
def test_the_journal_of_a_reaction_is_read_with_everything_that_it_holds(
    line: dict[str, Any],
) -> None:
    body = json.dumps(line["records"]).encode()

    again = json.loads(r.encode_records(r.decode_records(body)))

    assert len(again) == len(line["records"]) > 0
    for old, new in zip(line["records"], again, strict=True):
        assert starts_with(new, old)  # fields are only ever added, at the end


def test_every_act_on_a_dead_letter_is_among_them() -> None:
    found = {type(one) for line in LINES for one in read(line)}

    assert found >= {r.AttemptFailed, r.Died, r.Redriven, r.Discarded}
    assert found <= set(get_args(r.Record))
    assert any(isinstance(one, r.Redriven) and one.edited for line in LINES for one in read(line))


def test_there_are_reactions_in_every_status_that_a_failure_leads_to() -> None:
    assert {line["status"] for line in LINES} == {"completed", "dead", "discarded"}


def read(line: dict[str, Any]) -> list[r.Record]:
    return r.decode_records(json.dumps(line["records"]).encode())
