"""Models with a chat template (Qwen, Llama, Mistral, ...): the template renders, the answer is text.

The tokenizer is whatever the engine loaded; nothing here imports vllm or transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from realtime.engine.base import TokenChunk
from realtime.wire.items import FunctionCall, FunctionCallOutput, InputItem, Message, Reasoning, part_text
from realtime.wire.requests import ResponseCreate

from .base import Piece, RenderError, TextDelta


class ChatDialect:
    """Renders through `tokenizer.apply_chat_template`."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def render(self, request: ResponseCreate, items: Sequence[InputItem]) -> tuple[int, ...]:
        """See Dialect."""
        messages = to_messages(request.instructions, items)
        if not messages:
            raise RenderError(
                "There is nothing to answer: give `input`, `instructions` or a previous response.", "input"
            )
        try:
            text = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
        except Exception as error:  # templates raise whatever they like
            raise RenderError(f"The model's chat template refuses this conversation: {error}", "input") from error
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def parser(self, request: ResponseCreate) -> TextParser:
        """See Dialect."""
        return TextParser()


class TextParser:
    """Everything is text."""

    def feed(self, chunk: TokenChunk) -> Sequence[Piece]:
        """See Parser."""
        return (TextDelta(chunk.text),) if chunk.text else ()

    def close(self) -> Sequence[Piece]:
        """See Parser."""
        return ()


def to_messages(instructions: str | None, items: Sequence[InputItem]) -> list[dict[str, Any]]:
    """Items in the form that chat templates take."""
    messages: list[dict[str, Any]] = []
    if instructions:
        messages.append({"role": "system", "content": instructions})
    messages.extend(message for index, item in enumerate(items) if (message := _message(item, index)))
    return messages


def _message(item: InputItem, index: int) -> dict[str, Any] | None:
    match item:
        case Message():
            role = "system" if item.role == "developer" else item.role
            return {"role": role, "content": _text(item.content, f"input[{index}].content")}
        case Reasoning():
            return None  # of finished turns: templates drop it
        case FunctionCall() | FunctionCallOutput():
            raise RenderError("Tool calls are not supported yet.", f"input[{index}]")


def _text(content: str | list[Any], path: str) -> str:
    if isinstance(content, str):
        return content
    texts = [part_text(part) for part in content]
    for index, text in enumerate(texts):
        if text is None:
            raise RenderError("This model reads text only.", f"{path}[{index}]")
    return "".join(text for text in texts if text is not None)
