"""The front end of remote engines: the parts of vLLM that a node needs itself: the tokenizer, the parsers, the facts in
the model's files, the processor of images, and vLLM's own way from tokens to text. No weights are read and no device is
used.

Places that rely on vLLM's internals are marked `# internal:`, as in `engine`.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec

from realtime.engine.base import (
    EngineError,
    EngineRefused,
    EngineRequest,
    FinishReason,
    ModelInfo,
    Seen,
    TokenChunk,
    TokenLogprob,
)
from realtime.engine.options import VllmOptions
from realtime.engine.parsing import Constraint, Parsers
from realtime.engine.pictures import View
from realtime.observability.progress import Progress

from .errors import translate
from .features import features_of
from .fingerprint import files_of
from .launch import environment, variables
from .loaded import model_info
from .outputs import prime
from .parsers import VllmParsers, check_names, named
from .sampling import sampling_params
from .sight import check_markers, look, sight_of

if TYPE_CHECKING:
    from vllm.config import ModelConfig
    from vllm.sampling_params import SamplingParams

MAX_LOGPROBS = 20  # vLLM's default, for which no flag is needed
# Of vLLM's SamplingParams, what is sent to an engine.
_SENT = (
    "max_tokens", "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "seed", "stop", "stop_token_ids", "ignore_eos", "skip_special_tokens", "extra_args",
)  # fmt: skip
_OF_IMAGES = ("limit_mm_per_prompt", "mm_processor_kwargs")  # further arguments that decide what a node makes of images
_NUM_CONTEXT = 4  # internal: as many tokens as vLLM looks back to write one of several bytes


class Front:
    """The front end of one model. Made in a thread by `load_front`, which takes seconds; used on the event loop."""

    def __init__(self, options: VllmOptions, config: ModelConfig, tokenizer: Any, renderer: Any = None) -> None:
        """renderer: vLLM's, of a model that may take images. Raises EngineError."""
        self.tokenizer = tokenizer
        self.vocab_size: int = config.get_vocab_size()
        # What `sight` reads of an engine.
        self._eyes: Any = SimpleNamespace(model_config=config, renderer=renderer, get_tokenizer=lambda: tokenizer)
        self.model: ModelInfo = model_info(options, config, *(sight_of(self._eyes) if renderer is not None else ()))
        self.parsers: Parsers | None = None
        if any(names := named(options)):
            self.parsers = VllmParsers(tokenizer, config, names)
        self.facts = {
            "files": files_of(options.tokenizer or options.model, options.revision),
            "template": str(getattr(tokenizer, "chat_template", None)),
            "sampling": msgspec.to_builtins(self.model.defaults),
        }
        self._config = config

    async def look(self, prompt_token_ids: Sequence[int], views: Sequence[View]) -> Seen:
        """See `Engine.look`: `inputs` is a `Features`. Raises EngineRefused."""
        if not self.model.sees:
            raise EngineRefused("the model takes no images")
        try:
            seen = await look(self._eyes, prompt_token_ids, views)
            return Seen(seen.token_ids, await asyncio.to_thread(features_of, seen.inputs))
        except Exception as error:
            raise translate(error) from error

    def check(self, request: EngineRequest, max_model_len: int) -> None:
        """Refuse a request that no engine would take, before one is asked. Raises EngineRefused."""
        ids = request.whole_prompt
        if not ids:
            raise EngineRefused("the prompt is empty")
        if len(ids) + len(request.generated) >= max_model_len:
            raise EngineRefused(f"the prompt is longer than the model's context of {max_model_len} tokens")
        if not all(0 <= one < self.vocab_size for one in (min(ids), max(ids), *request.generated)):
            raise EngineRefused("the prompt has a token that the model does not have")
        if len(request.generated) >= request.sampling.max_tokens > 0:
            raise EngineRefused("the generated tokens are as many as there may be: the generation has ended")
        if request.seen is None:  # else `look` has done it
            check_markers(self._config, ids, 0)

    def sampling(self, request: EngineRequest) -> SamplingParams:
        """Return vLLM's sampling parameters as vLLM would have them here, without a constraint. Raises
        EngineRefused.
        """
        try:
            params = sampling_params(request, self.model.defaults, None)
            params.verify(self._config, None, None, self.tokenizer)
        except Exception as error:
            raise translate(error) from error
        return params

    def sent(self, params: SamplingParams, constraint: Constraint | None, *, tells_stops: bool) -> dict[str, Any]:
        """Return the sampling parameters to send to an engine. tells_stops: its text begins where ours does, so that it
        may look for stop strings as well, which ends an answer sooner.
        """
        sent = {name: value for name in _SENT if (value := getattr(params, name)) is not None}
        if params.logit_bias:
            sent["logit_bias"] = {str(token_id): bias for token_id, bias in params.logit_bias.items()}
        if not tells_stops:
            sent.pop("stop", None)
        if params.logprobs is not None:
            # An engine's answer has as many alternatives as were asked for, the taken token among them, even if it is
            # none of the likeliest.
            sent["logprobs"] = min(params.logprobs + 1, MAX_LOGPROBS) if params.logprobs else 0
        if constraint is not None:
            sent["structured_outputs"] = {constraint.kind: constraint.value}
        return sent

    def reader(self, request: EngineRequest, params: SamplingParams) -> Reader:
        """Return a reader for the tokens of an answer. Raises EngineRefused."""
        return Reader(self.tokenizer, request, params)

    def tokenizer_info(self) -> str:
        """Return xgrammar's description of the tokenizer, made by vLLM as for an engine. Takes a while, so run it in a
        thread.
        """
        from vllm.v1.structured_output.backend_xgrammar import XgrammarBackend

        config: Any = SimpleNamespace(  # internal: what the backend reads of vLLM's configuration
            structured_outputs_config=SimpleNamespace(disable_any_whitespace=False),
            model_config=self._config,
            speculative_config=None,
        )
        backend = XgrammarBackend(config, tokenizer=self.tokenizer, vocab_size=self.vocab_size)
        info: str = backend.compiler.compile_regex("a").tokenizer_info.serialize_json()
        return info


