"""A family's row behind `dialects.reader.Reader`: the parser of an answer, and the constraint on sampling. Pure."""

from __future__ import annotations

from typing import Any

from realtime.dialects.reader import Reading
from realtime.engine.parsing import Constraint, Holds

from .detect import openings, started
from .family import Family
from .history import as_wanted
from .parser import Asked, MarkupParser, WholeCallParser
from .tags import Asked as AskedOfTag
from .tags import TagWriter
from .tokens import Markup


class MarkupReader:
    """A reader of one model's answers. See Reader."""

    def __init__(self, family: Family, tokenizer: Any) -> None:
        """`tokenizer`: a `transformers`-like one."""
        self._family = family
        self._markup = Markup.of_tokenizer(family, tokenizer)
        self._tags = TagWriter(family, self._markup.special)
        self.name = family.name
        self.openings = openings(family)
        self.holds = Holds(auto=self._tags.tells_calls, forced=bool(family.calls), misfit=self._tags.misfit)

    def as_wanted(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """See Reader."""
        return as_wanted(messages, self._family)

    def open(self, reading: Reading) -> MarkupParser:
        """See Reader."""
        start, thinking = started(self._family, reading.begun)
        tools = reading.tools
        asked = AskedOfTag(tools=tools, schema=reading.schema, start=start, thinking=thinking)
        only = tools.only if tools.only is not None and tools.only.grammar is not None else None
        tag = self._tags.write(asked) if only is None else self._tags.write_input(asked, only)
        reads = Asked(
            tools=tools,
            start=start,
            thinking=thinking,
            stop_token_ids=reading.stop_token_ids,
            num_top_logprobs=reading.num_top_logprobs,
            constraint=Constraint("structural_tag", tag) if tag is not None else None,
        )
        return MarkupParser(self._markup, reads) if only is None else WholeCallParser(self._markup, reads, only)
