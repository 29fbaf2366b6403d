"""Names that the journal could not hold are refused before they are recorded."""

import enum
from typing import Any

import pytest
from tests.unit.kernel.driving import run_workflow

from counterpoint import BusinessError, DefinitionError, Service, workflow
from counterpoint.errors import ArgumentsError
from counterpoint.model import records as r
from counterpoint.model.ids import check_signal_name
from counterpoint.model.states import Status

BAD: list[Any] = ["\udc80", "x" * 201, 5, b"go", None]


class Name(enum.StrEnum):
    GO = "go"


@pytest.mark.parametrize("name", BAD)
def test_signal_name_that_cannot_be_recorded_is_refused_in_the_workflow(name: Any) -> None:
    async def main() -> str:
        try:
            await workflow.signal(name)
        except ArgumentsError as error:
            return str(error)
        return ""

    driver = run_workflow(main)

    assert driver.result.startswith("the name of a signal ")
    assert driver.result == check_signal_name(name)
    assert driver.kinds() == ["Started", "Ended"]
    assert r.decode_records(r.encode_records(driver.journal)) == driver.journal


def test_signal_name_can_be_a_member_of_an_enumeration() -> None:
    async def main() -> Any:
        return await workflow.signal(Name.GO)

    driver = run_workflow(main).signal("go", 5)

    assert driver.result == 5
    assert type(driver.journal[1].name) is str  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["\udc80", "x" * 201, 5])
def test_definitions_with_such_names_are_refused(name: Any) -> None:
    service = Service("shop")

    async def act() -> None: ...
    async def undo() -> None: ...

    with pytest.raises(DefinitionError, match="the name of an activity"):
        service.activity(name=name)(act)
    with pytest.raises(DefinitionError, match="the name of a compensation"):
        service.activity(act).compensation(name=name)(undo)
    with pytest.raises(DefinitionError, match="the name of a workflow"):
        service.workflow(name=name)(act)
    with pytest.raises(DefinitionError, match="the name of a workflow"):
        service.saga(name=name)(act)
    with pytest.raises(DefinitionError, match="is not a service name"):
        Service(name)
    with pytest.raises(DefinitionError, match="the name of a business error"):
        type("Declined", (BusinessError,), {}, name=name)


def test_error_whose_type_has_such_a_name_is_recorded() -> None:
    class Odd(Exception):
        __module__ = "\udc80"

    async def main() -> None:
        raise Odd

    driver = run_workflow(main)

    assert driver.status is Status.FAILED
    assert driver.error.type.startswith("\\udc80.")
    assert r.decode_records(r.encode_records(driver.journal)) == driver.journal
