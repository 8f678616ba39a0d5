"""The cost of a token on its way from the engine to the socket, stage by stage, in one process without sockets.

The stages are measured one after another on the same tokens. The last lines are the same code in place: 32 connections
with their shells, and one turn of the event loop per engine step, as with a real engine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import uvloop

from realtime.connection.commands import Create
from realtime.connection.profiles import ConnectionLimits, Profile
from realtime.connection.protocol import Connection
from realtime.context.tools import ToolSet
from realtime.dialects.chat import ChatDialect
from realtime.dialects.markup.named import NOTHING
from realtime.dialects.markup.parser import Asked, MarkupParser
from realtime.dialects.markup.reader import MarkupReader
from realtime.dialects.markup.tokens import Markup
from realtime.engine.base import EngineRequest, Sampling, TokenChunk
from realtime.engine.supervisor import SupervisedEngine
from realtime.runs.assembler import Assembler
from realtime.runs.response_object import new_response
from realtime.server.flusher import Pace
from realtime.server.large_messages import LargeMessages
from realtime.server.websocket import WebSocketShell
from realtime.server.websocket_transport import HEADERS, FrameProtocol
from realtime.service.principal import Principal
from realtime.service.service import Service
from realtime.settings.fields import ResponseSettings
from realtime.store.event_log import EventLog
from realtime.store.memory.stores import memory_stores
from realtime.wire import codec, events
from realtime.wire.grammar import Grammar
from realtime.wire.ids import new_id
from realtime.wire.requests import ResponseCreate

from . import scripted

CONNECTIONS = 32
REQUEST = b'{"type":"response.create","input":"hi"}'


def stages(num_tokens: int) -> dict[str, float]:
    """Return microseconds per token of each stage."""
    chunks = [TokenChunk(scripted.WORDS[number % len(scripted.WORDS)], (number,)) for number in range(num_tokens)]
    parser, assembler = MarkupParser(Markup(NOTHING, {}), Asked(tools=ToolSet())), Assembler(new_id)
    found = {"parse": _per_token(parser.feed, chunks)}
    pieces = [parser.feed(chunk) for chunk in chunks]
    opening = [*_created(), *assembler.feed(pieces[0])]  # with the first delta
    deltas: list[events.Event] = []
    keep = deltas.extend
    found["assemble"] = _per_token(lambda piece: keep(assembler.feed(piece)), pieces)
    grammar = Grammar()
    for event in opening:
        grammar.accept(event)
    found["check the grammar"] = _per_token(grammar.accept, deltas)
    found["encode"] = _per_token(codec.encode, deltas)
    append = _per_token(_filled_log(opening).append, deltas)
    found["stamp and keep"] = append - found["check the grammar"] - found["encode"]
    found["pull from the log"] = _append_and_pull(opening, deltas) - append
    found["frame"] = _per_token(NullSink().write_text, [(codec.encode(event),) for event in deltas])
    alone = engine_alone(num_tokens)
    return found | {
        "sum of the stages": sum(found.values()),
        "all in its place": uvloop.run(_in_place(num_tokens)) - alone,
        "scripted engine (not in the lines above)": alone,
    }


def _per_token(stage: Callable[[Any], Any], inputs: list[Any]) -> float:
    began = time.thread_time()
    for value in inputs:
        stage(value)
    return (time.thread_time() - began) / len(inputs) * 1e6


def _created() -> list[events.Event]:
    model = scripted.engine(None).loaded.model
    response = new_response(ResponseCreate(), model, ToolSet(), "resp_0123456789abcdef0123456789abcdef", 0)
    return [events.ResponseCreated(response=response, epoch="e"), events.ResponseInProgress(response=response)]


def _filled_log(opening: Iterable[events.Event]) -> EventLog:
    log = EventLog(new_id("resp"), "epoch", stream_id=None, max_bytes=1 << 30, max_entries=1 << 30)
    for event in opening:
        log.append(event)
    return log


def _append_and_pull(opening: Iterable[events.Event], deltas: list[events.Event]) -> float:
    """Append an event, then have a connection pull it: what happens at most once per turn of the event loop."""
    connection = Connection(Profile.PLAIN, ConnectionLimits(), tenant="bench", expires_at=float("inf"))
    connection.receive(REQUEST, 0.0)
    (create,) = connection.commands()
    assert isinstance(create, Create)
    log = _filled_log(opening)
    source: Any = Source(log)
    connection.opened(create, source)

    def append_and_pull(event: events.Event) -> None:
        log.append(event)
        connection.frames(1 << 16)

    return _per_token(append_and_pull, deltas)


async def _in_place(num_tokens: int) -> float:
    """Measure the whole way, including the scripted engine."""
    engine = scripted.engine(None)
    supervised = SupervisedEngine(lambda: engine)
    await supervised.start()
    service = Service(
        supervised,
        lambda loaded: ChatDialect(loaded.tokenizer, MarkupReader(NOTHING, loaded.tokenizer)),
        ResponseSettings(),
        memory_stores(ResponseSettings()),
        trouble=lambda: None,
    )
    pace = Pace(max_hold=0)
    shells = [asyncio.create_task(_shell(service, NullSink(), pace)) for _ in range(CONNECTIONS)]
    while engine.stats().num_waiting < CONNECTIONS:  # noqa: ASYNC110 - turns of the loop, not time
        await asyncio.sleep(0)
    steps = num_tokens // CONNECTIONS
    began = time.thread_time()
    for _ in range(steps):
        engine.step()
        await asyncio.sleep(0)
    spent = time.thread_time() - began
    for shell in shells:
        shell.cancel()
    await asyncio.gather(*shells, return_exceptions=True)
    await service.shutdown()
    await supervised.shutdown()
    return spent / (steps * CONNECTIONS) * 1e6


async def _shell(service: Service, sink: NullSink, pace: Pace) -> None:
    """Run a connection that asks for one response and then sends nothing more."""
    connection = Connection(Profile.PLAIN, ConnectionLimits(), tenant="bench", expires_at=float("inf"))
    messages = [{"type": "websocket.receive", "utf8": REQUEST}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.get_running_loop().create_future()
        return messages.pop()

    who = Principal(tenant="bench")
    await WebSocketShell(connection, sink, service, who, "bench", LargeMessages(), pace=pace).run(receive)


def engine_alone(num_tokens: int) -> float:
    """Measure the scripted engine with sinks that do nothing, in microseconds per token."""

    async def run() -> float:
        engine = scripted.engine(None)
        await engine.start()
        for number in range(CONNECTIONS):
            sampling = Sampling(max_tokens=1 << 30)
            await engine.submit(
                EngineRequest(request_id=str(number), prompt_token_ids=(1,), sampling=sampling), Nothing()
            )
        began = time.thread_time()
        engine.step(num_tokens // CONNECTIONS)
        return (time.thread_time() - began) / num_tokens * 1e6

    return uvloop.run(run())


class Source:
    """The part of a response that a connection which follows it needs."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.response_id = log.response_id
        self.turn = None


class Nothing:
    """A sink that drops everything."""

    def on_chunk(self, chunk: TokenChunk) -> None:
        """See engine.base.Sink."""

    def on_error(self, error: Exception) -> None:
        """See engine.base.Sink."""


class NullSink:
    """A frame sink that makes the bytes of `FrameProtocol` and writes them nowhere."""

    on_writable: Callable[[], None] | None = None
    on_too_big: Callable[[], bytes] | None = None
    can_write = True
    conn = SimpleNamespace(extensions=())
    transport = SimpleNamespace(write=lambda data: None)
    _headers = HEADERS
    write_one: Callable[..., None] = FrameProtocol.write_one
    write_text: Callable[..., None] = FrameProtocol.write_text

    def close_after_write(self, code: int, reason: str) -> None:
        """Do nothing: never called here."""
