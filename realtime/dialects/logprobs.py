"""Log probabilities of tokens in the form of `output_text.delta`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from realtime.engine.base import TokenLogprob

Logprobs = Sequence[Sequence[TokenLogprob]] | None


def to_logprobs(logprobs: Sequence[Sequence[TokenLogprob]], num_top: int) -> list[dict[str, Any]]:
    """Return log probabilities in the form of `output_text.delta`: for each token the sampled one, and the most likely
    ones (which may include it).
    """
    return [
        {**_logprob(candidates[0]), "top_logprobs": [_logprob(one) for one in _most_likely(candidates, num_top)]}
        for candidates in logprobs
    ]


def _most_likely(candidates: Sequence[TokenLogprob], num_top: int) -> list[TokenLogprob]:
    return sorted(candidates, key=lambda candidate: -candidate.logprob)[:num_top]


def _logprob(candidate: TokenLogprob) -> dict[str, Any]:
    return {"token": candidate.token, "bytes": list(candidate.token.encode()), "logprob": candidate.logprob}
