"""Random schedules against an oracle: whatever clients, engine and network do, every reader gets exact bytes.

`TESTS_SEED=<n>` runs one schedule again, `TESTS_SCHEDULES=<n>` that many. A failure names its seed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import weakref
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from realtime.connection.profiles import ConnectionLimits
from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Fail, Pause, RandomScript, Step
from realtime.runs.run import Run
from realtime.settings.fields import ResponseSettings
from realtime.store.base import Stores
from realtime.store.memory.stores import memory_stores
from tests.support.long import effort
from tests.support.memory import MemorySocket, ObservedLog, Stack
from tests.support.server import Client, running
from tests.support.steps import cut, resume, take, until
from tests.support.transcript import check

NUM_SCHEDULES = int(os.environ.get("TESTS_SCHEDULES", effort(400, 24_000)))
SEED = os.environ.get("TESTS_SEED")
PARTS = 8
REFUSALS = {
    "response_not_found", "response_already_completed", "previous_response_not_found", "previous_response_in_progress",
    "cursor_too_old", "slow_reader", "server_is_overloaded", "engine_unavailable", "too_many_queued_requests",
    "request_cancelled",
}  # fmt: skip


class _Head(msgspec.Struct):
    """What the oracle needs of a frame."""

    type: str
    sequence_number: int
    done: bool
    response_id: str | None = None
    event_id: str | None = None
    resumed: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


_head = msgspec.json.Decoder(_Head).decode


class _Moody:
    """A script with pauses and, rarely, a failure; what it says depends on the prompt only."""

    def __init__(self, seed: int, rng: random.Random) -> None:
        self._words = RandomScript(seed, 0, rng.choice([3, 12, 40]))
        self._failures = rng.random() < 0.3

    def __call__(self, request: EngineRequest) -> Iterator[Step]:
        rng = random.Random(f"{request.prompt_token_ids}")
        for step in self._words(request):
            if rng.random() < 0.1:
                yield Pause(rng.randint(1, 3))
            if self._failures and rng.random() < 0.01:
                yield Fail()
            yield step


class _Client:
    """A socket and what its owner must have received by the oracle's reckoning."""

    def __init__(self, socket: MemorySocket, stack: Stack, *, in_order: bool) -> None:
        """in_order: resumes are answered in the order in which they were sent."""
        self.socket = socket
        self.in_order = in_order
        self._stack = stack
        self._checked = 0
        self._next_own = 0
        self._any: set[str] = set()  # cancelled from here without being read: the rest comes from anywhere on
        self.cursors: dict[str, int] = {}  # response id -> number of the next event
        self.names: set[str] = set()  # of the requests that it ever sent; a repeated one has the same name
        self.creates: set[str] = set()  # event ids of those that are not answered: a name, or name/number
        self.asked: dict[str, tuple[str, int]] = {}  # event id of a resume -> response and first number
        self.resumes: list[str] = []  # event ids in order
        self.lost = False  # cut: what is not answered never will be

    def check(self) -> None:
        """Every new frame must be the one and only frame that can come here."""
        frames = self.socket.frames
        while self._checked < len(frames):
            frame = frames[self._checked]
            self._checked += 1
            head = _head(frame)
            if head.response_id is None:
                assert head.sequence_number == self._next_own, "the connection's own numbers have a gap"
                self._next_own += 1
                self._own(head)
            else:
                self._event(head, frame)

    def _own(self, head: _Head) -> None:
        if head.type == "response.resumed":
            assert head.resumed is not None
            response_id, first = head.resumed["response_id"], head.resumed["starting_after"] + 1
            name = next(name for name in self.resumes if self.in_order or self.asked[name] == (response_id, first))
            assert self.asked[name] == (response_id, first)
            self.resumes.remove(name)
            del self.asked[name]
            assert head.resumed["epoch"] == self._stack.logs[response_id].epoch
            self.cursors[response_id] = first
            self._answered(self._stack.logs[response_id].history)
            if self._stack.logs[response_id].sealed and first == len(self._stack.logs[response_id].history):
                del self.cursors[response_id]  # it was at the end already
        elif head.type == "error":
            assert head.error is not None
            assert head.error["code"] in REFUSALS, head.error
            if head.error["code"] == "slow_reader":
                response_id = head.error["message"].split("'")[1]
                self.cursors.pop(response_id, None)  # none: it was too slow even for the first event
                self._answered(self._stack.logs[response_id].history)
            elif head.event_id in self.asked:
                del self.asked[head.event_id]
                self.resumes.remove(head.event_id)
            else:
                self.creates.discard(head.event_id or "")
        else:
            assert head.type == "session.created"

    def _event(self, head: _Head, frame: bytes) -> None:
        assert head.response_id is not None
        history = self._stack.logs[head.response_id].history
        number = self.cursors.get(head.response_id)
        if head.type == "response.created":
            name = self._answered(history)
            assert number == 0 or name in self.names, "a created event that nobody asked for"
            number = 0
        elif number is None:
            assert head.response_id in self._any, "an event of a response that this client does not read"
            number = head.sequence_number
        assert head.sequence_number == number, "a gap or a repetition"
        assert frame == history[number], "not the bytes of the log"
        assert head.done == (number == len(history) - 1 and self._stack.logs[head.response_id].sealed)
        self.cursors[head.response_id] = number + 1
        if head.done:
            del self.cursors[head.response_id]
            self._any.discard(head.response_id)

    def _answered(self, history: list[bytes]) -> str:
        """What answers the create of a response; one may answer several: sent twice, resumed before it was read."""
        name: str = json.loads(history[0])["response"]["metadata"]["key"]
        self.creates -= {create for create in self.creates if create.split("/")[0] == name}
        return name

    def may_get(self, response_id: str) -> None:
        """It cancels this response, which it may not read: then it gets what is still to come."""
        self._any.add(response_id)

    def left(self, response_id: str) -> None:
        self.cursors.pop(response_id, None)


