"""Errors of users whose classes refuse to be touched: they end a workflow like any other."""

from dataclasses import dataclass
from typing import Any, NoReturn

import pytest
from tests.unit.kernel.driving import run_workflow

from counterpoint import BusinessError, Service
from counterpoint.model.states import Status


@dataclass(frozen=True)
class Frozen(Exception):
    code: int = 7


class Refusing(Exception):
    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise RuntimeError(f"no {name}")


class Nothing(Exception):
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no attributes")


@dataclass(frozen=True)
class Declined(BusinessError):
    reason: str = "limit"


@pytest.mark.parametrize("kind", [Frozen, Refusing, Nothing])
@pytest.mark.parametrize("saga", [False, True])
def test_error_that_cannot_be_changed_ends_the_workflow(
    kind: type[Exception], *, saga: bool
) -> None:
    async def main() -> None:
        raise kind

    driver = run_workflow(main, saga=saga)

    assert driver.status is Status.FAILED
    assert driver.error.type == f"{__name__}.{kind.__name__}"
    assert driver.replayed().status is Status.FAILED


def test_frozen_business_error_is_recorded_and_read() -> None:
    service = Service("shop")

    @service.activity
    async def act() -> None: ...

    async def main() -> str:
        try:
            await act()
        except Declined as error:
            return error.reason
        return ""

    driver = run_workflow(main, service=service)
    driver.fail(1, Declined(reason="no money"))

    assert driver.result == "no money"
    assert driver.replayed().result == "no money"
