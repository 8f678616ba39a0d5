"""The boundary to the GPU: what the rest of the server may ask of an engine, and nothing more. Pure.

An engine turns prompt tokens into chunks of generated tokens. It knows no events, sockets, conversations or
users. Three implementations exist: `engine.vllm` (the only folder that imports vllm), `engine.remote` (vLLM elsewhere)
and `engine.scripted` (deterministic, for tests and benchmarks). All methods and all sink calls happen on one asyncio
event loop.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from .parsing import Constraint, Parsers
from .pictures import View


class FinishReason(enum.Enum):
    """The reason why a generation ended."""

    STOP = "stop"  # end-of-sequence token or a stop string
    LENGTH = "length"  # max_tokens, or the end of the context window
    ABORT = "abort"  # abort() was called


class TokenLogprob(msgspec.Struct, frozen=True):
    """A candidate token at one position, with its natural logarithm."""

    token_id: int
    token: str
    logprob: float


class TokenChunk(msgspec.Struct, gc=False):
    """The tokens that one engine step, or several merged ones, added to a generation.

    `text` is the detokenized increment: always whole UTF-8, never a part of a stop string. It may be empty while
    `token_ids` is not (half a code point, text held back for a stop string). So text and ids are each complete over all
    chunks, but need not correspond chunk by chunk.
    """

    text: str
    token_ids: Sequence[int]
    finish: FinishReason | None = None
    stop_reason: str | int | None = None
    num_cached_tokens: int = 0  # prompt tokens that came from the prefix cache; of what goes on, the first run told
    logprobs: Sequence[Sequence[TokenLogprob]] | None = None  # per token: the sampled one first, then the top ones


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Sampling parameters. None: the model's own default (its generation config)."""

    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    logit_bias: dict[int, float] | None = None  # added to these tokens' logits, -100..100
    ignore_eos: bool = False
    num_logprobs: int | None = None
    skip_special_tokens: bool = True  # False for dialects whose markup is special tokens (Harmony)


class Seen(msgspec.Struct, frozen=True):
    """A prompt with its images as the model gets it: each image takes as many tokens as it needs. `inputs` is the
    engine's own.
    """

    token_ids: Sequence[int]
    inputs: Any


class EngineRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One generation. `request_id` is unique among the requests that the engine holds."""

    request_id: str
    prompt_token_ids: Sequence[int]
    sampling: Sampling
    seen: Seen | None = None  # what `Engine.look` made of the prompt, if that has images
    priority: int = 0  # lower is sooner
    tenant: str = ""  # of requests whose preparation takes time one tenant's wait for each other, not for others'
    cache_salt: str | None = None  # requests share prefix cache only with requests of the same salt
    constraint: Constraint | None = None  # holds for what follows the reasoning
    reasoning_ended: bool | None = None  # True: there is none, so from the first token; None: the engine looks
    template_kwargs: dict[str, Any] = {}  # what the chat template was given, which decides how reasoning looks
    generated: Sequence[int] = ()  # by an engine that died: this one continues after it, and returns what follows

    @property
    def whole_prompt(self) -> Sequence[int]:
        """Return the prompt's tokens as the model reads them: those of its images included."""
        return self.prompt_token_ids if self.seen is None else self.seen.token_ids


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about the loaded model. `defaults`: the sampling values that None stands for."""

    name: str  # the name that clients use
    path: str  # a folder or a hub id
    max_model_len: int  # tokens, prompt and answer together
    defaults: Sampling
    model_type: str = ""  # as in its config, e.g. `qwen3` or `gpt_oss`
    sees: bool = False  # takes images
    image_marker: str | None = None  # what stands for an image in a chat template's text; None: it takes parts


class Capacity(msgspec.Struct, frozen=True):
    """The most that an engine can hold at once. 0: not known, or no limit. `step_tokens`: read and generated in one
    step.
    """

    max_requests: int = 0
    kv_tokens: int = 0
    step_tokens: int = 0


class Loaded(msgspec.Struct, frozen=True):
    """The loaded model and its parts, known once the engine can serve, and the same until it dies."""

    model: ModelInfo
    tokenizer: Any  # `transformers`-like: `encode`, `decode`, `apply_chat_template`
    parsers: Parsers | None = None  # the engine's own, if they were asked for
    fingerprint: str = ""  # of all that decides which token follows: a generation goes on only where it is the same
    goes_on: bool = False  # takes `EngineRequest.generated`
    capacity: Capacity = Capacity()
    seeds_are_free: bool = False  # a seed costs no speed, so that a generation without one may be given ours


class EngineStats(msgspec.Struct, frozen=True):
    """A snapshot of an engine, for health and metrics."""

    num_running: int  # requests that hold a slot in the current batch
    num_waiting: int  # requests that the engine has queued
    kv_cache_usage: float  # 0..1; nothing decides by it: it is for metrics, and shows tests that an abort frees blocks
    takes_constraints: bool = True  # False: requests with a constraint are refused for the time being
    num_deferred: int = 0  # of those that wait: for something else than room in the batch
    num_compiling: int = 0  # constraints that are being compiled ...
    num_uncompiled: int = 0  # ... and those that wait for it
    prefill: Mapping[str, int] = {}  # request id -> tokens of its prompt that are read, while there are more to come


class EngineError(Exception):
    """Base class of an engine's errors. The text is for the log, never for a client."""


class EngineRefused(EngineError):
    """An error: the engine will not take this request, and would refuse it again. The text may be shown. `param`: the
    part of the client's request at fault, if that is known.
    """

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class EngineOverloaded(EngineError):
    """An error: the engine's own queue is full. The same request may succeed later."""


class EngineDead(EngineError):
    """An error: the engine has stopped and holds nothing any more. It can serve again only after a restart."""


class EngineLost(EngineDead):
    """An error: one of several engines behind this one has died with a generation, or refuses it. The others still
    serve.
    """


class Sink(Protocol):
    """A receiver of a generation's output. Calls are synchronous and must not block."""

    def on_chunk(self, chunk: TokenChunk) -> None:
        """Take the next chunk; the one with `finish` set is the last call for this request."""

    def on_error(self, error: EngineError) -> None:
        """Take the generation's failure: the last call for this request."""


class Engine(Protocol):
    """The one interface between the server and a model."""

    async def start(self) -> Loaded:
        """Load the model. Return what was loaded once it can serve. Raises EngineError."""

    async def look(self, prompt_token_ids: Sequence[int], views: Sequence[View]) -> Seen:
        """Turn a prompt with one marker per picture into the prompt that `submit` takes. Takes CPU time, not on the
        event loop. The engine keeps nothing of it. Raises EngineRefused or EngineDead.
        """

    async def submit(self, request: EngineRequest, sink: Sink) -> None:
        """Start a generation; from then on the sink is called until its last call.

        Raises EngineRefused, EngineOverloaded or EngineDead, and then never calls the sink.
        """

    async def abort(self, request_id: str) -> None:
        """End a generation. Returns when the engine holds nothing of it: no slot, and no cache blocks in use.

        The sink may still be called before this returns, and is never called after. Unknown ids are ignored. Never
        raises for a dead engine, which holds nothing.
        """

    def stats(self) -> EngineStats:
        """Return what the engine holds now."""

    async def wait_dead(self) -> EngineDead:
        """Wait until the engine has died by itself. The caller cancels the wait otherwise."""

    async def shutdown(self) -> None:
        """Free everything. Running generations get `on_error(EngineDead)`. Safe to call more than once."""