class Schedule:
    """One random schedule. `in_order`: look-ups are answered in the order in which they were made."""

    in_order = True

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.script = _Moody(seed, rng)
        tiny = rng.random() < 0.15
        settings = ResponseSettings(
            max_running_responses=rng.choice([1, 3, 100]),
            max_waiting_responses=rng.choice([0, 2, 100]),
            max_log_bytes=6000 if tiny else 1 << 26,
        )
        self.stack = Stack(
            self.script,
            settings,
            self.stores(settings),
            max_num_seqs=rng.choice([1, 2, 8]),
            abort_ticks=rng.choice([0, 0, 1, 3]),
        )
        self.limits = ConnectionLimits(max_in_flight=rng.choice([1, 2, 16]), max_queued=rng.choice([0, 3, 100]))
        self.clients: list[_Client] = []
        self.count = 0
        self.keys: list[tuple[str, dict[str, Any]]] = []
        self.cancelled: set[str] = set()
        self.engine_died = False

    def stores(self, settings: ResponseSettings) -> Stores:
        """Whose look-ups never wait; a subclass has others."""
        return memory_stores(settings)

    async def run(self) -> None:
        await self.stack.supervised.start()
        try:
            self.connect()
            for _ in range(self.rng.randint(10, 45)):
                await self.operate()
            await self.end()
        finally:
            for client in self.clients:
                if not client.socket.gone:
                    client.socket.cut()
            await asyncio.gather(*(client.socket.task for client in self.clients))
            shutdown = asyncio.create_task(self.stack.service.shutdown())
            while not shutdown.done():
                self.stack.engine.step()  # an abort takes ticks
                await asyncio.sleep(0)
            await self.stack.supervised.shutdown()

    async def operate(self) -> None:
        operations: list[tuple[int, Any]] = [
            (8, self.create), (10, self.step), (4, self.resume), (3, self.cut), (2, self.connect), (2, self.cancel),
            (2, self.block), (2, self.unblock), (1, self.detach), (1, self.repeat), (1, self.cancel_lane),
        ]  # fmt: skip
        weights = [weight for weight, _ in operations]
        [(_, operation)] = self.rng.choices(operations, weights)
        operation()
        if self.rng.random() < 0.01:
            self.stack.engine.kill()
            self.engine_died = True
        for _ in range(self.rng.choice([0, 0, 1, 1, 2, 4, 8])):  # the next operation may come in the midst of this one
            await asyncio.sleep(0)
        for client in self.clients:
            client.check()

    # -- operations

    def connect(self) -> None:
        socket = MemorySocket(self.stack, native=self.rng.random() < 0.5, limits=self.limits)
        self.clients.append(_Client(socket, self.stack, in_order=self.in_order))

    def client(self) -> _Client:
        here = [client for client in self.clients if not client.lost]
        if not here:
            self.connect()
            here = self.clients[-1:]
        return self.rng.choice(here)

    def create(self) -> None:
        self.count += 1
        name, rng = f"c{self.count}", self.rng
        members: dict[str, Any] = {"input": f"question {rng.randint(0, 5)}", "metadata": {"key": name}}
        if rng.random() < 0.7:
            members["stream_id"] = rng.choice("abc")
        policy = rng.choice([None, "cancel", "linger", "linger", "continue"])
        if policy is not None:
            members["on_disconnect"] = {"policy": policy}
            if policy == "linger":
                members["on_disconnect"]["seconds"] = rng.choice([0, 3600])
        if rng.random() < 0.2:
            members["max_output_tokens"] = rng.randint(1, 10)
        if rng.random() < 0.1:
            members["generate"] = False
        if rng.random() < 0.2:
            members["store"] = False
        if rng.random() < 0.4 and self.stack.logs:
            members["previous_response_id"] = rng.choice(list(self.stack.logs))
        if rng.random() < 0.5:
            members["request_id"] = name
            self.keys.append((name, members))
        self._send_create(self.client(), name, members)

    def repeat(self) -> None:
        """An idempotent create, sent again from anywhere."""
        if self.keys:
            self.count += 1
            name, members = self.rng.choice(self.keys)
            self._send_create(self.client(), f"{name}/{self.count}", members)

    def _send_create(self, client: _Client, name: str, members: dict[str, Any]) -> None:
        client.creates.add(name)
        client.names.add(name.split("/")[0])
        client.socket.send("response.create", event_id=name, **members)

    def step(self) -> None:
        self.stack.engine.step(self.rng.choice([1, 1, 2, 5, 20]))

    def some_response(self) -> tuple[str, ObservedLog] | None:
        """One that exists; the newer the likelier."""
        logs = list(self.stack.logs.items())
        return self.rng.choice(logs[-6:]) if logs else None

    def resume(self) -> None:
        if found := self.some_response():
            response_id, log = found
            self.count += 1
            first = self.rng.randint(0, len(log.history))
            client, name = self.client(), f"r{self.count}"
            client.asked[name] = (response_id, first)
            client.resumes.append(name)
            epoch = {"epoch": log.epoch} if self.rng.random() < 0.5 else {}
            client.socket.send(
                "response.resume", event_id=name, response_id=response_id, starting_after=first - 1, **epoch
            )

    def cut(self) -> None:
        client = self.client()
        client.lost = True
        client.socket.cut()

    def cancel(self) -> None:
        if found := self.some_response():
            client = self.client()
            client.may_get(found[0])
            self.cancelled.add(found[0])
            client.socket.send("response.cancel", response_id=found[0])

    def cancel_lane(self) -> None:
        self.client().socket.send("response.cancel", stream_id=self.rng.choice("abc"))

    def detach(self) -> None:
        """Goes past the inbox, so that the oracle knows from which frame on nothing more may come."""
        client = self.client()
        socket = client.socket
        socket.shell._flush()
        client.check()
        coming = {response_id for response_id, _ in client.asked.values()}  # a detach would wait for these
        here = [response_id for response_id in client.cursors if response_id not in coming]
        if here and socket.writable:
            response_id = self.rng.choice(here)
            message = {"type": "response.detach", "response_id": response_id}
            socket.connection.receive(json.dumps(message).encode(), 0.0)
            socket.shell._step()
            client.left(response_id)

    def block(self) -> None:
        self.client().socket.writable = False

    def unblock(self) -> None:
        self.client().socket.unblock()

    # -- the end

    async def end(self) -> None:
        for client in self.clients:
            client.socket.unblock()
        quiet = 0
        for _ in range(3000):
            self.stack.engine.step()
            await asyncio.sleep(0)
            busy = self.stack.service.num_running or not all(c.lost or c.socket.quiet for c in self.clients)
            quiet = 0 if busy else quiet + 1
            if quiet > 10:
                break
        self.verify()

    def verify(self) -> None:
        stack = self.stack
        for client in self.clients:
            client.check()
            if not client.lost:
                assert client.socket.connection.idle, "a connection still waits for something"
                assert not client.creates, "a create was never answered"
                assert not client.asked, "a resume was never answered"
                assert not client.cursors, "a reader never got the terminal event"
        assert not stack.service.num_running
        assert not stack.service.run_tasks.tasks
        assert stack.service.queue.scheduler.num_running == stack.service.queue.scheduler.num_waiting == 0
        assert not stack.engine._held
        for run in stack.runs:
            assert run.over
            timer: Any = run.audience.lonely  # the event loop's
            assert timer is None or timer.cancelled() or run.audience.policy.seconds == 0, "a timer is left"
        for response_id, log in stack.logs.items():
            self.verify_log(response_id, log)

    def verify_log(self, response_id: str, log: ObservedLog) -> None:
        events = [json.loads(entry) for entry in log.history]
        final = check(events)
        text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        run = next(run for run in self.stack.runs if run.response_id == response_id)
        lonely = run.audience.policy.policy == "cancel" or run.audience.policy.seconds == 0
        match final["status"]:
            case "cancelled":
                reason = final["incomplete_details"]["reason"]
                assert lonely if reason == "client_disconnected" else reason == "cancelled"
                assert final["cancel"]["tokens_delivered"] <= final["cancel"]["tokens_generated"]
            case "failed":
                assert self.engine_died or self.script._failures
            case "completed" if run.job.request.generate is not False:
                said = [step for step in self.script._words(_prompt(run)) if isinstance(step, str)]
                assert text == "".join(said), "not what the model said"
            case "incomplete":
                assert final["usage"]["output_tokens"] == run.job.request.max_output_tokens


