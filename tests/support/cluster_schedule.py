"""Schedules of whole nodes. What clients do and what befalls the nodes, the network and the store follows from a seed,
and so does when; or a scene says it. `failures(seed)` and `failures_of(scene)` play one, and return what is not as
promised.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import RandomScript, ScriptedTokenizer, Step
from realtime.settings.fields import Settings
from tests.support.patience import SECONDS

from .at_once import at_once
from .cluster_history import Final, History, judge
from .server import changed
from .simulation import http
from .simulation.asking import Asking
from .simulation.clients import Clients
from .simulation.conversing import Conversing
from .simulation.faults import KINDS, Faults
from .simulation.node import SimulatedNode
from .simulation.scenes import Scene
from .simulation.setup import Setup
from .simulation.store import STORE
from .simulation.world import World

_PORT = 9000
_NAMES = ("a", "b", "c", "d", "e")
_END_SECONDS = 240.0  # for everything to be over when all is well again
_NOTICED_SECONDS = 8.0  # after which every node knows that its store has lost something
ASKED = (
    *("create",) * 6, *("same",) * 3, *("follow",) * 4, *("stop",) * 3, "cancel", "steer", "truncate", "delete",
    "converse", "lanes", "lanes", "stream", "stream", "again", "again", "put", "put", "take out", "list",
    "delete conversation",
)  # fmt: skip
_TURN = re.compile(r"\bq\d+\b")


class _Model:
    """A script that says much or little, as the prompt has it, and notes what it was asked. Without a seed each
    generation is another sample.
    """

    def __init__(self, seed: int, history: History, setup: Setup) -> None:
        self._lengths = setup.shortest, setup.longest
        self._seed = seed
        self._history = history
        self._rng = random.Random(f"{seed} samples")
        self._tokenizer = ScriptedTokenizer()

    def __call__(self, request: EngineRequest) -> Iterator[Step]:
        turns = _TURN.findall(self._tokenizer.decode(request.prompt_token_ids))
        seeded = request.sampling.seed is not None
        script = RandomScript(self._seed if seeded else self._rng.randrange(1 << 30), *self._lengths)
        steps = list(script(request))
        self._history.prompts.append(turns)
        self._history.generated[turns[-1]] = self._history.generated.get(turns[-1], 0) + 1
        if seeded:
            text = "".join(step for step in steps if isinstance(step, str))
            self._history.said.setdefault(turns[-1], set()).add(text)
        return iter(steps)


class Schedule:
    """One schedule. `kinds`: of what goes wrong. `scene`: what happens; None: whatever the seed has."""

    def __init__(self, seed: int, kinds: Sequence[str] = KINDS, scene: Scene | None = None) -> None:
        self.world = world = World(seed)
        self.rng = rng = world.random
        self.scene = scene
        self.setup = setup = scene.setup if scene is not None else Setup.random(rng)
        self.history = History(strict=setup.strict)
        self.settings = changed(
            Settings(), deliver="after_commit" if self.history.strict else "at_once", retention_seconds=36_000.0,
            drain_seconds=setup.drain_seconds,
        )  # fmt: skip
        self.model = _Model(seed, self.history, setup)
        self.engine_options: dict[str, Any] = {
            "seeds_are_free": setup.seeds_are_free,
            "max_num_seqs": setup.max_num_seqs,
        }
        self.nodes: dict[str, SimulatedNode] = {}
        self.clients = Clients(world.loop, rng, self.history, lambda: list(self.nodes.values()))
        self.asking = Asking(self.clients)
        self.conversing = Conversing(self.clients, rng)
        self.faults = Faults(self, kinds)
        self.conversations: list[str] = []
        self.log: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._num_texts = 0

    def note(self, what: str) -> None:
        """Write down what happens."""
        self.log.append(f"{self.world.loop.now:9.3f} {what}")

    def start(self, name: str) -> SimulatedNode:
        """Start a node."""
        self.note(f"start {name}")
        port = _PORT + _NAMES.index(name)
        node = SimulatedNode(self.world, name, port, self.settings, self.model, self.engine_options)
        self.nodes[name] = node
        return node

    async def play(self) -> None:
        """Do everything, and hear what is there in the end."""
        for name in _NAMES[: self.setup.num_nodes]:
            self.start(name)
        await self.until(self._know_each_other, 30, "nodes that know each other")
        await (self._at_random() if self.scene is None else self.scene.play(self))
        await self._end()

    async def _at_random(self) -> None:
        rng = self.rng
        await self._begin()
        for _ in range(rng.randint(8, 20)):
            if rng.random() < 0.3:
                self.spawn(self.faults.one())
            else:
                self.spawn(self._ask())
            await asyncio.sleep(rng.choice([0.0, 0.001, 0.01, 0.1, 0.5, 1.0, 3.0]) * rng.random())

    # -- what clients do

    async def _begin(self) -> None:
        """A conversation, and something that is asked, so that there is something."""
        await self.converse(self.clients.node())
        self.spawn(self._create())

    async def _ask(self) -> None:
        rng, clients = self.rng, self.clients
        known = list(clients.known)
        some = rng.choice(known[-5:]) if known else None
        node = clients.node()
        what = rng.choice(ASKED)
        self.note(f"{what} {some} at {node.name}")
        if what == "create" or some is None:
            await self._create()
        elif what == "same":
            await self._create_at_many()
        elif what == "follow":
            await clients.follow(clients.begin_at(node, some, rng.choice([0, 0, 1, 2, 5])))
        elif what == "stop":
            await clients.stop(node, some, rng.choice(["cancel", "interrupt"]), rng.choice([None, None, 3, 10]))
        elif what == "converse":
            await self.converse(node)
        elif what == "lanes":
            texts = [self.text() for _ in range(rng.randint(2, 4))]
            members = {"on_disconnect": {"policy": "continue"}, **self._in_conversation(0.3)}
            await self.asking.in_lanes(node, texts, [rng.choice("xxy") for _ in texts], members)
        elif what == "stream":
            text, members = self.text(), self._members()
            members.pop("background", None)
            await self.asking.by_post(node, text, members)
        elif what == "again":
            text, members = self.text(), self._members()
            members.pop("background", None)
            await self.asking.again(node, text, {**members, "request_id": f"r-{text}"}, rng.choice([1, 3, 10]))
        elif what in ("put", "take out", "list", "delete conversation"):
            await self._change_conversation(what, node)
        elif what == "steer":
            await clients.steer(node, some, self.text())
        elif what == "truncate":
            await clients.truncate(node, some)
        elif what == "delete":
            await clients.delete(node, some)
        elif what == "cancel":
            await clients.cancel(node, some)

    async def _change_conversation(self, what: str, node: SimulatedNode) -> None:
        if not self.conversations:
            return
        conversation = self.rng.choice(self.conversations)
        self.note(f"{what} {conversation} at {node.name}")
        if what == "put":
            await self.conversing.put(node, conversation, [self.text() for _ in range(self.rng.randint(1, 3))])
        elif what == "take out":
            await self.conversing.take_out(node)
        elif what == "list":
            await self.conversing.page_through(node, conversation)
        elif len(self.conversations) > 1:
            await self.conversing.delete(node, conversation)

    async def converse(self, node: SimulatedNode) -> None:
        """Begin a conversation."""
        if (conversation := await self.clients.converse(node)) is not None:
            self.conversations.append(conversation)
            self.history.conversed[conversation] = self.world.loop.time()

    async def _create(self) -> None:
        text, members = self.text(), self._members()
        await self._send(text, members, self.rng.random() < 0.7)

    async def _create_at_many(self) -> None:
        """The same request at several nodes at once."""
        text, members = self.text(), self._members()
        members["request_id"] = f"r-{text}"
        on_socket = self.rng.random() < 0.6
        await asyncio.gather(*(self._send(text, members, on_socket) for _ in range(self.rng.randint(2, 3))))

    async def _send(self, text: str, members: dict[str, Any], on_socket: bool) -> None:
        node = self.clients.node()
        self.note(f"{text} at {node.name} {members} {'on a socket' if on_socket else ''}")
        if on_socket:
            members = {name: value for name, value in members.items() if name != "background"}
            await self.clients.create(node, text, members)
        else:
            await self.clients.post(node, text, members)

    def ask_for_much(self, node: SimulatedNode) -> None:
        """Ask a node for more than it can say in a few seconds."""
        for _ in range(6):
            self.spawn(self.clients.create(node, self.text(), {"on_disconnect": {"policy": "continue"}}))

    def text(self) -> str:
        """Return something to ask that was not asked before."""
        self._num_texts += 1
        return f"q{self._num_texts}"

    def _in_conversation(self, chance: float) -> dict[str, Any]:
        if self.conversations and self.rng.random() < chance:
            return {"conversation": self.rng.choice(self.conversations)}
        return {}

    def _members(self) -> dict[str, Any]:
        rng, members = self.rng, dict[str, Any]()
        members["on_disconnect"] = rng.choice(
            [{"policy": "continue"}, {"policy": "linger", "seconds": 600}, {"policy": "linger", "seconds": 600}]
        )
        chance = rng.random()
        known = list(self.clients.known)
        if chance < 0.25 and known:
            members["previous_response_id"] = rng.choice(known[-4:])
        elif chance < 0.55 and self.conversations:
            members["conversation"] = rng.choice(self.conversations)
        elif chance < 0.62:
            members["store"] = False
        if "store" not in members and rng.random() < 0.2:
            members["background"] = True
        if rng.random() < 0.3:
            members["request_id"] = f"r{self._num_texts}"
        if rng.random() < 0.3:
            members["seed"] = 7
        return members

    # -- the end

    async def _end(self) -> None:
        """Let all be well, wait until nothing goes on, and look."""
        history = self.history
        await asyncio.sleep(self.rng.choice([0.0, 2.0, 10.0, 20.0]) * self.rng.random())
        await self.until(lambda: not self.faults.num_chases, 80, "chases")
        await self.faults.mend()
        self.note("all is well")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_END_SECONDS)
        history.unfinished += [f"{task.get_coro()}" for task in self._tasks if not task.done()]
        for task in self._tasks:
            if task.done() and (error := task.exception()) is not None:
                history.errors.append(f"a client failed: {error!r}")
        await asyncio.sleep(_NOTICED_SECONDS if history.lost else 0.0)
        await self.until(self._know_each_other, 60, "nodes that know each other again")
        await self.until(self._nothing_runs, 60, "no running responses")
        await self.until(lambda: all(node.opened.commits.settled for node in self.nodes.values()), 30, "commits")
        for response_id in self.clients.known:
            streams = self.rng.sample(sorted(self.nodes), 2)  # all nodes show it, two stream it: that is half the cost
            history.finals[response_id] = {
                name: await self._final(node, response_id, stream=name in streams) for name, node in self._live()
            }
        for conversation_id in self.conversations:
            history.conversations[conversation_id] = {
                name: await self._items(node, conversation_id) for name, node in self._live()
            }
        for path in ("/v1/responses?limit=100", *(f"/v1/responses/{one}/input_items" for one in self._some_known())):
            history.lists[path] = {name: await self._listed(node, path) for name, node in self._live()}
        history.errors += [*self.world.loop.failures]
        history.cut_off = [
            (name, begun, ended)
            for way, begun, ended in self.world.network.cuts
            if STORE in way
            for name in way - {STORE}
        ]

    def _live(self) -> list[tuple[str, SimulatedNode]]:
        return [(name, node) for name, node in self.nodes.items() if node.up]

    async def _final(self, node: SimulatedNode, response_id: str, *, stream: bool) -> Final:
        shown = await http.request(node.port, "GET", f"/v1/responses/{response_id}")
        if shown.status != 200:
            return Final(shown.status, {"code": shown.code}, None)
        if not stream:
            return Final(200, shown.json, None)
        path = f"/v1/responses/{response_id}?stream=true&starting_after=-1"
        try:
            async with asyncio.timeout(SECONDS):
                status, events = await http.stream(node.port, path)
                return Final(200, shown.json, [event async for event in events] if status == 200 else None)
        except TimeoutError:
            self.history.unfinished.append(f"{response_id} as {node.name} streams it")
            return Final(200, shown.json, None)

    def _some_known(self) -> list[str]:
        known = [one for one in self.clients.known if one not in self.history.unstored]
        return self.rng.sample(known, min(2, len(known)))

    async def _listed(self, node: SimulatedNode, path: str) -> list[dict[str, Any]] | str:
        reply = await http.request(node.port, "GET", path)
        listed: list[dict[str, Any]] | str = reply.json["data"] if reply.status == 200 else reply.code
        return listed

    async def _items(self, node: SimulatedNode, conversation_id: str) -> list[dict[str, Any]] | None:
        path = f"/v1/conversations/{conversation_id}/items?order=asc&limit=100"
        reply = await http.request(node.port, "GET", path)
        for _ in range(10):  # it may not have heard yet of the newest epoch of the node that has it
            if reply.status != 503:
                break
            await asyncio.sleep(1.0)
            reply = await http.request(node.port, "GET", path)
        if reply.status == 404:
            return None
        items: list[dict[str, Any]] = reply.json["data"]
        return items

    # -- parts

    def _know_each_other(self) -> bool:
        return all(node.serves and node.num_others == len(self.nodes) - 1 for node in self.nodes.values())

    def _nothing_runs(self) -> bool:
        """Return whether nothing is running, nor held by a node that was."""
        held = at_once(self.world.backend.range(b"held/", b"held0", 1))
        return not held and not any(node.num_running for node in self.nodes.values())

    async def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until something holds, and note what never did."""
        until = self.world.loop.time() + seconds
        while not condition():
            if self.world.loop.time() > until:
                self.history.unfinished.append(what)
                return
            await asyncio.sleep(0.1)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin something; the schedule does not end before it."""
        self._tasks.append(asyncio.get_running_loop().create_task(work))


class _Bugs(logging.Handler):
    """What our own code takes for a bug of ours."""

    def __init__(self, history: History) -> None:
        super().__init__(logging.ERROR)
        self._history = history

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._history.errors.append(f"logged: {record.getMessage()}: {record.exc_info[1]!r}")


def played(seed: int, kinds: Sequence[str] = KINDS, scene: Scene | None = None) -> Schedule:
    """Play a schedule."""
    schedule = Schedule(seed, kinds, scene)
    bugs, logger, noise = _Bugs(schedule.history), logging.getLogger("realtime"), logging.getLogger("uvicorn.error")
    world = schedule.world
    logger.addHandler(bugs)
    logger.propagate, noise.disabled = False, True  # stores that are away, and requests that are cut off
    try:
        with world.entered():
            try:
                world.loop.run_until_complete(world.process("clients").run(schedule.play()))
            except Exception as error:
                schedule.history.errors.append(f"the schedule failed: {error!r}")
            finally:
                logger.removeHandler(bugs)
                world.loop.finish()
    finally:
        logger.propagate, noise.disabled = True, False
        logger.removeHandler(bugs)
    return schedule


def failures(seed: int, kinds: Sequence[str] = KINDS) -> list[str]:
    """Play a schedule. Return what is wrong after it."""
    return [f"seed {seed}: {what}" for what in judge(played(seed, kinds).history)]


def failures_of(scene: Scene, seed: int = 0) -> list[str]:
    """Play a scene. Return what is wrong after it. `seed`: of what a scene leaves open, as how long a message takes."""
    return judge(played(seed, scene=scene).history)
