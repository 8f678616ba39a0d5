"""Bytes to client events: what is accepted, what is refused, what a refusal says, and that nothing else leaves."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.wire import codec
from realtime.wire.codec import Limits, Rejected, decode, encode
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import (
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    InputText,
    Message,
    OutputText,
    PlainText,
    Reasoning,
    ReasoningText,
    SummaryText,
)
from realtime.wire.requests import ClientEvent, ResponseCancel, ResponseCreate, ResponseDetach, ResponseResume
from tests.support.fuzz import JSON, examples
from tests.support.responses import make_response

LIMITS = Limits()


def create(**members: Any) -> ResponseCreate:
    """Decode a create with these members."""
    event = decode(json.dumps({"type": "response.create", **members}).encode(), LIMITS)
    assert isinstance(event, ResponseCreate)
    return event


def refusal(data: bytes, limits: Limits = LIMITS) -> Rejected:
    with pytest.raises(Rejected) as caught:
        decode(data, limits)
    return caught.value


# -- what is accepted

ITEMS: dict[str, tuple[Any, list[Any]]] = {
    "nothing": (None, []),
    "an empty list": ([], []),
    "a string": ("hi", [Message(role="user", content="hi")]),
    "the easy form, a string": ([{"role": "user", "content": "hi"}], [Message(role="user", content="hi")]),
    "the easy form, parts": (
        [{"role": "developer", "content": [{"type": "input_text", "text": "a"}, {"type": "text", "text": "b"}]}],
        [Message(role="developer", content=[InputText(text="a"), PlainText(text="b")])],
    ),
    "a message with a foreign id": (
        [{"type": "message", "role": "assistant", "id": "msg_x-1", "status": "completed", "phase": "commentary",
          "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": None}]}],
        [Message(role="assistant", id="msg_x-1", status="completed", phase="commentary",
                 content=[OutputText(text="a", logprobs=None)])],
    ),
    "an image": (
        [{"role": "user", "content": [{"type": "input_image", "image_url": "data:x", "detail": "auto"}]}],
        [Message(role="user", content=[InputImage(image_url="data:x", detail="auto")])],
    ),
    "reasoning without content": ([{"type": "reasoning", "summary": []}], [Reasoning()]),
    "reasoning with null": ([{"type": "reasoning", "content": None}], [Reasoning(content=None)]),
    "reasoning with several parts": (
        [{"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}],
          "content": [{"type": "reasoning_text", "text": "a"}, {"type": "reasoning_text", "text": "b"}]}],
        [Reasoning(id="rs_1", summary=[SummaryText(text="s")],
                   content=[ReasoningText(text="a"), ReasoningText(text="b")])],
    ),
    "a call and its output": (
        [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "x": 1},
         {"type": "function_call_output", "call_id": "c", "output": "1"}],
        [FunctionCall(call_id="c", name="f", arguments="{}"), FunctionCallOutput(call_id="c", output="1")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "items"), ITEMS.values(), ids=ITEMS)
def test_input_becomes_items(given: Any, items: list[Any]) -> None:
    assert create(input=given).items == items
    assert create(response={"input": given}).items == items


EVENTS = [
    ResponseCancel(),
    ResponseCancel(response_id="resp_1", event_id="e"),
    ResponseCancel(stream_id="a"),
    ResponseResume(response_id="resp_1", starting_after=2**53, epoch="x"),
    ResponseResume(response_id="resp_1"),
    ResponseDetach(response_id="resp_1", event_id="e"),
]


@pytest.mark.parametrize("event", EVENTS, ids=repr)
def test_an_event_survives_the_way_there_and_back(event: ClientEvent) -> None:
    assert decode(encode(event), LIMITS) == event


def test_a_resume_starts_at_the_beginning_unless_it_says_otherwise() -> None:
    event = decode(b'{"type":"response.resume","response_id":"r"}', LIMITS)
    assert isinstance(event, ResponseResume)
    assert event.starting_after == -1


def test_the_members_of_a_create_arrive() -> None:
    members = {
        "model": "m", "instructions": "i", "previous_response_id": "resp_1", "store": False, "max_output_tokens": 7,
        "temperature": 0, "top_p": 1, "tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "function"},
        "metadata": {"a": "b"}, "include": ["reasoning.encrypted_content"], "stream_id": "a", "generate": False,
        "seed": -1, "stop": ["x"], "request_id": "q", "event_id": "e",
    }  # fmt: skip
    event = create(**members)
    assert {name: getattr(event, name) for name in members} == members


@pytest.mark.parametrize("stream", [True, False, None, "yes", {"a": []}])
def test_stream_means_nothing_here_so_any_value_is_accepted(stream: Any) -> None:
    create(stream=stream)


@pytest.mark.parametrize("name", ["client_metadata", "items", "x-1", "", "moderation", "done"])
def test_unknown_members_are_accepted_in_silence(name: str) -> None:
    event = create(input="hi", **{name: {"deep": [1]}})
    assert event.items == [Message(role="user", content="hi")]


def test_the_nested_form_is_the_flat_one() -> None:
    nested = create(event_id="e", response={"input": "hi", "temperature": 0.5, "stream_id": "a", "event_id": "inner"})
    assert nested == create(event_id="e", input="hi", temperature=0.5, stream_id="a")
    assert create(stream_id="outer", response={"input": "hi"}).stream_id == "outer"


# -- what is refused

MESSAGE = {"role": "user", "content": "hi"}
REFUSED: dict[str, tuple[bytes | dict[str, Any], ErrorCode, str | None, str]] = {
    "nothing": (b"", ErrorCode.INVALID_JSON, None, "not valid JSON"),
    "no JSON": (b"hello", ErrorCode.INVALID_JSON, None, "not valid JSON"),
    "half a JSON": (b'{"type":"response.create"', ErrorCode.INVALID_JSON, None, "not valid JSON"),
    "two": (b'{"type":"response.cancel"}{}', ErrorCode.INVALID_JSON, None, "not valid JSON"),
    "a byte order mark": (b'\xef\xbb\xbf{"type":"response.cancel"}', ErrorCode.INVALID_JSON, None, "not valid JSON"),
    "a list": (b"[]", ErrorCode.INVALID_JSON, None, "one JSON object"),
    "a string": (b'"response.create"', ErrorCode.INVALID_JSON, None, "one JSON object"),
    "null": (b"null", ErrorCode.INVALID_JSON, None, "one JSON object"),
    "NaN": (b'{"type":"response.create","temperature":NaN}', ErrorCode.INVALID_JSON, None, "not valid JSON"),
    "wrong UTF-8": (b'{"type":"response.create","user":"\xff"}', ErrorCode.INVALID_JSON, None, "not valid JSON"),
    "half a surrogate pair": (b'{"type":"response.create","user":"\\ud800"}', ErrorCode.INVALID_JSON, None, ""),
    "no type": ({}, ErrorCode.UNSUPPORTED_EVENT_TYPE, "type", "response.create"),
    "a type of another type": ({"type": 5}, ErrorCode.UNSUPPORTED_EVENT_TYPE, "type", "Unknown type"),
    "an unknown type": ({"type": "session.nonsense"}, ErrorCode.UNSUPPORTED_EVENT_TYPE, "type", "'session.nonsense'"),
    "a server's type": ({"type": "response.created"}, ErrorCode.UNSUPPORTED_EVENT_TYPE, "type", "'response.created'"),
    "two types": (b'{"type":"response.cancel","type":"response.detach"}', ErrorCode.INVALID_REQUEST, "type", ""),
    "a missing member": ({"type": "response.resume"}, ErrorCode.INVALID_REQUEST, "response_id", "is required"),
    "a wrong member": ({"type": "response.detach", "response_id": 5}, ErrorCode.INVALID_REQUEST, "response_id", "str"),
    "a long id": (
        {"type": "response.detach", "response_id": "x" * 257}, ErrorCode.INVALID_REQUEST, "response_id", "256",
    ),
    "a cursor below all": (
        {"type": "response.resume", "response_id": "r", "starting_after": -2},
        ErrorCode.INVALID_REQUEST, "starting_after", ">= -1",
    ),
    "a huge cursor": (
        b'{"type":"response.resume","response_id":"r","starting_after":1' + b"0" * 5000 + b"}",
        ErrorCode.INVALID_REQUEST, "starting_after", "",
    ),
}  # fmt: skip
REFUSED_CREATES: dict[str, tuple[dict[str, Any], str, str]] = {
    "a string for a number": ({"temperature": "hot"}, "temperature", "float"),
    "too warm": ({"temperature": 2.1}, "temperature", "<= 2"),
    "no tokens": ({"max_output_tokens": 0}, "max_output_tokens", ">= 1"),
    "a fraction of a token": ({"max_output_tokens": 1.5}, "max_output_tokens", "int"),
    "a huge seed": ({"seed": 2**64}, "seed", "<="),
    "a word that is none": ({"truncation": "maybe"}, "truncation", "'maybe'"),
    "deep inside": ({"text": {"verbosity": "loud"}}, "text.verbosity", "'loud'"),
    "in a list": ({"include": ["a", 5]}, "include[1]", "str"),
    "in a map": ({"metadata": {"a": 1}}, "metadata[...]", "str"),
    "too much metadata": ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "16"),
    "too many stops": ({"stop": ["x"] * 17}, "stop", "16"),
    "a policy that is none": ({"on_disconnect": {"policy": "stay"}}, "on_disconnect.policy", "'stay'"),
    "a policy that is missing": ({"on_disconnect": {"seconds": 1}}, "on_disconnect.policy", "is required"),
    "a negative time": ({"on_disconnect": {"policy": "linger", "seconds": -1}}, "on_disconnect.seconds", ">= 0"),
    "a number as input": ({"input": 5}, "input", "string or a list"),
    "an object as input": ({"input": MESSAGE}, "input", "string or a list"),
    "an item that is none": ({"input": [MESSAGE, 5]}, "input[1]", "object"),
    "an unknown item": ({"input": [{"type": "program"}]}, "input[0].type", "'program'"),
    "an item of no type": ({"input": [{"type": 7, **MESSAGE}]}, "input[0].type", "str"),
    "an item without a role": ({"input": [{"content": "hi"}]}, "input[0].role", "is required"),
    "an unknown role": ({"input": [{"role": "king", "content": "hi"}]}, "input[0].role", "'king'"),
    "an unknown part": (
        {"input": [MESSAGE, {"role": "user", "content": [{"type": "input_text", "text": ""}, {"type": "smell"}]}]},
        "input[1].content[1].type", "'smell'",
    ),
    "a part without a type": ({"input": [{"role": "user", "content": [{"text": ""}]}]}, "input[0].content[0].type", ""),
    "a call without an id": (
        {"input": [{"type": "function_call", "name": "f", "arguments": ""}]}, "input[0].call_id", "is required",
    ),
    "a nested form that is none": ({"response": "hi"}, "response", "object"),
    "inside the nested form": ({"response": {"temperature": "hot"}}, "response.temperature", "float"),
}  # fmt: skip


@pytest.mark.parametrize(("message", "code", "param", "words"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_says_what_is_wrong(message: Any, code: ErrorCode, param: str | None, words: str) -> None:
    found = refusal(message if isinstance(message, bytes) else json.dumps(message).encode())
    assert (found.error.code, found.error.param) == (code, param)
    assert words in found.error.message


@pytest.mark.parametrize(("members", "param", "words"), REFUSED_CREATES.values(), ids=REFUSED_CREATES)
def test_a_refused_create_names_the_member(members: dict[str, Any], param: str, words: str) -> None:
    found = refusal(json.dumps({"type": "response.create", **members}).encode())
    assert (found.error.code, found.error.param) == (ErrorCode.INVALID_REQUEST, param)
    assert found.error.message.startswith(f"`{param}`") or "input" in param
    assert words in found.error.message


def test_a_refusal_knows_whom_to_answer() -> None:
    found = refusal(b'{"temperature":"hot","event_id":"e","stream_id":"a","type":"response.create"}')
    assert (found.type, found.stream_id, found.event_id) == ("response.create", "a", "e")
    odd = refusal(b'{"type":["x"],"event_id":7,"stream_id":{}}')
    assert (odd.type, odd.stream_id, odd.event_id) == ("", {}, None)


def test_a_refusal_quotes_only_a_little() -> None:
    """Else a flood of wrong messages would fill the connection's memory with their echoes."""
    for message in (
        {"type": "x" * 10_000},
        {"type": "response.create", "truncation": "x" * 10_000},
        {"type": "response.create", "input": [{"type": "x" * 10_000}]},
        {"type": "response.detach", "event_id": "x" * 10_000},
    ):
        found = refusal(json.dumps(message).encode())
        assert len(found.error.message) < 500
        assert found.event_id is None


