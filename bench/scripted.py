"""Our server on the scripted engine, which makes a token for each response in every turn of the event loop."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator

import msgspec
import uvicorn
import uvloop

from realtime.engine.base import EngineRequest
from realtime.engine.options import VllmOptions
from realtime.engine.scripted import Script, ScriptedEngine, Step
from realtime.engine.supervisor import SupervisedEngine
from realtime.server.flusher import Pace
from realtime.server.gateway import Gateway
from realtime.server.process import uvicorn_config
from realtime.settings.fields import ConnectionSettings, ServerSettings, Settings

WORDS = (
    " once",
    " upon",
    " a",
    " time",
    " there",
    " was",
    " a",
    " small",
    " fox",
    " that",
    " lived",
    " by",
    " a",
    " mill",
)
MAX_STREAMS = 4096
FAMILIES = {"calls": "hermes"}  # whose markup a script writes


def story(request: EngineRequest) -> Iterable[Step]:
    """Tell a story without an end: the request's limit ends it."""
    return itertools.cycle(WORDS)


class ClockedEngine(ScriptedEngine):
    """A scripted engine that knows when the running step began, which is when all tokens of it are there."""

    moment = ""

    def _run_tick(self) -> None:
        ClockedEngine.moment = f" {time.monotonic():.6f}"
        super()._run_tick()


def clock(request: EngineRequest) -> Iterator[Step]:
    """Yield tokens that say when they were made, so that a reader on this machine knows how long each took to come."""
    while True:
        yield ClockedEngine.moment


def calls(request: EngineRequest) -> Iterable[Step]:
    """Call the one tool, whatever was said."""
    return ("<tool_call>", '{"name": "look", "arguments": {"place": ', '"here"', "}}", "</tool_call>")


SCRIPTS: dict[str, Script] = {"story": story, "clock": clock, "calls": calls}


def engine(tick_seconds: float | None, script: Script = story) -> ScriptedEngine:
    """Return the engine of all measurements without a model. Its tokens are bytes, so its window is long."""
    return ClockedEngine(
        script, tick_seconds=tick_seconds, max_num_seqs=MAX_STREAMS, max_model_len=1 << 20, name="starter"
    )


async def serve(port: int, hold: bool, tick: float, script: str) -> None:
    """Serve until a signal ends it. hold: write less often under pressure, which with tick 0 is always the case."""
    settings = Settings(
        server=ServerSettings(port=port, log_level="warning"),
        connections=ConnectionSettings(ping_interval_seconds=3600),
        vllm=VllmOptions(family=FAMILIES.get(script, "none")),
    )
    settings = msgspec.structs.replace(
        settings, responses=msgspec.structs.replace(settings.responses, max_running_responses=MAX_STREAMS)
    )
    gateway = Gateway(settings, SupervisedEngine(lambda: engine(tick, SCRIPTS[script])))
    if not hold:
        gateway.pace = Pace(max_hold=0)
    await gateway.engine.start()
    await uvicorn.Server(uvicorn_config(settings, gateway)).serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--tick", type=float, default=0.0)
    parser.add_argument("--script", choices=SCRIPTS, default="story")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given.port, given.hold, given.tick, given.script))
