"""Which dialect a loaded model is spoken to in."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.context.tools import ToolSet
from realtime.dialects.base import Dialect, RenderError
from realtime.dialects.choose import Setting, choose_dialect
from realtime.engine.base import Loaded, ModelInfo, Sampling
from realtime.engine.scripted import ScriptedTokenizer
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import InputImage, Message
from realtime.wire.requests import ResponseCreate

QUESTION = Message(role="user", content="hi")
IMAGE = Message(role="user", content=[InputImage(image_url="https://example.com/a.png")])


class Encoding:
    """Stands for the Harmony library; counts how often it was loaded and keeps what it was to render."""

    vocabulary: Any = None

    def __init__(self) -> None:
        self.num_loads = 0
        self.messages: list[HarmonyMessage] = []

    def load(self) -> Encoding:
        self.num_loads += 1
        return self

    def render(self, messages: Any, *_: Any) -> list[int]:
        """See dialects.harmony.dialect.Encoding."""
        self.messages = list(messages)
        return [7]


def choose(setting: Setting, encoding: Encoding, **model: Any) -> Dialect:
    info = ModelInfo(name="m", path="m", max_model_len=100, defaults=Sampling(max_tokens=1), **model)
    loaded = Loaded(info, ScriptedTokenizer())
    return choose_dialect(loaded, setting, load_encoding=encoding.load, today=lambda: "2026-11-21")


def prompt(dialect: Dialect, item: Message) -> str:
    return dialect.render(ResponseCreate(), ToolSet(), [item], None).text


@pytest.mark.parametrize(
    ("setting", "model_type", "harmony"),
    [
        ("auto", "gpt_oss", True),
        ("auto", "qwen3", False),
        ("auto", "", False),
        ("auto", "gpt2", False),
        ("harmony", "qwen3", True),
        ("chat", "gpt_oss", False),
    ],
)
def test_the_setting_decides_and_without_it_the_models_type(setting: Setting, model_type: str, harmony: bool) -> None:
    encoding = Encoding()
    dialect = choose(setting, encoding, model_type=model_type)
    assert dialect.speaks_harmony is harmony
    assert encoding.num_loads == harmony, "the library is loaded for models that speak Harmony, and only for them"


def test_harmony_has_the_encoding_and_the_date() -> None:
    encoding = Encoding()
    assert list(choose("harmony", encoding).render(ResponseCreate(), ToolSet(), [QUESTION], None).token_ids) == [7]
    assert "2026-11-21" in str(encoding.messages[0].content)


def test_what_loading_raises_comes_through() -> None:
    def broken() -> Encoding:
        raise LookupError("no vocabulary")

    encoding = Encoding()
    encoding.load = broken  # type: ignore[method-assign]
    with pytest.raises(LookupError, match="no vocabulary"):
        choose("harmony", encoding)


def test_chat_has_the_loaded_tokenizer() -> None:
    assert prompt(choose("auto", Encoding()), QUESTION) == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ({"sees": True}, "<image>"),  # the tokenizer's own, for a part of the content
        ({"sees": True, "image_marker": "<IMG>"}, "<IMG>"),
        ({"sees": True, "image_marker": ""}, ""),
    ],
)
def test_a_model_that_sees_is_shown_an_image_as_its_template_takes_it(model: dict[str, Any], shown: str) -> None:
    text = prompt(choose("auto", Encoding(), **model), IMAGE)
    assert text.startswith(f"<|im_start|>user\n{shown}<|im_end|>")


def test_a_model_that_does_not_see_is_shown_none() -> None:
    with pytest.raises(RenderError, match="reads text only"):
        prompt(choose("auto", Encoding()), IMAGE)
