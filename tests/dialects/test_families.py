"""Families of models through our door: what each would generate, in its own markup, to what a client sees of it.

The outputs are built by hand from the families' chat templates, not by the table's rows. Each is played token by token,
in one chunk, cut at every boundary and at random ones, and in tokens of single bytes.
"""

# ruff: noqa: RUF001 (tables)
from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from realtime.context.request_tools import tool_set
from realtime.engine import structural_tags
from realtime.engine.base import FinishReason
from realtime.wire.items import Message
from realtime.wire.requests import ResponseCreate
from tests.support.grammars import expanded
from tests.support.play import ANYTHING, Model, check, chunkings, play

Call = tuple[str, dict[str, Any]]
Write = Callable[[Sequence[Call]], str]
Brief = list[tuple[str, ...]]

PARIS: Call = ("get_weather", {"city": "Paris"})
OSLO: Call = ("get_weather", {"city": "Oslo"})
NOTHING: Call = ("anything", {})
HARD: Call = (
    "get_weather",
    {"city": 'Zürich "Süd" 🙂\n\\ <x> {y} [z]', "deep": {"a": [1, {"b": None}], "t": True, "f": 1.5}},
)
LONG: Call = ("get_weather", {"city": "Paris and London"})
DEEP_WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "deep": {"type": "object"}}},
}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _each(line: str, arguments: dict[str, Any]) -> str:
    return "".join(line.format(key=key, value=_plain(value)) for key, value in arguments.items())


def _list(member: str, calls: Sequence[Call]) -> str:
    return ", ".join(f'{{"name": "{name}", "{member}": {_json(arguments)}}}' for name, arguments in calls)


def hermes(calls: Sequence[Call]) -> str:
    """Qwen 2.5 and 3, Hermes, Granite 4."""
    return "\n".join(f"<tool_call>\n{_list('arguments', [call])}\n</tool_call>" for call in calls)


def qwen3_coder(calls: Sequence[Call]) -> str:
    """Qwen3-Coder, Qwen3.5."""
    each = "<parameter={key}>\n{value}\n</parameter>\n"
    return "\n".join(
        f"<tool_call>\n<function={name}>\n{_each(each, arguments)}</function>\n</tool_call>"
        for name, arguments in calls
    )


def seed_oss(calls: Sequence[Call]) -> str:
    """Seed-OSS."""
    each = "<parameter={key}>{value}</parameter>\n"
    return "\n".join(
        f"<seed:tool_call>\n<function={name}>\n{_each(each, arguments)}</function>\n</seed:tool_call>"
        for name, arguments in calls
    )


def llama3(calls: Sequence[Call]) -> str:
    """Llama 3.1 to 3.3."""
    return "<|python_tag|>" + "; ".join(_list("parameters", [call]) for call in calls)


def mistral(calls: Sequence[Call]) -> str:
    """Mistral with tokenizers from version 11 on."""
    return "".join(f"[TOOL_CALLS]{name}[ARGS]{_json(arguments)}" for name, arguments in calls)


def mistral_before_11(calls: Sequence[Call]) -> str:
    """Mistral 7B v0.3, Nemo, Large 2407."""
    return f"[TOOL_CALLS] [{_list('arguments', calls)}]"


def deepseek_v3(calls: Sequence[Call]) -> str:
    """DeepSeek V3 and R1."""
    each = [
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{n}\n```json\n{_json(a)}\n```<｜tool▁call▁end｜>" for n, a in calls
    ]
    return "<｜tool▁calls▁begin｜>" + "\n".join(each) + "<｜tool▁calls▁end｜>"


def deepseek_v31(calls: Sequence[Call]) -> str:
    """DeepSeek V3.1."""
    each = [
        f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{_json(arguments)}<｜tool▁call▁end｜>" for name, arguments in calls
    ]
    return f"<｜tool▁calls▁begin｜>{''.join(each)}<｜tool▁calls▁end｜>"


def glm45(calls: Sequence[Call]) -> str:
    """GLM 4.5 and 4.6."""
    each = "<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n"
    return "\n".join(f"<tool_call>{name}\n{_each(each, arguments)}</tool_call>" for name, arguments in calls)


