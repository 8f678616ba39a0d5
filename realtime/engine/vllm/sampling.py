"""Sampling parameters in vLLM's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtime.engine.base import EngineRefused, EngineRequest, Sampling
from realtime.engine.parsing import Constraint

from .core_continuation import KEY

if TYPE_CHECKING:
    from vllm.sampling_params import SamplingParams, StructuredOutputsParams

BACKEND = "xgrammar"  # of grammars. There is one for each engine, and only this one knows structural tags


def sampling_params(request: EngineRequest, defaults: Sampling, constraint: Constraint | None) -> SamplingParams:
    """Return vLLM's sampling parameters. None stands for the model's default. Raises EngineRefused."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    sampling = request.sampling

    def choose(name: str) -> Any:
        value = getattr(sampling, name)
        return getattr(defaults, name) if value is None else value

    try:
        params = SamplingParams(
            max_tokens=sampling.max_tokens,
            temperature=choose("temperature"),
            top_p=choose("top_p"),
            top_k=choose("top_k"),
            min_p=choose("min_p"),
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            repetition_penalty=choose("repetition_penalty"),
            seed=sampling.seed,
            stop=list(sampling.stop),
            stop_token_ids=list(sampling.stop_token_ids),
            logit_bias=sampling.logit_bias,
            ignore_eos=sampling.ignore_eos,
            logprobs=sampling.num_logprobs,
            skip_special_tokens=sampling.skip_special_tokens,
            structured_outputs=_structured_outputs(constraint),
            output_kind=RequestOutputKind.DELTA,
            extra_args={KEY: list(request.generated)} if request.generated else None,
        )
    except (ValueError, TypeError) as error:
        raise EngineRefused(str(error)) from error
    params.skip_clone = True  # made for this one request: saves vLLM a deep copy
    return params


def _structured_outputs(constraint: Constraint | None) -> StructuredOutputsParams | None:
    from vllm.sampling_params import StructuredOutputsParams

    if constraint is None:
        return None
    params = StructuredOutputsParams(**{constraint.kind: constraint.value})
    params._backend = BACKEND  # internal: what vLLM's own validation would do
    return params
