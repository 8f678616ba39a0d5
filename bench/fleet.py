"""A fleet of nodes on paper: the resources that so many sessions need, and the time that they take to come back when
nodes are lost. Pure.

The costs are measured (each says where). The rest is arithmetic and a discrete-event simulation, in which each client
that was cut waits, tries, times out and tries again as real clients do.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from math import ceil

import msgspec

from realtime_client.policy import Policy

SECONDS_OF_A_FLUSH = 0.01  # `store_flush_ms`


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Costs of a node, in microseconds of its event loop, and of the store.

    event: to make, number and write one to one reader. handshake: a socket, to its `session.created`. resume: with five
    events after it. session_kib: memory of an idle one. replay: of one event of an answer that is adopted. store_event:
    of the store's own processor. stored_bytes: of one event there, before it is packed.
    """

    event: float
    handshake: float
    resume: float
    replay: float
    session_kib: float = 24.0
    store_event: float = 8.9
    stored_bytes: float = 300.0

    @property
    def return_(self) -> float:
        """Return the cost of one client that comes back."""
        return self.handshake + self.resume


# docs/lab-notes.md, "A fleet on paper": measured on a machine whose Python is about four times slower than the other's.
SLOW = Costs(event=45.0, handshake=1290.0, resume=290.0, replay=45.0)
FAST = Costs(event=11.5, handshake=330.0, resume=75.0, replay=11.5)  # the event measured, the others in proportion


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The behaviour of users. active: share of the sessions with a running answer. answer_tokens: the length of an
    answer when its node is lost. prompt_tokens: of its prompt.
    """

    sessions: int
    active: float = 0.02
    tokens_per_second: float = 50.0
    answer_tokens: int = 250
    prompt_tokens: int = 1500

    @property
    def events_per_second(self) -> float:
        """Return the events per second of all nodes."""
        return self.sessions * self.active * self.tokens_per_second


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """The capacity of one node. engine_tokens, engine_prefill: tokens per second that its engine
    generates, and reads.
    """

    engine_tokens: float = 10_000.0
    engine_prefill: float = 40_000.0
    spare: float = 0.35  # of everything that is left free, for what comes when others are lost


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """The resources for a load. loop: share of one processor that a node's event loop takes. stores: processors of
    stores (a Redis has one). moved_gib: read from stores when a third of the nodes is lost.
    """

    nodes: int
    sessions_per_node: float
    loop: float
    memory_gib: float
    stores: int
    flushes_per_store: float
    adopted_per_node: float
    adoption_seconds: float
    moved_gib: float


_NODE = Node()


def capacity(load: Load, costs: Costs, node: Node = _NODE, lost: float = 1 / 3) -> Capacity:
    """Return the resources for a load."""
    usable = 1 - node.spare
    by_engine = load.events_per_second / (node.engine_tokens * usable)
    by_loop = load.events_per_second * costs.event / 1e6 / usable
    nodes = max(2, ceil(max(by_engine, by_loop)))
    stores = ceil(load.events_per_second * costs.store_event / 1e6 / usable)
    adopted = load.sessions * load.active * lost / (nodes * (1 - lost))
    of_loop = load.answer_tokens * costs.replay / 1e6
    of_engine = (load.prompt_tokens + load.answer_tokens) / (node.engine_prefill * node.spare)
    return Capacity(
        nodes=nodes,
        sessions_per_node=load.sessions / nodes,
        loop=load.events_per_second / nodes * costs.event / 1e6,
        memory_gib=load.sessions / nodes * costs.session_kib / 2**20,
        stores=stores,
        flushes_per_store=nodes / stores / SECONDS_OF_A_FLUSH,
        adopted_per_node=adopted,
        adoption_seconds=adopted * max(of_loop, of_engine),
        moved_gib=load.sessions * load.active * lost * load.answer_tokens * costs.stored_bytes / 2**30,
    )


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """A way in which clients come back. noticed: the seconds in which they notice the loss, evenly spread; 0: all at
    once, by a reset. jittered: they wait for random times. sheds_after: a node refuses clients that would wait longer;
    None: none refuses.
    """

    noticed: float = 0.0
    jittered: bool = True
    sheds_after: float | None = None
    retry_after: float = 2.0


class Returned(msgspec.Struct, frozen=True):
    """The result of a storm, in seconds. at: when each was back, in order, of those that did not give up. gave_up:
    share of those that did. backlog: the longest queue of any node, which is the delay that its other clients may
    notice. attempts: of each client, on average.
    """

    at: Sequence[float]
    gave_up: float
    backlog: float
    attempts: float

    def percentile(self, share: float) -> float | None:
        """Return when this share of all was back; None: so many never were."""
        place = int(share * len(self.at) / (1 - self.gave_up)) if self.at else 0
        return self.at[min(place, len(self.at) - 1)] if self.at and share <= 1 - self.gave_up else None


_REFUSAL = 0.15  # of the cost of a handshake


def come_back(
    storm: Storm,
    costs: Costs,
    *,
    per_node: int,
    busy: float,
    nodes: int = 8,
    policy: Policy | None = None,
    seed: int = 1,
) -> Returned:
    """Simulate the return of `per_node` clients to each of some surviving nodes; each client picks a node by chance.
    busy: share of a node's time that its other work takes. A whole fleet is as many of these as it has nodes: only
    chance differs.
    """
    policy, rng = policy or Policy(), random.Random(seed)
    delay = _delays(policy, storm, rng)
    work, refusal = costs.return_ / 1e6 / (1 - busy), _REFUSAL * costs.handshake / 1e6 / (1 - busy)
    free_at = [0.0] * nodes
    number = per_node * nodes
    noticed_at = [rng.uniform(0, storm.noticed) for _ in range(number)]
    waiting = [(at + delay(0, 0.0), 0, client) for client, at in enumerate(noticed_at)]
    heapq.heapify(waiting)
    back: list[float] = []
    backlog, attempts = 0.0, 0
    while waiting:
        now, tries, client = heapq.heappop(waiting)
        if now - noticed_at[client] > policy.max_retry_seconds:
            continue
        node = rng.randrange(nodes)
        attempts += 1
        queue = max(free_at[node] - now, 0.0)
        backlog = max(backlog, queue)
        if storm.sheds_after is not None and queue > storm.sheds_after:
            free_at[node] = now + queue + refusal
            heapq.heappush(waiting, (now + queue + delay(tries + 1, storm.retry_after), tries + 1, client))
            continue
        free_at[node] = done = now + queue + work  # also for one that does not wait for it
        if done - now > policy.connect_timeout_seconds:
            again = now + policy.connect_timeout_seconds + delay(tries + 1, 0.0)
            heapq.heappush(waiting, (again, tries + 1, client))
        else:
            back.append(done)
    return Returned(sorted(back), 1 - len(back) / number, backlog, attempts / number)


def _delays(policy: Policy, storm: Storm, rng: random.Random) -> Callable[[int, float], float]:
    if storm.jittered:
        return lambda tries, asked: policy.delay_seconds(tries, asked, rng)
    return lambda tries, asked: (
        asked + min(policy.max_delay_seconds, policy.initial_delay_seconds * 2.0 ** min(tries, 32))
    )