def glm47(calls: Sequence[Call]) -> str:
    """GLM 4.7."""
    each = "<arg_key>{key}</arg_key><arg_value>{value}</arg_value>"
    return "".join(f"<tool_call>{name}{_each(each, arguments)}</tool_call>" for name, arguments in calls)


def kimi_k2(calls: Sequence[Call]) -> str:
    """Kimi K2."""
    each = (
        f"<|tool_call_begin|>functions.{name}:{index}<|tool_call_argument_begin|>{_json(arguments)}<|tool_call_end|>"
        for index, (name, arguments) in enumerate(calls)
    )
    return f"<|tool_calls_section_begin|>{''.join(each)}<|tool_calls_section_end|>"


def granite3(calls: Sequence[Call]) -> str:
    """Granite 3."""
    return f"<|tool_call|>[{_list('arguments', calls)}]"


def minimax_m2(calls: Sequence[Call]) -> str:
    """MiniMax M2."""
    each = '<parameter name="{key}">{value}</parameter>\n'
    inner = "".join(f'<invoke name="{name}">\n{_each(each, arguments)}</invoke>\n' for name, arguments in calls)
    return f"<minimax:tool_call>\n{inner}</minimax:tool_call>"


class Spoken(msgspec.Struct, frozen=True):
    """How a family speaks. `think`: what stands around its reasoning. `added`, `special`: tokens of its own."""

    row: str
    calls: Write
    think: tuple[str, str] | None = None
    prompt: str = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    added: tuple[str, ...] = ()
    special: tuple[str, ...] = ()


_QWEN = ("<think>\n", "\n</think>\n\n")
_PROMPT = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
_THINKING = _PROMPT + "<think>\n"
_DEEPSEEK = (
    "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>",
)  # fmt: skip
_GLM = ("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>")
_KIMI = (
    "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>",
    "<|tool_call_argument_begin|>", "<|tool_call_end|>",
)  # fmt: skip
_SEED = ("<seed:think>", "</seed:think>", "<seed:tool_call>", "</seed:tool_call>")
_MINIMAX = ("<minimax:tool_call>", "</minimax:tool_call>")

SPOKEN = {
    "qwen3": Spoken("qwen3", hermes, _QWEN),
    "qwen3-thinking": Spoken("qwen3", hermes, ("", "\n</think>\n\n"), _THINKING),
    "qwen2.5": Spoken("hermes", hermes),
    "qwq": Spoken("qwen3", hermes, _QWEN),
    "qwen3-coder": Spoken("qwen3_coder", qwen3_coder),
    "qwen3.5": Spoken("qwen3_5", qwen3_coder, _QWEN),
    "llama3": Spoken("llama3", llama3, special=("<|python_tag|>",)),
    "r1-distill-llama": Spoken(
        "llama3_r1", llama3, ("", "\n</think>\n\n"), _THINKING, special=("<|python_tag|>",)
    ),
    "mistral": Spoken(
        "mistral", mistral, ("[THINK]", "[/THINK]"),
        special=("[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]"),
    ),
    "mistral before 11": Spoken("mistral_v3", mistral_before_11, special=("[TOOL_CALLS]",)),
    "deepseek r1": Spoken(
        "deepseek_v3", deepseek_v3, ("", "\n</think>\n\n"), _THINKING, added=_DEEPSEEK
    ),
    "deepseek v3.1": Spoken(
        "deepseek_v31", deepseek_v31, ("", "</think>"), _THINKING, added=_DEEPSEEK
    ),
    "glm 4.5": Spoken("glm45", glm45, ("\n<think>", "</think>\n"), added=_GLM),
    "glm 4.7": Spoken("glm47", glm47, ("", "</think>"), _THINKING, added=_GLM),
    "kimi k2": Spoken(
        "kimi_k2", kimi_k2, ("<think>", "</think>"), added=_KIMI
    ),
    "granite 3": Spoken("granite3", granite3, special=("<|tool_call|>",)),
    "granite 4": Spoken("granite4", hermes),
    "minimax m2": Spoken(
        "minimax_m2", minimax_m2, ("", "\n</think>\n\n"), _THINKING, added=_MINIMAX
    ),
    "seed oss": Spoken("seed_oss", seed_oss, ("<seed:think>", "</seed:think>\n"), added=_SEED),
}  # fmt: skip

