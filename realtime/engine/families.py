"""Which of vLLM's parsers a model needs, seen from its chat template and its type. Pure.

A template shows the markup that the model was trained on, so the tool format is read off it; the type decides where
two formats look alike. What is set by hand always wins.
"""

from __future__ import annotations

import msgspec


class Family(msgspec.Struct, frozen=True):
    """vLLM's names of the parsers; None: the model has nothing of that kind."""

    reasoning: str | None = None
    tool: str | None = None


# In order: the first whose marks are all in the template decides.
_TOOLS: tuple[tuple[str, ...], ...] = (
    ("<|tool_calls_section_begin|>", "kimi_k2"),
    ("<\uff5ctool\u2581calls\u2581begin\uff5c>", "```json", "deepseek_v3"),
    ("<\uff5ctool\u2581calls\u2581begin\uff5c>", "deepseek_v31"),
    ("<arg_key>", "glm47"),
    ("<minimax:tool_call>", "minimax_m2"),
    ("<seed:tool_call>", "seed_oss"),
    ("<function=", "qwen3_coder"),
    ("[TOOL_CALLS]", "mistral"),
    ("<|tool_call|>", "granite"),
    ("<|python_tag|>", "llama3_json"),
    ("<tool_call>", "hermes"),
)
_REASONING: tuple[tuple[str, ...], ...] = (
    ("<seed:think>", "seed_oss"),
    ("[THINK]", "mistral"),
    ("\u25c1think\u25b7", "kimi_k2"),
)
# None: the family writes tags that vLLM has no parser for.
_REASONING_BY_TYPE: dict[str, str | None] = {
    "qwen3": "qwen3", "qwen3_moe": "qwen3", "qwen3_next": "qwen3", "deepseek_v2": "deepseek_r1",
    "deepseek_v3": "deepseek_r1", "glm4_moe": "glm45", "granite": None, "kimi_k2": "kimi_k2",
    "minimax_m2": "minimax_m2", "olmo3": "olmo3",
}  # fmt: skip


def detect(model_type: str, template: str) -> Family:
    """The parsers for a model with this template."""
    return Family(_detect_reasoning(model_type, template), _first(_TOOLS, template))


def _detect_reasoning(model_type: str, template: str) -> str | None:
    by_mark = _first(_REASONING, template)
    if by_mark is not None:
        return by_mark
    if "<think>" not in template and "</think>" not in template:
        return None
    return _REASONING_BY_TYPE.get(model_type, "deepseek_r1" if "</think>" in template else "qwen3")


def _first(rows: tuple[tuple[str, ...], ...], template: str) -> str | None:
    return next((name for *marks, name in rows if all(mark in template for mark in marks)), None)
