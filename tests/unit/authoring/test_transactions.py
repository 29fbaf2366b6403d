"""Which parameter is a transaction, who is given it, and what is refused when it is declared."""

from typing import Any

import pytest

from counterpoint import (
    DefinitionError,
    Event,
    Service,
    Transaction,
    postgres,
    sqlite,
)
from counterpoint.authoring.registry import Registry
from counterpoint.authoring.transactional import TransactionalActivity
from counterpoint.runtime.transactions import check_transactions
from counterpoint.stores.memory import MemoryStore
from counterpoint.stores.sqlite import SqliteStore


class Connection:
    """A connection of a test's own."""

    async def execute(self, query: str, /, *args: Any) -> str:
        return f"{query} {args}"


@pytest.fixture
def bank() -> Service:
    return Service("bank")


def test_the_transaction_is_no_argument(bank: Service) -> None:
    @bank.activity
    async def charge(tx: Transaction, order_id: str, cents: int = 5) -> None: ...

    assert isinstance(charge, TransactionalActivity)
    assert charge.signature.names == ("order_id", "cents")
    assert bytes(charge.signature.encode_arguments(("o",), {})) == b'{"order_id":"o","cents":5}'
    with pytest.raises(TypeError, match="too many positional"):
        charge.signature.encode_arguments((Connection(), "o", 5), {})


@pytest.mark.parametrize(
    ("hint", "kind"),
    [(Transaction, "any"), (postgres.Transaction, "postgres"), (sqlite.Transaction, "sqlite")],
)
def test_its_type_says_what_it_is(bank: Service, hint: Any, kind: str) -> None:
    async def charge(tx: Any, order_id: str) -> None: ...

    charge.__annotations__["tx"] = hint

    declared = bank.activity(charge)
    assert declared.transaction is not None
    assert declared.transaction.kind == kind


def test_an_annotation_that_is_text_is_read_too(bank: Service) -> None:
    async def charge(tx: "Transaction", order_id: "str") -> None: ...

    declared = bank.activity(charge)
    assert declared.transaction is not None
    assert declared.signature.names == ("order_id",)


def test_a_function_without_one_stays_what_it_was(bank: Service) -> None:
    @bank.activity
    async def charge(order_id: str) -> None: ...

    assert charge.transaction is None
    assert not isinstance(charge, TransactionalActivity)


async def test_called_by_hand_it_is_given_the_connection_of_its_caller(bank: Service) -> None:
    @bank.activity
    async def charge(tx: Transaction, order_id: str) -> str:
        return await tx.execute("INSERT", order_id)

    assert await charge.within(Connection(), "o") == "INSERT ('o',)"  # type: ignore[arg-type]
    assert await charge.function(Connection(), "o") == "INSERT ('o',)"  # type: ignore[call-arg, arg-type, misc]


def test_a_compensation_may_have_one_at_any_place(bank: Service) -> None:
    @bank.activity
    async def charge(tx: Transaction, order_id: str) -> int:
        return 1

    @charge.compensation
    async def give_back(order_id: str, tx: Transaction, result: int | None) -> None: ...

    assert charge.undo is not None
    assert charge.undo.signature.names == ("order_id", "result")


async def test_a_reaction_may_have_one_before_or_after_its_event(bank: Service) -> None:
    @bank.event(key="order_id")
    class Ordered(Event):
        order_id: str

    @bank.on(Ordered)
    async def before(tx: Transaction, event: Ordered) -> None:
        await tx.execute(event.order_id)

    @bank.on(Ordered)
    async def after(event: Ordered, tx: Transaction) -> None:
        await tx.execute(event.order_id)

    for reaction in (before, after):
        assert reaction.parameter == "event"
        await reaction(Ordered(order_id="o"), Connection())


def test_what_cannot_work_is_refused_with_what_to_write(bank: Service) -> None:
    def plain(tx: Transaction, order_id: str) -> None: ...
    async def second(order_id: str, tx: Transaction) -> None: ...
    async def two(tx: Transaction, other: sqlite.Transaction) -> None: ...
    async def nameless(tx: Transaction, /) -> None: ...

    with pytest.raises(DefinitionError, match="write `async def plain` and await what 'tx' does"):
        bank.activity(plain)
    with pytest.raises(
        DefinitionError, match=r"first parameter.*async def second\(tx: counterpoint"
    ):
        bank.activity(second)
    with pytest.raises(DefinitionError, match="'tx' and 'other': there is one for each attempt"):
        bank.activity(two)
    with pytest.raises(DefinitionError, match="needs a name of its own"):
        bank.activity(nameless)


def test_a_workflow_has_none(bank: Service) -> None:
    @bank.workflow
    async def run(tx: Transaction) -> None: ...

    with pytest.raises(DefinitionError, match="Pydantic cannot validate"):
        run.resolve()


@pytest.mark.parametrize("hint", [Transaction, postgres.Transaction, sqlite.Transaction])
def test_a_store_refuses_what_it_cannot_give(bank: Service, hint: Any, tmp_path: Any) -> None:
    async def charge(tx: Any) -> None: ...

    charge.__annotations__["tx"] = hint
    bank.activity(charge)
    registry = Registry([bank], payload_bytes_max=1000)

    with pytest.raises(DefinitionError, match=r"bank\.charge takes tx: .*has no transactions"):
        check_transactions(registry, MemoryStore())
    if hint is postgres.Transaction:
        with pytest.raises(DefinitionError, match="is no PostgreSQL database: annotate it with"):
            check_transactions(registry, SqliteStore(tmp_path / "bank.db"))
    else:
        check_transactions(registry, SqliteStore(tmp_path / "bank.db"))
