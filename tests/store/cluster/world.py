"""Some nodes on one store in memory, played by a seed: who writes, who is cut off, stopped, killed, and who adopts.

Another node may do something between what a commit has read and the commit itself. The store may fail over to a replica
that has only what there was some time ago: then that is what was acknowledged. What the nodes were told is held
against what the store says afterwards (`World.check`):

- an event that was acknowledged is there, under its number, to the byte, until its response is deleted;
- no event is by anybody but the owner at that number, and no number is missing or there twice;
- a response has one terminal, whoever else tried;
- a claim and a ticket are one node's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from realtime.engine.base import TokenChunk
from realtime.store.base import Claim
from realtime.store.cluster.backend import Away, Backend, Changes, Key, Lease, LiveLease
from realtime.store.cluster.membership import CannotJoin
from realtime.store.cluster.node import LeaseTimes
from realtime.store.cluster.stores import Opened, put_together
from realtime.store.event_log import StoredLog
from realtime.store.packed.bounds import Bounds
from realtime.store.records import Head, Record
from realtime.wire.errors import WireError
from realtime.wire.requests import ResponseCreate
from tests.support.at_once import at_once
from tests.support.at_once_host import AtOnceHost
from tests.support.memory_backend import MemoryBackend
from tests.support.responses import PLENTY, make_response

TIMES = LeaseTimes(live=6.0, renew=2.0, margin=1.0)
BOUNDS = Bounds(
    max_bytes=PLENTY, max_conversations_bytes=PLENTY, max_conversation_bytes=PLENTY, max_items=100, vocabulary=""
)
NAMES = ("a", "b", "c")


class Killed(BaseException):
    """The process ends in the middle of something."""


class Link(Backend):
    """A node's way to the store. `cut`: nothing comes through. `loses`: the next answer is lost; then the process ends
    as well if `dies`. `between`: called before a commit.
    """

    def __init__(self, backend: MemoryBackend, between: Callable[[], None]) -> None:
        self.cut = self.loses = self.dies = False
        self._backend = backend
        self._between = between

    def _check(self) -> None:
        if self.cut:
            raise Away("cut off")

    async def get(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        self._check()
        return await self._backend.get(keys)

    async def range(
        self, begin: Key, end: Key, limit: int, *, newest_first: bool = False
    ) -> Sequence[tuple[Key, bytes]]:
        self._check()
        return await self._backend.range(begin, end, limit, newest_first=newest_first)

    async def commit(self, changes: Changes) -> None:
        self._check()
        self._between()
        await self._backend.commit(changes)
        if self.loses:
            self.loses = False
            if self.dies:
                raise Killed
            raise Away("no answer")

    async def acquire(self, node: str, seconds: float, told: bytes) -> Lease | None:
        self._check()
        return await self._backend.acquire(node, seconds, told)

    async def renew(self, lease: Lease, seconds: float, told: bytes, number: int = 0) -> bool:
        self._check()
        return await self._backend.renew(lease, seconds, told, number)

    async def release(self, lease: Lease) -> None:
        self._check()
        await self._backend.release(lease)

    async def leases(self) -> Sequence[LiveLease]:
        self._check()
        return await self._backend.leases()

    async def bury(self, lease: Lease) -> bool:
        self._check()
        return await self._backend.bury(lease)

    async def take_once(self, key: str, seconds: float) -> bool:
        self._check()
        return await self._backend.take_once(key, seconds)

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        self._check()
        return await self._backend.add_up(counts, seconds)

    async def open(self) -> None:
        self._check()

    async def close(self) -> None:
        pass


class Truth:
    """What was acknowledged of a response. `events`: by number. `terminal`: by whom it was ended. `gone`: deleted."""

    def __init__(self) -> None:
        self.events: dict[int, bytes] = {}
        self.terminal: str | None = None
        self.gone = False


class Node:
    """A process of a node, from its start to its end."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.link = Link(world.backend, lambda: world.between(self))
        self.stopped = False
        self.lag = 0.0  # seconds by which its clock is behind that of the store
        self.runs: dict[str, list[bytes]] = {}
        self.unacknowledged: list[Callable[[], None]] = []
        self.opened: Opened = put_together(
            self.link, AtOnceHost(at_once, waits=True), name, f"ws://{name}", BOUNDS, times=TIMES,
            clock=lambda: world.now - self.lag, wall_ns=lambda: int(world.now * 1e9), sleep=self._sleep,
        )  # fmt: skip
        self.opened.node.on_lost.append(self._lost)

    @property
    def holds(self) -> bool:
        return self.opened.node.holds()

    @property
    def me(self) -> str:
        return f"{self.name}.{self.opened.node.epoch}"

    def join(self) -> None:
        if not self.link.cut and not self.holds:
            try:
                at_once(self.opened.node.join())
            except CannotJoin:
                return

    def beat(self) -> None:
        at_once(self.opened.node.beat())

    def open(self, response_id: str) -> None:
        request = ResponseCreate(store=True)
        head = Head(response_id=response_id, owner="t", epoch="e", stream_id=None, request=request, begun_at=1)
        self.runs[response_id] = []
        self.opened.stores.responses.open(head)

    def append(self, response_id: str) -> None:
        """Say the next event, in which is who says it."""
        log = self.runs[response_id]
        number, event = len(log), b'{"n":%d,"by":"%s"}' % (len(log), self.me.encode())
        log.append(event)
        self.opened.stores.responses.append(response_id, number, [event], TokenChunk("x", (number,)))
        truth = self.world.truths[response_id]
        self.unacknowledged.append(lambda: truth.events.update({number: event}))

    def seal(self, response_id: str) -> None:
        """End a response."""
        log = tuple(self.runs.pop(response_id))
        response = make_response(response_id, status="completed", metadata={"by": self.me})
        record = Record(owner="t", response=response, epoch="e", turn=None, continuable=True, expires_at=1e9)
        self.opened.stores.responses.seal(record, StoredLog(response_id, "e", 0, log, None), self.world.now)
        truth, me = self.world.truths[response_id], self.me

        def told() -> None:
            assert truth.terminal is None, f"{response_id} ended twice: {truth.terminal}, {me}"
            truth.terminal = me
            truth.events.update(enumerate(log))

        self.unacknowledged.append(told)

    def delete(self, response_id: str) -> None:
        self.runs.pop(response_id, None)
        self.opened.stores.responses.delete(response_id)
        self.world.truths[response_id].gone = True  # from when it is asked: it may be gone already when nobody answers

    def flush(self) -> None:
        """Commit what was written, as far as that can be done; then it is acknowledged."""
        if self.link.cut:
            return
        self.opened.commits.flush()
        self.tell()

    def tell(self) -> None:
        """Acknowledge what was committed, also together with something else."""
        if self.opened.commits.settled and self.holds:
            told, self.unacknowledged = self.unacknowledged, []
            for call in told:
                call()

    def adopt(self) -> None:
        """Go on with what others, or earlier processes, have left."""
        if self.link.cut or not self.holds:
            return
        member = self.opened.node
        try:
            ids = [one for page in at_once(_all(member.orphans(3))) for one in page]
            found = at_once(_all(member.adopt(ids)))
        except WireError:  # the lease ended meanwhile
            return
        for one in found:
            response_id = one.head.response_id
            assert len(one.events) == one.tip
            self.world.check_events(response_id, one.events)
            self.runs[response_id] = list(one.events)

    def claim(self, request_id: str) -> None:
        if self.link.cut or not self.holds:
            return
        claim = Claim(f"resp_{self.me}_{request_id}", b"d")
        try:
            found = at_once(self.opened.stores.requests.claim("t", request_id, claim, None))
        except (RuntimeError, WireError):  # it has to wait, for a commit that is under way or never comes
            return
        self.world.note_claim(request_id, claim if found is None else found)

    def _lost(self) -> None:
        self.runs.clear()
        self.unacknowledged.clear()

    async def _sleep(self, seconds: float) -> None:
        """While it waits for the store, others go on."""
        self.world.between(self)


