"""The service that every door calls: create, resume, stop, follow, leave.

It is put together here from its parts: `creation` makes responses of requests, `run_tasks` owns the runs, `registry`
and `directory` find responses, here and on other nodes. The caller says who is asking (`Principal`): another tenant's
responses do not exist for it. Refusals are `WireError`s.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from realtime.context.encrypted import Cipher
from realtime.context.turns import Turn
from realtime.dialects.base import Dialect
from realtime.engine.base import Loaded
from realtime.engine.supervisor import SupervisedEngine
from realtime.observability.observer import Observer
from realtime.observability.origin import NOWHERE, Origin
from realtime.runs.audience import Wake
from realtime.runs.cutoff import Cutoff
from realtime.runs.image_loader import ImageLoader
from realtime.runs.mcp.library import load as load_mcp
from realtime.runs.run import Run
from realtime.runs.work_pool import WorkPool
from realtime.settings.fields import ImageSettings, McpSettings, ResponseSettings, SchedulingSettings
from realtime.store import cursor
from realtime.store.base import Stores
from realtime.store.cluster.membership import HeldElsewhere
from realtime.store.records import AnyResponse, Record, Source
from realtime.wire import events
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.ids import ids_at, new_id
from realtime.wire.items import InputItem
from realtime.wire.limits import DEFAULT, Limits
from realtime.wire.requests import Place, ResponseCreate, StopKind, Through
from realtime.wire.response import Response

from .commits import committed
from .conversations import Conversations
from .counting import Counting
from .creation import Creation
from .delivery import Delivery
from .directory import Directory, TriedElsewhere
from .held import Held
from .intake import Asked, Intake
from .lists import Lists
from .lookups import Lookups
from .patience import Patience
from .prefix_salts import PrefixSalts
from .principal import Principal
from .pulses import pulses, remote_pulses
from .queue import LimitsOf, Queue, no_limits
from .registry import Registry, already_over
from .remote import Remote
from .restart import Restart
from .run_tasks import RunTasks
from .servings import Servings
from .sweeper import Sweeper
from .tenant_share import TenantShare, everything
from .truncations import CutResponse, Truncations

logger = logging.getLogger("realtime.service")


class Service:
    """The service that every door calls.

    It exists before the engine serves: `trouble` says why it can't serve now, or None when it can. The dialect is made
    for the first engine that serves.
    """

    def __init__(
        self, engine: SupervisedEngine, make_dialect: Callable[[Loaded], Dialect], settings: ResponseSettings,
        stores: Stores, *,
        trouble: Callable[[], str | None],
        cipher: Cipher | None = None,
        salts: PrefixSalts | None = None,
        after_commit: bool = False,
        tenant_share: TenantShare = everything,
        limits_of: LimitsOf = no_limits,
        scheduling: SchedulingSettings | None = None,
        mcp: McpSettings | None = None,
        image_settings: ImageSettings | None = None,
        limits: Limits = DEFAULT,
        observer: Observer | None = None,
    ) -> None:  # fmt: skip
        """salts: keep tenants apart in the prefix cache; None: they share it. tenant_share: the part of the running and
        of the waiting places that one tenant may have. limits_of: a tenant's other limits, and its weight.
        after_commit: readers get committed events only; else only ends have to be committed first.
        """
        self._engine, self._stores, self._trouble = engine, stores, trouble
        self._mcp, self._image_settings = mcp or McpSettings(), image_settings or ImageSettings()
        self.observer = observer or Observer()
        cipher = cipher or Cipher()
        node = stores.membership.node if stores.membership is not None else None
        self._work = WorkPool(settings.preparation_threads, settings.preparation_seconds)
        self._patience = Patience(settings.look_up_seconds)
        # the responses that there are
        self._delivery = Delivery(stores, after_commit=after_commit, patience_seconds=settings.look_up_seconds)
        self.registry = Registry(
            stores.responses, settings.retention_seconds, node=node, settled=self._delivery.settled
        )
        self.directory = Directory(self.registry, stores, self._patience.bound)
        self.lists = Lists(self.registry, stores, self._patience.bound, self.directory)
        self._truncations = Truncations(
            self.registry, stores.conversations, self._patience.bound, self._work, stores.check_writable
        )
        self.conversations = Conversations(
            stores.conversations, cipher, time.time, self._patience.bound,
            self.registry.running_in, self.registry.begun_in, stores.check_writable,
        )  # fmt: skip
        # those that run
        self.queue = Queue(
            settings, scheduling or SchedulingSettings(), self.registry.running, engine, tenant_share, limits_of
        )
        self._sweeper = Sweeper(stores.responses.sweep, time.time)
        self.run_tasks = RunTasks(settings, stores, self.registry, self.queue, self._delivery, self._sweeper)
        self._servings = Servings(
            engine, make_dialect, self._work, ImageLoader(self._image_settings, self._work), self.observer, trouble,
            settings.engine_wait_seconds, self.queue.prompt_read, self.queue.was_put_aside,
        )  # fmt: skip
        # those that come
        lookups = Lookups(self.registry, stores.conversations, stores.requests, self.directory)
        intake = Intake(
            settings=settings, images=self._image_settings, mcp=self._mcp, cipher=cipher, salts=salts, limits=limits,
            tiers_of=lambda tenant: limits_of(tenant).tiers,
        )  # fmt: skip
        new_ids = ids_at(node) if node is not None else new_id
        self._creation = Creation(stores, lookups, intake, self._servings, self.run_tasks, new_ids)
        self.restart = Restart(stores, settings, intake, lookups, self._servings, self.run_tasks.go_on)
        self.counting = Counting(self._servings, lookups, intake, self._patience)

    @property
    def num_running(self) -> int:
        """The number of responses that are not over, including waiting ones."""
        return len(self.registry.running)

    @property
    def unsafe_in(self) -> tuple[str, ...]:
        """Return the dialect's `unsafe_in`; empty before an engine has served."""
        return dialect.unsafe_in if (dialect := self._servings.dialect) is not None else ()

    @property
    def held(self) -> Held:
        """Return what the service holds now."""
        return Held(self.queue.scheduler.num_running, self.queue.scheduler.waiting_by_class, self._work, self._stores)

    def prepare(self) -> None:
        """Do the work that the first response would otherwise wait for, or fail on. Call it when the engine serves."""
        if unsafe := self._servings.now().dialect.unsafe_in:
            logger.warning("template letters=unsafe unsafe_in=%s (see docs/models.md)", ",".join(unsafe))
        else:
            logger.info("template letters=safe")
        if self._mcp.mcp_servers:
            load_mcp()

    # -- what doors call

    async def create(
        self, principal: Principal, request: ResponseCreate, parent: Turn | None, *,
        native: bool, given: Sequence[InputItem] = (), origin: Origin = NOWHERE, here: bool = False,
        asker: str | None = None,
    ) -> Source:  # fmt: skip
        """Start a response, or find the one that an earlier attempt at the same request started.

        `parent` is the turn to continue when the caller holds it itself; otherwise `previous_response_id` is looked up.
        `given`: items before the request's own, which don't count when two requests are compared. `origin`: the door's
        name for the request. `here`: another node asks, the `asker`, so no further node is asked, but for one if the
        request was tried here before. The returned log has its first event. Raises WireError, and HeldElsewhere if
        `here` is set and the conversation is on another node.
        """
        principal.check_owner()
        asked = Asked(principal.tenant, request, native, given, origin.stated(request.metadata), here, asker)
        return await self._patience.bounded(self._create_anywhere(principal, asked, parent))

    async def _create_anywhere(self, principal: Principal, asked: Asked, parent: Turn | None) -> Source:
        try:
            return await self._creation.create(asked, parent)
        except (HeldElsewhere, TriedElsewhere, WireError) as error:
            is_last = asked.here and not (isinstance(error, HeldElsewhere) and error.tried_here)
            node = None if is_last else self.directory.node_for(error, asked.request.conversation_id)
            if node is None:
                raise
        return await self.directory.create(principal, asked, node)

    async def resume(
        self, principal: Principal, response_id: str, starting_after: int, epoch: str | None, *,
        merged: bool = False, origin: Origin = NOWHERE,
    ) -> tuple[Source, int]:  # fmt: skip
        """Find a response, running or finished, and the number of the first event to send. `merged`: the reader takes
        consecutive deltas as one. `origin`: as of a create. Raises WireError.
        """
        with self.observer.resuming(origin, response_id) as replays:
            principal.check_sees(response_id)
            async with self._patience.bound():
                source: Source | None = await self.directory.find(principal, response_id)
                if source is None:
                    source = await self.registry.find_source(principal.tenant, response_id, time.time())
            start = cursor.resolve(source.log, starting_after, epoch, merged=merged)
            replays(source.log.tip - start)
        return source, start

    async def stop(
        self,
        principal: Principal,
        response_id: str,
        how: StopKind,
        *,
        delivered: int | None = None,
        through: int | None = None,
    ) -> Run | Remote:
        """Ask a running response to end early. Its terminal event follows when the engine has aborted it. A second stop
        changes nothing. Raises WireError.

        delivered: how many of its events the asker has taken, for the receipt of a cancel. through: the last event that
        its user saw or heard; later ones are not remembered. For a cancel only.
        """
        principal.check_controls(response_id)
        looking = self._find_to_stop(principal, response_id, how, delivered, through)
        found, cutoff = await self._patience.bounded(looking)
        if isinstance(found, Remote):
            return found
        if found.over:
            await self._settled(response_id)
            raise already_over(response_id)
        found.stop(how, delivered, cutoff)
        return found

    async def _find_to_stop(
        self, principal: Principal, response_id: str, how: StopKind, delivered: int | None, through: int | None
    ) -> tuple[Run | Remote, Cutoff | None]:
        """Find a response that runs here, with the place of a cut in it; one that runs elsewhere is stopped there."""
        remote = await self.directory.stop(principal, response_id, how, delivered, through)
        if remote is not None:
            return remote, None
        run = await self.registry.find_running(principal.tenant, response_id, time.time())
        if through is None:
            return run, None
        return run, await self._truncations.find(principal.tenant, run, Through(through))

    async def truncate(
        self, principal: Principal, response_id: str, place: Place, *, delivered: int | None = None, here: bool = False
    ) -> CutResponse:
        """Cut the answer of a response for good: what continues it holds it only up to this place. A running one is
        cancelled first. `delivered`: as for `stop`. `here`: see `create`. Raises WireError.
        """
        principal.check_controls(response_id)
        self._stores.check_writable()
        directory = self.directory
        cut = None if here else await directory.truncate(principal, response_id, place, delivered)
        if cut is not None:
            return cut
        cut = await self._truncations.truncate(
            principal.tenant, response_id, place, delivered,
            None if here else lambda held: directory.truncate_at(held, principal, response_id, place, delivered),
        )  # fmt: skip
        await self.stored()
        return cut

    async def cancel_or_truncate(
        self, principal: Principal, response_id: str, through: int, *, delivered: int | None = None
    ) -> Run | Remote | CutResponse:
        """Cancel a running response, or cut a finished one, after the last event that its user saw or heard. Raises
        WireError.
        """
        principal.check_controls(response_id)
        elsewhere = await self.directory.cancel_or_truncate(principal, response_id, through, delivered)
        if elsewhere is not None:
            return elsewhere
        try:
            return await self.stop(principal, response_id, "cancel", delivered=delivered, through=through)
        except WireError as error:
            if error.code is not ErrorCode.RESPONSE_ALREADY_COMPLETED:
                raise
        return await self.truncate(principal, response_id, Through(through))

    async def retrieve(self, principal: Principal, response_id: str) -> Run | Record:
        """Find a running response, or a finished one that was to be stored. Raises WireError."""
        principal.check_sees(response_id)
        async with self._patience.bound():
            return await self.registry.find_retrievable(principal.tenant, response_id, time.time())

    async def stored(self) -> None:
        """Wait until everything is stored that was changed or found before: what is told must hold. Raises
        WireError.
        """
        await self._patience.bounded(committed(self._stores.batches))

    async def _settled(self, response_id: str) -> None:
        """Wait until what a response that is over has come to is stored. Raises WireError."""
        await self._patience.bounded(self._delivery.settled(response_id))

    async def begun(self, source: Source) -> None:
        """Wait until a response that was created may be told of otherwise than by its events. Raises WireError."""
        if isinstance(source, Run):
            async with self._patience.bound():
                await self._delivery.shown(source)

    async def check_exists(self, principal: Principal, response_id: str) -> None:
        """Refuse a response that is another owner's, or is gone. Raises WireError."""
        principal.check_owner()
        async with self._patience.bound():
            await self.registry.find(principal.tenant, response_id, time.time())

    async def show(self, principal: Principal, response_id: str) -> Response:
        """Return a response as it stands: a running one with its output so far. Raises WireError."""
        found = await self.retrieve(principal, response_id)
        async with self._patience.bound():
            return await self._delivery.shown(found)

    async def cancel(self, principal: Principal, response_id: str) -> Run | Record:
        """Cancel a response that can be retrieved. Do nothing if it was cancelled already. Raises WireError."""
        principal.check_controls(response_id)
        found = await self.retrieve(principal, response_id)
        if found.response.status == "cancelled":
            if not isinstance(found, Run):
                await self._settled(response_id)
            return found
        stopped = await self.stop(principal, response_id, "cancel")
        assert isinstance(stopped, Run)  # doors hand what runs elsewhere to the other node
        return stopped

    async def delete(self, principal: Principal, response_id: str) -> Run | Record:
        """Forget a response at once. One that runs is cancelled, and its followers still get the end. Raises
        WireError.
        """
        principal.check_owner()
        found = await self.retrieve(principal, response_id)
        self._stores.check_writable()
        if isinstance(found, Run):
            found.stop("cancel")
        self.registry.delete(response_id)
        await self.stored()
        return found

    def follow(self, principal: Principal, source: AnyResponse, wake: Wake) -> None:
        """Call `wake` whenever the log grows. A response with a follower is not cancelled for lack of readers; a viewer
        does not count as one.
        """
        if isinstance(source, Run | Remote):
            (source.audience.look_on if principal.only_watches else source.audience.follow)(wake)

    def heartbeat(self, response_ids: Iterable[str]) -> events.Heartbeat:
        """Report the state of the engine and of those of these responses that are not over."""
        ids, now = list(response_ids), time.monotonic()
        running, copies = self.registry.running, self.directory.copies
        here = (running[one] for one in ids if one in running)
        found = pulses(here, self.queue.scheduler, self._engine.stats().prefill, now)
        elsewhere = remote_pulses((copies[one] for one in ids if one in copies and one not in running), now)
        return events.Heartbeat(engine=self._trouble() or "ready", responses=[*found, *elsewhere])

    def leave(self, response_id: str, wake: Wake, *, detached: bool) -> None:
        """Note that a follower is gone. After the last one the response's disconnect policy applies.

        `detached`: it left on purpose, and wants the response to continue.
        """
        run, remote = self.registry.running.get(response_id), self.directory.copies.get(response_id)
        if remote is not None and (run is None or wake in remote.audience.watchers):
            remote.audience.leave(wake, detached=detached)
        elif run is not None:
            run.audience.leave(wake, detached=detached)

    # -- the end

    async def drain(self, *, to_others: bool = False) -> None:
        """Refuse new work, and wait until all runs are over, or with `to_others` those that other nodes can't
        continue.
        """
        self.run_tasks.close()
        await self.run_tasks.drain(to_others=to_others)

    async def lose(self) -> None:
        """Stop all runs without an end, because nothing of them can be written any more: other nodes continue them. New
        work may begin afterwards.
        """
        await self.run_tasks.lose()
        self.registry.lose()
        self._delivery.lose()

    async def shutdown(self, *, leave: bool = False) -> None:
        """End all runs, each with its terminal event, and all look-ups. `leave`: runs that the next process can
        continue are left to it, without a terminal event.
        """
        self.run_tasks.close()
        if leave and self._stores.outlive:
            self.run_tasks.leave()
        self._patience.end()
        await self.run_tasks.end()
        await self._delivery.finish()
        self.queue.stop()
        self._sweeper.stop()
        self._work.close()
