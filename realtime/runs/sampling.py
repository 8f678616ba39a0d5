"""A request's sampling parameters, in the engine's terms. Pure."""

from __future__ import annotations

from realtime.dialects.base import Parser
from realtime.engine.base import Sampling
from realtime.wire.requests import ResponseCreate
from realtime.wire.response import Response

LOGPROBS = "message.output_text.logprobs"


def sampling(request: ResponseCreate, response: Response, room: int, parser: Parser | None) -> Sampling:
    """Translate a request's sampling parameters. `response` has the values in force of what it echoes. `room`: the most
    tokens.
    """
    wants_logprobs = LOGPROBS in (request.include or ())
    limit = 1 if request.generate is False else min(request.max_output_tokens or room, room)
    return Sampling(
        max_tokens=limit,
        temperature=response.temperature,
        top_p=response.top_p,
        top_k=request.top_k,
        min_p=request.min_p,
        presence_penalty=response.presence_penalty,
        frequency_penalty=response.frequency_penalty,
        repetition_penalty=request.repetition_penalty,
        seed=request.seed,
        logit_bias=request.logit_bias or None,
        ignore_eos=request.ignore_eos or False,
        num_logprobs=request.top_logprobs or 0 if wants_logprobs else None,
        stop_token_ids=(*(parser.stop_token_ids if parser is not None else ()), *(request.stop_token_ids or ())),
        skip_special_tokens=parser is None or parser.skip_special_tokens,
    )
