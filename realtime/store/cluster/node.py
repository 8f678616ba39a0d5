"""The lease of a node: how it is acquired, renewed and lost; and the node's other calls on the common store."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from realtime.store.packed.batches import Batch, Done
from realtime.store.packed.commits import Commits
from realtime.store.packed.past import ReadHead
from realtime.store.records import Unfinished

from . import keys
from .adoption import Adoption
from .backend import Away, Backend, Fenced, Key, Lease, LiveLease
from .committer import Committer
from .hosts import Host
from .membership import CannotJoin, Membership, Owner, Peer, State, TenantPlaces
from .reading import Reading

T = TypeVar("T")

logger = logging.getLogger("realtime.store")

TIDY_BEATS = 30  # renewals between two times at which what has expired is looked for
_RETRY_SECONDS = 0.25


class LeaseTimes(msgspec.Struct, frozen=True):
    """Times in seconds: how long a lease is live, how often it is renewed, how long before its end the node stops
    writing.
    """

    live: float = 6.0
    renew: float = 2.0
    margin: float = 1.0


class _Told(msgspec.Struct, array_like=True):
    url: str
    state: State
    num_running: int
    tenants: tuple[TenantPlaces, ...] = ()
    engine: str = ""


class Reset(msgspec.Struct, frozen=True):
    """The state of the common store that a node needs when it begins."""

    next_expiry: float | None
    conversation_bytes: int


_decode = msgspec.msgpack.Decoder(_Told).decode


def peer_of(lease: LiveLease) -> Peer:
    """Return what the node of a lease tells of itself."""
    said = _decode(lease.told)
    return Peer(lease.node, lease.epoch, said.url, said.state, said.num_running, said.tenants, said.engine)


class ClusterNode(Membership):
    """The node's own membership. Called on the loop: `on_reset` when the stores must become empty, `on_adopted` to make
    the stores continue with what was adopted, and `tidy` to drop what has expired.
    """

    def __init__(
        self, name: str, url: str, backend: Backend, host: Host, committer: Committer, adoption: Adoption,
        reading: Reading, times: LeaseTimes, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.on_reset: Callable[[Reset], None] = lambda reset: None
        self.on_adopted: Callable[[ReadHead], Unfinished] = ReadHead.unfinished
        self.tidy: Callable[[], None] = lambda: None
        self.commits: Commits | None = None
        self._name = name
        self._url = url
        self._backend = backend
        self._host = host
        self._committer = committer
        self._adoption = adoption
        self._reading = reading
        self._times = times
        self._clock = clock
        self._on_lost: list[Callable[[], None]] = []
        self._lease: Lease | None = None
        self._epoch = 0
        self._until = float("-inf")  # by the clock: the lease holds
        self._peers: Mapping[str, Peer] = {}
        self._told = _Told(url, "starting", 0)
        self._num_beats = 0
        self._committing = asyncio.Lock()

    # -- on the loop

    @property
    def node(self) -> str:
        """See Membership."""
        return self._name

    @property
    def epoch(self) -> int:
        """See Membership."""
        return self._epoch

    @property
    def on_lost(self) -> list[Callable[[], None]]:
        """See Membership."""
        return self._on_lost

    def holds(self) -> bool:
        """See Membership. A new lease holds once the stores have begun with it: what was written before is dropped."""
        lease = self._lease
        return lease is not None and lease.epoch == self._epoch and self._clock() < self._until

    @property
    def trouble(self) -> str | None:
        """Return why nothing can be written now; None: writing works."""
        if self._committer.trouble is not None:
            return self._committer.trouble
        return None if self.holds() else f"node {self._name} has no lease"

    def peers(self) -> Mapping[str, Peer]:
        """See Membership."""
        return self._peers

    async def look(self) -> None:
        """See Membership."""
        self._meet(await self._host.ask(self._backend.leases()))

    def announce(self, state: State, num_running: int, tenants: Sequence[TenantPlaces] = (), engine: str = "") -> None:
        """See Membership."""
        self._told = _Told(self._url, state, num_running, tuple(tenants), engine)

    async def join(self) -> None:
        """See Membership."""
        patience = self._clock() + 3 * self._times.live
        while True:
            reset = await self._host.ask(self._acquire())
            lease = self._lease
            if reset is not None and lease is not None:  # not lost already
                break
            if self._committer.trouble is not None:  # what was asked meanwhile may have been granted, to nobody
                patience = self._clock() + 3 * self._times.live
            elif self._clock() > patience:
                raise CannotJoin(
                    f"another server is node {self._name} of this cluster: stop it, or give this one a name of its own "
                    "with --node NAME"
                )
            if not self._host.lives:
                raise CannotJoin("the lease of an earlier process has not ended yet")
            await asyncio.sleep(_RETRY_SECONDS)
        self._epoch = lease.epoch
        self._begin(reset)
        if self._host.lives:
            self._host.start(self._live(lease))

    async def leave(self) -> None:
        """See Membership."""
        if self.commits is not None and not self.commits.settled and self.holds():
            await self._settled()
        await self._host.ask(self._release())

    async def owner_of(self, name: str) -> Owner | None:
        """See Membership."""
        [owner] = await self.owners_of([name])
        return owner

    async def owners_of(self, names: Sequence[str]) -> Sequence[Owner | None]:
        """See Membership."""
        return await self._host.ask(self._adoption.owners_of(names))

    async def orphans(self, limit: int) -> AsyncIterator[Sequence[str]]:
        """See Membership."""
        after: Key | None = None
        while True:
            found, after = await self._host.ask(self._adoption.orphans(limit, after=after))
            if found:
                yield found
            if after is None:
                return

    async def open_of(self, tenant: str) -> Sequence[tuple[str, Owner]]:
        """See Membership."""
        return await self._host.ask(self._adoption.open_of(tenant))

    async def adopt(
        self, response_ids: Sequence[str], *, in_own: bool = False, leave: frozenset[str] = frozenset()
    ) -> AsyncIterator[Unfinished]:
        """See Membership."""
        for read in await self._host.ask(self._adoption.adopt(response_ids, in_own=in_own, leave=leave)):
            yield self.on_adopted(read)

    async def take_once(self, key: str, seconds: float) -> bool:
        """See Membership."""
        return await self._host.ask(self._backend.take_once(_unreadable(key), seconds))

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        """See Membership."""
        names = {_unreadable(name): name for name in counts}
        told = {one: counts[name] for one, name in names.items()}
        sums = await self._host.ask(self._backend.add_up(told, seconds))
        return {names[one]: number for one, number in sums.items()}

    def submit(self, batch: Batch, done: Callable[[Done], None]) -> None:
        """Commit a batch; see `packed.commits.Executor`. Without a lease the batch is lost."""
        self._host.start(self._commit(batch, done))

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """See `packed.commits.Executor`."""
        self._host.later(seconds, call)

    def close(self) -> None:
        """Commit what was submitted, give the lease back, disconnect. Blocks."""
        self._host.finish(self._finish(), self._times.live)

    # -- where the backend is used

    async def beat(self) -> None:
        """Renew the lease once, and read the other nodes' leases."""
        lease, sent = self._lease, self._clock()
        if lease is None:
            return
        try:
            live, others = await self._within(self._until - sent, self._renew(lease))
        except (Away, TimeoutError) as error:
            self._committer.note(str(error) or "the cluster's store does not answer")
            if self._clock() >= self._until:
                self._lose(lease)
            return
        if not live:
            self._lose(lease)
            return
        self._until = max(self._until, sent + self._times.live - self._times.margin)
        self._committer.note(None)
        self._host.tell(lambda: self._see(others))

    async def _renew(self, lease: Lease) -> tuple[bool, Sequence[LiveLease]]:
        number = order.number if (order := self._committer.order) is not None else 0
        live = await self._backend.renew(lease, self._times.live, msgspec.msgpack.encode(self._told), number)
        return live, await self._backend.leases() if live else ()

    async def _within(self, seconds: float, work: Awaitable[T]) -> T:
        return await asyncio.wait_for(work, max(seconds, 0.0)) if self._host.lives else await work

    async def _live(self, lease: Lease) -> None:
        while self._lease == lease:
            await asyncio.sleep(self._times.renew if self._committer.trouble is None else _RETRY_SECONDS)
            if self._lease == lease:
                await self.beat()

    async def _acquire(self) -> Reset | None:
        """Begin a lease; None: not possible yet."""
        if self._lease is not None:
            self._lose(self._lease)
        sent = self._clock()
        try:
            lease = await self._backend.acquire(self._name, self._times.live, msgspec.msgpack.encode(self._told))
            if lease is None:
                self._committer.note(None)
                return None
            self._committer.begin(lease)
            await self._adoption.commit({}, {keys.epoch(lease): b""})
            found = Reset(await self._reading.next_expiry(), await self._reading.num_bytes())
            others = await self._backend.leases()
        except Away as error:
            self._committer.note(str(error))
            return None
        except Fenced:  # it took too long
            return None
        self._committer.note(None)
        self._lease, self._until = lease, sent + self._times.live - self._times.margin
        self._host.tell(lambda: self._see(others))
        return found

    async def _commit(self, batch: Batch, done: Callable[[Done], None]) -> None:
        async with self._committing:
            lease = self._lease
            try:
                found = await self._committer.run(batch)
            except Fenced:
                if lease is not None:
                    self._lose(lease)
                return
            except Exception:
                logger.exception("batch not stored")  # a bug of ours; the next ones may do
                found = Done({})
        self._host.tell(lambda: done(found))

    def _lose(self, lease: Lease) -> None:
        """Note that the lease does not hold any more."""
        if self._lease != lease:
            return
        self._lease, self._until = None, float("-inf")
        self._committer.end()
        logger.warning("node %s has lost its lease", self._name)
        self._host.tell(self._lost)

    async def _release(self) -> None:
        lease, self._lease = self._lease, None
        self._committer.end()
        if lease is not None:
            await self._backend.release(lease)

    async def _finish(self) -> None:
        async with self._committing:
            pass  # what was submitted before is committed
        try:
            await self._release()
        except Away:
            logger.warning("the lease was not given back: the others wait for its end")
        await self._backend.close()

    # -- parts

    def _begin(self, reset: Reset) -> None:
        """Drop everything from before."""
        if self.commits is not None:
            self.commits.abandon()
        self.on_reset(reset)

    def _lost(self) -> None:
        self._begin(Reset(None, 0))
        for call in list(self._on_lost):
            call()

    def _meet(self, leases: Sequence[LiveLease]) -> None:
        self._peers = {one.node: peer_of(one) for one in leases if one.node != self._name}

    def _see(self, leases: Sequence[LiveLease]) -> None:
        self._meet(leases)
        self._num_beats += 1
        if self._num_beats % TIDY_BEATS == 0 and self.holds():
            self.tidy()

    async def _settled(self) -> None:
        """Wait until everything is committed, while the lease holds."""
        commits = self.commits
        assert commits is not None
        settled = asyncio.Event()
        notice = lambda: settled.set() if commits.settled else None  # noqa: E731
        commits.on_commit.append(notice)
        try:
            commits.flush()
            async with asyncio.timeout(max(self._until - self._clock(), 0.0)):
                await settled.wait()
        except TimeoutError:
            logger.error("the last changes were not stored")
        finally:
            commits.on_commit.remove(notice)


def _unreadable(name: str) -> str:
    """Return what stands for a name that may have a tenant's in it."""
    return keys.digest(name).decode()
