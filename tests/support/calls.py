"""A model whose calls a script tells: `<tool_call>NAME ARGUMENTS</tool_call>`, and the parser that reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from realtime.engine.parsing import ALWAYS, CallFragment, Constraint, Parsed, ParseSpec

_BEGIN, _END = "<tool_call>", "</tool_call>"


def called(name: str, arguments: Any) -> tuple[str, ...]:
    """The steps of a script in which the model makes this call."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return (_BEGIN, f"{name} ", *(text[at : at + 5] for at in range(0, len(text), 5)), _END)


class TaggedParsers:
    """`Parsers` of that model. `specs` is what each parser was opened with."""

    quiet = False
    holds = ALWAYS

    def __init__(self) -> None:
        self.specs: list[ParseSpec] = []

    def open(self, spec: ParseSpec, prompt_token_ids: Sequence[int]) -> TaggedParser:
        """See Parsers."""
        self.specs.append(spec)
        return TaggedParser()


class TaggedParser:
    """`OutputParser` of that model: a call is said when it is whole, or when the generation ends."""

    constraint: Constraint | None = None
    reasoning_ended: bool | None = True
    skip_special_tokens = True

    def __init__(self) -> None:
        self._text = ""
        self._num_calls = 0

    def feed(self, text: str, token_ids: Sequence[int], *, finished: bool = False, plain: bool = False) -> list[Parsed]:
        """See OutputParser."""
        self._text += text
        said: list[Parsed] = []
        while _END in self._text:
            before, _, self._text = self._text.partition(_END)
            said += self._call(before)
        if _BEGIN not in self._text:
            said.append(Parsed(text=self._text))
            self._text = ""
        elif finished:
            said += self._call(self._text)
        return said

    def _call(self, text: str) -> list[Parsed]:
        before, _, call = text.partition(_BEGIN)
        name, _, arguments = call.partition(" ")
        fragment = CallFragment(index=self._num_calls, name=name, arguments=arguments)
        self._num_calls += 1
        return [Parsed(text=before), Parsed(calls=[fragment])]

    def num_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """See OutputParser."""
        return 0