# -- limits


def depth(value: Any) -> int:
    """How many arrays and objects are inside one another."""
    if isinstance(value, dict | list):
        return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


@examples(40)
@given(JSON, st.integers(1, 6))
def test_depth_is_counted_as_a_reader_would(value: Any, limit: int) -> None:
    message = {"type": "response.create", "input": "hi", "x": value}
    data = json.dumps(message).encode()
    if depth(message) <= limit:
        decode(data, Limits(max_depth=limit))
    else:
        assert refusal(data, Limits(max_depth=limit)).error.code is ErrorCode.MESSAGE_TOO_COMPLEX


@examples(40)
@given(st.text('[]{}"\\a\n\u00e9', max_size=40))
def test_what_is_inside_strings_does_not_count(text: str) -> None:
    data = json.dumps({"type": "response.create", text: "", "input": text}).encode()
    event = decode(data, Limits(max_depth=1))
    assert isinstance(event, ResponseCreate)
    assert event.items == [Message(role="user", content=text)]


@pytest.mark.parametrize("nested", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 65 + b"]" * 65])
def test_deep_nesting_is_refused_before_it_is_parsed(nested: bytes) -> None:
    found = refusal(b'{"type":"response.create","x":' + nested)
    assert found.error.code is ErrorCode.MESSAGE_TOO_COMPLEX
    assert "64" in found.error.message


