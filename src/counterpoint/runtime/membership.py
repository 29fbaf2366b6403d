"""One node among several: its lease, what it takes over from others, and when it has to go.

Safety argument (P7): everything that a node writes is fenced by the store (`ports.cluster`), so
this loop decides nothing about safety: it only sees to it that work goes on. What it does late, or
twice, or at the same time as another node, is late, or done once.

*Alive.* Every `LOOK_EVERY_SECONDS` the node renews its lease and looks around (`beat`), one round
trip. A node whose lease is over goes on until somebody declares it lost; if it learns that it was,
all in memory is dropped like after a failure of the store, and it opens the store again as a new
incarnation. The same happens to a node that stood still (SIGSTOP, a debugger, a sleeping laptop):
its first commit or look after that tells it.

*Fail-over.* Who sees a lease that is over declares it lost; everybody takes over what it owned, in
batches, what is due first, as far as it hosts it; what nobody hosts waits. Claims of the dead
become lost attempts of those who called. Letters to the dead are routed again; slots are taken by
`messaging.shares`. Nothing of this keeps the node from renewing its own lease: each look does a
part of it, and while the node opens or recovers, which may take long, the lease is renewed beside.

*Going.* A node that stops, whoever asked for it, tells the others so at its next look: they show it
as draining and count on it no more when slots are shared out.

*Failure.* If the store cannot be reached, this is a failure of the store (`recovery`).
"""

import asyncio
import os
import random
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Protocol

from counterpoint.authoring.registry import Registry
from counterpoint.errors import StoreError
from counterpoint.model.cluster import Hosting, Pulse
from counterpoint.ports.cluster import ClusterStore, Heard
from counterpoint.runtime.host import Host
from counterpoint.runtime.intake import Intake
from counterpoint.runtime.loading import Loading
from counterpoint.runtime.log import logger
from counterpoint.runtime.messaging.messaging import Messaging
from counterpoint.runtime.remote import RemoteCalls

LOOK_EVERY_SECONDS = 1.0
"""How often a node looks around when it hears nothing: one round trip each."""
ADOPT_BATCH = 200
"""Executions taken over in one transaction: others get their part of the rest meanwhile."""
ROUTE_BATCH = 500
WHILE_STOPPING = frozenset({Heard.MAIL, Heard.CALLS})
"""What a stopping node still hears: somebody may cancel what it lets finish."""


class MemberNode(Host, Protocol):
    """What others' doings are handed on to."""

    drained: asyncio.Event
    intake: Intake
    loading: Loading

    @property
    def messaging(self) -> Messaging: ...
    @property
    def remote(self) -> RemoteCalls: ...
    def drain(self) -> None: ...
    def keep(self, task: asyncio.Task[None]) -> None: ...


