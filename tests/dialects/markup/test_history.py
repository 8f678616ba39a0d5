"""A history as templates want it: ids, arguments, reasoning; and what is found out by rendering."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.family import Family
from realtime.dialects.markup.history import Message, as_wanted, settled
from realtime.dialects.messages import to_messages
from realtime.wire.items import FunctionCall, FunctionCallOutput, InputItem
from realtime.wire.items import Message as MessageItem

PLAIN = Family(name="plain")
KIMI = ALL_FAMILIES["kimi_k2"]
MISTRAL = ALL_FAMILIES["mistral"]


def call(call_id: str, name: str = "get_weather", arguments: Any = None) -> Message:
    """A call of a message."""
    arguments = {"city": "Paris"} if arguments is None else arguments
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def loop(*calls: Message, reasoning: str | None = None) -> list[Message]:
    """A question, calls and their results."""
    answer: Message = {"role": "assistant", "content": "", "tool_calls": list(calls)}
    if reasoning is not None:
        answer["reasoning_content"] = reasoning
    results = [{"role": "tool", "tool_call_id": one["id"], "content": "12"} for one in calls]
    return [{"role": "user", "content": "?"}, answer, *results]


def ids(messages: Sequence[Message]) -> tuple[list[str], list[str]]:
    """The ids of calls, and those of results."""
    calls = [one["id"] for message in messages for one in message.get("tool_calls", ())]
    return calls, [message["tool_call_id"] for message in messages if message["role"] == "tool"]


def test_ids_have_names_and_numbers() -> None:
    messages = [*loop(call("call_a"), call("call_b", "anything")), *loop(call("call_c"))]
    shown = as_wanted(messages, KIMI)
    want = ["functions.get_weather:0", "functions.anything:1", "functions.get_weather:2"]
    assert ids(shown) == (want, want)
    assert ids(as_wanted(messages, PLAIN)) == (["call_a", "call_b", "call_c"],) * 2
    assert as_wanted(shown, KIMI) == shown


def test_ids_of_nine_letters_and_digits() -> None:
    shown, results = ids(as_wanted(loop(call("call_0123456789abcdef"), call("aB3dE6gH9")), MISTRAL))
    assert shown == results
    assert all(re.fullmatch("[A-Za-z0-9]{9}", one) for one in shown)
    assert shown[1] == "aB3dE6gH9"


def test_a_result_has_the_name_of_its_call() -> None:
    messages = loop(call("a"), call("b", "anything"))
    assert [one.get("name") for one in as_wanted(messages, PLAIN)[2:]] == ["get_weather", "anything"]
    lost = [{"role": "tool", "tool_call_id": "call_x", "content": "12"}]
    assert as_wanted(lost, PLAIN) == lost
    assert re.fullmatch("[A-Za-z0-9]{9}", as_wanted(lost, MISTRAL)[0]["tool_call_id"])


def test_arguments_are_an_object_or_a_text() -> None:
    text = Family(name="text", arguments="text")

    def shown(family: Family, arguments: Any) -> Any:
        return as_wanted(loop(call("a", arguments=arguments)), family)[1]["tool_calls"][0]["function"]["arguments"]

    assert shown(PLAIN, {"city": "Zürich"}) == {"city": "Zürich"}
    assert shown(PLAIN, '{"city": "Par') == {"arguments": '{"city": "Par'}
    assert shown(PLAIN, [1]) == {"arguments": [1]}
    assert shown(text, {"city": "Zürich"}) == '{"city": "Zürich"}'
    assert shown(text, '{"city": "Par') == '{"city": "Par'


@pytest.mark.parametrize("member", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_has_the_name_that_the_template_knows(member: str) -> None:
    answer = as_wanted(loop(call("a"), reasoning="Hm."), Family(name="x", reasoning=member))[1]
    assert {key: answer[key] for key in answer if key not in ("role", "content", "tool_calls")} == {member: "Hm."}


def test_reasoning_is_a_part_of_the_content() -> None:
    said = {"role": "assistant", "content": "Hi.", "reasoning_content": "Hm."}
    thought = {"type": "thinking", "thinking": "Hm."}
    text = {"type": "text", "text": "Hi."}
    assert as_wanted([said], MISTRAL) == [{"role": "assistant", "content": [thought, text]}]
    assert as_wanted([{**said, "content": [text]}], MISTRAL)[0]["content"] == [thought, text]
    assert as_wanted([{**said, "content": ""}], MISTRAL)[0]["content"] == [thought]


def test_items_of_a_request() -> None:
    """FAULTS of the kind: the template prints an id, and the name is gone."""
    items: list[InputItem] = [
        msgspec.convert({"type": "message", "role": "user", "content": "?"}, MessageItem),
        FunctionCall(call_id="call_0123abc", name="get_weather", arguments='{"city": "Paris"}'),
        FunctionCallOutput(call_id="call_0123abc", output="12"),
    ]
    shown = as_wanted(to_messages(None, items), KIMI)
    assert ids(shown) == (["functions.get_weather:0"],) * 2
    assert shown[2]["name"] == "get_weather"


# -- properties

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
CALLS = st.builds(call, st.text(min_size=1), st.sampled_from(["get_weather", "anything"]), JSON)
LOOPS = st.lists(st.builds(lambda calls, said: loop(*calls, reasoning=said), st.lists(CALLS, max_size=3),
                           st.none() | st.text()), max_size=3)  # fmt: skip
ROWS = st.sampled_from(list(ALL_FAMILIES.values()))


@given(LOOPS, ROWS)
def test_nothing_is_lost_and_nothing_is_changed_in_place(loops: list[list[Message]], family: Family) -> None:
    messages = [message for one in loops for message in one]
    before = copy.deepcopy(messages)
    shown = as_wanted(messages, family)
    assert messages == before
    assert [message["role"] for message in shown] == [message["role"] for message in messages]
    for message, wanted in zip(messages, shown, strict=True):
        for given_, one in zip(message.get("tool_calls", ()), wanted.get("tool_calls", ()), strict=True):
            was, arguments = given_["function"]["arguments"], one["function"]["arguments"]
            arguments = json.loads(arguments) if family.arguments == "text" and not isinstance(was, str) else arguments
            assert arguments in (was, {"arguments": was})
            assert one["function"]["name"] == given_["function"]["name"]
        if "reasoning_content" in message:
            said = wanted["content"][0]["thinking"] if family.reasoning == "parts" else wanted[family.reasoning]
            assert said == message["reasoning_content"]


@given(LOOPS, ROWS)
def test_a_result_names_its_call_and_ids_stay_apart(loops: list[list[Message]], family: Family) -> None:
    messages = [message for one in loops for message in one]
    given_, results = ids(messages)
    shown, shown_results = ids(as_wanted(messages, family))
    if len(set(given_)) == len(given_):
        assert len(set(shown)) == len(shown)
        assert shown_results == [shown[given_.index(one)] for one in results]


# -- what a template wants, by what it renders


def template(
    *, arguments: type = dict, reasoning: str = "reasoning_content", nine: bool = False
) -> Callable[[Sequence[Message]], str | None]:
    """A template of this kind."""

    def render(messages: Sequence[Message]) -> str | None:
        said = []
        for message in messages:
            content = message["content"]
            said += [content] if isinstance(content, str) else [part.get("thinking", "") for part in content]
            if isinstance(content, list) and reasoning == "parts":
                said += [part.get("text", "") for part in content]
            elif isinstance(content, list):
                return None
            said.append(message.get(reasoning, ""))
            for one in message.get("tool_calls", ()):
                if nine and not re.fullmatch("[A-Za-z0-9]{9}", one["id"]):
                    return None
                if not isinstance(one["function"]["arguments"], arguments):
                    return None
                said.append(f"<{one['id']} {one['function']['arguments']}>")
        return "".join(said)

    return render


def test_what_the_template_wants_is_found_by_rendering() -> None:
    for arguments, name in ((dict, "object"), (str, "text")):
        for reasoning in ("reasoning_content", "reasoning", "thinking", "parts"):
            for nine in (False, True):
                family, shown = settled(PLAIN, template(arguments=arguments, reasoning=reasoning, nine=nine))
                assert (family.arguments, family.reasoning) == (name, reasoning)
                assert family.ids == ("{hash}" if nine else None)
                assert "said" in shown


def test_a_template_that_shows_no_calls_and_no_reasoning_wants_nothing() -> None:
    family, shown = settled(MISTRAL, lambda messages: "".join(str(one["content"]) for one in messages))
    assert (family.arguments, family.reasoning, family.ids) == ("object", "reasoning_content", "{hash}")
    assert shown
    family, shown = settled(KIMI, lambda messages: None)
    assert (family.ids, family.reasoning, shown) == (KIMI.ids, "reasoning_content", "")


def test_arguments_that_were_encoded_twice_are_not_wanted() -> None:
    def render(messages: Sequence[Message]) -> str | None:
        calls = [one for message in messages for one in message.get("tool_calls", ())]
        return "".join(json.dumps(one["function"]["arguments"]) for one in calls) + "!".join(
            message.get("reasoning_content", "") + message["content"] for message in messages
        )

    assert settled(PLAIN, render)[0].arguments == "object"