LEAKS = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<|im_end|>", "[TOOL_CALLS]", "[ARGS]", "[THINK]",
    "[/THINK]", "<|python_tag|>", "<|tool_call|>", "<function=", "<parameter", "</invoke>", "\ufffd",
    *_DEEPSEEK, *_GLM, *_KIMI, *_SEED, *_MINIMAX,
)  # fmt: skip


@functools.cache
def model(family: str) -> Model:
    """A model of the family that generates what it is told."""
    spoken = SPOKEN[family]
    return Model(spoken.row, added=spoken.added, special=spoken.special, prompt=spoken.prompt)


def said(family: str, text: str, ending: FinishReason = FinishReason.STOP, **request: Any) -> Brief:
    """What the output comes to, which is the same in every chunking."""
    one = model(family)
    by_token, by_byte = (said_in(family, ids, ending, **request) for ids in (one.tokens(text), one.bytewise(text)))
    assert by_token == by_byte
    return by_token


def said_in(family: str, ids: Sequence[int], ending: FinishReason = FinishReason.STOP, **request: Any) -> Brief:
    """What these tokens come to, which is the same in every chunking."""
    found: dict[str, Brief] = {}
    request = {"tools": [DEEP_WEATHER, ANYTHING], **request}
    for sizes in chunkings(len(ids), num_random=2, max_cuts=12):
        played = check(play(model(family), ids, sizes, ending=ending, **request), LEAKS)
        found[str(played.brief())] = played.brief()
    assert len(found) == 1, found
    return next(iter(found.values()))


def reasons(family: str) -> tuple[str, Brief]:
    """How its outputs begin, if it reasons."""
    think = SPOKEN[family].think
    return (f"{think[0]}Let me see.{think[1]}", [("reasoning", "Let me see.")]) if think else ("", [])


def brief(*calls: Call) -> Brief:
    """These calls as the client sees them."""
    return [("call", name, _json(arguments)) for name, arguments in calls]


SCENES: dict[str, list[Call]] = {
    "one call": [PARIS],
    "two calls": [PARIS, OSLO],
    "three calls": [NOTHING, HARD, PARIS],
    "nested, unicode and escaped": [HARD],
    "no arguments": [NOTHING],
}
families = pytest.mark.parametrize("family", SPOKEN)


@families
def test_reasoning_and_text(family: str) -> None:
    head, want = reasons(family)
    text = "Hi there, <b> [x] {y} `z`.\n\nSo."
    assert said(family, head + text) == [*want, ("text", text)]


@families
@pytest.mark.parametrize("scene", SCENES)
def test_reasoning_and_calls(family: str, scene: str) -> None:
    head, want = reasons(family)
    assert said(family, head + SPOKEN[family].calls(SCENES[scene])) == [*want, *brief(*SCENES[scene])]


@families
def test_text_and_a_call(family: str) -> None:
    head, want = reasons(family)
    assert said(family, f"{head}I look. {SPOKEN[family].calls([PARIS])}") == [
        *want,
        ("text", "I look. "),
        *brief(PARIS),
    ]


@pytest.mark.parametrize("family", SPOKEN)
def test_half_of_a_surrogate_pair_in_a_call_ends_nothing(family: str) -> None:
    """Written as an escape, which the parsers that read JSON turn into a character that UTF-8 can't say."""
    (head, want), one = reasons(family), model(family)
    written = SPOKEN[family].calls([("get_weather", {"city": "HALF"})]).replace("HALF", r"\ud83d")
    ids = one.tokens(head + written)
    for sizes in ([len(ids)], [1] * len(ids)):
        played = check(play(one, ids, sizes, ending=FinishReason.STOP, tools=[DEEP_WEATHER]), ())
        assert [item[:2] for item in played.brief()] == [*want, ("call", "get_weather")]


@families
def test_text_after_a_call(family: str) -> None:
    head, want = reasons(family)
    text = head + SPOKEN[family].calls([PARIS]) + "\nDone."
    assert said(family, text) == [*want, *brief(PARIS), ("text", "Done.")]