class Membership:
    """What a node does about the other nodes of its store."""

    def __init__(self, node: MemberNode, store: ClusterStore, hosting: Hosting) -> None:
        self.node = node
        self.store = store
        self.hosting = hosting
        self._woken = asyncio.Event()
        self._route = False
        self._known = 0
        """The membership as of the last look."""
        self._looking = False
        self._adopted = 0
        """Executions taken over in this and the last looks."""
        self._more = False
        """There was more to take over than the last look had time for."""
        self._keeping: asyncio.Task[None] | None = None

    @property
    def quiet(self) -> bool:
        """Whether nothing is being taken over."""
        return not (self._looking or self._woken.is_set())

    async def open(self) -> None:
        """Join, once the store is open; take over what this node's last incarnation left.

        Raises:
            StoreError: the store cannot be read or written.
        """
        self._loop = asyncio.get_running_loop()
        self._known = self._adopted = 0
        self._more = False
        self._stop_keeping()
        self._keeping = self._loop.create_task(self._keep_lease(), context=Context())
        self.node.keep(self._keeping)
        await self.store.announce(self.hosting)
        self.store.listen(self._heard)
        adopted = await self.store.adopt(ADOPT_BATCH)  # the scan for due work finds them
        if adopted.claims:
            self.node.remote.lost(adopted.claims)
        self._woken.set()

    async def _keep_lease(self) -> None:
        """Renew the lease of this incarnation until the node looks around by itself."""
        incarnation = self.store.incarnation
        with suppress(StoreError):  # whoever opens the store meets it, too
            while True:
                await asyncio.sleep(LOOK_EVERY_SECONDS)
                if self.store.incarnation != incarnation:
                    return
                await self.store.beat()

    def _stop_keeping(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None

    def poke(self) -> None:
        """Look around now."""
        self._woken.set()

    def _heard(self, what: Heard) -> None:
        node = self.node
        if node.fault is not None or (node.stopping and what not in WHILE_STOPPING):
            return
        match what:
            case Heard.MAIL:
                node.intake.poke()
            case Heard.UNROUTED:
                self._route = True
                self.poke()
            case Heard.EVENTS:
                node.messaging.streams.grew()
            case Heard.CALLS:
                node.remote.poke()
            case Heard.NODES:
                self.poke()

    async def run(self) -> None:
        """Look around now and then, and when something was heard, until cancelled."""
        while True:
            try:
                # Not `wait_for`: on Python 3.11 it can swallow the cancellation that ends this.
                async with asyncio.timeout(LOOK_EVERY_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            if self.node.fault is not None:
                continue
            self._looking = True
            try:
                await self._look()
            except StoreError as error:
                self.node.store_failed(error)
            finally:
                self._looking = False
                self.node.check_idle()

    async def _look(self) -> None:
        node, store = self.node, self.store
        self._stop_keeping()
        pulse = await store.beat()
        if pulse.draining and not (node.stopping or node.drained.is_set()):
            logger.warning("this node was asked to hand over and stop")
            node.drain()
        lost = await self._declare_lost(pulse.expired)
        if node.fault is not None:
            return
        self._pass_on(pulse)
        if node.stopping:
            if not pulse.draining:
                await store.drain(store.incarnation)  # so that the others count on it no more
            return
        node.messaging.streams.reaches(pulse.last_position)
        if pulse.orphans or lost or self._more:
            await self._adopt()
        if pulse.unrouted or self._route or lost:
            self._route = await store.route(ROUTE_BATCH) >= ROUTE_BATCH
            if self._route:
                self.poke()
            node.intake.poke()
        if pulse.membership != self._known or lost:
            self._known = pulse.membership
            node.messaging.members_changed()

    def _pass_on(self, pulse: Pulse) -> None:
        """Wake the parts of the node for which there is something to do."""
        if pulse.mail:
            self.node.intake.poke()
        if pulse.calls or pulse.cancelled:
            self.node.remote.poke()

    async def _declare_lost(self, expired: Sequence[int]) -> bool:
        """Declare nodes lost for a while, each node in another order; whether any is lost now.

        One that froze in the middle of a transaction takes half a second, and is not lost yet.
        """
        lost = False
        until = self._loop.time() + LOOK_EVERY_SECONDS / 2
        for incarnation in random.sample(expired, len(expired)):
            if self._loop.time() > until:
                self.poke()
                break
            if await self.store.declare_lost(incarnation):
                logger.warning("node %d is declared dead: its lease was over", incarnation)
                lost = True
        return lost

    async def _adopt(self) -> None:
        """Take over for a while; the rest waits until the lease has been renewed.

        What is looked for in all that came here is looked for once, in the end.
        """
        self._more = False
        until = self._loop.time() + LOOK_EVERY_SECONDS / 2
        while self.node.fault is None and not self.node.stopping:
            adopted = await self.store.adopt(ADOPT_BATCH)
            self._adopted += adopted.executions
            if adopted.claims:
                self.node.remote.lost(adopted.claims)
            self.node.due.reconsider(adopted.first_wake_at)
            self.node.due.poke()
            if not adopted.more:
                break
            if self._loop.time() > until:
                self._more = True
                self.poke()
                return
            await asyncio.sleep(0)
        total, self._adopted = self._adopted, 0
        if total:
            self.node.messaging.adopted()
            self.node.spawn(self.node.loading.try_stopped())
            logger.warning("%d executions were taken over from nodes that are gone", total)


def hosting_of(app: str, node: str, registry: Registry, activities: Iterable[str]) -> Hosting:
    """Return what a node with these definitions tells the others."""
    return Hosting(
        node=node or f"{socket.gethostname()}:{os.getpid()}",
        app=app,
        host=socket.gethostname(),
        pid=os.getpid(),
        services=sorted(registry.services),
        workflows=sorted((name, one.version) for name, one in registry.workflows.items()),
        activities=sorted(activities),
        subscriptions=sorted(registry.subscription_names),
    )