def load_front(options: VllmOptions, progress: Progress) -> Front:
    """Import vLLM and read the model's folder. Blocks for seconds. Raises EngineError."""
    progress.begin("importing vLLM")
    with environment(variables(options, small=True, folder=tempfile.gettempdir())):
        try:
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.tokenizers.registry import cached_tokenizer_from_config

            check_names(options)
            progress.begin("reading the model's configuration")
            args = {name: getattr(options, name) for name in ("tokenizer", "revision", "trust_remote_code", "dtype")}
            args |= {name: value for name, value in options.extra.items() if name in _OF_IMAGES}
            config = AsyncEngineArgs(
                model=options.model, hf_overrides=_unquantized, max_logprobs=MAX_LOGPROBS, **args
            ).create_model_config()
            tokenizer: Any = cached_tokenizer_from_config(config)
            return Front(options, config, tokenizer, _renderer(config) if config.supports_multimodal_inputs else None)
        except EngineError:
            raise
        except Exception as error:
            raise EngineError(f"the model's files can't be read: {error}") from error
        finally:
            progress.end()


def _renderer(config: ModelConfig) -> Any:
    """Return vLLM's renderer, which has the model's processor."""
    from vllm.config import VllmConfig
    from vllm.renderers import renderer_from_config

    return renderer_from_config(VllmConfig(model_config=config))


def _unquantized(config: Any) -> Any:
    """Leave out the quantization of the weights: they are not read here, and this platform may not
    support the method.
    """
    config.__dict__.pop("quantization_config", None)
    return config


class Reader:
    """A reader that makes text and log probabilities from one answer's tokens, by vLLM's own code."""

    def __init__(self, tokenizer: Any, request: EngineRequest, params: SamplingParams) -> None:
        """Raises EngineRefused."""
        from vllm.v1.engine.detokenizer import IncrementalDetokenizer
        from vllm.v1.engine.logprobs import LogprobsProcessor

        asked: Any = SimpleNamespace(  # internal: what both read of an EngineCoreRequest
            request_id=request.request_id, prompt_token_ids=list(request.whole_prompt), prompt_embeds=None,
            sampling_params=params,
        )  # fmt: skip
        self._detokenizer: Any = IncrementalDetokenizer.from_new_request(tokenizer, asked)
        self._logprobs = LogprobsProcessor.from_new_request(tokenizer, asked)
        self._num_logprobs: int = params.logprobs or 0
        if request.generated:
            try:
                prime(self._detokenizer, request.generated)
            except ValueError as error:
                raise EngineRefused(str(error)) from error
            if self._logprobs.logprobs is not None:
                context = request.generated[-_NUM_CONTEXT:]
                self._logprobs.logprobs.extend({token_id: None} for token_id in context)  # internal: as context only

    def read(
        self, token_id: int | None, position: Any, finish: FinishReason | None, stop_reason: int | str | None
    ) -> TokenChunk:
        """Read the next token with its log probabilities, or an end without one. The chunk also has an end if a stop
        string has come that the engine has not seen.
        """
        token_ids = () if token_id is None else (token_id,)
        by_token = finish is FinishReason.STOP and not isinstance(stop_reason, str)
        detokenizer = self._detokenizer
        if detokenizer.stop:
            found = detokenizer.update(list(token_ids), by_token)
            if found is not None:
                finish, stop_reason = FinishReason.STOP, found
            text = detokenizer.get_next_output_text(finish is not None, True)
        else:  # as `update` does, which puts the text together anew for each token
            detokenizer.token_ids += token_ids
            text = "" if token_id is None or by_token else detokenizer.decode_next(token_id)
        logprobs = None if position is None else [self._read_position(position)]
        return TokenChunk(text, token_ids, finish, stop_reason if finish is FinishReason.STOP else None, 0, logprobs)

    def _read_position(self, position: Any) -> list[TokenLogprob]:
        import numpy
        from vllm.v1.outputs import LogprobsLists

        wanted = self._num_logprobs
        likeliest = [top for top in position.top_logprobs if top.rank is not None and top.rank <= wanted]
        ids = [position.token_id, *(top.token_id for top in likeliest)]
        values = [position.logprob, *(top.logprob for top in likeliest)]
        processor: Any = self._logprobs
        rows = LogprobsLists(numpy.array([ids]), numpy.array([values]), numpy.array([position.rank or 0]))
        processor._update_sample_logprobs(rows)  # internal: writes bytes of one character over several tokens
        made = processor.logprobs[-1]
        del processor.logprobs[:-_NUM_CONTEXT]
        return [TokenLogprob(token_id, entry.decoded_token or "", entry.logprob) for token_id, entry in made.items()]
