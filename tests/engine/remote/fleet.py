"""A remote engine on engines without a model, with a front that needs no vLLM."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

from realtime.engine.base import EngineRequest, Loaded, ModelInfo, Sampling, TokenChunk
from realtime.engine.options import RemoteOptions, VllmOptions
from realtime.engine.parsing import Constraint
from realtime.engine.remote.engine import RemoteEngine
from realtime.observability.fleet_metrics import FleetMetrics
from tests.support.token_engine import KEY, VOCAB, TokenEngine

from ..recorder import Recorder


class Reader:
    def read(self, token_id: Any, position: Any, finish: Any, stop_reason: Any) -> TokenChunk:
        ids = [] if token_id is None else [token_id]
        return TokenChunk("".join(f"{one} " for one in ids), ids, finish, stop_reason)


class Front:
    """See realtime.engine.vllm.front.Front."""

    vocab_size = VOCAB
    model = ModelInfo(name="m", path="m", max_model_len=500, defaults=Sampling(max_tokens=500))
    parsers = None
    tokenizer = SimpleNamespace(encode=lambda text, **_: [ord(one) % VOCAB for one in text][:8])
    facts: dict[str, Any] = {}  # noqa: RUF012

    def check(self, request: EngineRequest, max_model_len: int) -> None:
        pass

    def sampling(self, request: EngineRequest) -> Any:
        return request

    def sent(self, params: Any, constraint: Any, *, tells_stops: bool) -> dict[str, Any]:
        sampling, generated = params.sampling, list(params.generated)
        extra = {"extra_args": {"realtime_generated": generated}} if generated else {}
        return {"max_tokens": sampling.max_tokens, "seed": sampling.seed, **extra}

    def reader(self, request: EngineRequest, params: Any) -> Reader:
        return Reader()

    def tokenizer_info(self) -> str:
        return ""


class Fleet:
    """A started engine, the engines behind it, and what was measured."""

    def __init__(self, engine: RemoteEngine, loaded: Loaded, members: list[TokenEngine], metrics: FleetMetrics) -> None:
        self.engine, self.loaded, self.members, self.metrics = engine, loaded, members, metrics
        self._count = 0

    async def submit(self, prompt: list[int], max_tokens: int = 20, **members: Any) -> tuple[str, Recorder]:
        self._count += 1
        sink, seed = Recorder(), members.pop("seed", None)
        request = EngineRequest(
            request_id=members.pop("request_id", f"r{self._count}"),
            prompt_token_ids=prompt,
            sampling=Sampling(max_tokens=max_tokens, seed=seed),
            **members,
        )
        await self.engine.submit(request, sink)
        return request.request_id, sink

    async def run(self, prompt: list[int], **members: Any) -> Recorder:
        _, sink = await self.submit(prompt, **members)
        await asyncio.wait_for(sink.ended.wait(), 120)
        return sink

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(120):
            while not true():  # noqa: ASYNC110 - of what happens behind sockets
                await asyncio.sleep(0.005)

    def counted(self, name: str, *labels: str) -> float:
        return cast(float, getattr(self.metrics, name)._counts.get(labels, 0.0))


@contextlib.asynccontextmanager
async def fleet(members: list[TokenEngine], **options: Any) -> AsyncIterator[Fleet]:
    """Start one; at the end nothing may be left, neither here nor at the engines."""
    urls = tuple(one.url for one in members)
    remote = RemoteOptions(engine_url=urls, **{"engine_check_seconds": 0.2, "engine_abort_seconds": 5, **options})
    metrics = FleetMetrics()

    async def front() -> Any:
        return Front()

    before = asyncio.all_tasks()
    engine = RemoteEngine(VllmOptions(), remote, KEY, front, metrics, no_grammars())
    try:
        made = Fleet(engine, await engine.start(), members, metrics)
        yield made
        await made.until(lambda: engine.stats().num_running + engine.stats().num_waiting == 0)
        assert engine._members is None or not any(member.held for member in engine._members.all)
    finally:
        await engine.shutdown()
    await made.until(lambda: not any(one.running or one.num_open for one in members))
    await made.until(lambda: not ours(before))


def ours(before: set[asyncio.Task[Any]]) -> list[str]:
    """The names of the server's own tasks that were not there before."""
    works: Any = [(task.get_name(), task.get_coro()) for task in asyncio.all_tasks() - before]
    return [name for name, work in works if "/realtime/engine/" in work.cr_code.co_filename]


def no_grammars() -> Any:
    """A compiler that compiles nothing."""
    return SimpleNamespace(
        start=lambda info: None, close=_nothing, compile=_as_it_is, trouble=None, num_running=0, num_waiting=0
    )


async def _nothing() -> None:
    pass


async def _as_it_is(constraint: Constraint, tenant: str, salt: str | None) -> Constraint:
    return constraint
