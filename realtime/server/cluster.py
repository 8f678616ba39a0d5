"""The node in its cluster: it joins, takes over orphaned responses, hands on what it can't finish, and begins again
when it has lost its lease.

The store decides who may write; this module only asks it. Each node looks for orphans at its own times, and sooner when
another node is gone or says that it has left something. The store gives each orphan to one node.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from realtime.observability.cluster_metrics import ClusterMetrics, ClusterView
from realtime.service.commits import committed
from realtime.service.forgetting import Forgetting
from realtime.service.forgotten import Forgotten
from realtime.service.queue import LimitsOf, no_limits
from realtime.service.service import Service
from realtime.service.shared_limits import SharedLimits
from realtime.service.shared_service import SharedService
from realtime.settings.fields import ResponseSettings
from realtime.store.cluster.membership import CannotJoin, Membership, State
from realtime.store.records import Unfinished
from realtime.wire.bodies import NodeStatus
from realtime.wire.codec import Limits
from realtime.wire.errors import ErrorCode, WireError

from .cluster_settings import Node
from .courtesy import Courtesy, engines_of_others
from .peers import messages
from .peers.copies import Copies
from .peers.door import Door
from .peers.nodes import PeerNodes

logger = logging.getLogger("realtime.cluster")

LOOK_SECONDS = 1.0  # between two looks at the others, about
_SWEEP_EVERY = 3  # looks: also when nobody seems to be gone
_MAX_AT_ONCE = 64  # orphans that one node takes, before others have their turn
_AGAIN_SECONDS = 1.0  # after a lease that could not be had


class Cluster:
    """A node's part in its cluster. `door`: the entrance for other nodes. `answer_request`: answers an HTTP request
    that came to another node; the application sets it.
    """

    def __init__(
        self, me: Node, membership: Membership, service: Service, settings: ResponseSettings, limits: Limits, *,
        max_bytes: int, serves: Callable[[], bool], engine: Callable[[], str], model_name: str,
        send_away: Callable[[], None], limits_of: LimitsOf = no_limits, metrics: ClusterMetrics | None = None,
    ) -> None:  # fmt: skip
        """max_bytes: the largest message that a node reads. serves: whether the engine serves. engine: its fingerprint;
        empty before it has served. send_away: closes the clients' sockets, when the lease is lost. limits_of:
        a tenant's limits.
        """
        self.me = me
        self.membership = membership
        self._service = service
        self._serves = serves
        self._engine = engine
        self._model_name = model_name
        self.answer_request: Callable[[messages.Ask], Awaitable[messages.Answer]] | None = None
        self._send_away = send_away
        self._metrics = metrics = metrics or ClusterMetrics()
        metrics.view = self._view
        copies = Copies(service.directory, service.registry, settings, metrics)
        self.nodes = PeerNodes(me, membership, copies, max_bytes, metrics)
        self.door = Door(me, service, self, limits, metrics.strangers)
        service.directory.nodes = self.nodes
        self._draining = self._left = self._begins_again = False
        self._num_lost = 0  # leases
        self._forgetting = Forgetting(service.registry, service.held.stores, membership)
        self._tasks: set[asyncio.Task[None]] = set()
        self._look_now = asyncio.Event()
        self._courtesy = Courtesy()
        self._limits = SharedLimits(membership, service.queue.scheduler.minutes, limits_of)
        self._shared = SharedService(membership, service.queue.scheduler)
        membership.on_lost.append(self._on_lost)

    @property
    def others_serve(self) -> bool:
        """Return whether another node would take over what this one leaves."""
        return any(peer.state == "serving" for peer in self.membership.peers().values())

    @property
    def status(self) -> NodeStatus:
        """Return the cluster's part of the readiness report."""
        membership = self.membership
        others = len(membership.peers())
        return NodeStatus(name=self.me.name, epoch=membership.epoch, lease=membership.holds(), others=others)

    def _view(self) -> ClusterView:
        membership, nodes = self.membership, self.nodes
        return ClusterView(
            node=self.me.name, epoch=membership.epoch, lease=membership.holds(),
            peers=Counter(peer.state for peer in membership.peers().values()),
            links=nodes.num_links, guests=self.door.num_guests, followed=len(nodes.copies),
        )  # fmt: skip

    # -- the life

    async def start(self) -> None:
        """Join, and take part until `leave`. Raises CannotJoin, and WireError when the store can't be reached."""
        await self.membership.join()
        logger.info("joined node=%s epoch=%d", self.me.name, self.membership.epoch)
        self._announce()
        self._spawn(self._look_around(), "cluster")

    def drain(self) -> None:
        """Stop taking over orphans."""
        self._draining = True
        self._announce()

    async def leave(self) -> None:
        """Give the lease back, and tell the others that there may be orphans. Does this once."""
        if self._left:
            return
        self._draining = self._left = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            held = self.membership.holds()
            await self.membership.leave()
            if held:
                await self.nodes.tell_all()
        except (WireError, OSError):
            logger.warning("the lease was not given back: the others wait until it is over")
        await self.nodes.close()
        self.door.close()

    def _on_lost(self) -> None:
        self._metrics.leases_lost.add()
        self._num_lost += 1
        if not self._draining and not self._begins_again:  # else that goes on until there is a lease
            self._begins_again = True
            self._spawn(self._begin_again(), "lease lost")

    async def _begin_again(self) -> None:
        try:
            await self._let_go_and_join()
        finally:
            self._begins_again = False

    async def _let_go_and_join(self) -> None:
        logger.warning("the lease of node=%s is lost: what ran here goes on elsewhere", self.me.name)
        await self._service.lose()
        self._send_away()
        self.door.close()
        await self.nodes.close()
        while True:
            try:
                await self.membership.join()
            except (CannotJoin, WireError) as error:
                logger.warning("no new lease yet: %s", error)
            except Exception:  # a bug of ours, or something in the store: it is tried again
                logger.exception("no new lease yet")
            else:
                break
            await asyncio.sleep(_AGAIN_SECONDS)
        logger.info("joined again node=%s epoch=%d", self.me.name, self.membership.epoch)
        self._announce()

    def _announce(self) -> None:
        state: State = "draining" if self._draining else "serving" if self._serves() else "starting"
        places = self._shared.places(time.monotonic())
        self.membership.announce(state, self._service.num_running, places, self._engine())

    # -- what others left

    def look(self) -> None:
        """See Desk."""
        self._look_now.set()

    async def _look_around(self) -> None:
        """Look from time to time which nodes are live, and for orphans."""
        known: frozenset[tuple[str, int]] = frozenset()
        for number in itertools.count():
            try:
                known = await self._look_once(known, sweeps=number % _SWEEP_EVERY == 0)
            except Exception:  # a bug of ours: a node that looked no more would live, and take over nothing
                logger.exception("a look at the others failed")
            with contextlib.suppress(TimeoutError):
                seconds = LOOK_SECONDS * random.uniform(0.5, 1.5)
                await asyncio.wait_for(self._look_now.wait(), seconds)

    async def _look_once(self, known: frozenset[tuple[str, int]], *, sweeps: bool) -> frozenset[tuple[str, int]]:
        """Look which nodes are live, and for orphans if a known one is not, or if this look `sweeps`. Return those."""
        is_asked = self._look_now.is_set()
        self._look_now.clear()
        self._announce()
        now = frozenset((peer.node, peer.epoch) for peer in self.membership.peers().values())
        if known - now or is_asked or sweeps:
            await self._sweep()
        await self._share_limits()
        return now

    async def _sweep(self) -> None:
        """Take over orphans. A node that can't serve leaves them to those that can, but for those in conversations that
        only this node may write.
        """
        if self._draining or not self.membership.holds():
            return
        in_own = self.others_serve and not self._serves()
        others = engines_of_others(self._engine(), self.membership.peers().values())
        self._courtesy.begin()
        try:
            num_left = 0
            async for orphans in self.membership.orphans(_MAX_AT_ONCE):
                self._metrics.orphans = num_left = num_left + len(orphans)
                for part, leave in self._courtesy.sort(orphans, time.monotonic(), others):
                    taken = await self._take(part, in_own, leave)
                    self._courtesy.took(taken)
                    num_left -= len(taken)  # the rest is others', or nobody's yet
            self._courtesy.end(time.monotonic())
            self._metrics.orphans = num_left
        except WireError:
            self._metrics.sweeps_failed.add()
            logger.warning("no look at what others left: the store does not answer")
        except Exception:  # a bug of ours, or something in the store: it is tried again
            self._metrics.sweeps_failed.add()
            logger.exception("what others left was not taken over")

    async def _take(self, orphans: Sequence[str], in_own: bool, leave: frozenset[str]) -> Sequence[str]:
        """Take over the orphans that this node gets; see Membership.adopt. Return those. Raises WireError."""
        num_lost = self._num_lost
        adopted = [one async for one in self.membership.adopt(orphans, in_own=in_own, leave=leave)]
        if adopted:
            owned = self._since(num_lost)
            taken = await self._service.restart.take_over(adopted, self._model_name, self._count, owned)
            logger.info("taken over responses=%d ended=%d", taken.num_going_on, taken.num_ended)
        return [one.head.response_id for one in adopted]

    def _since(self, num_lost: int) -> Callable[[], bool]:
        """Return a look at whether no lease was lost since then."""
        return lambda: self._num_lost == num_lost

    def _count(self, unfinished: Unfinished, goes_on: bool) -> None:
        self._metrics.adoptions.add(1, "drain" if unfinished.left else "death", "gone_on" if goes_on else "ended")

    async def _share_limits(self) -> None:
        if self.membership.holds():
            with contextlib.suppress(WireError):  # then the minutes and shares of tenants are this node's own
                await self._shared.exchange()
                await self._limits.exchange()

    # -- what others ask

    async def answer(self, ask: messages.Ask) -> messages.Answer:
        """See Desk."""
        assert self.answer_request is not None
        return await self.answer_request(ask)

    async def forget(self, tenant: str) -> Forgotten:
        """See Desk."""
        found = await self._forgetting.forget(tenant)
        if found:
            counts = (found.num_responses, found.num_conversations)
            logger.warning("an operator has deleted tenant=%s responses=%d conversations=%d", tenant, *counts)
        return found

    async def settled(self, response_id: str) -> None:
        """See Desk."""
        if response_id in self._service.registry.running:
            text = f"Previous response '{response_id}' is still being generated: wait until it is over."
            raise WireError(ErrorCode.PREVIOUS_RESPONSE_IN_PROGRESS, text, param="previous_response_id")
        if await self._is_to_be_stored(response_id):
            await committed(self._service.held.stores.batches)

    async def _is_to_be_stored(self, response_id: str) -> bool:
        record = await self._service.registry.store.get(response_id, 0.0)
        return record is not None and record.continuable

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
