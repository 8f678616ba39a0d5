"""A model for the scripted engine that reasons and calls tools: its tokens say themselves what they are."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.engine.parsing import ALWAYS, CallFragment, Parsed, ParseSpec


class MarkedParser:
    """`think:...` is reasoning, `call:NAME` begins a call, `args:...` is more of its arguments, the rest is text."""

    reasoning_ended: bool | None = None
    skip_special_tokens = True

    def __init__(self) -> None:
        self._num_calls = 0
        self._num_reasoning = 0

    def feed(self, text: str, token_ids: Sequence[int], *, finished: bool = False) -> list[Parsed]:
        """See OutputParser."""
        kind, colon, rest = text.partition(":")
        match kind if colon else "":
            case "think":
                self._num_reasoning += 1
                return [Parsed(reasoning=rest)]
            case "call":
                self._num_calls += 1
                return [Parsed(calls=[CallFragment(self._num_calls - 1, rest, "")])]
            case "args":
                return [Parsed(calls=[CallFragment(self._num_calls - 1, None, rest)])]
            case _:
                return [Parsed(text=text)]

    def num_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """See OutputParser."""
        return self._num_reasoning


class MarkedParsers:
    """`Parsers` of that model."""

    holds = ALWAYS

    def open(self, spec: ParseSpec, prompt_token_ids: Sequence[int]) -> MarkedParser:
        """See Parsers."""
        return MarkedParser()
