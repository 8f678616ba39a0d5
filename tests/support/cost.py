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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import CodeType, FrameType, SimpleNamespace
from typing import Any

import msgspec

from realtime.dialects.chat import ChatDialect
from realtime.dialects.markup.named import NOTHING
from realtime.dialects.markup.reader import MarkupReader
from realtime.engine.base import Loaded
from realtime.engine.scripted import ScriptedEngine
from realtime.engine.supervisor import SupervisedEngine
from realtime.server.flusher import Pace
from realtime.server.websocket_transport import HEADERS, FrameProtocol
from realtime.service.service import Service
from realtime.settings.fields import ResponseSettings
from realtime.store.memory.stores import memory_stores

from .memory import MemorySocket

RECORD = Path(__file__).with_name("cost.json")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
NUM_SOCKETS, WARM_UP, NUM_STEPS, NUM_CREATES, NUM_ANSWERS = 4, 20, 100, 20, 40
_MANY_TURNS = 20  # of the loop: more than anything here takes
_CLOCK_SECONDS = 1e-4
_AT_ONCE = 500  # tokens that are made without a look at the sockets, where nothing is counted
_COUNTED = str(Path(__file__).parents[2] / "realtime") + "/"
_ENGINE = _COUNTED + "engine/"  # a scripted one: what real ones cost is another matter
_WORDS = (" once", " upon", " a", " time", " there", " was", " a", " fox")


class Count:
    """Of what has run: Python functions called or resumed, and bytecodes."""

    def __init__(self) -> None:
        self.calls = 0
        self.bytecodes = 0


@contextmanager
def counting() -> Iterator[Count]:
    """Count what runs inside."""
    if sys.version_info >= (3, 12):
        with _monitored() as count:
            yield count
    else:
        with _traced() as count:
            yield count


@contextmanager
def _traced() -> Iterator[Count]:
    count = Count()

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        if not _is_counted(frame.f_code):
            return None
        count.calls += 1
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return inside

    def inside(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "opcode":
            count.bytecodes += 1
        return inside

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield count
    finally:
        sys.settrace(before)


@contextmanager
def _monitored() -> Iterator[Count]:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    count, tool, events = Count(), 4, monitoring.events

    def on_call(code: CodeType, offset: int) -> Any:
        if not _is_counted(code):
            return monitoring.DISABLE
        count.calls += 1
        return None

    def on_bytecode(code: CodeType, offset: int) -> Any:
        if not _is_counted(code):
            return monitoring.DISABLE
        count.bytecodes += 1
        return None

    monitoring.use_tool_id(tool, "cost")
    try:
        monitoring.register_callback(tool, events.PY_START, on_call)
        monitoring.register_callback(tool, events.PY_RESUME, on_call)
        monitoring.register_callback(tool, events.INSTRUCTION, on_bytecode)
        monitoring.set_events(tool, events.PY_START | events.PY_RESUME | events.INSTRUCTION)
        yield count
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)


def _is_counted(code: CodeType) -> bool:
    return code.co_filename.startswith(_COUNTED) and not code.co_filename.startswith(_ENGINE)


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
        FrameProtocol.write_one(self, payload)  # type: ignore[arg-type]

    def write_text(self, payloads: Any) -> None:
        self.num_written += len(payloads)
        self.last = payloads[-1]
        FrameProtocol.write_text(self, payloads)  # type: ignore[arg-type]


@asynccontextmanager
async def _served(num_sockets: int) -> AsyncIterator[tuple[ScriptedEngine, list[_Socket]]]:
    """Sockets on an engine that ticks by `step`, in a time that goes on by a bit with each look at the clock."""
    engine = ScriptedEngine(
        lambda request: itertools.cycle(_WORDS), name="starter", max_num_seqs=num_sockets, max_model_len=1 << 20
    )
    supervised = SupervisedEngine(lambda: engine)
    await supervised.start()
    settings = msgspec.structs.replace(ResponseSettings(), max_running_responses=num_sockets)
    service = Service(supervised, _dialect, settings, memory_stores(settings), trouble=lambda: None)
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
    num_sockets: int = NUM_SOCKETS, *, after: int = WARM_UP, num_steps: int = NUM_STEPS
) -> dict[str, float]:
    """Stream to some sockets, a token in each step of the engine, and a write for each. `after`: tokens of each that
    are not counted.
    """
    async with _served(num_sockets) as (engine, sockets):
        await _create(engine, sockets)
        await _steps(engine, after % _AT_ONCE)
        for _ in range(after // _AT_ONCE):
            engine.step(_AT_ONCE)
            await _settle()
        before = [socket.num_written for socket in sockets]
        with counting() as count:
            await _steps(engine, num_steps)
        written = [socket.num_written - earlier for socket, earlier in zip(sockets, before, strict=True)]
    assert written == [num_steps] * num_sockets
    return _each(count, num_steps * num_sockets)


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


def _dialect(loaded: Loaded) -> ChatDialect:
    return ChatDialect(loaded.tokenizer, MarkupReader(NOTHING, loaded.tokenizer))


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
