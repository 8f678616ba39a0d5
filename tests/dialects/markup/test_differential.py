"""The machine beside vLLM's parsers: on what those read rightly, the same comes out."""

from __future__ import annotations

import functools
import json
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
    pieces_of,
    reasons,
    speaker,
    wanted,
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
# Each row with vLLM's parser of whole outputs. Not: phi4_mini, whose parser knows `functools[...]` alone.
WHOLE = {
    "hermes": "hermes", "qwen3_coder": "qwen3_coder", "llama3": "llama3_json", "llama4": "llama4_pythonic",
    "mistral": "mistral", "deepseek_v3": "deepseek_v3", "deepseek_v31": "deepseek_v31", "deepseek_v32": "deepseek_v32",
    "deepseek_v4": "deepseek_v4", "deepseek_v41": "deepseek_v41", "glm45": "glm45", "glm47": "glm47", "ling3": "ling3",
    "poolside": "poolside_v1", "poolside_s": "poolside_v1", "hy_v3": "hy_v3", "hy_v4": "hy_v4", "kimi_k2": "kimi_k2",
    "kimi_k3": "kimi_k3", "granite3": "granite", "granite4": "granite4", "granite_20b_fc": "granite-20b-fc",
    "minimax_m2": "minimax_m2", "minimax_m3": "minimax_m3", "minicpm5": "minicpm5", "seed_oss": "seed_oss",
    "hunyuan": "hunyuan_a13b", "step3p5": "step3p5", "olmo3": "olmo3", "nemotron_v3": "qwen3_coder", "gemma4": "gemma4",
    "function_gemma": "functiongemma", "lfm2": "lfm2", "gigachat3": "gigachat3", "internlm2": "internlm",
    "apertus": "apertus", "xlam": "xlam", "pythonic": "pythonic", "muse_glimmer": "muse_glimmer", "ernie45": "ernie45",
    "step3": "step3", "longcat": "longcat", "mimo": "mimo", "dots": "dots", "plamo3": "plamo3",
    "k2_horizon": "k2_horizon", "inkling": "inkling", "jamba": "jamba",
}  # fmt: skip
ONE_ONLY = {"internlm2", "gigachat3"}  # for vLLM's parser there is one call
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


@pytest.mark.parametrize("family", WHOLE)
def test_whole_outputs_have_the_same_calls(family: str) -> None:
    for calls in ([PARIS], [NOTHING], [PARIS, OSLO]):
        if len(calls) == 1 or family not in ONE_ONLY:
            text = calls_of(family, calls)
            one = speaker(family)
            ours = brief(pieces_of(one, one.tokens(text), start=Start.ANSWER)[0])
            assert _extracted(family, text) == ours == wanted(*calls)


def _extracted(family: str, text: str) -> Brief:
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.tool_parsers import ToolParserManager

    added = [mark for mark in speaker(family).marks if mark not in STARTERS]
    tokenizer = Model(family, added=added).tokenizer
    tools = [{"type": "function", "function": {key: tool[key] for key in ("name", "parameters")}}
             for tool in (WEATHER, ANYTHING)]  # fmt: skip
    request = ChatCompletionRequest(model="m", messages=[{"role": "user", "content": "?"}], tools=tools)
    parser = ToolParserManager.get_tool_parser(WHOLE[family])(tokenizer, request.tools)
    found = parser.extract_tool_calls(text, request)
    assert not (found.content or "").strip()
    calls = [(one.function.name, json.loads(one.function.arguments)) for one in found.tool_calls]
    return wanted(*calls)
