"""What a store says about itself, for people who look after it."""

from typing import Protocol

from counterpoint.model.findings import Examination, WorkflowLoad


class ExaminedStore(Protocol):
    """Read now and then, by people; a client may."""

    async def examine(self) -> Examination:
        """Return facts about the store, and what is wrong with how it is set up or stored.

        It takes a second at most, and changes nothing.
        """
        ...

    async def workflow_loads(self) -> list[WorkflowLoad]:
        """Return the live executions, counted by workflow and version, in their order."""
        ...

    async def hosted_by(self) -> int | None:
        """Return the process that hosts a store with one node; None if none does.

        It is 0 where one may, and is not known. A store that several nodes host says 0 if any of
        them may commit.
        """
        ...
