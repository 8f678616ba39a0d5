"""What a token, a create, a whole short answer and a cancel cost in Python calls and bytecodes, which no other work on
the machine changes.

    python -m tests.support.cost            # print what it is
    python -m tests.support.cost --record   # and put it into cost.json, for the Python that runs this

Counted is the code of `realtime/` on the whole way of a delta: an engine's chunk, the parser, the assembler, the log,
the journal, the wake-up, the connection that pulls, the frame; from the bytes of a create to its first events and its
prompt at the engine, and on to the terminal event of an answer of one token; and from the bytes of a cancel to its
receipt. Not counted are the engine, msgspec, templates, the event loop and the write.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from realtime.engine.scripted import ScriptedEngine
from realtime.engine.supervisor import SupervisedEngine
from realtime.server.flusher import Pace
from realtime.server.http.sse import SseResponse
from realtime.server.http.transport import Peer
from realtime.server.websocket_transport import HEADERS, FrameProtocol
from realtime.service.principal import LOCAL
from realtime.service.service import Service
from realtime.settings.fields import ResponseSettings
from realtime.store.memory.stores import memory_stores
from realtime.wire.items import Message
from realtime.wire.requests import ResponseCreate

from .cost_streams import STREAMS, TEXT, Stream
from .counting import Count, counting
from .memory import MemorySocket

RECORD = Path(__file__).with_name("cost.json")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
NUM_SOCKETS, WARM_UP, NUM_STEPS, NUM_CREATES, NUM_ANSWERS = 4, 20, 100, 20, 40
_MANY_TURNS = 20  # of the loop: more than anything here takes
_CLOCK_SECONDS = 1e-4
_AT_ONCE = 500  # tokens that are made without a look at the sockets, where nothing is counted


class _Loop:
    """The running event loop, in a time that goes on by a bit with each look: under load nothing else is counted."""

    def __init__(self) -> None:
        self._looks = itertools.count()

    def time(self) -> float:
        return next(self._looks) * _CLOCK_SECONDS

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio.get_running_loop(), name)


class _Socket(MemorySocket):
    """Makes the frames that a socket would send."""

    conn = SimpleNamespace(extensions=())
    transport = SimpleNamespace(write=lambda data: None)

    num_written = 0
    last = b""
    can_write = True
    _headers = HEADERS

    def write_one(self, payload: bytes) -> None:
        self.num_written += 1
        self.last = payload
        FrameProtocol.write_one(self, payload)  # type: ignore[arg-type]

    def write_text(self, payloads: Any) -> None:
        self.num_written += len(payloads)
        self.last = payloads[-1]
        FrameProtocol.write_text(self, payloads)  # type: ignore[arg-type]


class _Peer(Peer):
    """Makes the chunks that a connection of HTTP would send."""

    def __init__(self) -> None:
        transport = SimpleNamespace(write=self._note, is_closing=lambda: False)
        protocol: Any = SimpleNamespace(flow=SimpleNamespace(write_paused=False), transport=transport)
        cycle: Any = SimpleNamespace(
            scope={"http_version": "1.1"}, chunked_encoding=True, disconnected=False, message_event=asyncio.Event()
        )
        super().__init__(protocol, cycle)
        self.num_written = 0

    def _note(self, data: bytes) -> None:
        self.num_written += 1


async def _never() -> Any:
    raise AssertionError


async def _ignored(message: Any) -> None:
    pass


@asynccontextmanager
async def _served(num_sockets: int, stream: Stream = TEXT) -> AsyncIterator[tuple[ScriptedEngine, list[_Socket]]]:
    """Sockets on an engine that ticks by `step`, in a time that goes on by a bit with each look at the clock."""
    engine = ScriptedEngine(stream.script, name="starter", max_num_seqs=num_sockets, max_model_len=1 << 20)
    supervised = SupervisedEngine(lambda: engine)
    await supervised.start()
    settings = msgspec.structs.replace(ResponseSettings(), max_running_responses=num_sockets)
    service = Service(supervised, stream.speaks, settings, memory_stores(settings), trouble=lambda: None)
    service.queue._clock = _Loop().time
    loop: Any = _Loop()
    pace = Pace(max_hold=0, loop=loop)
    stack: Any = SimpleNamespace(service=service)
    sockets = [_Socket(stack, pace=pace) for _ in range(num_sockets)]
    try:
        yield engine, sockets
    finally:
        for socket in sockets:
            socket.cut()
        await asyncio.gather(*(socket.task for socket in sockets))
        await service.shutdown()
        await supervised.shutdown()


async def cost_of_a_token(
    num_sockets: int = NUM_SOCKETS, *, after: int = WARM_UP, num_steps: int = NUM_STEPS, of: str = "text"
) -> dict[str, float]:
    """Stream to some sockets, a token in each step of the engine, and a write for each that is shown. `after`: tokens
    of each that are not counted. `of`: one of STREAMS.
    """
    stream = STREAMS[of]
    async with _served(num_sockets, stream) as (engine, sockets):
        await _create(engine, sockets, **stream.members)
        await _steps(engine, after % _AT_ONCE)
        for _ in range(after // _AT_ONCE):
            engine.step(_AT_ONCE)
            await _settle()
        before = [socket.num_written for socket in sockets]
        with counting() as count:
            await _steps(engine, num_steps)
        written = [socket.num_written - earlier for socket, earlier in zip(sockets, before, strict=True)]
        shown = [socket.last.startswith(b'{"type":"%b"' % stream.delta.encode()) for socket in sockets]
    assert written == [num_steps if stream.delta else 0] * num_sockets
    assert all(shown) or not stream.delta
    return _each(count, num_steps * num_sockets)


async def cost_of_a_token_in_lanes(num_lanes: int = NUM_SOCKETS) -> dict[str, float]:
    """Stream so many responses to one socket, a token of each in each step of the engine, and one write for all."""
    async with _served(num_lanes) as (engine, sockets):
        socket = sockets[0]
        for number in range(num_lanes):
            await _create(engine, [socket], stream_id=f"lane_{number}")
        await _steps(engine, WARM_UP)
        before = socket.num_written
        with counting() as count:
            await _steps(engine, NUM_STEPS)
    assert socket.num_written - before == num_lanes * NUM_STEPS
    return _each(count, num_lanes * NUM_STEPS)


async def cost_of_a_token_by_sse() -> dict[str, float]:
    """Stream to some clients over HTTP, a token in each step of the engine, and a write for each."""
    async with _served(NUM_SOCKETS) as (engine, sockets):
        service, pace = sockets[0].shell._service, sockets[0].shell._flusher._pace
        peers = [_Peer() for _ in range(NUM_SOCKETS)]
        tasks = []
        for peer in peers:
            request = ResponseCreate(items=[Message(role="user", content="hi")])
            source = await service.create(LOCAL, request, None, native=False)
            answer = SseResponse(service, source, 0, peer, LOCAL, 1e6, pace)
            tasks.append(asyncio.create_task(answer({}, _never, _ignored)))
        await _settle(_MANY_TURNS)
        await _steps(engine, WARM_UP)
        before = [peer.num_written for peer in peers]
        with counting() as count:
            await _steps(engine, NUM_STEPS)
        assert [peer.num_written - earlier for peer, earlier in zip(peers, before, strict=True)] == [
            NUM_STEPS
        ] * NUM_SOCKETS
        for peer in peers:
            peer.lost()
        await asyncio.gather(*tasks)
    return _each(count, NUM_STEPS * NUM_SOCKETS)


async def cost_of_a_create(num_running: int = NUM_SOCKETS, *, number: int = NUM_CREATES) -> dict[str, float]:
    """Create in one moment on so many sockets, beside `num_running` others, up to the first events of each."""
    async with _served(num_running + WARM_UP + number) as (engine, sockets):
        await _create(engine, sockets[: num_running + WARM_UP])
        await _steps(engine, WARM_UP)
        new = sockets[num_running + WARM_UP :]
        with counting() as count:
            await _create(engine, new)
            await _settle()
    assert all(b'"response.in_progress"' in socket.last for socket in new)
    return _each(count, number)


async def cost_of_an_answer(number: int = NUM_ANSWERS) -> dict[str, float]:
    """Have so many answers of one token begin and end at once, each on a socket that has had one before."""
    async with _served(number) as (engine, sockets):
        await _answer(engine, sockets)
        with counting() as count:
            await _answer(engine, sockets)
    return _each(count, number)


async def cost_of_a_cancel(number: int = NUM_ANSWERS) -> dict[str, float]:
    """Cancel so many answers at once that have some tokens, each on a socket that has cancelled one before."""
    async with _served(number) as (engine, sockets):
        for _ in range(2):
            await _create(engine, sockets)
            await _steps(engine, WARM_UP)
            with counting() as count:
                for socket in sockets:
                    socket.send("response.cancel")
                await _settle(_MANY_TURNS)
            assert all(b'"cancel":{' in socket.last for socket in sockets)
    return _each(count, number)


def _each(count: Count, number: int) -> dict[str, float]:
    return {"calls": count.calls / number, "bytecodes": count.bytecodes / number}


async def _create(engine: ScriptedEngine, sockets: list[_Socket], **members: Any) -> None:
    before = engine.stats()
    for socket in sockets:
        socket.send("response.create", input="hi", **members)
    while engine.stats().num_waiting < before.num_waiting + len(sockets):  # noqa: ASYNC110 - turns of the loop, not time
        await asyncio.sleep(0)


async def _answer(engine: ScriptedEngine, sockets: list[_Socket]) -> None:
    await _create(engine, sockets, max_output_tokens=1)
    engine.step()
    await _settle(_MANY_TURNS)
    assert all(socket.last.startswith(b'{"type":"response.incomplete"') for socket in sockets)


async def _steps(engine: ScriptedEngine, number: int) -> None:
    for _ in range(number):
        engine.step()
        await _settle()


async def _settle(num_turns: int = 3) -> None:
    for _ in range(num_turns):
        await asyncio.sleep(0)


def recorded() -> dict[str, dict[str, dict[str, float]]]:
    """What has been recorded, by the version of Python."""
    figures: dict[str, dict[str, dict[str, float]]] = json.loads(RECORD.read_text())
    return figures


COSTS: dict[str, Callable[[], Awaitable[dict[str, float]]]] = {
    "token": cost_of_a_token,
    **{f"token of {name}": partial(cost_of_a_token, of=name) for name in STREAMS if name != "text"},
    "token in lanes": cost_of_a_token_in_lanes,
    "token by SSE": cost_of_a_token_by_sse,
    "create": cost_of_a_create,
    "answer": cost_of_an_answer,
    "cancel": cost_of_a_cancel,
}
"""All that is recorded, by what it is the cost of."""


async def costs() -> dict[str, dict[str, float]]:
    """Measure all of them."""
    return {name: await measure() for name, measure in COSTS.items()}


if __name__ == "__main__":
    found = asyncio.run(costs())
    for name, cost in found.items():
        print(f"Python {PYTHON}: {cost['calls']:.2f} calls and {cost['bytecodes']:.1f} bytecodes: {name}")
    if "--record" in sys.argv[1:]:
        rounded = {name: {what: round(value, 2) for what, value in cost.items()} for name, cost in found.items()}
        figures = (recorded() if RECORD.exists() else {}) | {PYTHON: rounded}
        RECORD.write_text(json.dumps(dict(sorted(figures.items())), indent=2) + "\n")
