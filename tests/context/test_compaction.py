"""What a compaction keeps: calls with their outputs, thoughts with what they led to, and all of it within bounds."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.context.compaction import Compacted, Note, Policy, compaction_policy, expand
from realtime.context.compaction_plan import Budget, plan
from realtime.context.directives import brought_tools
from realtime.context.encrypted import KEY_BYTES, Cipher, decrypt_items
from realtime.context.shortening import elide
from realtime.context.transcript import fit, line_of
from realtime.context.turns import ExpandedCompaction, history, since_compaction
from realtime.wire.calls import unknown_call
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.formats import PlainFormat
from realtime.wire.item_texts import size_of
from realtime.wire.items import (
    AdditionalTools,
    Compaction,
    CompactionTrigger,
    ConfigurationUpdate,
    FunctionCall,
    FunctionCallOutput,
    InputItem,
    InputText,
    LocalShellAction,
    LocalShellCall,
    LocalShellCallOutput,
    Message,
    Reasoning,
    ReasoningText,
    ReasoningUpdate,
    TextUpdate,
    ToolSearchCall,
    ToolSearchOutput,
)
from realtime.wire.requests import ContextManagement, ResponseCreate
from tests.support.fuzz import examples

WIDE = Budget(head=1000, words=1000, kept=1000, newest=1000)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def answer(text: str) -> Message:
    return Message(role="assistant", content=text)


def system(text: str) -> Message:
    return Message(role="system", content=text)


def call(name: str) -> FunctionCall:
    return FunctionCall(call_id=name, name="f", arguments="{}")


def output(name: str, text: str = "42") -> FunctionCallOutput:
    return FunctionCallOutput(call_id=name, output=text)


def thought(text: str) -> Reasoning:
    return Reasoning(content=[ReasoningText(text=text)])


def texts(items: list[InputItem]) -> list[str]:
    return [line_of(item) for item in items]


def test_the_newest_exchanges_that_fit_are_kept_and_the_others_summarized() -> None:
    items = [system("rules"), user("1"), answer("one"), user("2"), answer("two"), user("3")]
    made = plan(items, Budget(head=10, words=10, kept=5, newest=5), only_open=False)
    assert made.head == [system("rules")]
    assert made.kept == [user("2"), answer("two"), user("3")]
    assert made.transcript == ["User: 1", "Assistant: one"]
    assert made.words == ["1"]
    shown = made.with_summary("they counted").items()
    assert [type(item) for item in shown] == [Message, Note, Message, Message, Message]
    note = shown[1]
    assert isinstance(note, Note)
    assert note.content == (
        "Summary of the conversation so far:\nthey counted\n\nWhat the user wrote until then, oldest first:\n- 1"
    )
    assert note.role == "developer"


def test_of_what_is_asked_for_only_what_waits_for_an_answer_is_kept() -> None:
    over = [user("1"), answer("one")]
    assert plan(over, WIDE, only_open=True).kept == []
    assert plan([*over, user("2")], WIDE, only_open=True).kept == [user("2")]
    loop: list[InputItem] = [user("2"), thought("hm"), call("a"), output("a")]
    assert plan([*over, *loop], WIDE, only_open=True).kept == loop
    assert not plan([user("1")], WIDE, only_open=True).worthwhile


def test_calls_stay_with_their_outputs_and_thoughts_with_what_they_led_to() -> None:
    loop: list[InputItem] = [thought("hm"), call("a"), call("b"), output("b"), output("a")]
    items: list[InputItem] = [user("go"), *loop, thought("next"), call("c"), output("c", "x" * 30)]
    made = plan(items, Budget(head=0, words=100, kept=40, newest=40), only_open=False)
    assert made.kept == [user("go"), thought("next"), call("c"), output("c", "x" * 30)], (
        "with the question that it is about"
    )
    assert made.words == []
    assert made.transcript == [
        "User: go", "Assistant called the tool f with: {}", "Assistant called the tool f with: {}",
        "[function call output] 42", "[function call output] 42",
    ]  # fmt: skip


def test_an_output_that_names_its_call_by_the_items_id_stays_with_it() -> None:
    """As those of OpenAI's local shell do."""
    action = LocalShellAction(command=["ls"], env={})
    shell = LocalShellCall(id="lsh_1", call_id="call_1", action=action, status="completed")
    listed = LocalShellCallOutput(id="lsh_1", output="a.txt")
    whole: list[InputItem] = [user("go"), shell, listed, user("and?")]
    for kept in range(0, 400, 20):
        made = plan(whole, Budget(head=0, words=100, kept=kept, newest=400), only_open=False)
        assert (shell in made.kept) == (listed in made.kept), kept
    over = plan([*whole, answer("done")], WIDE, only_open=True)
    assert shell not in over.kept, "it waits for nothing"


