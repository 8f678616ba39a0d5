"""The scripted engine's tokenizer: UTF-8 bytes, and a few tokens of more than a byte. Pure."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar


class ScriptedTokenizer:
    """The part of a `transformers` tokenizer that the server needs: UTF-8 bytes, and a few tokens of more
    than a byte.
    """

    SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    ADDED = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
    eos_token = "<|im_end|>"

    _FIRST_ID = 256  # of tokens that are no single byte
    _texts: ClassVar[dict[int, bytes]] = {value: bytes([value]) for value in range(256)}

    def __init__(self) -> None:
        self._ids: dict[str, int] = {chr(value): value for value in range(128)}
        self._split = re.compile("(" + "|".join(map(re.escape, self.SPECIAL + self.ADDED)) + ")")
        self.all_special_ids = [self.token_id(token) for token in self.SPECIAL]
        for token in self.ADDED:
            self.token_id(token)
        self.image_id = self.token_id("<image>")
        self.eos_token_id = self._ids[self.eos_token]

    def token_id(self, text: str) -> int:
        """Return the id of the token with this text. All instances have the same, so that one can read another's."""
        if text not in self._ids:
            token_id = self._ids[text] = self._FIRST_ID + zlib.crc32(text.encode()) // 4
            self._texts[token_id] = text.encode()
        return self._ids[text]

    def get_vocab(self) -> dict[str, int]:
        """Return the ids of all tokens so far, by text."""
        return dict(self._ids)

    def get_added_vocab(self) -> dict[str, int]:
        """Return the ids of added tokens, by text: each is one token wherever it is written."""
        return {text: self._ids[text] for text in self.SPECIAL + self.ADDED}

    def encode(self, text: str, *, split_special_tokens: bool = False, **_: Any) -> list[int]:
        """Return one id per byte. Special and added tokens are one id each, or letters if they are to be split."""
        if split_special_tokens:
            return list(text.encode())
        ids: list[int] = []
        for index, piece in enumerate(self._split.split(text)):
            ids += [self._ids[piece]] if index % 2 else piece.encode()
        return ids

    def decode(self, token_ids: Sequence[int] | int, skip_special_tokens: bool = False, **_: Any) -> str:
        """Invert `encode`, also for generated ids."""
        ids = [token_ids] if isinstance(token_ids, int) else token_ids
        skipped = self.all_special_ids if skip_special_tokens else ()
        return b"".join(self._texts[token_id] for token_id in ids if token_id not in skipped).decode(errors="replace")

    def apply_chat_template(
        self,
        messages: Iterable[dict[str, Any]],
        tools: Sequence[dict[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        tokenize: bool = False,
        **_: Any,
    ) -> str | list[int]:
        """Render ChatML. Tools and everything that is not text content appear as JSON."""
        turns = [{"role": "tools", "content": json.dumps(tools)}] if tools else []
        for message in messages:
            content = message.get("content")
            rest = {key: value for key, value in message.items() if key not in ("role", "content")}
            text = (
                content if isinstance(content, str) else "".join(part.get("text", "<image>") for part in content or ())
            )
            turns.append({"role": message["role"], "content": text + (json.dumps(rest, default=str) if rest else "")})
        text = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in turns)
        if add_generation_prompt:
            text += "<|im_start|>assistant\n"
        return self.encode(text) if tokenize else text
