"""The choice of a dialect for a loaded model.

Made once per model, when it serves. Anything that takes I/O is passed in as a function and called only if needed: the
Harmony library with its vocabulary, and the date.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from realtime.engine.base import Loaded, ModelInfo

from .base import Dialect, Sight
from .chat import ChatDialect
from .foreign import ForeignReader
from .harmony.dialect import Encoding, HarmonyDialect
from .letters.control import chat_template
from .markup.named import BY_TEMPLATE, FamilyChoice
from .markup.reader import MarkupReader
from .reader import Reader

HARMONY_MODELS = frozenset({"gpt_oss"})  # by the `model_type` of their config

Setting = Literal["auto", "chat", "harmony"]  # `auto`: by the model's type


def choose_dialect(
    loaded: Loaded,
    setting: Setting,
    *,
    load_encoding: Callable[[], Encoding],
    today: Callable[[], str],
    family: FamilyChoice = BY_TEMPLATE,
) -> Dialect:
    """Return a dialect for `loaded`. `today` returns the date as `YYYY-MM-DD`. `family`: the operator's choice of a
    family. Raises what `load_encoding` raises.
    """
    if _speaks_harmony(loaded.model, setting):
        return HarmonyDialect(load_encoding(), today, loaded.model.max_model_len)
    return ChatDialect(loaded.tokenizer, _reader(loaded, family), _sight(loaded.model), loaded.model.max_model_len)


def _reader(loaded: Loaded, family: FamilyChoice) -> Reader:
    if loaded.parsers is not None:
        return ForeignReader(loaded.parsers)
    tokenizer = loaded.tokenizer
    row = family.of(loaded.model.model_type, chat_template(tokenizer), partial(_render, tokenizer))
    return MarkupReader(row, tokenizer)


def _render(tokenizer: Any, messages: Sequence[dict[str, Any]]) -> str | None:
    """See markup.history.Render."""
    said = {"type": "object", "properties": {"said": {"type": "string"}}, "required": ["said"]}
    probe = {"type": "function", "function": {"name": "probe", "description": "", "parameters": said}}
    try:
        text: str = tokenizer.apply_chat_template(
            list(messages), tools=[probe], tokenize=False, add_generation_prompt=False
        )
    except Exception:  # templates raise whatever they like
        return None
    return text


def _speaks_harmony(model: ModelInfo, setting: Setting) -> bool:
    return setting == "harmony" or (setting == "auto" and model.model_type in HARMONY_MODELS)


def _sight(model: ModelInfo) -> Sight:
    """Return how the model takes images. One that sees and has no marker has a template that takes images as parts of
    the content.
    """
    return Sight(takes_parts=model.sees and model.image_marker is None, marker=model.image_marker)
