"""The diagrams in the guide are those that the commands write."""

import re
from datetime import timedelta
from pathlib import Path

import msgspec

from counterpoint.cli.demo_shop import place_order
from counterpoint.graph.flow_mermaid import flow_mermaid
from counterpoint.graph.reading import read_workflow
from counterpoint.graph.sequence_mermaid import sequence_mermaid
from counterpoint.graph.telling import story
from counterpoint.model import records as r
from counterpoint.runtime.description import journal_entries

PAGE = (Path(__file__).parents[3] / "docs/guides/drawing.md").read_text()
BLOCKS = re.findall(r"^```mermaid\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def declined_order() -> list[r.Record]:
    ms = 1000
    order = {"order": "order-7"}
    down = r.Failure("builtins.ConnectionError", "the warehouse does not answer")
    short = r.Failure("inventory.OutOfStock", "wanted=9, left=3")
    second = timedelta(seconds=1) // timedelta(microseconds=1)
    return [
        r.Started(0, "orders.place_order", 1, raw({**order, "total": 60, "pieces": 9})),
        r.CallScheduled(1, "orders.create", raw(order), True),
        r.CallCompleted(31 * ms, 1, raw("order-7")),
        r.CallScheduled(2, "payments.charge", raw({**order, "total": 60}), True),
        r.CallCompleted(63 * ms, 2, raw("receipt-order-7")),
        r.CallScheduled(3, "inventory.reserve", raw({**order, "pieces": 9}), True),
        r.AttemptFailed(64 * ms, 3, 1, down, True, second),
        r.AttemptStarted(second, 3, 2),
        r.CallFailed(second + ms, 3, short, 2, False),
        r.CompensationStarted(second + ms, short),
        r.CompensationScheduled(2, "payments.refund"),
        r.CompensationCompleted(second + 32 * ms, 2),
        r.CompensationScheduled(1, "orders.discard"),
        r.CompensationCompleted(second + 64 * ms, 1),
        r.Ended(second + 64 * ms, "compensated", error=short),
    ]


def test_the_flowchart_of_the_guide_is_what_draw_writes() -> None:
    assert BLOCKS[0] == flow_mermaid(read_workflow(place_order))


def test_the_sequence_diagram_of_the_guide_is_what_show_writes() -> None:
    tale = story("order-7", journal_entries(declined_order()))

    assert BLOCKS[-1] == sequence_mermaid(tale)
