"""What a node does when its store, or a part of it, fails; for the order see `recovery`."""

import asyncio
from contextvars import Context
from typing import Protocol

from counterpoint.errors import NodeStoppedError, StoreError
from counterpoint.runtime.host import Host
from counterpoint.runtime.idle import Idlers
from counterpoint.runtime.intake import Intake
from counterpoint.runtime.keys import Keys
from counterpoint.runtime.loading import Loading
from counterpoint.runtime.log import logger
from counterpoint.runtime.membership import Membership
from counterpoint.runtime.messaging.messaging import Messaging
from counterpoint.runtime.recovery import Recovery, is_fatal, tell_end
from counterpoint.runtime.remote import RemoteCalls


class FailingNode(Host, Protocol):
    """What has to be dropped, and to begin again, when the store fails."""

    idlers: Idlers
    intake: Intake
    keys: Keys
    loading: Loading
    membership: Membership | None

    @property
    def messaging(self) -> Messaging: ...
    @property
    def remote(self) -> RemoteCalls: ...
    def drop_everything(self, error: BaseException) -> None: ...
    def drop_residents(self) -> None: ...
    def keep(self, task: asyncio.Task[None]) -> None: ...


class Faults:
    """The failures of one node, and the way back from them."""

    def __init__(self, node: FailingNode) -> None:
        self.node = node
        self.down = False
        """The node stays down: whatever tries to bring it back has to give up."""
        self._failed_again: BaseException | None = None
        """What the store did while it was read again: what was read is forgotten."""
        self._recovering: asyncio.Task[None] | None = None
        self.recovery = Recovery(node.store, node.clock, node.codec)

    def store_failed(self, error: BaseException) -> None:
        """Believe nothing in memory and read the store again.

        What is in memory goes in any case, also during a fault or a stop: a resident whose records
        were not written is ahead of its journal, and its next ones would leave a gap in it.
        """
        node = self.node
        node.drop_everything(error)
        if node.fault is not None:
            self._failed_again = error
            return
        node.fault = error
        if node.stopping:
            return
        if is_fatal(error):
            self._stay_down(error)
            return
        logger.error("the store failed, the node takes no work until it recovers: %s", error)
        recovering = asyncio.get_running_loop().create_task(self._recover(), context=Context())
        self._recovering = recovering
        node.keep(recovering)

    async def _recover(self) -> None:
        node = self.node
        try:
            await self.recovery.run()
            self._failed_again = None
            node.keys.forget()
            if node.membership is not None:  # before what may take long: it keeps the lease
                await node.membership.open()
            for execution_id in node.results.ids():
                await tell_end(node.store, node.codec, node.results, execution_id)
            await node.messaging.read_again()
            if self.down:
                return
            if self._failed_again is not None:
                raise self._failed_again
        except Exception as error:
            if self.down:
                return
            if not isinstance(error, StoreError):
                logger.exception("the recovery itself failed; it is tried again")
            if is_fatal(error):
                node.fault = error
                self._stay_down(error)
            else:
                node.fault = None
                self.store_failed(error)
            return
        self._go_on()

    def _go_on(self) -> None:
        """Take work again: the store can be used."""
        node = self.node
        node.drop_residents()
        node.fault = None
        logger.warning("the store is open again; interrupted executions go on")
        node.messaging.begin()
        node.loading.damaged.clear()
        node.intake.restart()
        node.due.restart()
        if node.membership is not None:
            node.membership.poke()
        node.remote.poke()
        node.spawn(node.loading.try_stopped())

    def part_ended(self, task: asyncio.Task[None]) -> None:
        """A loop of the node that ends by itself is a defect; the node is of no use without it."""
        node = self.node
        if task.cancelled() or node.stopping:
            return
        error = NodeStoppedError(f"a part of the node failed: {task.exception()!r}")
        logger.critical("a part of the node failed", exc_info=task.exception())
        if node.fault is None:
            node.fault = error
        node.drop_everything(error)
        self._stay_down(error)

    def _stay_down(self, error: BaseException) -> None:
        self.down = True
        recovering = self._recovering
        if recovering is not None and recovering is not asyncio.current_task():
            recovering.cancel()
        logger.critical("the node stays down, start a new process: %s", error)
        self.node.results.stop(f"the node stays down, nothing more is written: {error}")
        self.node.idlers.stop(f"the node stays down: {error}")
        if self.node.store.features.many_nodes:  # others may take over at once
            self.node.keep(asyncio.get_running_loop().create_task(self.node.store.close()))
