"""A grammar in its escaped form accepts the JSON of what it accepted, and nothing else. xgrammar reads both."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.engine.json_grammar import UnknownForm, escape
from tests.support.long import LONG, effort

# Without what xgrammar's printer gets wrong: a NUL alone or in a literal is lost, a `^` first in a set negates it.
ALPHABET = 'ab1 -]^/{"\\\n\t\r\b\f\x01\x0b\x1b\x1f\x7f\x80é\u2028😀'
some_texts = st.text(ALPHABET + "\0", max_size=6)
SUM = 'start: NUMBER (OP NUMBER)+ ";"\nOP: "+" | "-"\nNUMBER: /[0-9]{1,3}/\n'


def from_ebnf(text: str) -> Any:
    from xgrammar import Grammar

    return Grammar.from_ebnf(text)


def from_lark(text: str) -> Any:
    from xgrammar import Grammar

    return Grammar.from_lark(text)


def accepts(grammar: Any, text: str) -> bool:
    from xgrammar.testing import _is_grammar_accept_string

    return bool(_is_grammar_accept_string(grammar, text))


def in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def rewritten(grammar: Any) -> Any:
    return from_ebnf(escape(str(grammar)))


def written(char: str) -> str:
    """A character in xgrammar's EBNF; some in one of the other ways to write them."""
    ways = {
        "\n": "\\n",
        "\t": "\\t",
        '"': '\\"',
        "\\": "\\\\",
        "\x01": "\\x01",
        "\u2028": "\\u2028",
    }
    return ways.get(char, f"\\U{ord(char):08x}")


def quoted(text: str) -> str:
    return '"' + "".join(map(written, text)) + '"'


def one_of(chars: str, negated: bool) -> str:
    return f"[{'^' * negated}{''.join(map(written, sorted(chars, key='^'.__eq__)))}]"


def span(ends: str) -> str:
    low, high = sorted(ends)
    return f"[{written(low)}-{written(high)}]"


chars = st.sampled_from(ALPHABET)
parts = st.one_of(
    st.text(ALPHABET, min_size=1, max_size=3).map(quoted),
    st.builds(one_of, st.text(ALPHABET, min_size=1, max_size=4).filter(lambda text: set(text) != {"^"}), st.booleans()),
    st.tuples(chars, chars).map("".join).filter(lambda ends: min(ends) != "^").map(span),
    chars.map(lambda high: span("\0" + high)),
)
rules = st.recursive(
    parts,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda each: "(" + " ".join(each) + ")"),
        st.lists(inner, min_size=2, max_size=3).map(lambda each: "(" + " | ".join(each) + ")"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{1,2}"])).map(lambda both: f"({both[0]}){both[1]}"),
    ),
    max_leaves=5,
)


@given(rule=rules, texts=st.lists(some_texts, min_size=1, max_size=12))
@settings(max_examples=effort(100, 2000))
def test_what_a_grammar_accepts_its_escaped_form_accepts_in_json(rule: str, texts: list[str]) -> None:
    grammar = from_ebnf(f"root ::= {rule}")
    inside = rewritten(grammar)
    for text in [*texts, *ALPHABET, "\0"]:
        assert accepts(grammar, text) == accepts(inside, in_json(text)), text


@given(rule=rules, strings=st.lists(st.text('ab"\\nu0018/\n\té', max_size=8), min_size=1, max_size=12))
@settings(max_examples=effort(100, 2000))
def test_the_escaped_form_accepts_nothing_that_is_not_json_of_an_accepted_text(rule: str, strings: list[str]) -> None:
    grammar = from_ebnf(f"root ::= {rule}")
    inside = rewritten(grammar)
    for string in strings:
        if accepts(inside, string):
            assert accepts(grammar, json.loads(f'"{string}"'))


@given(text=st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=20))
@settings(max_examples=effort(100, 2000))
def test_any_text_as_a_literal_and_by_a_set_of_everything(text: str) -> None:
    assert accepts(rewritten(from_ebnf(f"root ::= {quoted(text)}")), in_json(text))
    text += "\0"
    for everything in (r"/[\s\S]*/", r"/[^☃]*/"):
        inside = rewritten(from_lark(f"start: {everything}"))
        assert accepts(inside, in_json(text)) == ("☃" not in text or "☃" not in everything)


# What is escaped in JSON, what an escape is made of, and the ends of ranges.
OF_ESCAPES = {*range(0x21), *b'"/\\0123456789abcdefnrtuABCDEF', 0x7F, 0x80, 0xFF}


def others(code: int) -> list[int]:
    """The characters to try on a set with this one. In the short form each set has an eighth of the plain ones."""
    return [n for n in range(0x100) if LONG or n in OF_ESCAPES or abs(n - code) <= 1 or n % 8 == code % 8]


@pytest.mark.parametrize("code", range(1, 0x100))
def test_each_character_by_a_set_that_has_it_and_by_one_that_has_not(code: int) -> None:
    for negated in (False, True):
        inside = rewritten(from_ebnf(f"root ::= {one_of(chr(code), negated)}"))
        for other in others(code):
            assert accepts(inside, in_json(chr(other))) == ((other == code) is not negated)


LARK: list[tuple[str, list[str], list[str]]] = [
    (SUM, ["1+2;", "100-7+1;"], ["1+2", "1 + 2;", "1+2000;", '"1+2;"']),
    (
        'start: (LINE "\\n")+ "END" "\\\\"?\nLINE: /[^\\n"]*/ | "\\"" /[a-z]+/ "\\""',
        ["\nEND", "a\tb\n\\\nEND\\", '"ab"\nEND'],
        ["END", 'a"\nEND', "a\\nEND"],
    ),
    ("%import common.ESCAPED_STRING\nstart: ESCAPED_STRING", [r'"a\"b\\"', '""', '"\t"'], ['"', r'"\"', "a"]),
    ('start: %json {"type": "object"}', ['{"a": ["\\n", "\\"", {"b": 1}]}', "{}", '{\n\t"a": ""}'], ['{"a"}', "[]"]),
    ('start: item ("," item)*\nitem: "[" start "]" | /\\w+/\n%ignore " "', ["a,[b, [c]],d", "a_1"], ["a,", "["]),
    ('start: "select"i /.+/s ";"', ['SeLeCT "x"\n;'], ["select;"]),
]


@pytest.mark.parametrize(("definition", "good", "bad"), LARK)
def test_grammars_in_lark(definition: str, good: list[str], bad: list[str]) -> None:
    grammar = from_lark(definition)
    inside = rewritten(grammar)
    for text in [*good, *bad]:
        assert (accepts(grammar, text), accepts(inside, in_json(text))) == ((text in good), (text in good)), text


@pytest.mark.parametrize("odd", ['TagDispatch(\n  ("a", b)\n)', "[]", '"open', "a = b"])
def test_what_has_no_escaped_form_is_refused(odd: str) -> None:
    with pytest.raises(UnknownForm, match="can't be put into JSON"):
        escape(f"root ::= {odd}")


def test_a_grammar_without_anything_to_escape_keeps_its_form() -> None:
    def spaceless(grammar: Any) -> str:
        return str(grammar).replace(" ", "")

    grammar = from_lark(SUM)
    assert spaceless(rewritten(grammar)) == spaceless(from_ebnf(str(grammar)))