@pytest.mark.parametrize("tail", [b'\\"' * 500, b"\\\\" * 500 + b"\\", b'\\"' * 500 + b'"'])
def test_a_string_is_scanned_once_even_if_it_never_ends(tail: bytes) -> None:
    """One that is scanned again from each of its quotes costs quadratic time: 40 KB took eight seconds."""
    assert len(codec._STRUCTURE.findall(b'{"' + tail)) == 2


def test_the_number_of_values_is_bounded() -> None:
    message = b'{"type":"response.create","x":[%s]}'
    limits = Limits(max_depth=4, max_values=1000)
    decode(message % b",".join([b"[]"] * 400), limits)
    found = refusal(message % b",".join([b"[]"] * 1000), limits)
    assert found.error.code is ErrorCode.MESSAGE_TOO_COMPLEX


def test_the_number_of_items_is_bounded() -> None:
    limits = Limits(max_items=3)
    for number, fits in ((3, True), (4, False)):
        data = json.dumps({"type": "response.create", "input": [MESSAGE] * number}).encode()
        if fits:
            decode(data, limits)
        else:
            found = refusal(data, limits)
            assert (found.error.code, found.error.param) == (ErrorCode.MESSAGE_TOO_COMPLEX, "input")


# -- whatever comes

VALID: list[dict[str, Any]] = [
    {"type": "response.create", "input": item, "stream_id": "a", "tools": [{"type": "function", "name": "f"}],
     "text": {"format": {"type": "text"}}, "reasoning": {"effort": "low"}, "on_disconnect": {"policy": "cancel"},
     "metadata": {"a": "b"}, "stop": ["x"]}
    for item, _ in ITEMS.values()
] + [msgspec.to_builtins(event) for event in EVENTS]  # fmt: skip


