"""Routes: each takes one request's outputs from vLLM to its sink."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from realtime.engine.base import EngineError, EngineRefused, FinishReason, Sink, TokenChunk, TokenLogprob

from .errors import translate

if TYPE_CHECKING:
    from vllm.outputs import CompletionOutput, RequestOutput

log = logging.getLogger("realtime.engine.vllm")

# `str` of vLLM's FinishReason. "repetition" is a stop that a SamplingParams option of vLLM asks for; we never set it.
_FINISH = {
    "stop": FinishReason.STOP,
    "repetition": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "abort": FinishReason.ABORT,
}


class Owner(Protocol):
    """The engine, as its routes see it."""

    def adopt(self, route: Route) -> None:
        """Give the route its ordinary steps without vLLM's own objects, from now on."""

    def forget(self, route: Route) -> None:
        """Give the route no more ordinary steps."""

    def has_left(self, route: Route) -> None:
        """Note that EngineCore does not hold the request any more."""

    def begin_abort(self, route: Route) -> asyncio.Task[None]:
        """Have EngineCore abort the request."""


class Route:
    """The way of one request's outputs from vLLM's output processor, or ours, to the sink. It lets no exception out:
    one would end the engine, and so every other generation.
    """

    __slots__ = ("_constrained", "_owner", "abort", "begun", "core_id", "live", "request_id", "sink")

    def __init__(self, owner: Owner, request_id: str, sink: Sink, *, constrained: bool) -> None:
        self._owner = owner
        self._constrained = constrained
        self.request_id = request_id
        self.core_id = ""  # EngineCore's name for it
        self.sink = sink
        self.live = True  # the sink still expects calls
        self.begun = False  # the first output has been
        self.abort: asyncio.Task[None] | None = None

    def put(self, output: Any) -> None:
        """Take an output of vLLM's. Replaces `RequestOutputCollector.put`."""
        if not self.live:
            return
        if isinstance(output, Exception):
            self.fail(translate(output))
            return
        completion = output.outputs[0]
        if completion.finish_reason is not None:
            self._end()
            if completion.finish_reason not in _FINISH:
                self._call(self.sink.on_error, self._error(completion.finish_reason))
                return
        elif not self.begun:
            self.begun = True
            self._owner.adopt(self)
        self._call(self.sink.on_chunk, _chunk(output, completion))

    def take(self, chunk: TokenChunk) -> None:
        """Take an ordinary step from `SlimOutputs`."""
        try:
            self.sink.on_chunk(chunk)
        except Exception:
            self._abandon()

    def give_up(self, error: Exception) -> None:
        """Fail the request, although EngineCore continues it."""
        if self.live:
            self.live = False
            self._owner.begin_abort(self)
            self._call(self.sink.on_error, translate(error))

    def _error(self, finish_reason: str) -> EngineError:
        """Return the error of a generation that EngineCore has failed. EngineCore gives no reason, but with a
        constraint there is one: the grammar did not compile, or it led to a state in which no token may follow.
        """
        if finish_reason == "error" and self._constrained:
            return EngineRefused("the engine can't hold the model to the schema or grammar: simplify it")
        return EngineError(f"generation ended with {finish_reason!r}")

    def fail(self, error: EngineError) -> None:
        """Make `error` the sink's last call, if it still expects one."""
        if self.live:
            self._end()
            self._call(self.sink.on_error, error)

    def _end(self) -> None:
        self.live = False
        self._owner.forget(self)
        if self.abort is None:  # else EngineCore may hold it until the abort is confirmed
            self._owner.has_left(self)

    def _call(self, method: Any, argument: Any) -> None:
        try:
            method(argument)
        except Exception:
            self._abandon()

    def _abandon(self) -> None:
        log.exception("sink failed, request aborted request_id=%s", self.request_id)
        self._owner.forget(self)
        if self.live:
            self.live = False
            self._owner.begin_abort(self)


def _chunk(output: RequestOutput, completion: CompletionOutput) -> TokenChunk:
    finish = completion.finish_reason
    return TokenChunk(
        text=completion.text,
        token_ids=completion.token_ids,
        finish=None if finish is None else _FINISH[finish],
        stop_reason=completion.stop_reason,
        num_cached_tokens=output.num_cached_tokens or 0,
        logprobs=None if completion.logprobs is None else _logprobs(completion.logprobs),
    )


def _logprobs(positions: Any) -> list[list[TokenLogprob]]:
    """Convert log probabilities. vLLM has a dict per position in the order that we want: the sampled token, then the
    top ones by rank.
    """
    return [
        [TokenLogprob(token_id, entry.decoded_token or "", entry.logprob) for token_id, entry in position.items()]
        for position in positions
    ]
