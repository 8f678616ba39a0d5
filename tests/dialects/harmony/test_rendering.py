"""Rendering long texts in pieces: the tokens of the library, and not its time."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openai_harmony import Conversation, Message, RenderConversationConfig, Role

from realtime.dialects.harmony import library as harmony_encoding
from realtime.wire.harmony import (
    DeveloperContent,
    HarmonyMessage,
    HarmonyNamespace,
    HarmonyText,
    HarmonyTool,
    SystemContent,
)  # fmt: skip
from tests.support.harmony import encoding, library, text_of

PROSE = (
    "It's 12,345.6 °C (naïve) - 'tis \"done\"; don't.\n\n  x = {'a1': [1, 2]}\n"
    "\t日本語、テスト。\r\n... a\u0301b 👩‍🚀 ==>/ "
)


@pytest.mark.parametrize("size", [64, 300])
def test_a_text_in_pieces_has_the_tokens_that_it_has_as_a_whole(size: int) -> None:
    text = (PROSE + "\n".join(f"{n} times {n * n}, and" for n in range(300))) * 3
    cut = list(harmony_encoding.pieces(text, size))
    assert "".join(cut) == text
    assert [token for piece in cut for token in whole(piece)] == whole(text)


@given(st.text(st.sampled_from("ab 'sé1²\n\t.,{/。語\u0301_"), min_size=200, max_size=400))
@example("1" * 99 + "_" + "1" * 97 + "²11")  # a number that is no digit
def test_pieces_are_cut_where_tokens_end(text: str) -> None:
    cut = list(harmony_encoding.pieces(text, 100))
    assert "".join(cut) == text
    assert max(map(len, cut)) <= 100
    if all(len(piece) < 100 for piece in cut[:-1]):
        assert [token for piece in cut for token in whole(piece)] == whole(text)


@pytest.mark.parametrize("word", ["a", "=", " ", "\n", "語", "a\u0301", "—="])
def test_a_word_without_end_is_rendered_in_linear_time(word: str) -> None:
    text = word * 60_000  # as a whole: up to minutes
    message = HarmonyMessage(role="user", content=text)
    assert text in text_of(encoding().render([message]))


def test_long_messages_are_rendered_like_short_ones() -> None:
    text = PROSE * 40
    functions = {"functions": HarmonyNamespace(name="functions", tools=[HarmonyTool(name="f", description="d")])}
    messages = [
        HarmonyMessage(role="system", content=[SystemContent(model_identity=text)]),
        HarmonyMessage(
            role="developer", content=[DeveloperContent(instructions=text, tools=functions), HarmonyText(text=text)]
        ),
        HarmonyMessage(role="developer", content=[DeveloperContent(instructions=text)]),
        HarmonyMessage(role="user", content=text),
        HarmonyMessage(role="assistant", channel="commentary", recipient="functions.f", content=text),
        HarmonyMessage(role="tool", name="functions.f", recipient="assistant", content=[HarmonyText(text=text)] * 2),
        HarmonyMessage(role="user", content="hi"),
    ]
    conversation = Conversation.from_messages([Message.from_dict(msgspec.to_builtins(one)) for one in messages])
    config = RenderConversationConfig(auto_drop_analysis=False)
    assert encoding().render(messages) == library().render_conversation_for_completion(
        conversation, Role.ASSISTANT, config
    )


def whole(text: str) -> list[int]:
    ids: list[int] = library().encode(text, disallowed_special=())
    return ids