def only_rejected(data: bytes) -> None:
    """Decode: either a client event that the rest of the server can use, or a presentable refusal."""
    event: ClientEvent | Rejected
    try:
        event = decode(data, LIMITS)
    except Rejected as rejected:
        event = rejected
    if isinstance(event, Rejected):
        assert 400 <= event.error.spec.status < 500
        assert event.error.message
        encode([event.error.message, event.error.param, event.event_id])
    else:
        assert isinstance(event, ClientEvent)
        if isinstance(event, ResponseCreate):
            json.loads(encode(make_response(request=event)))


@examples(60)
@given(st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_refused_properly(data: bytes) -> None:
    only_rejected(data)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, child in inner for place in [(value, key), *places(child)]]


@examples(80)
@given(st.sampled_from(VALID), st.data())
def test_a_valid_event_with_anything_in_the_place_of_anything(event: dict[str, Any], data: st.DataObject) -> None:
    event = copy.deepcopy(event)
    container, key = data.draw(st.sampled_from(places(event)))
    container[key] = data.draw(JSON)
    only_rejected(json.dumps(event).encode())


@examples(60)
@given(st.sampled_from(VALID), st.integers(0, 400), st.integers(0, 8), st.binary(max_size=4))
def test_a_valid_event_with_some_bytes_replaced(event: dict[str, Any], start: int, length: int, new: bytes) -> None:
    whole = json.dumps(event).encode()
    start %= len(whole)
    only_rejected(whole[:start] + new + whole[start + length :])


