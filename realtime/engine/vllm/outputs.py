"""Ordinary steps of a request, without vLLM's own objects: from tokens to text, and to the request's sink.

For each step of each request vLLM's output processor makes two objects of thirty members, of which a sink needs the
text and the tokens. `SlimOutputs` replaces it for requests that it can serve with exactly the same text: it asks vLLM's
own detokenizer token by token, as vLLM does. Everything else (a request's first output and its last, events in the
scheduler, log probabilities, stop strings, tokenizers that aren't fast ones) goes through vLLM.

Relies on vLLM's internals, as `engine` does; pinned by `tests/engine/test_outputs.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from realtime.engine.base import TokenChunk

if TYPE_CHECKING:
    from vllm.v1.engine import EngineCoreOutput
    from vllm.v1.engine.detokenizer import BaseIncrementalDetokenizer
    from vllm.v1.engine.output_processor import OutputProcessor, OutputProcessorOutput, RequestState

log = logging.getLogger("realtime.engine.vllm")

Take = Callable[[TokenChunk], None]  # must not raise
Fail = Callable[[Exception], None]  # must not raise


class _Stream:
    """A request whose ordinary steps are handled here."""

    __slots__ = ("decode", "fail", "take", "token_ids")

    def __init__(self, detokenizer: Any, take: Take, fail: Fail) -> None:
        self.take = take
        self.fail = fail
        # internal: `decode_next` less what it does between special tokens, when that is nothing
        plain = detokenizer.spaces_between_special_tokens
        self.decode: Callable[[int], str | None] = detokenizer._protected_step if plain else detokenizer.decode_next
        self.token_ids: list[int] = detokenizer.token_ids  # internal: its length is the number of tokens so far

    def silence(self) -> None:
        """Read and pass on nothing any more."""
        self.decode = self.take = _ignore


class SlimOutputs:
    """The handler of ordinary steps, in front of one output processor of vLLM's. All calls are on its event loop."""

    def __init__(self, processor: OutputProcessor) -> None:
        from vllm.v1.engine.output_processor import OutputProcessorOutput

        self._states: dict[str, RequestState] = processor.request_states
        self._streams: dict[str, _Stream] = {}
        self._vllms_own = processor.process_outputs
        self._nothing = OutputProcessorOutput(request_outputs=[], reqs_to_abort=[])
        processor.process_outputs = self.process  # internal: the output handler looks it up for each step

    def adopt(self, request_id: str, take: Take, fail: Fail) -> None:
        """Take over a request's ordinary steps, if they can be handled here. Call it after the first output.

        request_id: EngineCore's. `fail` is called in place of `take` when its tokens can't be read.
        """
        state = self._states.get(request_id)
        if state is not None and _is_plain(state):
            self._streams[request_id] = _Stream(state.detokenizer, take, fail)

    def forget(self, request_id: str) -> None:
        """Stop serving a request: it has ended, or the rest of it goes through vLLM."""
        self._streams.pop(request_id, None)

    def process(
        self,
        outputs: Sequence[EngineCoreOutput],
        timestamp: float | None = None,
        stats: Any = None,
        weight_version: str | None = None,
    ) -> OutputProcessorOutput:
        """Process the outputs of a step. Replaces `OutputProcessor.process_outputs`.

        Outputs for vLLM come last. That changes no order that a request could see: a step has one output of each.
        """
        if stats is not None:  # nobody asks for vLLM's statistics of each token; but they would be wrong
            return self._vllms_own(outputs, timestamp, stats, weight_version)
        rest: list[EngineCoreOutput] = []
        find = self._streams.get
        for output in outputs:
            stream = find(output.request_id)
            if stream is None or output.finish_reason is not None or output.events is not None:
                rest.append(output)
                continue
            token_ids = output.new_token_ids
            stream.token_ids += token_ids
            try:
                if len(token_ids) == 1:
                    text = stream.decode(token_ids[0]) or ""
                else:
                    text = "".join([stream.decode(token_id) or "" for token_id in token_ids])
            except Exception as error:  # vLLM would end the engine
                log.exception("tokens could not be read request_id=%s", output.request_id)
                stream.fail(error)
                stream.silence()  # until the abort: what is on its way would fail vLLM as it did us
                continue
            stream.take(TokenChunk(text, token_ids))
        return self._vllms_own(rest, timestamp, None, weight_version) if rest else self._nothing


def _ignore(_: object) -> None:
    """Drop a chunk that nobody wants."""


def prime(detokenizer: BaseIncrementalDetokenizer, token_ids: Sequence[int]) -> None:
    """Feed a request's detokenizer with tokens that were generated before, and whose text the client has.

    Its output afterwards is what follows, even in the middle of a character and after text that is held back for a stop
    string. Call it before the request's first output: the place for that is where the state is made, in
    `OutputProcessor.add_request`, because a request is sent to EngineCore right after it (see `continuation`). Raises
    ValueError when the text has a stop string.
    """
    parts: list[str] = []
    for token_id in token_ids:  # internal: as `update` does, which puts the text together anew for each token
        detokenizer.token_ids.append(token_id)
        parts.append(detokenizer.decode_next(token_id))
    detokenizer.output_text += "".join(parts)
    if any(stop in detokenizer.output_text for stop in detokenizer.stop):
        raise ValueError("the generated text has a stop string: the generation has ended")
    detokenizer.get_next_output_text(False, True)


def _is_plain(state: RequestState) -> bool:
    """Return whether vLLM would only detokenize an ordinary output and pass it on."""
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.detokenizer import FastIncrementalDetokenizer

    detokenizer, logprobs = state.detokenizer, state.logprobs_processor
    return (
        type(detokenizer) is FastIncrementalDetokenizer
        and not detokenizer.stop
        and logprobs is not None
        and logprobs.num_logprobs is None
        and logprobs.num_prompt_logprobs is None
        and state.output_kind is RequestOutputKind.DELTA
        and state.stream_interval == 1
        and state.parent_req is None
        and not state.streaming_input
        and not state.is_prefilling
    )
