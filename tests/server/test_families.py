"""The family of the served model, as the settings name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from realtime.context.request_tools import tool_set
from realtime.dialects.base import CallBegin, CallDelta, CallEnd, ReasoningDelta
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.family import Family, Json, Member, Named
from realtime.dialects.markup.reader import MarkupReader
from realtime.dialects.reader import Reading
from realtime.engine.base import TokenChunk
from realtime.engine.options import VllmOptions
from realtime.engine.scripted import ScriptedTokenizer
from realtime.server.families import family_choice, for_engine
from realtime.settings.sources import SettingsError

QWEN = "{{- '<tool_call>\\n{\"name\": \"' }}{%- if '</think>' in content %}"
FILE = """
name = "ours"
[[thinking]]
begin = "<thought>"
end = "</thought>"
[[calls]]
head = { type = "named", before = "@" , after = [" "] }
call = ["<do>", "</do>"]
"""


def row(template: str = QWEN, model_type: str = "qwen3", **options: str) -> Family:
    return family_choice(VllmOptions(**options)).of(model_type, template, lambda messages: None)  # type: ignore[arg-type]


def test_the_template_decides_where_nothing_is_said() -> None:
    assert row().name == "qwen3"
    assert row().calls == ALL_FAMILIES["qwen3"].calls
    assert row("{{ message }}", "llama").name == "plain"


def test_a_name_decides() -> None:
    assert row(family="llama3").calls == ALL_FAMILIES["llama3"].calls
    assert (row(family="none").calls, row(family="none").thinking) == ((), ())


def test_an_unknown_name_is_refused_with_what_was_meant() -> None:
    with pytest.raises(SettingsError, match=r"there is no family 'qwen_3'; did you mean qwen3\?.*deepseek_v3"):
        row(family="qwen_3")


def test_a_file_describes_one(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(FILE)
    ours = row(family=str(path))
    assert ours.thinking[0].begin == "<thought>"
    (calls,) = ours.calls
    assert (calls.call, calls.arguments) == (("<do>", "</do>"), Json())
    assert calls.head == Named(before="@", after=(" ",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "Invalid value"),
        ("calls = 3", "Expected `array`"),
        ("name = 'x'\nx = 1", "unknown field `x`"),
        ("name = 'x'\n[[calls]]\nhead = {type = 'member'}", r"calls\[0\]: a call needs a mark"),
        ("name = 'x'\n[[thinking]]\nbegin = '<a>'\nend = ' '", r"thinking\[0\].end: reasoning needs a mark"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_reason(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=rf"--family: the file .*bad.toml can't be read: .*{said}"):
        row(family=str(path))
    with pytest.raises(SettingsError, match="can't be read"):
        row(family=str(tmp_path / "nothing.toml"))


def test_vllms_names_mean_rows_where_there_are_any() -> None:
    options = VllmOptions(tool_parser="llama3_json", reasoning_parser="deepseek_r1")
    found = family_choice(options).of("qwen3", QWEN, lambda messages: None)
    assert found.calls == ALL_FAMILIES["llama3"].calls
    assert found.thinking == ALL_FAMILIES["deepseek_v3"].thinking
    assert (for_engine(options).tool_parser, for_engine(options).reasoning_parser) == ("auto", "auto")
    assert row(tool_parser="hermes").calls[0].head == Member()
    assert row(tool_parser="none").calls == ()
    assert row(reasoning_parser="none").thinking == ()


def test_other_names_are_for_the_engine() -> None:
    options = VllmOptions(tool_parser="somebody_elses", reasoning_parser="qwen3")
    assert for_engine(options) == options
    family_choice(options)


def test_the_example_of_the_docs_is_read_as_they_say(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    path = tmp_path / "ours.toml"
    path.write_text(text.split("```toml\n")[1].split("```")[0])
    city = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = tool_set([{"type": "function", "name": "get_weather", "parameters": city}], None, None)
    parser = MarkupReader(row(family=str(path)), ScriptedTokenizer()).open(Reading(tools=tools))
    said = '<thought>\nHm.\n</thought>\n<do>get_weather {"city": "Paris"}</do>'
    pieces = [*parser.feed(TokenChunk(said, [1])), *parser.close()]
    assert pieces == [ReasoningDelta("Hm."), CallBegin("get_weather"), CallDelta('{"city": "Paris"}'), CallEnd()]
