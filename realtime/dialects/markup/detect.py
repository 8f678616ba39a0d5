"""Which row a model has, and what its template has begun. Pure.

A template shows the markup that the model was trained on, so the row is read off it; the type decides where two rows
look alike. What is set by hand always wins.
"""

# ruff: noqa: RUF001 (the bars of DeepSeek's marks)
from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .families import FAMILIES
from .family import Family, Thinking
from .machine import Start
from .more_families import MORE_FAMILIES

ALL_FAMILIES: dict[str, Family] = {**FAMILIES, **MORE_FAMILIES}

# In order: the first whose marks are all in the template decides. A name, or one for each of some model types.
_ROWS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("<|tool_calls_section_begin|>",), "kimi_k2"),
    (("<|open|>", "<|close|>", "<|sep|>"), "kimi_k3"),
    (("<｜DSML｜ invoke",), "deepseek_v41"),
    (("<｜DSML｜", "tool_calls>"), "deepseek_v4"),
    (("<｜DSML｜",), "deepseek_v32"),
    (("<｜tool▁calls▁begin｜>", "```json"), "deepseek_v3"),
    (("<｜tool▁calls▁begin｜>",), "deepseek_v31"),
    (("<steptml:invoke",), "step3"),
    (("<ifm|tool_call",), "k2_horizon"),
    (("<longcat_tool_call>",), "longcat"),
    (("<tool_sep>",), "hy_v3"),
    (("<tool_calls>", "<arg_key>"), "hy_v4"),
    (("</arg_key><arg_value>",), "glm47"),
    (("<arg_key>",), "glm45"),
    (("<minimax:tool_call>",), "minimax_m2"),
    (("<seed:tool_call>",), "seed_oss"),
    (("<dots_function_call>",), "dots"),
    (("<|content_invoke_tool_json|>",), "inkling"),
    (("<|plamo:begin_tool_request",), "plamo3"),
    (("<|START_ACTION|>",), "cohere"),
    (("<|tool_call_start|>",), "lfm2"),
    (("<|tools_prefix|>",), "apertus"),
    (("<|action_start|>",), "internlm2"),
    (("<start_function_call>",), "function_gemma"),
    (("<|tool_call>",), "gemma4"),
    (("<function_calls>",), "olmo3"),
    (("<TOOLCALL>",), "nemotron"),
    (("<|role_sep|>", "function call"), "gigachat3"),
    (("<|function_call|>",), "gigachat3"),
    (("[TOOL_CALLS]", "[ARGS]"), "mistral"),
    (("[TOOL_CALLS]",), "mistral_v3"),
    (("<|/tool_call|>",), "phi4_mini"),
    (("functools[",), "phi4_mini"),
    (("<|tool|>", "<|/tool|>"), "phi4_mini"),
    (("<|tool_call|>",), "granite3"),
    (("<|python_start|>",), "llama4"),
    (("<|python_tag|>",), "llama3"),
    (("<tool_calls>", "<answer>"), "hunyuan"),
    (("<tool_calls>",), "jamba"),
    (("<function name=", "<param name="), "minicpm5"),
    (("<function=", "<tool_call>"), "qwen3_coder"),
    (("<function_call>",), "granite_20b_fc"),
    (("<tool_call>",), "hermes"),
    (("```tool_code",), "gemma3"),
)
# A row that a model of this type has instead of the one that its template shows.
_BY_TYPE: Mapping[tuple[str, str], str] = {
    ("hermes", "ernie4_5"): "ernie45",
    ("hermes", "ernie4_5_moe"): "ernie45",
    ("hermes", "qwen3"): "qwen3",
    ("hermes", "qwen3_moe"): "qwen3",
    ("hermes", "qwen3_next"): "qwen3",
    ("hermes", "granitemoehybrid"): "granite4",
    ("hermes", "granite"): "granite4",
    ("qwen3_coder", "mimo"): "mimo",
    ("qwen3_coder", "minicpmv"): "minicpmv",
    ("qwen3_coder", "nemotron_h"): "nemotron_v3",
    ("qwen3_coder", "step3p5"): "step3p5",
    ("glm47", "ling3"): "ling3",
    ("jamba", "hunyuan_v1_moe"): "hunyuan",
    ("jamba", "hunyuan_v1_dense"): "hunyuan",
    ("olmo3", "olmo3"): "olmo3",
}
_TYPES: Mapping[str, str] = {"gemma3": "gemma3", "gemma3_text": "gemma3", "llama4": "llama4", "olmo3": "olmo3"}
# What shows reasoning that the row of the calls does not have.
_REASONING: tuple[tuple[str, str], ...] = (
    ("<seed:think>", "</seed:think>"), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"), ("<think>", "</think>"),
    ("<longcat_think>", "</longcat_think>"), ("<mm:think>", "</mm:think>"),
)  # fmt: skip


def detect(model_type: str, template: str) -> Family:
    """The row of a model with this template: it has what the template shows, and no more."""
    calls = next((name for marks, name in _ROWS if all(mark in template for mark in marks)), None)
    if calls is None:
        calls = _TYPES.get(model_type)
    if calls is None:
        return Family(name="plain", thinking=_thinking((), template))
    row = ALL_FAMILIES[_BY_TYPE.get((calls, model_type), calls)]
    return msgspec.structs.replace(row, thinking=_thinking(row.thinking, template))


def _thinking(own: tuple[Thinking, ...], template: str) -> tuple[Thinking, ...]:
    """The ways to reason that the template shows: the row's, else a pair of tags."""
    shown = tuple(one for one in own if one.end.strip() in template or one.begin.strip() in template)
    if shown:
        return shown
    tags = (Thinking(begin, end) for begin, end in _REASONING if begin in template or end in template)
    found = next(tags, None)
    return () if found is None else (found,)


def openings(family: Family) -> tuple[str, ...]:
    """The marks that tell, at the end of a prompt, what its template has begun: the longest first."""
    found = {mark.strip() for one in family.thinking for mark in (one.begin, one.end, *(one.answer or ())[:1])}
    return tuple(sorted(filter(None, found), key=lambda mark: (-len(mark), mark)))


def started(family: Family, added: str) -> tuple[Start, int]:
    """What a template has begun, by what it put behind the last message: text of its own, never a user's. With the
    index of the way to reason.
    """
    text = added.rstrip()
    for index, thinking in enumerate(family.thinking):
        if thinking.begin.strip() and text.endswith(thinking.begin.strip()):
            return Start.REASONING, index
    for index, thinking in enumerate(family.thinking):
        if text.endswith(thinking.end.strip()) or _in_answer(text, thinking):
            return Start.ANSWER, index
    return Start.FREE, 0


def _in_answer(text: str, thinking: Thinking) -> bool:
    return thinking.answer is not None and text.endswith(thinking.answer[0].strip())
