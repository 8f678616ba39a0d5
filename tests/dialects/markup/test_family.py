"""Rows as data: each can be written down in a file, and be read from it."""

from __future__ import annotations

import msgspec
import pytest

from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.family import Family, Literals, Named, read_family
from realtime.dialects.markup.parser import Asked, MarkupParser
from realtime.dialects.markup.tokens import Markup
from realtime.dialects.markup.writer import write_calls, write_reasoning
from realtime.engine.base import FinishReason, TokenChunk
from tests.support.markup import PARIS, TOOLS, brief, wanted

EXAMPLE = """
name = "mine"

[[thinking]]
begin = "<reason>"
end = "</reason>"

[[calls]]
call = ["<do>", "</do>"]
separator = "\\n"
head = { type = "named", before = "tool:", after = ["\\n"] }
arguments = { type = "tags", begin = "<arg ", middle = ">", end = "</arg>", after = "\\n" }
"""


@pytest.mark.parametrize("name", ALL_FAMILIES)
def test_a_row_is_data(name: str) -> None:
    row = ALL_FAMILIES[name]
    assert row.name == name
    assert msgspec.convert(msgspec.to_builtins(row), Family) == row
    assert all(
        calls.call[0].strip() or calls.section[0].strip() or calls.bare or _is_marked(calls.head) for calls in row.calls
    )


def _is_marked(head: object) -> bool:
    return isinstance(head, Named) and bool(head.before)


def test_a_row_from_a_file() -> None:
    row = read_family(EXAMPLE)
    text = write_reasoning(row, "Hm.") + "So: " + write_calls(row.calls[0], [PARIS, PARIS])
    parser = MarkupParser(Markup(row, {}), Asked(tools=TOOLS))
    got = [piece for char in text for piece in parser.feed(TokenChunk(char, [ord(char)]))]
    got += [*parser.feed(TokenChunk("", [], FinishReason.STOP)), *parser.close()]
    assert brief(got) == [("reasoning", "Hm."), ("text", "So: "), *wanted(PARIS, PARIS)]
    assert row.calls[0].arguments != Literals()


@pytest.mark.parametrize(
    "text", ["name = ", "nome = 'x'", "name = 'x'\nids = 3", "name = 'x'\n[[calls]]\nhead = 'named'"]
)
def test_a_file_that_says_no_row(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (whatever the readers say)
        read_family(text)
