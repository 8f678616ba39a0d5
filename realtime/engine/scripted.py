"""A deterministic `Engine` without a model, for tests and benchmarks. It proves nothing about vLLM.

A script says what each request generates (`scripts`). Time is counted in ticks: in one tick each running request makes
one step of its script, like the batch of a real engine. Ticks come from `step()` (tests: no clock at all) or from the
event loop (`tick_seconds`; benchmarks: one callback serves all running requests).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from .base import (
    EngineDead,
    EngineError,
    EngineOverloaded,
    EngineRefused,
    EngineRequest,
    EngineStats,
    FinishReason,
    Loaded,
    ModelInfo,
    Sampling,
    Seen,
    Sink,
    TokenChunk,
    TokenLogprob,
)
from .parsing import Parsers
from .pictures import View
from .scripted_tokenizer import ScriptedTokenizer
from .scripts import Die, Fail, Finish, Pause, RandomScript, Script, Step, Token, say

__all__ = [
    "Die", "Fail", "Finish", "Pause", "RandomScript", "Script", "ScriptedEngine", "ScriptedTokenizer", "Step", "Token",
    "say",
]  # fmt: skip

log = logging.getLogger("realtime.engine.scripted")


class ScriptedEngine:
    """An `Engine` that plays scripts. It shares with vLLM: slots first come first served, LENGTH at `max_tokens` or at
    the end of the context, an end-of-sequence token that counts, stop strings that don't leak, a final `ABORT` chunk at
    the beginning of `abort`, and that a sink which raises loses its generation and harms no other.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        tick_seconds: float | None = None,
        max_num_seqs: int = 4,
        max_num_waiting: int | None = None,
        max_model_len: int = 4096,
        abort_ticks: int = 0,
        name: str = "scripted",
        model_type: str = "",
        sees: bool = False,
        parsers: Parsers | None = None,
        seeds_are_free: bool = True,
    ) -> None:
        """`tick_seconds`: None: ticks come from `step`. 0: one in each iteration of the event loop. `max_num_waiting`:
        requests beyond this are refused as overload. `abort_ticks`: how long an aborted request keeps its slot; `abort`
        returns only after that.
        """
        self._script = script or RandomScript()
        self._tick_seconds = tick_seconds
        self._max_num_seqs = max_num_seqs
        self._max_num_waiting = max_num_waiting
        self._abort_ticks = abort_ticks
        self.tokenizer = ScriptedTokenizer()
        self._max_model_len = max_model_len
        model = ModelInfo(
            name=name,
            path=name,
            max_model_len=max_model_len,
            model_type=model_type,
            sees=sees,
            defaults=Sampling(max_tokens=max_model_len, temperature=1.0, top_p=1.0, top_k=0, min_p=0.0),
        )
        self.loaded = Loaded(  # as `start` returns it
            model, self.tokenizer, parsers, fingerprint=name, goes_on=True, seeds_are_free=seeds_are_free
        )
        self._held: dict[str, _Generation] = {}  # running, waiting and still being aborted
        self._running: list[_Generation] = []
        self._waiting: deque[_Generation] = deque()
        self._tick: asyncio.Handle | None = None
        self._due = 0.0  # when this tick is, or the last one was, with `tick_seconds`
        self._dead: asyncio.Future[EngineDead] | None = None
        self._serving = False
        self.num_ticks = 0

    async def start(self) -> Loaded:
        """See `Engine.start`."""
        self._dead = asyncio.get_running_loop().create_future()
        self._serving = True
        return self.loaded

    async def look(self, prompt_token_ids: Sequence[int], views: Sequence[View]) -> Seen:
        """Add a prompt's images; see `Engine.look`. An image is a token for each 100 pixels or part of them, behind the
        text.
        """
        if not self._serving:
            raise EngineDead("the engine is not running")
        sizes = [-(view.pixels.width * view.pixels.height // -100) for view in views]
        return Seen([*prompt_token_ids, *[self.tokenizer.image_id] * sum(sizes)], [view.key for view in views])

    async def submit(self, request: EngineRequest, sink: Sink) -> None:
        """See `Engine.submit`."""
        if not self._serving:
            raise EngineDead("the engine is not running")
        if request.request_id in self._held:
            raise EngineRefused(f"request id {request.request_id!r} is in use")
        num_prompt = len(request.prompt_token_ids)
        if not 0 < num_prompt < self._max_model_len:
            raise EngineRefused(f"prompt of {num_prompt} tokens, the context has {self._max_model_len}")
        if self._max_num_waiting is not None and len(self._waiting) >= self._max_num_waiting:
            raise EngineOverloaded("the engine's queue is full")
        generation = _Generation(request, sink, self._script(request), self._max_model_len - num_prompt)
        generation.replay(len(request.generated))
        self._held[request.request_id] = generation
        self._waiting.append(generation)
        self._schedule()

    async def abort(self, request_id: str) -> None:
        """See `Engine.abort`."""
        generation = self._held.get(request_id)
        if generation is None:
            return
        self._begin_abort(generation)
        if generation.let_go is not None:
            await asyncio.shield(generation.let_go)

    def stats(self) -> EngineStats:
        """See `Engine.stats`; exact."""
        tokens = sum(len(held.request.prompt_token_ids) + held.num_tokens for held in self._running)
        usage = tokens / (self._max_num_seqs * self._max_model_len)
        return EngineStats(len(self._running), len(self._waiting), usage)

    async def wait_dead(self) -> EngineDead:
        """See `Engine.wait_dead`."""
        assert self._dead is not None, "start() was not called"
        return await asyncio.shield(self._dead)

    async def shutdown(self) -> None:
        """See `Engine.shutdown`."""
        self._end(EngineDead("the engine was shut down"))

    def kill(self, message: str = "killed") -> None:
        """Die, as if a real engine's process had died."""
        if self._serving:
            dead = EngineDead(message)
            self._end(dead)
            assert self._dead is not None
            self._dead.set_result(dead)

    def step(self, ticks: int = 1) -> None:
        """Make this many ticks now."""
        for _ in range(ticks):
            self._run_tick()

    def run_until_idle(self, max_ticks: int = 1_000_000) -> None:
        """Tick until nothing runs or waits. Raises RuntimeError if that takes more than `max_ticks`."""
        for _ in range(max_ticks):
            if not self._held:
                return
            self._run_tick()
        raise RuntimeError(f"not idle after {max_ticks} ticks")

    def _run_tick(self) -> None:
        self.num_ticks += 1
        while self._waiting and len(self._running) < self._max_num_seqs:
            self._running.append(self._waiting.popleft())
        for generation in tuple(self._running):
            if not self._serving:  # the script of one before it let the engine die
                return
            if generation.let_go is None:
                self._advance(generation)
            elif (ticks := generation.ticks_to_go) <= 1:
                self._release(generation)
            else:
                generation.ticks_to_go = ticks - 1

    def _advance(self, generation: _Generation) -> None:
        step = generation.next_step()
        match step:
            case None:
                return
            case Fail(message):
                self._release(generation)
                self._call(generation, generation.sink.on_error, EngineError(message))
                return
            case Die(message):
                self.kill(message)
                return
            case Finish(reason, stop_reason):
                chunk = generation.last_chunk(reason, stop_reason)
            case "" if generation.ended:  # the script came to its end
                chunk = generation.chunk("", self.tokenizer.eos_token_id, FinishReason.STOP)
            case str():
                chunk = generation.chunk(step, self.tokenizer.token_id(step))
            case Token(token_id, text):
                chunk = generation.chunk(text, token_id)
        if chunk.finish is not None:
            self._release(generation)
        self._call(generation, generation.sink.on_chunk, chunk)

    def _call(self, generation: _Generation, method: Any, argument: Any) -> None:
        try:
            method(argument)
        except Exception:
            log.exception("sink failed, request aborted request_id=%s", generation.request.request_id)
            if generation.request.request_id in self._held:
                self._begin_abort(generation, silent=True)

    def _begin_abort(self, generation: _Generation, silent: bool = False) -> None:
        if generation.let_go is not None:
            return
        generation.let_go = asyncio.get_running_loop().create_future()
        generation.ticks_to_go = self._abort_ticks
        if generation in self._waiting:
            self._waiting.remove(generation)
            self._release(generation)
        elif not self._abort_ticks:
            self._release(generation)
        if not silent:
            self._call(generation, generation.sink.on_chunk, generation.last_chunk(FinishReason.ABORT, None))

    def _release(self, generation: _Generation) -> None:
        self._held.pop(generation.request.request_id, None)
        if generation in self._running:
            self._running.remove(generation)
        if generation.let_go is not None and not generation.let_go.done():
            generation.let_go.set_result(None)

    def _end(self, error: EngineDead) -> None:
        self._serving = False
        held = list(self._held.values())
        self._waiting.clear()
        for generation in held:
            expects = generation.let_go is None
            self._release(generation)
            if expects:
                self._call(generation, generation.sink.on_error, error)
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None

    def _schedule(self, due_before: float | None = None) -> None:
        """Ask the event loop for the next tick, if the loop gives them and there is work.

        due_before: when the last tick was due. The next one is due one interval after that, however long the last one
        took.
        """
        if self._tick_seconds is not None and self._tick is None and self._held:
            loop = asyncio.get_running_loop()
            if self._tick_seconds:
                now = loop.time()
                self._due = max(now, (now if due_before is None else due_before) + self._tick_seconds)
                self._tick = loop.call_at(self._due, self._on_tick)
            else:
                self._tick = loop.call_soon(self._on_tick)

    def _on_tick(self) -> None:
        self._tick = None
        self._run_tick()
        self._schedule(self._due)


class _Generation:
    """One request, and its position in its script."""

    def __init__(self, request: EngineRequest, sink: Sink, script: Iterable[Step], room: int) -> None:
        self.request = request
        self.sink = sink
        self._script = iter(script)
        self._limit = min(request.sampling.max_tokens, room)
        self._held_back = ""  # may be the beginning of a stop string
        self.num_tokens = 0
        self.pause = 0
        self.ended = False
        self.let_go: asyncio.Future[None] | None = None  # set while it is being aborted
        self.ticks_to_go = 0

    def next_step(self) -> Step | None:
        """Return the step of this tick; None: nothing. A pause of n ticks is n ticks without a step."""
        if self.pause:
            self.pause -= 1
            return None
        for step in self._script:
            if not isinstance(step, Pause):
                return step
            if step.ticks > 0:
                self.pause = step.ticks - 1
                return None
        self.ended = True
        return ""

    def replay(self, num_tokens: int) -> None:
        """Skip the steps that an engine before this one made, up to its last token."""
        while self.num_tokens < num_tokens:
            match self.next_step():
                case str(text):
                    self.chunk(text, 0)
                case Token(token_id, text):
                    self.chunk(text, token_id)

    def chunk(self, text: str, token_id: int, finish: FinishReason | None = None) -> TokenChunk:
        """Return the chunk of one token, and decide whether it is the last one."""
        self.num_tokens += 1
        stop_reason: str | int | None = token_id if token_id in self.request.sampling.stop_token_ids else None
        if stop_reason is not None:
            text = ""  # as with vLLM: a token that stops is counted and not shown
        elif self.request.sampling.stop:
            text, stop_reason = self._filter_stop(text)
        if stop_reason is not None:
            finish = FinishReason.STOP
        elif finish is None and self.num_tokens >= self._limit:
            finish = FinishReason.LENGTH
        if finish is not None and not isinstance(stop_reason, str):
            text, self._held_back = text + self._held_back, ""
        num_logprobs = self.request.sampling.num_logprobs
        return TokenChunk(
            text=text,
            token_ids=(token_id,),
            finish=finish,
            stop_reason=stop_reason,
            logprobs=None if num_logprobs is None else [_logprobs(token_id, text, num_logprobs)],
        )

    def last_chunk(self, finish: FinishReason, stop_reason: str | int | None) -> TokenChunk:
        """Return a final chunk without a token."""
        text, self._held_back = self._held_back, ""
        return TokenChunk(text=text, token_ids=(), finish=finish, stop_reason=stop_reason)

    def _filter_stop(self, text: str) -> tuple[str, str | None]:
        text = self._held_back + text
        found = [(index, stop) for stop in self.request.sampling.stop if (index := text.find(stop)) >= 0]
        if found:
            index, stop = min(found)
            self._held_back = ""
            return text[:index], stop
        keep = len(text) - max(map(len, self.request.sampling.stop)) + 1
        self._held_back = text[max(keep, 0) :]
        return text[: max(keep, 0)], None


def _logprobs(token_id: int, text: str, num: int) -> list[TokenLogprob]:
    """Return plausible and constant log probabilities: the sampled token is the likeliest, letters follow."""
    others = [TokenLogprob(97 + rank, chr(97 + rank), -2.0 - rank) for rank in range(max(num - 1, 0))]
    return [TokenLogprob(token_id, text, -0.5), *others]
