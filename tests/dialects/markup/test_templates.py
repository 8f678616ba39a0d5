"""What was found by rendering real templates: their output as a model continues it, read back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realtime.dialects.markup.detect import ALL_FAMILIES, detect, started
from realtime.dialects.markup.machine import Start
from realtime.dialects.markup.parser import Asked, MarkupParser
from realtime.dialects.markup.tokens import Markup
from realtime.dialects.markup.writer import write_calls, write_reasoning
from realtime.engine.base import FinishReason, TokenChunk
from tests.support.markup import HARD, OSLO, PARIS, TOOLS, brief, calls_of, said, wanted

MINIMAX = "]<]minimax[>["
HY_SHOWN = (
    "<think:open1>Hm.</think:open1><tool_calls:open1>\n<tool_call:open1>probe<tool_sep:open1>\n<arg_key:open1>said"
    "</arg_key:open1>\n<arg_value:open1>x</arg_value:open1>\n</tool_call:open1>\n</tool_calls:open1>"
)


@pytest.mark.parametrize("family", ["hermes", "glm45", "minimax_m2", "deepseek_v32", "apriel"])
@pytest.mark.parametrize("start", [Start.FREE, Start.ANSWER])
@pytest.mark.parametrize("space", ["\n", "\n\n", " "])
def test_white_space_before_a_call_is_no_text(family: str, start: Start, space: str) -> None:
    """Templates have line ends between reasoning and calls, also where there is no reasoning."""
    assert said(family, space + calls_of(family, [PARIS]), start=start) == wanted(PARIS)


@pytest.mark.parametrize("family", ["kimi_k3", "cohere", "cohere4", "granite3", "hunyuan", "ernie45", "inkling"])
def test_an_answer_whose_first_mark_the_template_wrote(family: str) -> None:
    row = ALL_FAMILIES[family]
    assert row.thinking[0].answer is not None
    begin, end = row.thinking[0].answer
    assert started(row, f"assistant {begin}") == (Start.WRAPPED, 0)
    assert said(family, f"Hi.{end}", start=Start.WRAPPED) == [("text", "Hi.")]
    call = calls_of(family, [PARIS])
    assert said(family, f"I look.{end}{call}", start=Start.WRAPPED) == [("text", "I look."), *wanted(PARIS)]
    assert said(family, f"{end}{call}", start=Start.WRAPPED) == wanted(PARIS)


@pytest.mark.parametrize("family", ["minimax_m3", "qwen3", "glm47", "kimi_k2"])
def test_the_end_of_reasoning_that_did_not_begin(family: str) -> None:
    """MiniMax M3 says so that it does not think."""
    end = ALL_FAMILIES[family].thinking[0].end
    assert said(family, f"{end}Hi.") == [("text", "Hi.")]
    assert said(family, f"{end}{calls_of(family, [PARIS])}") == wanted(PARIS)
    assert said(family, f"Hi{end.strip()}.") == [("text", f"Hi{end.strip()}.")]


@pytest.mark.parametrize("family", ["llama3", "llama4_json"])
def test_json_calls_without_anything_between(family: str) -> None:
    one, two = (
        json.dumps({"name": name, "parameters": arguments}, ensure_ascii=False) for name, arguments in (HARD, OSLO)
    )
    for between in ("", "\n", "; "):
        assert said(family, one + between + two) == wanted(HARD, OSLO)
    other = '{"city": "Oslo"}'
    assert said(family, f"{one}\n{other}") == [*wanted(HARD), ("text", other)]


def test_elements_in_elements() -> None:
    value = (
        f"{MINIMAX}<deep>{MINIMAX}<a>{MINIMAX}<item>1{MINIMAX}</item>{MINIMAX}<item>{MINIMAX}<b>null{MINIMAX}</b>"
        f"{MINIMAX}</item>{MINIMAX}</a>{MINIMAX}<t>true{MINIMAX}</t>{MINIMAX}</deep>{MINIMAX}<days>{MINIMAX}</days>"
        f"{MINIMAX}<city> 1 {MINIMAX}</city>{MINIMAX}<num>12345678901234567890{MINIMAX}</num>"
    )
    call = f'{MINIMAX}<invoke name="get_weather">{value}{MINIMAX}</invoke>'
    text = f"{MINIMAX}<tool_call>\n{call}\n{MINIMAX}</tool_call>"
    want = '{"deep": {"a": [1, {"b": null}], "t": true}, "days": [], "city": " 1 ", "num": 12345678901234567890}'
    assert said("minimax_m3", text) == [("call", "get_weather", want)]
    open_ = text.replace(f"{MINIMAX}</city>", "")
    assert said("minimax_m3", open_)[0][0] == "call!"
    stray = text.replace(f"{MINIMAX}<city>", f"x{MINIMAX}<city>")
    assert said("minimax_m3", stray)[0][0] == "call!"


def test_a_text_between_its_own_quotes() -> None:
    for value in ("a\nb", "<b>", "</param></function>", "a & b", "]]>\n", " ", "plain"):
        call = ("get_weather", {"city": value, "note": value})
        assert said("minicpm5", calls_of("minicpm5", [call])) == wanted(call)


def test_values_in_quotes_by_their_type() -> None:
    text = (
        "<start_function_call>call:get_weather{city:<escape>12<escape>,deep:<escape>{'a': [1, None], 't': True}<escape>"
        ",num:<escape>12.5<escape>,yes:<escape>False<escape>}<end_function_call>"
    )
    want = '{"city": "12", "deep": {"a": [1, null], "t": true}, "num": 12.5, "yes": false}'
    assert said("function_gemma", text) == [("call", "get_weather", want)]


def test_arguments_as_python_prints_them() -> None:
    """Templates that print a value as it is."""
    values = "<parameter=deep>{'a': [1, {'b': None}], 't': True}</parameter>\n<parameter=yes>False</parameter>\n"
    text = f"<seed:tool_call>\n<function=get_weather>\n{values}</function>\n</seed:tool_call>"
    want = '{"deep": {"a": [1, {"b": null}], "t": true}, "yes": false}'
    assert said("seed_oss", text) == [("call", "get_weather", want)]


def test_json_in_a_call_that_is_python() -> None:
    deep = '{"a": [1, {"b": null}], "t": true}'
    text = f"<|tool_call_start|>[get_weather(city='a', deep={deep}, yes=False)]<|tool_call_end|>"
    want = f'{{"city": "a", "deep": {deep}, "yes": false}}'
    assert said("lfm2", text) == [("call", "get_weather", want)]


def test_tags_that_white_space_separates() -> None:
    text = "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>"
    for family in ("glm45", "glm47", "poolside", "poolside_s", "ling3"):
        assert said(family, text) == wanted(PARIS)
        assert said(family, text.replace("\n", "")) == wanted(PARIS)


def test_messages_to_a_tool_a_user_and_the_model_itself() -> None:
    first = " to=self<|message|>Hm.<|eom|><|start|>assistant"
    answer = " to=user<|message|>Hi to=you."
    assert said("muse_glimmer", first + answer) == [("reasoning", "Hm."), ("text", "Hi to=you.")]
    assert said("muse_glimmer", answer) == [("text", "Hi to=you.")]
    call = calls_of("muse_glimmer", [PARIS, OSLO])
    assert said("muse_glimmer", f"{answer}<|eom|><|start|>assistant{call}") == [
        ("text", "Hi to=you."), *wanted(PARIS, OSLO),
    ]  # fmt: skip
    assert said("muse_glimmer", f"{first}{call}") == [("reasoning", "Hm."), *wanted(PARIS, OSLO)]


def test_arguments_with_their_type() -> None:
    typed = "</ifm|arg_key>\n<ifm|arg_type>{}</ifm|arg_type>\n<ifm|arg_value>"
    plain = "</ifm|arg_key>\n<ifm|arg_value>"
    text = calls_of("k2_horizon", [("get_weather", {"city": "1", "num": 1})])
    assert said("k2_horizon", text) == wanted(("get_weather", {"city": "1", "num": 1}))
    text = text.replace(f"num{plain}", f"num{typed.format('number')}").replace(
        f"city{plain}", f"city{typed.format('string')}"
    )
    assert said("k2_horizon", text) == wanted(("get_weather", {"city": "1", "num": 1}))


# -- which row


def test_tags_with_a_suffix_of_the_models_own() -> None:
    template = "{%- set HYTK = ':open1' %}'<tool_calls{}>' '<tool_sep{}>' '<think{}>' '</think{}>'"
    for row in (detect("hy_v3", template), detect("hy_v3", "", HY_SHOWN)):
        assert row.name == "hy_v3"
        assert row.thinking[0].end == "</think:open1>"
        text = write_reasoning(row, "Hm.") + write_calls(row.calls[0], [PARIS])
        assert text == HY_SHOWN.replace("probe", "get_weather").replace("said", "city").replace(">x<", ">Paris<")
        assert _said(row, text) == [("reasoning", "Hm."), *wanted(PARIS)]


def _said(row: Any, text: str) -> list[tuple[str, ...]]:
    parser = MarkupParser(Markup(row, {}), Asked(tools=TOOLS))
    pieces = [piece for char in text for piece in parser.feed(TokenChunk(char, [ord(char)]))]
    return brief([*pieces, *parser.feed(TokenChunk("", [], FinishReason.STOP)), *parser.close()])


@pytest.mark.parametrize(
    "name", [name for name in ALL_FAMILIES if name not in ("llama3_r1", "llama4", "llama4_json", "gemma3", "pythonic")]
)
def test_what_a_template_renders_shows_the_row(name: str) -> None:
    """Even if its source puts every mark together: see history.settled."""
    row = ALL_FAMILIES[name]
    head = write_reasoning(row, "Hm.") if row.thinking else ""
    rendered = head + write_calls(row.calls[0], [("probe", {"said": "x"})])
    found = detect(TYPES.get(name, ""), HINTS.get(name, ""), rendered)
    assert found.calls == row.calls
    assert not row.thinking or found.thinking[0] == row.thinking[0]


TYPES = {
    "granite4": "granitemoehybrid", "ernie45": "ernie4_5_moe", "mimo": "mimo", "step3p5": "step3p5",
    "nemotron_v3": "nemotron_h", "minicpmv": "qwen3_5", "hunyuan": "hunyuan_v1_moe",
}  # fmt: skip
HINTS = {  # what these have besides their marks
    "exaone4": "[|assistant|]", "ling3": "<role>ASSISTANT</role>", "poolside": "<assistant>",
    "poolside_s": "<assistant>", "functionary": "<|python_tag|>", "minimax_m1": "<beginning_of_sentence>",
    "xlam": "make calls in a single JSON array", "cohere4": "<|START_TEXT|>", "gigachat3": "<|role_sep|>",
}  # fmt: skip
