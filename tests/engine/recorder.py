"""A sink that remembers, for the tests of the engines."""

from __future__ import annotations

import asyncio

from realtime.engine.base import EngineError, EngineRequest, FinishReason, Sampling, TokenChunk


class Recorder:
    """Keeps what a generation produced and checks the order of calls."""

    def __init__(self) -> None:
        self.chunks: list[TokenChunk] = []
        self.error: EngineError | None = None
        self.first = asyncio.Event()
        self.ended = asyncio.Event()

    def on_chunk(self, chunk: TokenChunk) -> None:
        assert not self.ended.is_set(), f"called after the last call: {chunk}"
        self.chunks.append(chunk)
        self.first.set()
        if chunk.finish is not None:
            self.ended.set()

    def on_error(self, error: EngineError) -> None:
        assert not self.ended.is_set(), f"called after the last call: {error!r}"
        self.error = error
        self.ended.set()

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks)

    @property
    def token_ids(self) -> list[int]:
        return [token_id for chunk in self.chunks for token_id in chunk.token_ids]

    @property
    def finish(self) -> FinishReason | None:
        return self.chunks[-1].finish if self.chunks else None


def make_request(
    request_id: str, prompt_token_ids: tuple[int, ...] = (1, 2, 3), max_tokens: int = 100, **sampling: object
) -> EngineRequest:
    return EngineRequest(
        request_id=request_id,
        prompt_token_ids=prompt_token_ids,
        sampling=Sampling(max_tokens=max_tokens, **sampling),  # type: ignore[arg-type]
    )
