"""Detect a model's row, and what its template has begun. Pure.

A template shows the markup that the model was trained on, so the row is read off the template; the model type decides
where two rows look alike. An operator's setting always wins.
"""

# ruff: noqa: RUF001 (the bars of DeepSeek's marks)
from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from .families import FAMILIES, THINK, THINK_TIGHT
from .family import Family, Thinking
from .machine import Start
from .more_families import MORE_FAMILIES

ALL_FAMILIES: dict[str, Family] = {**FAMILIES, **MORE_FAMILIES}

# In order: the first whose marks are all shown decides.
_ROWS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("<|tool_calls_section_begin|>",), "kimi_k2"),
    (("<|open|>", "<|close|>", "<|sep|>"), "kimi_k3"),
    (("｜DSML｜ invoke",), "deepseek_v41"),
    (("｜DSML｜", "function_calls"), "deepseek_v32"),
    (("｜DSML｜",), "deepseek_v4"),
    (("<｜tool▁calls▁begin｜>", "```json"), "deepseek_v3"),
    (("<｜tool▁calls▁begin｜>",), "deepseek_v31"),
    (("<steptml:invoke",), "step3"),
    (("<ifm|tool_call",), "k2_horizon"),
    (("<longcat_tool_call>",), "longcat"),
    (("<atem:invoke",), "muse_glimmer"),
    (("]<]minimax[>[",), "minimax_m3"),
    (("<|tool_call:begin|>",), "solar_open"),
    (("<function name=", "<param name="), "minicpm5"),
    (("<tool_calls:", "<tool_sep:"), "hy_v3"),
    (("<tool_calls:", "<arg_key:"), "hy_v4"),
    (("<tool_calls{}>", "<tool_sep{}>"), "hy_v3"),
    (("<tool_calls{}>", "<arg_key{}>"), "hy_v4"),
    (("<tool_calls>", "<tool_sep>"), "hy_v3"),
    (("<tool_calls>", "<arg_key>"), "hy_v4"),
    (("<role>ASSISTANT</role>", "<arg_key>"), "ling3"),
    (("<assistant>", "</arg_key><arg_value>"), "poolside_s"),
    (("<assistant>", "<arg_key>"), "poolside"),
    (("</arg_key><arg_value>",), "glm47"),
    (("<tool_call>", "<arg_key>"), "glm45"),
    (("<minimax:tool_call>",), "minimax_m2"),
    (("<seed:tool_call>",), "seed_oss"),
    (("<dots_function_call>",), "dots"),
    (("<|content_invoke_tool_json|>",), "inkling"),
    (("<|plamo:begin_tool_request",), "plamo3"),
    (("<|START_ACTION|>", "<|START_TEXT|>"), "cohere4"),
    (("<|START_ACTION|>",), "cohere"),
    (("<|START_RESPONSE|>",), "cohere"),
    (("<|tool_call_start|>",), "lfm2"),
    (("<|tool_list_start|>",), "lfm2"),
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
    (("<|python_tag|>", "<function="), "functionary"),
    (("<|python_tag|>",), "llama3"),
    (('{"name": function name, "parameters"',), "llama3"),
    (("[BEGIN FINAL RESPONSE]",), "apriel"),
    (("<tool_calls>", "<answer>"), "hunyuan"),
    (("<tool_calls>", "<beginning_of_sentence>"), "minimax_m1"),
    (("<tool_calls>",), "jamba"),
    (("<function=", "<tool_call>"), "qwen3_coder"),
    (("<function_call>",), "granite_20b_fc"),
    (("[|assistant|]", "<tool_call>"), "exaone4"),
    (("<tool_call>",), "hermes"),
    (("make calls in a single JSON array",), "xlam"),
    (("func_name1(params_name1=params_value1",), "pythonic"),
    (("```tool_code",), "gemma3"),
)
# A row that a model of this type has instead of the one that its template shows.
_BY_TYPE: Mapping[tuple[str, str], str] = {
    ("hermes", "ernie4_5"): "ernie45",
    ("hermes", "ernie4_5_moe"): "ernie45",
    ("hermes", "granitemoehybrid"): "granite4",
    ("hermes", "granite"): "granite4",
    ("qwen3_coder", "mimo"): "mimo",
    ("qwen3_coder", "mimo_v2_flash"): "mimo",
    ("qwen3_coder", "nemotron_h"): "nemotron_v3",
    ("qwen3_coder", "step3p5"): "step3p5",
    ("glm45", "ling3"): "ling3",
    ("glm47", "ling3"): "ling3",
    ("jamba", "hunyuan_v1_moe"): "hunyuan",
    ("jamba", "hunyuan_v1_dense"): "hunyuan",
    ("hermes", "qwen3"): "qwen3",
    ("hermes", "qwen3_moe"): "qwen3",
    ("hermes", "qwen3_next"): "qwen3",
    ("llama3", "llama4"): "llama4_json",
    ("pythonic", "gemma3"): "gemma3",
    ("pythonic", "llama4"): "llama4",
}
# The row of these if the template shows reasoning too.
_REASONS: Mapping[str, str] = {"hermes": "qwen3", "qwen3_coder": "qwen3_5"}
_TYPES: Mapping[str, str] = {
    "gemma3": "gemma3", "gemma3_text": "gemma3", "lfm2": "lfm2", "lfm2_moe": "lfm2", "llama4": "llama4",
    "olmo3": "olmo3",
}  # fmt: skip
# What shows reasoning that the row of the calls does not have.
_REASONING: tuple[Thinking, ...] = (
    *(Thinking(begin, end) for begin, end in (
        ("<seed:think>", "</seed:think>"), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"),
    )),
    THINK_TIGHT,
    *(Thinking(begin, end) for begin, end in (
        ("<longcat_think>", "</longcat_think>"), ("<mm:think>", "</mm:think>"),
    )),
)  # fmt: skip
_LINE_AFTER_THINK = ("<think>\n", "<think>\\n")
# Tags with a suffix that is the model's own: its template puts it in.
_SUFFIX = re.compile(r"<tool_calls(:[\w\-]+)>|HYTK = '(:[\w\-]+)'")


