"""The family that an operator names, instead of the one that the model's template shows. Pure.

Operators also know the families by the names of vLLM's parsers (`--tool-parser hermes --reasoning-parser qwen3`). Where
the table has the same, that row is used.
"""

from __future__ import annotations

import msgspec

from .detect import ALL_FAMILIES, detect
from .family import Calls, Family, Thinking
from .history import Render, settled

# Rows that read what parsers of other names in vLLM read.
_CALLS = {
    "functiongemma": "function_gemma", "granite": "granite3", "granite-20b-fc": "granite_20b_fc",
    "hunyuan_a13b": "hunyuan", "internlm": "internlm2", "llama3_json": "llama3", "llama4_pythonic": "llama4",
    "phi4_mini_json": "phi4_mini", "qwen3_json": "hermes", "qwen3_xml": "qwen3_coder",
}  # fmt: skip
_REASONING = {
    "deepseek_r1": "deepseek_v3", "deepseek_v3": "deepseek_v31", "granite": "granite3", "hunyuan_a13b": "hunyuan",
}  # fmt: skip


class FamilyChoice(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's choice. `row`: the whole family. `calls`, `thinking`: a part of it. None: as the model's template
    shows it.
    """

    row: Family | None = None
    calls: tuple[Calls, ...] | None = None
    thinking: tuple[Thinking, ...] | None = None

    def of(self, model_type: str, template: str, render: Render) -> Family:
        """Return the row of a model, with what its template wants of a history."""
        row, shown = settled(self.row or detect(model_type, template), render)
        if self.row is None:
            found = detect(model_type, template, shown)
            row = msgspec.structs.replace(found, ids=row.ids, arguments=row.arguments, reasoning=row.reasoning)
        calls = row.calls if self.calls is None else self.calls
        thinking = row.thinking if self.thinking is None else self.thinking
        return msgspec.structs.replace(row, calls=calls, thinking=thinking)


BY_TEMPLATE = FamilyChoice()
NOTHING = Family(name="none")


def calls_named(name: str) -> tuple[Calls, ...] | None:
    """Return the forms of calls that vLLM's tool parser of this name reads; None: the table does not have it."""
    row = ALL_FAMILIES.get(_CALLS.get(name, name))
    return row.calls or None if row is not None else None


def thinking_named(name: str) -> tuple[Thinking, ...] | None:
    """Return the forms of reasoning that vLLM's reasoning parser of this name reads; None: not in the table."""
    row = ALL_FAMILIES.get(_REASONING.get(name, name))
    return row.thinking or None if row is not None else None
