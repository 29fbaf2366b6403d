"""The PostgreSQL store keeps every promise of the port, with one node and with several."""

from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest
import pytest_asyncio
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from tests.postgres.server import BackDoor, Schemas, Server, back_door, postgres, schemas, url

from counterpoint.model.messages import ActRow, SubscriptionRow
from counterpoint.model.rows import ExecutionRow, MailRow
from counterpoint.ports.store import Store, StoreFeatures
from counterpoint.stores.postgres import PostgresStore
from counterpoint.testing.conformance.store import StoreConformance
from counterpoint.testing.conformance.store_model import StoreModel

__all__ = ["back_door", "postgres", "schemas", "url"]

pytestmark = pytest.mark.postgres

FEATURES = StoreFeatures(
    many_nodes=True,
    transactions=True,
    connection="postgres",
    transactions_at_once=5,
    nul=False,
)
COLUMNS = {
    "executions": ", ".join(ExecutionRow._fields),
    "mailbox": ", ".join(MailRow._fields),
    "subscriptions": ", ".join(SubscriptionRow._fields),
    "acts": ", ".join(ActRow._fields),
}
KEYS = {
    "journal": "1, 2",
    "attributes": "1, 2",
    "reactions": "2, 1",
    "dead_letters": "1, 2",
    "holds": "1, 2, 3",
    "event_waits": "1, 2",
    "contracts": "1, 2",
    "acts": "number",
}


class Lasting:
    """A node that stays open from one test to the next: connections take long to get warm."""

    def __init__(self, schema: str, store: PostgresStore) -> None:
        self.schema = schema
        self.store = store


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def lasting(postgres: Server, schemas: Schemas) -> AsyncIterator[Lasting]:
    with schemas.one() as schema:
        store = PostgresStore(postgres.url(schema=schema))
        await store.open(node=False)
        yield Lasting(schema, store)
        await store.close()


@pytest.mark.asyncio(loop_scope="class")
class TestPostgresStore(StoreConformance):
    features = FEATURES

    @pytest.fixture(autouse=True)
    def _schema(
        self, lasting: Lasting, postgres: Server, schemas: Schemas, back_door: BackDoor
    ) -> None:
        self.schema = lasting.schema
        self.url = postgres.url(schema=lasting.schema)
        self.back_door = back_door
        assert schemas.empty(lasting.schema, but_nodes=True)

    @pytest_asyncio.fixture(loop_scope="class")
    async def node(self, lasting: Lasting) -> AsyncIterator[Store]:  # type: ignore[override]
        if lasting.store.incarnation == 0 or not is_open(lasting.store):
            await lasting.store.close()
            await lasting.store.open(node=True)
        yield lasting.store

    def make_store(self) -> Store:
        return PostgresStore(self.url)

    def raw_rows(self, table: str) -> list[tuple[object, ...]] | None:
        columns, key = COLUMNS.get(table, "*"), KEYS.get(table, "1")
        return self.back_door.rows(f"SELECT {columns} FROM {self.schema}.{table} ORDER BY {key}")  # noqa: S608 - our own tables


def is_open(store: PostgresStore) -> bool:
    return store._pool is not None


class PostgresStoreModel(StoreModel):
    features = FEATURES
    server: Server
    schemas: Schemas

    def __init__(self) -> None:
        super().__init__()
        self.given = ExitStack()
        self.url = self.server.url(schema=self.given.enter_context(self.schemas.one()))

    def new_store(self) -> Store:
        return PostgresStore(self.url)

    def teardown(self) -> None:
        super().teardown()
        self.given.close()


def test_postgres_store_is_as_the_model_says(postgres: Server, schemas: Schemas) -> None:
    class Here(PostgresStoreModel):
        pass

    Here.server, Here.schemas = postgres, schemas
    run_state_machine_as_test(
        Here,
        settings=settings(max_examples=8, stateful_step_count=15, deadline=None),
    )