@pytest.mark.parametrize("family", [name for name, one in SPOKEN.items() if one.think and one.think[0]])
def test_reasoning_after_a_call(family: str) -> None:
    head, want = reasons(family)
    text = f"{head}{SPOKEN[family].calls([PARIS])}{head.lstrip()}Done."
    assert said(family, text) == [*want, *brief(PARIS), *want, ("text", "Done.")]


@families
def test_a_call_that_is_cut_by_length(family: str) -> None:
    head, want = reasons(family)
    call = SPOKEN[family].calls([LONG])
    one = model(family)
    for tokens in (one.tokens, one.bytewise):
        *before, last = said_in(family, tokens(head + call[: call.index(" London")]), FinishReason.LENGTH)
        assert before == want
        assert last == ("call!", "get_weather", '{"city": "Paris and')


@families
def test_reasoning_that_is_cut_by_length(family: str) -> None:
    think = SPOKEN[family].think
    if think is not None:
        assert said(family, f"{think[0]}Let me see", FinishReason.LENGTH) == [("reasoning!", "Let me see")]


@families
def test_no_reasoning_is_carried_over_from_the_turn_before(family: str) -> None:
    """The end of an earlier turn's reasoning is in the prompt of a tool loop."""
    spoken = SPOKEN[family]
    if spoken.think is None:
        return
    head, want = reasons(family)
    earlier = "<|im_start|>assistant\n" + ("<think>" if not spoken.think[0] else "") + f"{head}Hi.<|im_end|>\n"
    again = Model(spoken.row, added=spoken.added, special=spoken.special, prompt=earlier + spoken.prompt)
    ids = again.tokens(head + "Hi.")
    assert check(play(again, ids), LEAKS).brief() == [*want, ("text", "Hi.")]


@families
def test_reasoning_tokens_are_counted(family: str) -> None:
    one = model(family)
    usage = play(one, one.tokens(reasons(family)[0] + "Hi.")).response["usage"]
    counted = usage["output_tokens_details"]["reasoning_tokens"]
    assert (counted > 0) == (SPOKEN[family].think is not None)
    assert counted <= len(one.tokens("\nLet me see.\n"))


# -- what a grammar of a custom tool's input comes to, where the model chooses among tools

LINE = 'start: "\\"" NUMBER "\\"\\n"\nNUMBER: /[0-9]{1,3}/\n'


@functools.cache
def _compiler() -> Any:
    import xgrammar

    vocabulary = [chr(code) for code in range(128)]
    return xgrammar.GrammarCompiler(xgrammar.TokenizerInfo(vocabulary, stop_token_ids=[0]))


def _asked_of_sampling(family: str, choice: str, syntax: str, definition: str, *, strict: bool = False) -> Any:
    form = {"type": "grammar", "syntax": syntax, "definition": definition}
    weather = {**DEEP_WEATHER, "strict": strict}
    asked = tool_set([weather, {"type": "custom", "name": "say", "format": form}], choice, None)
    one = Model(SPOKEN[family].row, prompt=SPOKEN[family].prompt)  # with marks as letters, which the compiler has
    request = ResponseCreate(model="starter", items=[Message(role="user", content="hi")])
    return one.dialect.parser(request, asked, one.dialect.render()).constraint


@families
@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize(("syntax", "definition"), [("lark", LINE), ("regex", r'"[0-9]{1,3}"\n')])
def test_input_is_held_to_a_grammar(family: str, choice: str, syntax: str, definition: str) -> None:
    import xgrammar

    asked = _asked_of_sampling(family, choice, syntax, definition)
    for text, good in {'"12"\n': True, '"12"': False, "12\n": False, '"1234"\n': False}.items():
        matcher = xgrammar.GrammarMatcher(_compiler().compile_structural_tag(expanded(asked.value)))
        call = SPOKEN[family].calls([("say", {"input": text})]).removeprefix("<|python_tag|>")
        written = matcher.accept_string(reasons(family)[0].lstrip() + call) and matcher.accept_token(0)
        assert written is good, text


@families
def test_what_is_held_says_where_it_comes_from(family: str) -> None:
    asked = _asked_of_sampling(family, "required", "lark", LINE, strict=True)
    params = {part["param"] for part in structural_tags.parts(asked.value)}
    assert params == {"tools[0].parameters", "tools[1].format.definition"}
