"""What a store says about itself, to people who look after it."""

import msgspec

from counterpoint.model.findings import WorkflowLoad
from counterpoint.model.rows import Commit, ExecutionUpdate
from counterpoint.model.states import Status
from counterpoint.ports.store import Store
from counterpoint.testing.conformance.store_case import StoreCase, execution, start


class StoreExamination(StoreCase):
    """What `ports.examination` promises."""

    async def test_what_a_store_says_of_itself_can_be_written_as_json(self, node: Store) -> None:
        found = await node.examine()

        assert "store" in found.facts
        assert msgspec.json.encode(found)

    async def test_live_executions_are_counted_by_workflow_and_version(self, node: Store) -> None:
        places = [("b.b", 1, 30), ("a.a", 2, 20), ("a.a", 2, 10), ("a.a", 1, 40), ("c.c", 1, 50)]
        for key, (name, version, at) in enumerate(places, 1):
            row = execution(key, name=name)
            await start(node, row._replace(version=version, created_at=at))
        ended = ExecutionUpdate(5, Status.COMPLETED, 1, None, 60)
        await node.commit(Commit(updates=[ended]))

        async with self.another(node) as client:
            found = await client.workflow_loads()

        assert found == [
            WorkflowLoad("a.a", 1, 1, 40),
            WorkflowLoad("a.a", 2, 2, 10),
            WorkflowLoad("b.b", 1, 1, 30),
        ]

    async def test_a_store_knows_whether_a_node_hosts_it(self, node: Store) -> None:
        async with self.another(node) as client:
            during = await client.hosted_by()
            await node.close()
            if not self.features.shared:
                await client.open(node=False)
            after = await client.hosted_by()

        assert (during is None, after) == (False, None)
