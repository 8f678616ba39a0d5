"""Jobs and what serves them, on the scripted engine: for the tests of runs without a service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from realtime.context.request_tools import tool_set
from realtime.context.tools import ToolSet
from realtime.dialects.chat import ChatDialect
from realtime.dialects.markup.family import Family, read_family
from realtime.dialects.markup.named import NOTHING
from realtime.dialects.markup.reader import MarkupReader
from realtime.engine.base import Loaded
from realtime.engine.scripted import Script, ScriptedEngine
from realtime.runs.job import Job
from realtime.runs.open_items import ReasoningShown
from realtime.runs.renderer import Renderer
from realtime.runs.response_object import new_response
from realtime.runs.run import Run
from realtime.runs.serving import Continuity, Serving
from realtime.runs.work_pool import WorkPool
from realtime.store.memory.responses import MemoryResponses
from realtime.wire.items import Message
from realtime.wire.requests import OnDisconnect, ResponseCreate

from .responses import MODEL, make_log


def user(text: str) -> Message:
    return Message(role="user", content=text)


def make_request(text: str = "hi", **members: Any) -> ResponseCreate:
    return ResponseCreate(items=[user(text)], **members)


def make_job(request: ResponseCreate | None = None, **members: Any) -> Job:
    """A job as the intake makes it, with some members changed."""
    request = request or make_request()
    made = {
        "response_id": "resp_0",
        "tenant": "t",
        "request": request,
        "digest": b"",
        "tools": tool_set(None, None, None),
        "shown": ReasoningShown(),
        "response": new_response(request, MODEL, ToolSet(), "resp_0", 0),
        "encrypt_compaction": str,
        "on_disconnect": OnDisconnect(policy="continue"),
    }
    return Job(**{**made, **members})


def _row(family: str) -> Family:
    return read_family(Path(family).read_text())


async def make_serving(script: Script, *, family: str | None = None, **options: Any) -> tuple[Serving, ScriptedEngine]:
    """An engine that serves. It ticks by `step` unless `tick_seconds` says otherwise. `family`: the file of one."""
    engine = ScriptedEngine(script, **options)
    loaded = await engine.start()
    row = NOTHING if family is None else _row(family)
    dialect = ChatDialect(loaded.tokenizer, MarkupReader(row, loaded.tokenizer), window=loaded.model.max_model_len)
    return Serving(engine, loaded.model, dialect, WorkPool(2, 60)), engine


def continuity(engine: ScriptedEngine) -> Continuity:
    """Of an engine that takes what it has begun, and serves at once."""

    async def ready() -> Loaded:
        return engine.loaded

    return Continuity(engine.loaded.fingerprint, goes_on=True, seeds_are_free=True, wait_ready=ready, wait_seconds=60)


def make_renderer(serving: Serving, cache_salt: str | None = None) -> Renderer:
    return Renderer(serving, "t", cache_salt)


def make_run(job: Job, serving: Serving, ended: list[Run] | None = None) -> Run:
    """`ended` gets the run when it is over."""
    log = make_log(job.response_id)
    return Run(job, serving, log, MemoryResponses(max_bytes=1 << 30), (ended if ended is not None else []).append)


async def turns_until(condition: Callable[[], object]) -> None:
    """Let the event loop turn until something holds that needs no time."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")
