"""Our server on the scripted engine, which makes a token for each response in every turn of the event loop."""

from __future__ import annotations

import argparse
import asyncio
import itertools
from collections.abc import Iterable

import msgspec
import uvicorn
import uvloop

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import ScriptedEngine, Step
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
MAX_STREAMS = 512


def script(request: EngineRequest) -> Iterable[Step]:
    """A story without an end: the request's limit ends it."""
    return itertools.cycle(WORDS)


def engine(tick_seconds: float | None) -> ScriptedEngine:
    """The engine of all measurements without a model."""
    return ScriptedEngine(script, tick_seconds=tick_seconds, max_num_seqs=MAX_STREAMS, name="starter")


async def serve(port: int, hold: bool) -> None:
    """Serve until a signal ends it. hold: write less often under pressure, and with this engine it is always."""
    settings = Settings(
        server=ServerSettings(port=port, log_level="warning"),
        connections=ConnectionSettings(ping_interval_seconds=3600),
    )
    settings = msgspec.structs.replace(
        settings, responses=msgspec.structs.replace(settings.responses, max_running_responses=MAX_STREAMS)
    )
    gateway = Gateway(settings, SupervisedEngine(lambda: engine(0)))
    if not hold:
        gateway.pace = Pace(max_hold=0)
    await gateway.engine.start()
    await uvicorn.Server(uvicorn_config(settings, gateway)).serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--hold", action="store_true")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given.port, given.hold))