def test_a_call_that_waits_for_its_output_is_kept_wherever_it_was() -> None:
    items: list[InputItem] = [user("go"), call("late"), call("a"), output("a"), answer("wait"), user("and?")]
    made = plan(items, Budget(head=0, words=100, kept=7, newest=7), only_open=False)
    assert made.kept == [call("late"), user("and?")]
    assert unknown_call([*made.with_summary("s").items(), output("late")]) is None


def test_a_message_that_is_too_long_by_itself_is_cut_and_summarized_as_well() -> None:
    long = "beginning " + "x" * 5000 + " end"
    made = plan([user(long)], Budget(head=0, words=0, kept=200, newest=200), only_open=False)
    (kept,) = made.kept
    assert size_of([kept]) < 300
    (text,) = [line_of(item) for item in made.kept]
    assert text.startswith("User: beginning")
    assert text.endswith(" end")
    assert "characters left out" in text
    assert made.transcript == [f"User: {long}"]


def test_an_earlier_summary_goes_into_the_next_one() -> None:
    first = plan([user("1"), answer("one"), user("2")], Budget(head=0, words=9, kept=1, newest=1), only_open=False)
    shown = first.with_summary("sum one").items()
    second = plan([*shown, answer("two"), user("3")], Budget(head=0, words=9, kept=1, newest=1), only_open=False)
    assert second.earlier == "sum one"
    assert second.words == ["1", "2"]
    assert second.transcript == ["User: 2", "Assistant: two"]
    assert sum(isinstance(item, Note) for item in second.with_summary("both").items()) == 1


def test_a_compaction_survives_sealing_with_everything_in_it() -> None:
    kept: list[InputItem] = [user("u"), call("a"), output("a"), Message(role="user", content=[InputText(text="p")])]
    compacted = Compacted(head=[system("s")], summary="sum", words=["w"], kept=kept)
    cipher = Cipher(b"k" * KEY_BYTES)
    item = Compaction(id="cmp_1", encrypted_content=cipher.encrypt("compaction", "me", compacted.to_text()))
    (opened,) = decrypt_items(cipher, "me", [item], "input")
    assert isinstance(opened, ExpandedCompaction)
    assert list(opened.content) == compacted.items()
    assert msgspec.json.encode(opened) == msgspec.json.encode(item), "what was opened never goes out"
    assert history(None, [user("before"), opened, user("after")]) == [*compacted.items(), user("after")]


def test_the_last_compaction_stands_for_everything_before_it() -> None:
    first = ExpandedCompaction.of(Compaction(encrypted_content="1"), [user("first")])
    second = ExpandedCompaction.of(Compaction(encrypted_content="2"), [user("second")])
    assert history(None, [user("0"), first, user("1"), second, user("2")]) == [user("second"), user("2")]


@pytest.mark.parametrize("blob", ["x", "rt1.AAAA", "gAAAAABo..."])
def test_a_compaction_that_is_not_ours_is_refused_with_its_place(blob: str) -> None:
    with pytest.raises(WireError) as caught:
        decrypt_items(Cipher(), "me", [*[user("x")] * 3, Compaction(encrypted_content=blob)], "input")
    assert caught.value.code is ErrorCode.INVALID_ENCRYPTED_CONTENT
    assert caught.value.param == "input[3].encrypted_content"


def test_a_sealed_content_of_another_form_is_refused_and_not_a_fault() -> None:
    cipher = Cipher()
    for text in ("", "[]", '{"version":2,"head":[],"summary":"","words":[],"kept":[]}', '{"version":1}'):
        item = Compaction(encrypted_content=cipher.encrypt("compaction", "me", text))
        with pytest.raises(WireError) as caught:
            decrypt_items(cipher, "me", [item], "input")
        assert caught.value.code is ErrorCode.INVALID_ENCRYPTED_CONTENT


