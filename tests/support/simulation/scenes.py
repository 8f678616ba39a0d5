"""Schedules that are written by hand: each brings about what one kind of bug needs, whatever the seed.

What comes before and after is that of any schedule: nodes that know each other, and the judge of all that clients were
told. So a scene only says what happens, and is wrong where the judge finds something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from realtime.store.cluster.backend import Changes, Key, Lease

from .node import SimulatedNode
from .setup import Setup
from .store import STORE

if TYPE_CHECKING:
    from tests.support.cluster_schedule import Schedule

CONTINUE = {"on_disconnect": {"policy": "continue"}}
_UNTIL_LOST_SECONDS = 5.5  # after which a node without its store has lost its lease, and readers still wait
_BEYOND_SECONDS = 8.0  # after which the store gives what it had to others


class Scene(NamedTuple):
    """See the module."""

    play: Callable[[Schedule], Awaitable[None]]
    setup: Setup = Setup()


async def _same_request_at_two(schedule: Schedule) -> None:
    """Node a claims a request just after b has looked for its claim; a has begun nothing yet."""
    a, b = schedule.nodes["a"], schedule.nodes["b"]
    on_get, text = schedule.world.backend.on_get, schedule.text()
    members = {**CONTINUE, "request_id": f"r-{text}"}
    a.way.hold("commits")
    schedule.spawn(schedule.clients.create(a, text, members))
    await asyncio.sleep(0.1)  # it has looked, and its claim is on its way

    def let_go(keys: Sequence[Key]) -> None:
        if any(key.startswith(b"claim/") for key in keys):
            on_get.remove(let_go)
            a.way.let_go("commits")

    on_get.append(let_go)
    await schedule.clients.create(b, text, members)


async def _asked_again_while_taken_over(schedule: Schedule) -> None:
    """Another node has taken over the first of what a dead one ran when it is asked for all of that again."""
    a = schedule.nodes["a"]
    on_commit, texts = schedule.world.backend.on_commit, [schedule.text() for _ in range(8)]

    def ask(node: SimulatedNode) -> None:
        for text in texts:
            schedule.spawn(schedule.clients.create(node, text, {**CONTINUE, "request_id": f"r-{text}"}))

    ask(a)
    await schedule.until(lambda: a.num_running == len(texts), 5, "answers that run")
    await asyncio.sleep(0.3)

    def ask_again(changes: Changes) -> None:
        if _takes_over(changes):
            on_commit.remove(ask_again)
            ask(schedule.nodes[changes.fence.node])

    on_commit.append(ask_again)
    await schedule.faults.kill(a, _BEYOND_SECONDS)


async def _ends_without_its_store(schedule: Schedule) -> None:
    """Answers end at a node before their readers' eyes, when its store is away until its lease is over; then it has a
    new lease, and another answer.
    """
    a = schedule.nodes["a"]
    for _ in range(2):
        schedule.spawn(schedule.asking.by_post(a, schedule.text(), CONTINUE))
    await schedule.until(lambda: a.num_running == 2, 5, "answers that run")
    await asyncio.sleep(0.3)
    await schedule.faults.cut_off(a, _UNTIL_LOST_SECONDS)
    await schedule.until(lambda: a.serves, 5, "a new lease")
    await schedule.clients.create(a, schedule.text(), CONTINUE)


async def _speaks_without_its_store(schedule: Schedule) -> None:
    """The store is away from a node in the middle of a long answer."""
    a = schedule.nodes["a"]
    await _begun_at(a, schedule)
    await schedule.faults.cut_off(a, _BEYOND_SECONDS)


async def _cut_at_another(schedule: Schedule) -> None:
    """An answer is cut at its home, which knows it, while another node has its conversation by then."""
    a, b = schedule.nodes["a"], schedule.nodes["b"]
    await schedule.converse(a)
    [conversation] = schedule.conversations
    await schedule.clients.create(a, schedule.text(), {**CONTINUE, "conversation": conversation})
    [response_id] = schedule.clients.known
    losing = asyncio.ensure_future(schedule.faults.cut_off(a, _BEYOND_SECONDS))
    await asyncio.sleep(0.9 * _BEYOND_SECONDS)
    await schedule.conversing.page_through(b, conversation)
    await losing
    await schedule.until(lambda: a.serves, 5, "a new lease")
    shown: Any = await schedule.clients.change(a, "GET", f"/v1/responses/{response_id}")
    assert shown["status"] == "completed", shown
    await schedule.clients.truncate(a, response_id)


async def _shown_elsewhere_and_cut(schedule: Schedule) -> None:
    """An answer is cut at its home, after another node has shown it."""
    a, b = schedule.nodes["a"], schedule.nodes["b"]
    await schedule.clients.create(a, schedule.text(), CONTINUE)
    [response_id] = schedule.clients.known
    await schedule.clients.change(b, "GET", f"/v1/responses/{response_id}")
    await schedule.clients.truncate(a, response_id)


async def _dies_ahead_of_its_store(schedule: Schedule) -> None:
    """A node tells its readers of what the store does not have yet, and is killed."""
    a, b = schedule.nodes["a"], schedule.nodes["b"]
    response_id = await _begun_at(a, schedule)
    for _ in range(4):
        schedule.spawn(schedule.clients.follow(schedule.clients.begin_at(b, response_id, 0)))
    await asyncio.sleep(0.3)
    a.way.hold("commits")
    await asyncio.sleep(0.3)
    await schedule.faults.kill(a, _BEYOND_SECONDS)


async def _cancelled_twice_and_dies(schedule: Schedule) -> None:
    """A node is asked twice to cancel an answer, and is killed before the store has its end."""
    a = schedule.nodes["a"]
    response_id = await _begun_at(a, schedule)
    await asyncio.sleep(0.3)
    a.way.hold("commits")
    for _ in range(2):
        schedule.spawn(schedule.clients.cancel(a, response_id))
        await asyncio.sleep(0.2)
    await schedule.faults.kill(a, _BEYOND_SECONDS)


async def _taken_over_and_forgotten(schedule: Schedule) -> None:
    """The store fails over without the newest that it had: that somebody has taken over what a dead node ran. So the
    next one does that too.
    """
    a = schedule.nodes["a"]
    response_id, taken = await _begun_at(a, schedule), asyncio.Event()
    await asyncio.sleep(0.3)
    schedule.world.backend.on_commit.append(lambda changes: taken.set() if _takes_over(changes) else None)
    schedule.spawn(schedule.faults.kill(a, 3 * _BEYOND_SECONDS))
    for node in ("b", "c") * 2:
        schedule.spawn(schedule.clients.follow(schedule.clients.begin_at(schedule.nodes[node], response_id, 0)))
    await taken.wait()
    await asyncio.sleep(0.02)
    await schedule.faults.fail_over(0.04, 0.0)
    await asyncio.sleep(2 * _BEYOND_SECONDS)


async def _asked_before_and_begun_without_lease(schedule: Schedule) -> None:
    """A node that is asked for something looks what that continues, and has lost its lease when it has the answer. It
    can have no other before the store has ended that one.
    """
    a, b = schedule.nodes["a"], schedule.nodes["b"]
    await schedule.clients.create(b, schedule.text(), CONTINUE)
    [earlier] = schedule.clients.known
    schedule.spawn(schedule.clients.create(a, schedule.text(), CONTINUE))
    await schedule.until(lambda: a.num_running == 1, 5, "an answer that runs")
    await asyncio.sleep(0.3)
    a.way.hold("looks")
    schedule.spawn(schedule.clients.create(a, schedule.text(), {**CONTINUE, "previous_response_id": earlier}))
    await asyncio.sleep(0.1)
    await schedule.faults.fail_over(0.05, 0.0)
    await asyncio.sleep(0.1)  # with its next commit it learns that
    a.way.let_go("looks")
    await asyncio.sleep(10.0)  # what is told before that the store may have lost
    await schedule.clients.create(a, schedule.text(), CONTINUE)


async def _wakes_when_taken_over(schedule: Schedule) -> None:
    """A machine is suspended with the end of an answer on its way to the store, just before its lease is over. It wakes
    up when another node has taken the answer over; its clocks stood still meanwhile.
    """
    a, network, backend = schedule.nodes["a"], schedule.world.network, schedule.world.backend
    renewed, woken = asyncio.Event(), asyncio.Event()

    def on_renew(lease: Lease) -> None:
        if lease.node == a.name:
            renewed.set()

    backend.on_renew.append(on_renew)
    await renewed.wait()
    schedule.spawn(schedule.clients.post(a, schedule.text(), CONTINUE))
    await schedule.until(lambda: a.num_running == 1, 5, "an answer that runs")
    await asyncio.sleep(0.3)
    network.silence(a.name, STORE)
    await asyncio.sleep(4.2)
    a.stop()
    began = schedule.world.loop.time()

    def wake(changes: Changes) -> None:
        if changes.fence.node != a.name and not woken.is_set() and _takes_over(changes):
            woken.set()
            a.shift_clock(schedule.world.loop.time() - began)
            a.go_on()
            network.heal_way(a.name, STORE)

    backend.on_commit.append(wake)
    await woken.wait()


async def _dies_of_its_claim(schedule: Schedule) -> None:
    """A node dies between the claim of a request and its response, which is asked for again."""
    text = schedule.text()
    schedule.spawn(schedule.faults.claim())
    await asyncio.sleep(0)
    await schedule.clients.create(schedule.nodes["a"], text, {**CONTINUE, "request_id": f"r-{text}"})


async def _every_node_of_it_dies(schedule: Schedule) -> None:
    """Whichever node has an answer is killed."""
    await _begun_at(schedule.nodes["a"], schedule)
    await schedule.faults.chase()


def _takes_over(changes: Changes) -> bool:
    return any(key.startswith(b"owner/resp_") for key in changes.sets)


async def _begun_at(node: SimulatedNode, schedule: Schedule) -> str:
    """Ask a node for something; return the id of the answer once it is told of."""
    schedule.spawn(schedule.clients.create(node, schedule.text(), CONTINUE))
    await schedule.until(lambda: bool(schedule.clients.known), 5, "an answer that is told of")
    return next(iter(schedule.clients.known))


_LONG = Setup(shortest=100, longest=100)
_SAMPLES = msgspec.structs.replace(_LONG, seeds_are_free=False)
SCENES = {
    "asked again while taken over": Scene(
        _asked_again_while_taken_over, Setup(shortest=30, longest=30, max_num_seqs=2)
    ),
    "cut at another": Scene(_cut_at_another, Setup(shortest=30)),
    "begun without a lease": Scene(_asked_before_and_begun_without_lease, Setup(shortest=30)),
    "cancelled twice and dies": Scene(_cancelled_twice_and_dies, _LONG),
    "cancelled twice and dies, at once": Scene(_cancelled_twice_and_dies, msgspec.structs.replace(_LONG, strict=False)),
    "dies ahead of its store": Scene(_dies_ahead_of_its_store, msgspec.structs.replace(_SAMPLES, strict=False)),
    "dies of its claim": Scene(_dies_of_its_claim),
    "ends without its store": Scene(_ends_without_its_store, Setup(shortest=30, seeds_are_free=False)),
    "ends without its store, at once": Scene(_ends_without_its_store, Setup(strict=False, shortest=30)),
    "every node of it dies": Scene(_every_node_of_it_dies, _LONG),
    "shown elsewhere and cut": Scene(_shown_elsewhere_and_cut, Setup(shortest=30)),
    "speaks without its store": Scene(_speaks_without_its_store, Setup(strict=False, shortest=260, longest=260)),
    "taken over and forgotten": Scene(
        _taken_over_and_forgotten, Setup(shortest=400, longest=400, seeds_are_free=False)
    ),
    "the same request at two nodes": Scene(_same_request_at_two),
    "wakes when taken over": Scene(_wakes_when_taken_over, _SAMPLES),
}
