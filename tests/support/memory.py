"""The session stack without sockets: a service, its connections and their shells around sinks in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

from realtime.connection.profiles import ConnectionLimits, Profile
from realtime.connection.protocol import Connection
from realtime.dialects.chat import ChatDialect
from realtime.dialects.markup.named import NOTHING
from realtime.dialects.markup.reader import MarkupReader
from realtime.engine.backoff import Backoff
from realtime.engine.base import Loaded
from realtime.engine.scripted import Script, ScriptedEngine
from realtime.engine.supervisor import EngineState, SupervisedEngine
from realtime.runs.job import Job
from realtime.runs.run import Run
from realtime.server.flusher import Pace
from realtime.server.large_messages import LargeMessages
from realtime.server.websocket import WebSocketShell
from realtime.service.principal import LOCAL
from realtime.service.service import Service
from realtime.settings.fields import ResponseSettings
from realtime.store.base import Stores
from realtime.store.event_log import EventLog
from realtime.store.memory.stores import memory_stores
from realtime.wire.events import Event


class ObservedLog(EventLog):
    """A log that also keeps everything that it ever had; `on_seal` is called at the terminal event."""

    def __init__(self, *arguments: Any, on_seal: Callable[[str], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.history: list[bytes] = []
        self._on_seal = on_seal

    def append(self, event: Event) -> bytes:
        entry = super().append(event)
        self.history.append(self.read(self.tip - 1, 1)[0])
        if self.sealed:
            self._on_seal(self.response_id)
        return entry

    def extend(self, text: str) -> bytes:
        entry = super().extend(text)
        self.history.append(entry)
        return entry


class Stack:
    """A service on a scripted engine that ticks by `step`. `logs` and `runs` hold all that there ever were."""

    def __init__(
        self, script: Script, settings: ResponseSettings, stores: Stores | None = None, **engine_options: Any
    ) -> None:
        self.engines: list[ScriptedEngine] = []
        self.logs: dict[str, ObservedLog] = {}
        self.runs: list[Run] = []

        def make() -> ScriptedEngine:
            self.engines.append(ScriptedEngine(script, name="starter", **engine_options))
            return self.engines[-1]

        self.supervised = SupervisedEngine(make, Backoff(first_seconds=0, jitter=0), sleep=lambda _: asyncio.sleep(0))
        self.service = _ObservedService(self, settings, stores or memory_stores(settings))

    @property
    def engine(self) -> ScriptedEngine:
        return self.engines[-1]

    def trouble(self) -> str | None:
        """See Service."""
        return None if self.supervised.status.state is EngineState.READY else "The engine is away."

    def released(self, response_id: str) -> None:
        """At its terminal event no engine may hold anything of a response."""
        for engine in self.engines:
            assert response_id not in engine._held, "the terminal came before the engine had let go"


class _ObservedService(Service):
    def __init__(self, stack: Stack, settings: ResponseSettings, stores: Stores) -> None:
        super().__init__(stack.supervised, _dialect, settings, stores, trouble=stack.trouble)
        self._stack, self._settings = stack, settings
        self._enter_run = self.run_tasks._enter
        self.run_tasks._new_log = self._new_log  # type: ignore[method-assign]
        self.run_tasks._enter = self._enter  # type: ignore[method-assign]

    def _new_log(self, job: Job) -> EventLog:
        log = self._stack.logs[job.response_id] = ObservedLog(
            job.response_id,
            f"epoch_{len(self._stack.logs)}",
            stream_id=job.stream_id,
            max_bytes=self._settings.max_log_bytes,
            max_entries=self._settings.max_log_events,
            on_seal=self._stack.released,
        )
        return log

    def _enter(self, run: Run, task: asyncio.Task[None]) -> None:
        self._stack.runs.append(run)
        self._enter_run(run, task)


class MemorySocket:
    """One client's socket: a FrameSink on the server's side, `send` and `frames` on the client's."""

    def __init__(
        self, stack: Stack, *, native: bool = False, limits: ConnectionLimits | None = None, pace: Pace | None = None
    ) -> None:
        self.on_writable: Callable[[], None] | None = None
        self.on_too_big: Callable[[], bytes] | None = None
        self.frames: list[bytes] = []
        self.closed: int | None = None
        self.writable = True
        self.gone = False
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        profile = Profile.NATIVE if native else Profile.PLAIN
        self.connection = Connection(profile, limits or ConnectionLimits(), tenant=LOCAL.tenant, expires_at=1e18)
        self.shell = WebSocketShell(self.connection, self, stack.service, LOCAL, "test", LargeMessages(), pace=pace)
        self.task = asyncio.create_task(self.shell.run(self._inbox.get))

    @property
    def can_write(self) -> bool:
        return self.writable and not self.gone and self.closed is None

    def write_one(self, payload: bytes) -> None:
        self.write_text((payload,))

    def write_text(self, payloads: Iterable[bytes]) -> None:
        assert self.can_write, "written to a socket that takes nothing"
        self.frames += payloads

    def close_after_write(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = code
            self.cut()

    @property
    def quiet(self) -> bool:
        """Nothing is on its way in either direction."""
        return self._inbox.empty() and self.connection.idle and not self.connection.pending

    def send(self, type: str, **members: Any) -> None:
        """One client event."""
        data = json.dumps({"type": type, **members}).encode()
        self._inbox.put_nowait({"type": "websocket.receive", "utf8": data})

    def cut(self) -> None:
        """The socket is lost."""
        self.gone = True
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def unblock(self) -> None:
        """The transport takes more again."""
        self.writable = True
        if self.on_writable is not None:
            self.on_writable()


def _dialect(loaded: Loaded) -> ChatDialect:
    return ChatDialect(loaded.tokenizer, MarkupReader(NOTHING, loaded.tokenizer))