@examples(24)
@given(st.dictionaries(st.sampled_from(ResponseCreate.__struct_fields__), JSON, max_size=6))
def test_any_value_in_any_known_member(members: dict[str, Any]) -> None:
    only_rejected(json.dumps({**members, "type": "response.create"}).encode())


# -- what goes out


SEPARATORS = st.sampled_from('\x85\u2028\u2029\u2027\x84é“你"\\\n\x0b\x1c')


@given(st.text(alphabet=st.one_of(SEPARATORS, st.characters(exclude_categories=["Cs"]))))  # what UTF-8 can say
def test_an_encoded_line_is_one_for_every_reader_and_says_the_same(text: str) -> None:
    line = codec.encode_line({"text": text, text: 1})
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == {"text": text, text: 1}


def test_only_ends_of_lines_are_escaped() -> None:
    assert codec.encode_line("é“你\u2028\u2029\x85") == '"é“你\\u2028\\u2029\\u0085"'.encode()


# -- decoded in one go, or looked at again


@pytest.mark.parametrize("kind", sorted(codec._CLIENT_EVENTS))
def test_what_is_right_is_looked_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says the same as what is looked at twice."""
    of_kinds: dict[str, dict[str, Any]] = {
        "response.create": {"input": [{"type": "message", "role": "user", "content": "é"}], "metadata": {"a": "b"}},
        "response.resume": {"response_id": "resp_1", "starting_after": 3},
        "response.ack": {"response_id": "resp_1", "through": 3},
        "response.steer": {"previous_response_id": "resp_1", "input": "more"},
        "response.inject": {"response_id": "resp_1", "input": []},
        "response.truncate": {"response_id": "resp_1", "through": 2},
        "response.cancel": {"stream_id": "a"},
        "session.update": {"heartbeat_seconds": 3},
    }
    members = of_kinds.get(kind, {"response_id": "resp_1"})
    data = json.dumps({**members, "type": kind}).encode()  # the type comes last

    def wrong(_: object) -> Any:
        raise msgspec.DecodeError

    with monkeypatch.context() as patch:
        patch.setattr(codec, "_decode_any_event", wrong)
        patch.setattr(codec, "_decode_any_item", wrong)
        twice = codec.decode(data, Limits())
    monkeypatch.setattr(codec, "_head", wrong)
    monkeypatch.setattr(codec, "_decode_untyped", wrong)
    assert codec.decode(data, Limits()) == twice


@pytest.mark.parametrize("space", ["", " ", " " * 40, "\n\t"])
def test_white_space_before_an_input_is_nothing(space: str) -> None:
    for text, expected in (('"hi"', [Message(role="user", content="hi")]), ("null", []), ("[]", [])):
        assert codec.decode_input((space + text).encode(), Limits()) == expected
        message = f'{{"type":"response.create","input":{space}{text}}}'.encode()
        assert codec.decode(message, Limits()).items == expected  # type: ignore[union-attr]


@pytest.mark.parametrize("item", ['{"role":"user","content":"a"}', '{ "content":"a", "role":"user" }'])
def test_an_item_without_a_type_is_a_message(item: str) -> None:
    assert codec.decode_items(f"[ {item} ]".encode(), "input", 10) == [Message(role="user", content="a")]


@pytest.mark.parametrize("item", ["{}", "{ }", '{"type":null}'])
def test_an_item_that_says_nothing_lacks_a_role(item: str) -> None:
    with pytest.raises(WireError) as caught:
        codec.decode_items(f"[{item}]".encode(), "input", 10)
    assert (caught.value.param, caught.value.code) == ("input[0].role", ErrorCode.INVALID_REQUEST)