def _prompt(run: Any) -> EngineRequest:
    """The engine request that this run made, for the script."""
    return msgspec.structs.replace(_EMPTY, prompt_token_ids=run.stages.prompts.prompt.token_ids)


_EMPTY = EngineRequest(request_id="", prompt_token_ids=(), sampling=None)  # type: ignore[arg-type]


async def run_schedule(seed: int) -> None:
    """One schedule; a failure says how to have it again."""
    try:
        await Schedule(seed).run()
    except BaseException as error:
        error.add_note(f"TESTS_SEED={seed}")
        raise


@pytest.mark.parametrize("part", range(PARTS))
async def test_every_reader_gets_exact_bytes_whatever_happens(part: int, caplog: pytest.LogCaptureFixture) -> None:
    seeds = [int(SEED)] if SEED else range(part, NUM_SCHEDULES, PARTS)
    caplog.set_level("CRITICAL")
    for seed in seeds:
        await run_schedule(seed)


def _is_followed_alone(watched: weakref.ref[Any]) -> bool:
    """A run that is about to end because nobody follows it, and is followed."""
    run = watched()
    return isinstance(run, Run) and run.audience.lonely is not None and bool(run.audience.watchers)


async def test_nothing_of_a_schedule_stays_in_memory() -> None:
    gc.collect()
    gc.freeze()  # what is there already, vLLM perhaps, would make each collection below take half a second
    watched: list[weakref.ref[Any]] = []
    for seed in range(20):
        schedule = Schedule(1_000_000 + seed)
        await schedule.run()
        watched += [weakref.ref(run) for run in schedule.stack.runs]
        schedule.stack.runs.clear()
        service = schedule.stack.service
        clients = [client.socket for client in schedule.clients]
        schedule.clients.clear()
        assert not any(map(_is_followed_alone, watched))
        watched += [weakref.ref(socket) for socket in clients]
        del clients, schedule
        gc.collect()
        left = [thing() for thing in watched if thing() is not None]
        assert not left, "the service keeps what is over"
        assert service.num_running == 0