def test_when_a_request_wants_it() -> None:
    assert compaction_policy(ResponseCreate()) is None
    assert compaction_policy(ResponseCreate(context_management=[])) is None
    entries = [ContextManagement(type="compaction", compact_threshold=n) for n in (500, 200)]
    assert compaction_policy(ResponseCreate(context_management=entries)) == Policy(threshold=200)
    assert compaction_policy(ResponseCreate(context_management=[ContextManagement(type="compaction")])) == Policy()
    asked = ResponseCreate(items=[user("x"), CompactionTrigger()])
    assert (compaction_policy(asked), asked.items) == (Policy(now=True), [user("x")])
    after: list[InputItem] = [user("x"), CompactionTrigger()]
    for item in after:
        with pytest.raises(WireError) as caught:
            compaction_policy(ResponseCreate(items=[CompactionTrigger(), item]))
        assert caught.value.param == "input[0]"


@given(st.text(max_size=400), st.integers(0, 300))
def test_a_cut_text_is_bounded_and_keeps_both_ends(text: str, max_chars: int) -> None:
    short = elide(text, max_chars)
    assert len(short) <= max(max_chars, 32) + 45
    assert text.startswith(short[:16])
    assert text.endswith(short[-16:])
    assert elide(text, len(text)) == text


@given(st.lists(st.text(max_size=3000), max_size=20), st.integers(100, 5000))
def test_a_transcript_fits(lines: list[str], max_chars: int) -> None:
    assert len(fit(lines, max_chars)) <= max_chars + 45


ITEMS = st.lists(
    st.one_of(
        st.builds(user, st.text(max_size=30)),
        st.builds(answer, st.text(max_size=30)),
        st.builds(system, st.text(max_size=30)),
        st.builds(thought, st.text(max_size=30)),
        st.builds(call, st.sampled_from("abcd")),
        st.builds(output, st.sampled_from("abcd"), st.text(max_size=30)),
    ),
    max_size=30,
)


@examples(300)
@given(ITEMS, st.integers(0, 100), st.booleans())
def test_whatever_the_history_what_is_kept_can_be_answered(items: list[InputItem], size: int, only_open: bool) -> None:
    """No output loses its call, nothing is lost twice over, and a second compaction of the result works as well."""
    if unknown_call(items) is not None:
        return  # such a history is refused before it gets here
    for _ in range(3):
        made = plan(items, Budget(head=size, words=size, kept=size, newest=size), only_open=only_open)
        items = made.with_summary("summary").items()
        assert unknown_call(items) is None
        assert sum(isinstance(item, Note) for item in items) == 1
        assert size_of(made.head) <= size
        assert sum(map(len, made.words)) <= size
        if not only_open:
            assert made.kept or not made.transcript, "there is something to answer"


def test_tools_and_settings_that_items_brought_go_on_to_hold() -> None:
    tools = [{"type": "function", "name": "f"}]
    found = [{"type": "function", "name": "g"}]
    items: list[InputItem] = [
        AdditionalTools(tools=tools),
        ConfigurationUpdate(reasoning=ReasoningUpdate(effort="high")),
        ConfigurationUpdate(reasoning=ReasoningUpdate(effort="low"), text=TextUpdate(format=PlainFormat())),
        ToolSearchCall(arguments={}, call_id="s"),
        ToolSearchOutput(tools=found, call_id="s"),
        user("1"),
        answer("one"),
        user("2"),
    ]
    for _ in range(2):
        made = plan(items, Budget(head=0, words=0, kept=1, newest=1), only_open=False)
        items = [*made.with_summary("s").items(), answer("two"), user("3")]
        assert made.head == [
            AdditionalTools(tools=tools),
            AdditionalTools(tools=found),
            ConfigurationUpdate(reasoning=ReasoningUpdate(effort="low")),
            ConfigurationUpdate(text=TextUpdate(format=PlainFormat())),
        ]
    text = made.with_summary("s").to_text()
    opened = expand(Compaction(encrypted_content="x"), text)
    assert list(opened.content) == made.with_summary("s").items()
    before, own = since_compaction(None, [AdditionalTools(tools=tools), opened, user("now")])
    assert brought_tools(before, own) == [("previous_response_id", tools), ("previous_response_id", found)], "each once"
    assert own[2] == user("now")