async def _all(found: Any) -> list[Any]:
    return [one async for one in found]


class Replica:
    """The store as it was at some moment, and what was acknowledged by then."""

    def __init__(self, world: World) -> None:
        world.tell()
        self._backend = world.backend.copy()
        self._claims = dict(world.claims)
        self._truths = {name: (dict(truth.events), truth.terminal) for name, truth in world.truths.items()}

    def take_over(self, world: World) -> None:
        """Become the store. Nobody is told."""
        world.tell()
        world.backend.become(self._backend)
        world.claims = dict(self._claims)
        for name, truth in world.truths.items():
            events, truth.terminal = self._truths.get(name, ({}, None))
            truth.events = dict(events)


class World:
    """See the module."""

    def __init__(self, seed: int, *, fails_over: bool = False) -> None:
        self.random = random.Random(seed)
        self._steps = (*STEPS, *FAIL_OVER) if fails_over else STEPS
        self._replica: Replica | None = None
        self.now = 1000.0
        self.backend = MemoryBackend(clock=lambda: self.now)
        self.truths: dict[str, Truth] = {}
        self.claims: dict[str, Claim] = {}
        self.failures: list[str] = []
        self._deep = False
        self.nodes = {name: Node(self, name) for name in NAMES}
        for node in self.nodes.values():
            node.join()

    def play(self, num_steps: int) -> None:
        """Do so many things."""
        for _ in range(num_steps):
            self.step(self.random.choice(list(self.nodes.values())))

    def tell(self) -> None:
        """Acknowledge what was committed."""
        for node in self.nodes.values():
            node.tell()

    def between(self, who: Node) -> None:
        """Maybe let a node do something, while one commits: that one can't commit anything else meanwhile."""
        if not self._deep and self.random.random() < 0.3:
            self._deep = True
            node = self.random.choice(list(self.nodes.values()))
            try:
                self.step(node, among=[what for what in QUIET if node is not who or what not in COMMITTING])
            finally:
                self._deep = False

    def step(self, node: Node, among: Sequence[str] | None = None) -> None:
        """Let a node do something, or let something happen to it."""
        what = self.random.choice(among or self._steps)
        if node.stopped and what not in ("time", "wake", "kill"):
            return
        try:
            self._do(node, what)
        except Killed:
            self.nodes[node.name] = Node(self, node.name)
        except AssertionError as error:  # what it came in between might not let it through
            self.failures.append(str(error))

    def _do(self, node: Node, what: str) -> None:
        run = self.random.choice(list(node.runs)) if node.runs else None
        match what:
            case "time":
                self.now += self.random.choice((0.5, 2.0, 4.0))
            case "beat":
                node.beat()
            case "join":
                node.join()
            case "open" if node.holds and len(self.truths) < 12:
                response_id = f"resp_{len(self.truths)}"
                self.truths[response_id] = Truth()
                node.open(response_id)
                node.append(response_id)
            case "append" if run is not None:  # also of a node that does not know yet that it has lost its lease
                node.append(run)
            case "seal" if run is not None:
                node.seal(run)
            case "delete" if run is not None and self.random.random() < 0.2:
                node.delete(run)
            case "flush":
                node.flush()
            case "adopt":
                node.adopt()
            case "claim":
                node.claim(f"r{self.random.randrange(4)}")
            case "cut":
                node.link.cut = self.random.random() < 0.5
            case "lose answer":
                node.link.loses, node.link.dies = True, self.random.random() < 0.3
            case "stop":
                node.stopped = True
            case "wake":
                node.stopped = False
            case "clock":
                node.lag += self.random.choice((-3.0, 3.0, 6.0))
            case "kill":
                self.nodes[node.name] = Node(self, node.name)
            case "replica":
                self._replica = Replica(self)
            case "fail over" if self._replica is not None:
                self._replica.take_over(self)

    # -- what must be true

    def check_events(self, response_id: str, events: Sequence[bytes]) -> None:
        """Hold what there is of a response against what was acknowledged."""
        for number, event in enumerate(events):
            assert event.startswith(b'{"n":%d,' % number), f"{response_id}: {event!r} is not number {number}"
        truth = self.truths[response_id]
        for number, event in truth.events.items():
            assert number < len(events), f"{response_id}: event {number} was acknowledged and is lost"
            assert events[number] == event, f"{response_id}: {events[number]!r} in place of {event!r}"

    def note_claim(self, request_id: str, claim: Claim) -> None:
        """Hold a claim against what another node was told."""
        assert self.claims.setdefault(request_id, claim) == claim, f"two claims of {request_id}"

    def check(self) -> None:
        """Let everything end well, and hold all that there is against what was acknowledged."""
        self._deep = True  # nothing more comes in between
        for node in self.nodes.values():
            node.link.cut = node.link.loses = node.stopped = False
            node.beat()
            node.flush()
        self.now += 60.0
        last = Node(self, "z")
        last.join()
        for _ in range(20):
            last.adopt()
        for response_id in list(last.runs):
            last.seal(response_id)
        last.flush()
        for response_id, truth in self.truths.items():
            record = at_once(last.opened.stores.responses.get(response_id, self.now))
            log = at_once(last.opened.stores.responses.read(response_id, self.now))
            if truth.gone:
                continue
            if record is None or log is None:
                assert not truth.events, f"{response_id} was acknowledged and is lost"
                assert truth.terminal is None
                continue
            self.check_events(response_id, log.read(0, PLENTY))
            if truth.terminal is not None:
                assert record.response.metadata["by"] == truth.terminal, f"{response_id} has another end"
        left = at_once(self.backend.range(b"held/", b"held0", PLENTY))
        assert not left, f"somebody holds {left}"
        assert not self.failures


QUIET = ("time", "beat", "append", "seal", "flush", "adopt", "claim", "join")
FAIL_OVER = ("replica", "replica", "fail over")
COMMITTING = ("flush", "adopt", "claim")
STEPS = (
    *("append",) * 6, *("flush",) * 6, *("open",) * 3, *("beat",) * 6, *("adopt",) * 3, *("join",) * 3, "seal", "seal",
    "time", "time", "claim", "claim", "cut", "cut", "lose answer", "stop", "wake", "wake", "clock", "kill", "delete",
)  # fmt: skip
