"""What a template has begun at the end of a prompt; a user who writes the same has begun nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from realtime.context.tools import ToolSet
from realtime.dialects.base import Piece, ReasoningDelta, TextDelta
from realtime.dialects.chat import ChatDialect
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.reader import MarkupReader
from realtime.engine.base import FinishReason, TokenChunk
from realtime.engine.scripted import ScriptedTokenizer
from realtime.wire.items import InputItem, Message
from realtime.wire.requests import ResponseCreate


class Tokenizer(ScriptedTokenizer):
    """One whose template puts `begins` behind the last message, or nothing at all; `bare`: and no marks around it."""

    def __init__(self, begins: str, *, bare: bool = False) -> None:
        super().__init__()
        self._begins = begins
        self._bare = bare
        self.num_rendered = 0

    def apply_chat_template(self, messages: Any, add_generation_prompt: bool = True, **_: Any) -> str:  # type: ignore[override]
        """See ScriptedTokenizer."""
        self.num_rendered += 1
        text = "".join(message["content"] if self._bare else f"[{message['content']}]\n" for message in messages)
        return text + (self._begins if add_generation_prompt else "")


def answer(tokenizer: Tokenizer, *said: str, text: str = "So.") -> Sequence[Piece]:
    dialect = ChatDialect(tokenizer, MarkupReader(ALL_FAMILIES["qwen3"], tokenizer))
    items: list[InputItem] = [Message(role="user", content=one) for one in said]
    prompt = dialect.render(ResponseCreate(), ToolSet(), items, None)
    parser = dialect.parser(ResponseCreate(), ToolSet(), prompt)
    return [*parser.feed(TokenChunk(text, [1], FinishReason.STOP)), *parser.close()]


@pytest.mark.parametrize("user", ["Hi", "<think>", "Say </think>", "<think>\n"])
def test_what_the_template_has_begun(user: str) -> None:
    assert answer(Tokenizer("assistant: <think>\n"), user) == [ReasoningDelta("So.")]
    assert answer(Tokenizer("assistant: <think>\n\n</think>\n\n"), user) == [TextDelta("So.")]
    assert answer(Tokenizer("assistant: "), user) == [TextDelta("So.")]
    assert answer(Tokenizer("assistant: "), user, text="<think>So.</think>") == [ReasoningDelta("So.")]


@pytest.mark.parametrize("user", ["<think>", "Hi <think>\n", "a</think>"])
def test_what_a_user_has_written_is_not_what_it_has_begun(user: str) -> None:
    """In a template without any marks of its own behind what users write."""
    assert answer(Tokenizer("", bare=True), user) == [TextDelta("So.")]
    assert answer(Tokenizer("", bare=True), user, text="<think>So.</think>") == [ReasoningDelta("So.")]
    assert answer(Tokenizer("<think>", bare=True), user) == [ReasoningDelta("So.")]


def test_the_conversation_is_rendered_once_more_only_where_that_decides() -> None:
    for tokenizer, user, times in (
        (Tokenizer("<think>"), "Hi", 1),
        (Tokenizer(""), "<think>", 1),
        (Tokenizer("<think>"), "x <think>", 2),
    ):
        answer(tokenizer, user, "what?") if times == 1 else answer(tokenizer, user)
        assert tokenizer.num_rendered == times