async def test_random_cuts_on_real_sockets_join_to_the_log() -> None:
    """The same on real sockets: cut anywhere, cleanly or not, resume, and compare with an uncut reader."""
    rng = random.Random(int(SEED or 7))
    script = RandomScript(seed=11, min_tokens=30, max_tokens=80)
    async with running(script, tick_seconds=0.0005, max_num_seqs=16) as server:
        for turn in range(40):
            async with server.client(native=True) as watcher:
                async with server.client(native=rng.random() < 0.5) as author:
                    await author.send(
                        "response.create", input=f"turn {turn}", on_disconnect={"policy": "linger", "seconds": 600}
                    )
                    joined = await take(author, 1)
                    response_id = json.loads(joined[0])["response_id"]
                    await resume(watcher, response_id)
                    joined += await _some(author, rng)
                    await _leave(author, rng)
                while not json.loads(joined[-1])["done"]:
                    async with server.client(native=rng.random() < 0.5) as reader:
                        await resume(reader, response_id, len(joined) - 1)
                        joined += await _some(reader, rng)
                        await _leave(reader, rng)
                whole = [await watcher.receive_raw()]
                while not json.loads(whole[-1])["done"]:
                    whole.append(await watcher.receive_raw())
                assert joined == whole, f"turn {turn}"
        await until(lambda: server.gateway.admission.num_connections == 0)


async def _some(client: Client, rng: random.Random) -> list[str]:
    """A random number of frames, up to the terminal."""
    frames: list[str] = []
    for _ in range(rng.randint(0, 30)):
        frames.append(await client.receive_raw())
        if json.loads(frames[-1])["done"]:
            break
    return frames


async def _leave(client: Client, rng: random.Random) -> None:
    await (cut(client) if rng.random() < 0.5 else client.connection.close())