def detect(model_type: str, template: str, rendered: str = "") -> Family:
    """Return the row of a model with this template: it has what the template shows, and no more. `rendered`: a
    conversation with reasoning and calls as the template renders it, for marks that it puts together.
    """
    shown = template + rendered
    calls = next((name for marks, name in _ROWS if all(mark in shown for mark in marks)), None)
    if calls is None:
        calls = _TYPES.get(model_type)
    if calls is None:
        return Family(name="plain", thinking=_thinking((), shown))
    calls = _BY_TYPE.get((calls, model_type), calls)
    if "</think>" in shown:
        calls = _REASONS.get(calls, calls)
    row = _suffixed(ALL_FAMILIES[calls], shown)
    return msgspec.structs.replace(row, thinking=_thinking(row.thinking, shown))


def _suffixed(row: Family, shown: str) -> Family:
    """Return the row with the suffix of this model's tags, if they have one."""
    found = _SUFFIX.search(shown) if row.name.startswith("hy_") else None
    if found is None:
        return row
    data = msgspec.json.encode(row).decode()
    return msgspec.json.decode(re.sub(r"(</?[a-z_]+)>", rf"\1{found[1] or found[2]}>", data), type=Family)


def _thinking(own: tuple[Thinking, ...], shown: str) -> tuple[Thinking, ...]:
    """Return the forms of reasoning that the template shows: the row's, else a pair of tags."""
    ways = tuple(one for one in own if any(_shows(shown, mark) for mark in (one.begin, one.end, *(one.answer or ()))))
    if ways:
        return ways
    found = next((one for one in _REASONING if one.begin in shown or one.end in shown), None)
    if found == THINK_TIGHT and any(line in shown for line in _LINE_AFTER_THINK):
        return (THINK,)
    return () if found is None else (found,)


def openings(family: Family) -> tuple[str, ...]:
    """Return the marks at the end of a prompt that tell what its template has begun, the longest first."""
    found = {mark.strip() for one in family.thinking for mark in (one.begin, one.end, *(one.answer or ())[:1])}
    return tuple(sorted(filter(None, found), key=lambda mark: (-len(mark), mark)))


def _shows(shown: str, mark: str) -> bool:
    """Return whether a template shows all of a mark, possibly in parts. A suffix may come from a variable."""
    return all(part in shown for part in _PARTS.findall(re.sub(r":[\w\-]+>", "", mark)))


_PARTS = re.compile(r"<\|[^<>]*\|>|[^<\s]+|<[^<\s]*")


def started(family: Family, added: str) -> tuple[Start, int]:
    """Return what a template has begun, by the text that it put after the last message (its own, never a user's), with
    the index of the form of reasoning.
    """
    text = added.rstrip()
    for index, thinking in enumerate(family.thinking):
        if thinking.begin.strip() and text.endswith(thinking.begin.strip()):
            return Start.REASONING, index
    for index, thinking in enumerate(family.thinking):
        if _in_answer(text, thinking):
            return Start.WRAPPED, index
        if text.endswith(thinking.end.strip()):
            return Start.ANSWER, index
    return Start.FREE, 0


def _in_answer(text: str, thinking: Thinking) -> bool:
    return thinking.answer is not None and text.endswith(thinking.answer[0].strip())
