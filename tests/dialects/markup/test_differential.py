"""The machine beside vLLM's parsers: on what those read rightly, the same comes out."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.dialects.base import Piece
from realtime.dialects.foreign import ForeignReader
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.machine import Start
from realtime.dialects.markup.parser import Asked, MarkupParser
from realtime.dialects.markup.tokens import Markup
from realtime.engine.base import FinishReason, TokenChunk
from realtime.engine.vllm.parsers import Named, VllmParsers
from tests.support.markup import (
    ANYTHING,
    NOTHING,
    OSLO,
    PARIS,
    TOOLS,
    WEATHER,
    Brief,
    brief,
    calls_of,
    reasons,
    speaker,
)
from tests.support.play import Model, play

VLLM = {
    "hermes": Named(None, "hermes"),
    "qwen3": Named("qwen3", "hermes"),
    "qwen3_coder": Named(None, "qwen3_coder"),
    "llama3": Named(None, "llama3_json"),
    "mistral": Named("mistral", "mistral"),
    "deepseek_v31": Named("deepseek_r1", "deepseek_v31"),
    "glm45": Named("glm45", "glm45"),
    "glm47": Named("glm45", "glm47"),
    "kimi_k2": Named("kimi_k2", "kimi_k2"),
    "granite3": Named(None, "granite"),
    "minimax_m2": Named("minimax_m2", "minimax_m2"),
    "seed_oss": Named("seed_oss", "seed_oss"),
    "gemma4": Named("gemma4", "gemma4"),
    "deepseek_v4": Named("deepseek_v4", "deepseek_v4"),
    "kimi_k3": Named("kimi_k3", "kimi_k3"),
}
STARTERS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
HARD: tuple[str, dict[str, Any]] = ("get_weather", {"city": 'Zürich "Süd" 🙂\n\\ <x> {y} [z]'})


@functools.cache
def _model(family: str) -> tuple[Model, Markup]:
    added = [mark for mark in speaker(family).marks if mark not in STARTERS]
    model = Model(family, added=added)
    config = SimpleNamespace(hf_config=SimpleNamespace(model_type=family), hf_text_config=None)
    foreign = ForeignReader(VllmParsers(model.tokenizer, config, VLLM[family]))
    model = Model(family, added=added, reader=foreign)
    return model, Markup.of_tokenizer(ALL_FAMILIES[family], model.tokenizer)


def _ours(family: str, text: str) -> Brief:
    from tokenizers.decoders import DecodeStream

    model, markup = _model(family)
    parser = MarkupParser(markup, Asked(tools=TOOLS, start=Start.FREE))
    stream = DecodeStream(skip_special_tokens=False)
    said: list[Piece] = []
    for token in model.tokens(text):
        said += parser.feed(TokenChunk(stream.step(model.tokenizer._tokenizer, token) or "", [token]))
    return brief([*said, *parser.feed(TokenChunk("", [], FinishReason.STOP)), *parser.close()])


def _theirs(model: Model, text: str) -> Brief:
    """Without the white space around reasoning and after it, which they leave in."""
    said = play(model, model.tokens(text), tools=[WEATHER, ANYTHING]).brief()
    return [(kind, *(part.strip() if kind == "reasoning" else part.lstrip() for part in rest)) for kind, *rest in said]


@pytest.mark.parametrize("family", VLLM)
def test_the_same_comes_out(family: str) -> None:
    head, _ = reasons(family) if VLLM[family].reasoning else ("", [])
    model, _ = _model(family)
    for calls in ([PARIS], [PARIS, OSLO], [NOTHING], [HARD]):
        text = head + calls_of(family, calls)
        assert _theirs(model, text) == _ours(family, text)
    text = f"{head}Hi there, <b> [x] {{y}} `z`.\n\nSo."
    assert _theirs(model, text) == _ours(family, text)
