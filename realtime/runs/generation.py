"""One generation on the engine, from its submission until the engine has released it.

A response has several when the server calls tools for it, and more to summarize a history. The task sleeps while tokens
flow: the engine calls `on_chunk`, which passes on what the parser makes of the chunk, and nothing is queued.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

from realtime.context.turns import Prompt
from realtime.dialects.base import Parser, Piece
from realtime.dialects.stop_strings import StopStrings
from realtime.engine.base import (
    EngineDead,
    EngineError,
    EngineOverloaded,
    EngineRefused,
    EngineRequest,
    FinishReason,
    Sampling,
    Seen,
    TokenChunk,
)
from realtime.observability.engine_metrics import Finished
from realtime.observability.timeline import GenerationTimes
from realtime.store.restored_log import Diverged
from realtime.wire.requests import ResponseCreate

from .endings import GIVEN_UP, UNREADABLE, Ended, Failed, failure
from .serving import Serving
from .stop_signal import StopSignal
from .straight_way import StraightWay
from .usage import Count, Tokens

logger = logging.getLogger("realtime.generation")

T = TypeVar("T")

_REASONS: dict[FinishReason | None, str] = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
}  # as vLLM calls them; the others are aborts


class PutAside(Exception):
    """An exception of `Generation.result`: the engine has released the generation, which continues later from where it
    is.
    """


class Generation(Generic[T]):
    """One generation, and the sink of its chunks. `result` must be called once `submit` has returned.

    parser: None if the text is not wanted. count: updated with every chunk; `num_input` is the caller's. stops: looks
    for the request's stop strings in the parsed output. read: makes of the parser's pieces what is kept; `keep` keeps
    it, together with the chunk; None: it is not from a chunk. Both are called with every chunk. at_safe_point: called
    after a chunk when a successor waits to take over, unless the chunk is the last one. straighten: returns the
    straight way of what adds to the open item, if that has taken the newest piece.
    """

    def __init__(
        self, serving: Serving, request: EngineRequest, parser: Parser | None, count: Count, stopping: StopSignal, *,
        read: Callable[[Sequence[Piece]], Iterable[T]], keep: Callable[[Iterable[T], TokenChunk | None], None],
        at_safe_point: Callable[[], None] = lambda: None, stops: StopStrings | None = None,
        straighten: Callable[[Parser, Piece], StraightWay | None] | None = None,
    ) -> None:  # fmt: skip
        self.ended: FinishReason | Failed | EngineDead | None = None  # how, as far as the engine and we go
        self.abort_ms = 0.0  # how long the engine took to let go, if it was asked to
        self.times = GenerationTimes(time.monotonic())
        self._engine = serving.engine
        self._metrics = serving.observer.engine
        self._prompt_read = serving.prompt_read
        self._request = request
        self._parser = parser
        self._stops = stops
        self._count = count
        self._stopping = stopping
        self._read = read
        self._keep = keep
        self._at_safe_point = at_safe_point
        looks_closer = stops is not None or request.sampling.num_logprobs is not None
        self._straighten = straighten if not looks_closer else None
        self._way: StraightWay | None = None
        self._goes_on = False  # it has been submitted before, and had an answer
        self._given = False  # the engine has it
        self._aside = False  # it is being put aside: what the engine says from now on comes again
        self._flows = False  # something has come since it was submitted

    @property
    def num_reasoning(self) -> int:
        """Return how many of its tokens are reasoning."""
        return self._parser.num_reasoning_tokens if self._parser is not None else 0

    @property
    def stop_string(self) -> str | None:
        """The stop string that has ended the output."""
        return self._stops.found if self._stops is not None else None

    @property
    def request_id(self) -> str:
        """The generation's request id on the engine."""
        return self._request.request_id

    @property
    def num_prompt(self) -> int:
        """The number of tokens of its prompt."""
        return self._count.num_input

    @property
    def tokens(self) -> Tokens:
        """Return the tokens that it has used."""
        return self._count.tokens(self.num_reasoning)

    @property
    def may_be_put_aside(self) -> bool:
        """Return whether the engine has it and nothing has asked for its end."""
        return self._given and not self._aside and self.ended is None and not self._stopping.asked

    @property
    def num_reading(self) -> int:
        """The tokens that the engine has been given and has not read yet."""
        if self.ended is not None or self._aside or self._flows:
            return 0
        return self.num_prompt + len(self._count.token_ids)

    def on_chunk(self, chunk: TokenChunk) -> None:
        """See engine.base.Sink."""
        way = self._way
        if way is None or chunk.finish is not None or self.ended is not None or self._stopping.asked:
            self._take(chunk)
            return
        try:
            pieces = way.take(chunk)
            if pieces:
                self._read_on(pieces, chunk)
        except Exception:
            self._fail_to_read()

    def _take(self, chunk: TokenChunk) -> None:
        if self._aside:
            return
        if not self._flows:
            self._begin_to_flow()
        self._count.token_ids.extend(chunk.token_ids)
        if chunk.num_cached_tokens and not self._goes_on:
            self._count.num_cached = chunk.num_cached_tokens
        parser, stopping = self._parser, self._stopping
        try:
            if parser is not None and stopping.stop is None and self.ended is None:
                pieces = parser.feed(chunk)
                if self._stops is not None:
                    pieces = self._stops.feed(pieces)
                self._read_on(pieces, chunk)
                if self._stops is not None and self._is_said:
                    self._end(FinishReason.STOP)
                elif stopping.steering and chunk.finish is None:
                    self._at_safe_point()
        except Diverged:
            raise
        except Exception:
            self._fail_to_read()
            return
        if chunk.finish is not None:
            self._end(chunk.finish)

    def _read_on(self, pieces: Sequence[Piece], chunk: TokenChunk) -> None:
        """Keep what the chunk's pieces become. If the next chunk may only add to that, it goes the straight way."""
        self._way = None
        self._keep(self._read(pieces), chunk)
        if self._straighten is not None and self._parser is not None and pieces:
            self._way = self._straighten(self._parser, pieces[-1])

    def _fail_to_read(self) -> None:
        """End after a bug of ours: this response fails, the others go on."""
        logger.exception("assembling failed request_id=%s", self._request.request_id)
        self._end(UNREADABLE)

    def _begin_to_flow(self) -> None:
        self._flows = True
        if self.times.first_at is None:
            self.times.first_at = time.monotonic()
            self._metrics.first_token(self.times.first_at - self.times.began_at)
            self._prompt_read(self._request.request_id.partition(".")[0])

    def on_error(self, error: EngineError) -> None:
        """See engine.base.Sink."""
        if not self._aside:
            self._end(error if isinstance(error, EngineDead) else engine_failure(error))

    def replay(self, chunks: Sequence[TokenChunk]) -> None:
        """Take the chunks that an engine generated before this process began. Raises Diverged."""
        self.times.first_at = self.times.began_at
        for chunk in chunks:
            self.on_chunk(chunk)
        self._goes_on = True

    def again(self, seen: Seen | None) -> None:
        """Continue on the next engine after the death of this one. `seen`: the prompt with its images as that engine
        sees it.
        """
        self._request = msgspec.structs.replace(self._request, seen=seen)
        self._go_on()

    def put_aside(self) -> None:
        """Have the engine abort it: `result` then raises PutAside, unless a stop was requested."""
        self._aside, self._way = True, None
        self._stopping.wake()

    def resume(self, aside_seconds: float) -> None:
        """Continue after it was put aside for so long."""
        self.times.aside_seconds += aside_seconds
        self.abort_ms = 0.0
        self._go_on()

    def end_aside(self) -> None:
        """End while it is put aside."""
        self.ended, self.abort_ms = FinishReason.ABORT, 0.0
        self._report()

    def _go_on(self) -> None:
        self.ended, self._aside, self._given, self._way = None, False, False, None
        self._goes_on = bool(self._count.token_ids)
        self._flows = self.times.first_at is not None and not self._goes_on

    def fail(self, failed: Failed) -> None:
        """Note that nothing more will come."""
        self.ended = failed
        self._report()

    async def submit(self) -> None:
        """Have the engine begin, or continue from the tokens that there are. May take a while, because a constraint may
        have to be compiled. Raises EngineError. When this raises or is cancelled, the engine holds nothing of the
        generation.
        """
        if self.ended is not None:
            return  # what was replayed has its end
        request = self._request
        if self._count.token_ids:
            request = msgspec.structs.replace(request, generated=tuple(self._count.token_ids))
        try:
            await self._engine.submit(request, self)
            self._given = True
        except asyncio.CancelledError:
            await self._abort()
            raise

    async def result(self) -> FinishReason:
        """Wait for the end, or for a request to stop. Returns once the engine holds nothing of it any more. Raises
        Ended when the response is to end, EngineDead when the engine has died, and PutAside.
        """
        try:
            await self._wait()
            self._stopping.check()
            if self._aside:
                raise PutAside
            return self._finish()
        finally:
            if self._stopping.stopped or not (self._aside or isinstance(self.ended, EngineDead)):
                self._report()
                self._log_trouble()

    async def _wait(self) -> None:
        try:
            while self.ended is None and self._stopping.stop is None and not self._aside:
                await self._stopping.wait()
        finally:
            # Also when the task is cancelled, and after a failure of ours: the engine must hold nothing of it.
            if self._is_said or not isinstance(self.ended, FinishReason):
                if not self._aside:
                    self.ended = self.ended or FinishReason.ABORT  # later output of the engine is not part of it
                await self._abort()

    @property
    def _is_said(self) -> bool:
        """Return whether a stop string has come: then the answer is complete, whatever the engine would add."""
        return self.stop_string is not None

    def _end(self, ended: FinishReason | Failed | EngineDead) -> None:
        if self.ended is None:
            self.ended = ended
            self._stopping.wake()

    async def _abort(self) -> None:
        asked_at = time.perf_counter()
        with self._stopping.uninterrupted():
            await self._engine.abort(self._request.request_id)
        self.abort_ms = (time.perf_counter() - asked_at) * 1e3

    def _finish(self) -> FinishReason:
        """End for the engine's reason."""
        ended = self.ended
        assert ended is not None
        if isinstance(ended, EngineDead):
            raise EngineDead(*ended.args)  # another one: what is raised holds on to who had it
        if isinstance(ended, Failed):
            raise Ended(ended)
        if ended is FinishReason.ABORT:  # not by us: then somebody has asked for it
            raise Ended(GIVEN_UP)
        if self._parser is not None:
            pieces = self._parser.close()
            self._keep(self._read(self._stops.close(pieces) if self._stops is not None else pieces), None)
        return ended

    def _report(self) -> None:
        self.times.ended_at = time.monotonic()
        count = self._count
        self._metrics.finished(
            Finished(
                times=self.times,
                reason="error" if isinstance(self.ended, Failed | EngineDead) else _REASONS.get(self.ended, "abort"),
                num_prompt=count.num_input,
                num_cached=count.num_cached,
                num_output=len(count.token_ids),
                max_tokens=self._request.sampling.max_tokens,
            )
        )

    def _log_trouble(self) -> None:
        if self._parser is not None and self._parser.trouble is not None:
            trouble = repr(self._parser.trouble)
            logger.warning("malformed output request_id=%s trouble=%s", self._request.request_id, trouble)


def engine_failure(error: EngineError) -> Failed:
    """Translate an engine's error for the client. Log an unexpected one."""
    if not isinstance(error, EngineRefused | EngineOverloaded | EngineDead):
        logger.warning("generation failed in the engine: %s", error)
    return failure(error)


def engine_request(
    serving: Serving, request_id: str, request: ResponseCreate, prompt: Prompt, parser: Parser | None, wishes: Sampling,
    cache_salt: str | None, tenant: str = "", priority: int = 0,
) -> EngineRequest:  # fmt: skip
    """Build the engine's request for an answer to this prompt. `request_id`: its name there.
    `cache_salt`, `tenant`, `priority`: of the job.
    """
    return EngineRequest(
        request_id=request_id,
        prompt_token_ids=prompt.token_ids,
        seen=prompt.seen,
        sampling=wishes,
        cache_salt=cache_salt,
        tenant=tenant,
        priority=priority,
        constraint=parser.constraint if parser is not None else None,
        reasoning_ended=parser.reasoning_ended if parser is not None else None,
        template_kwargs=serving.dialect.template_kwargs(request),
    )
