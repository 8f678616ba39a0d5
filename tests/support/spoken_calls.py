"""A model that says calls piece by piece: `<tool_call>`, `NAME `, any number of pieces of arguments, `</tool_call>`."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.engine.parsing import ALWAYS, CallFragment, Constraint, Parsed, ParseSpec


def spoken_call(name: str, *arguments: str) -> tuple[str, ...]:
    """The steps of a script in which the model makes this call, the arguments in these pieces."""
    return ("<tool_call>", f"{name} ", *arguments, "</tool_call>")


class SpokenParsers:
    """`Parsers` of that model."""

    quiet = False
    holds = ALWAYS

    def open(self, spec: ParseSpec, prompt_token_ids: Sequence[int]) -> SpokenParser:
        """See Parsers."""
        return SpokenParser()


class SpokenParser:
    """`OutputParser` of that model; it relies on each piece coming alone, as the scripted engine has it."""

    constraint: Constraint | None = None
    reasoning_ended: bool | None = True
    skip_special_tokens = True

    def __init__(self) -> None:
        self._index = -1
        self._in_call = False
        self._named = False

    def feed(self, text: str, token_ids: Sequence[int], *, finished: bool = False, plain: bool = False) -> list[Parsed]:
        """See OutputParser."""
        if text == "<tool_call>":
            self._index, self._in_call, self._named = self._index + 1, True, False
            return []
        if text == "</tool_call>":
            self._in_call = False
            return []
        if not self._in_call:
            return [Parsed(text=text)]
        name, self._named = (None if self._named else text.strip()), True
        return [Parsed(calls=[CallFragment(self._index, name, "" if name else text)])]

    def num_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """See OutputParser."""
        return 0
