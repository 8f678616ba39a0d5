"""Harmony from end to end: a tiny gpt-oss in real vLLM, as OpenAI's SDK sees it. It is trained to do what is asked of
it here (training/gpt_oss); at temperature 0 what it says is certain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openai_harmony import Conversation, Message, RenderConversationConfig, Role, StreamableParser

from realtime.engine.options import VllmOptions
from tests.support.gpt_oss import CALL, RETURN, model_folder
from tests.support.harmony import library, text_in, text_of
from tests.support.long import effort
from tests.support.real import RealServer, hosting
from tests.support.sdk import Answer, Talk, talking

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore"),  # vLLM, torch and transformers warn of their own affairs
]

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "name": "get_weather", "description": "Get the weather for a city", "parameters": CITY}
STEP = {
    "type": "function",
    "name": "next_step",
    "description": "Do one step",
    "parameters": {"type": "object", "properties": {"step": {"type": "integer"}}, "required": ["step"]},
}
STRICT = {**WEATHER, "strict": True, "parameters": {**CITY, "additionalProperties": False}}
RAW = ["reasoning.content"]
STEPS = effort(8, 20)  # of a loop
IN_PARIS = "What is the weather in Paris?"


@pytest.fixture(scope="module")
def gpt_oss() -> Iterator[RealServer]:
    """A server with the tiny gpt-oss."""
    options = VllmOptions(model=str(model_folder()), served_name="gpt-oss", kv_cache_memory_bytes=128 << 20)
    with hosting(options) as server:
        yield server


@pytest.fixture
def talk(gpt_oss: RealServer) -> Iterator[Talk]:
    """A socket of the SDK's."""
    with talking(gpt_oss) as talk:
        yield talk


def ask(talk: Talk, input: Any, **members: Any) -> Answer:
    """A turn at temperature 0, of bounded length."""
    answer = talk.turn(model="gpt-oss", input=input, max_output_tokens=200, **members)
    for event in answer.events:
        assert "<|" not in getattr(event, "delta", ""), "markup in a delta"
    return answer


def output_for(answer: Answer, output: Any) -> dict[str, Any]:
    (call,) = answer.calls()
    return {"type": "function_call_output", "call_id": call.call_id, "output": json.dumps(output)}


# -- the tokens that it writes, read by the library alone


Parsed = tuple[str | None, str | None, str | None, str]
PARIS: Parsed = ("commentary", "functions.get_weather", "<|constrain|>json", '{"city": "Paris"}')


def written(answer: Answer) -> list[int]:
    """The tokens of the answer."""
    token_ids: list[int] = answer.shown["output_token_ids"]
    return token_ids


def parse(token_ids: list[int]) -> list[Parsed]:
    """Channel, recipient, content type and text of each message."""
    parser = StreamableParser(library(), Role.ASSISTANT)
    for token in token_ids:
        parser.process(token)
    return [(m.channel, m.recipient, m.content_type, text_in(m)) for m in parser.messages]


def test_it_thinks_and_calls_a_tool(talk: Talk) -> None:
    token_ids = written(ask(talk, IN_PARIS, tools=[WEATHER], include=["token_ids"]))
    thought = "The user wants the weather in Paris. I call get_weather."
    assert parse(token_ids) == [("analysis", None, None, thought), PARIS]
    assert token_ids[-1] == CALL


def test_it_says_what_it_will_do_before_it_calls(talk: Talk) -> None:
    question = "Tell me what you do, then check the weather in Paris."
    token_ids = written(ask(talk, question, tools=[WEATHER], include=["token_ids"]))
    assert parse(token_ids) == [
        ("analysis", None, None, "The user wants to know what I do."),
        ("commentary", None, None, "I will check the weather in Paris."),
        PARIS,
    ]
    assert token_ids[-1] == CALL


def test_it_answers_at_once_without_a_thought(talk: Talk) -> None:
    token_ids = written(ask(talk, "Say hi at once.", tools=[WEATHER], include=["token_ids"]))
    assert parse(token_ids) == [("final", None, None, "Hi!")]
    assert token_ids[-1] == RETURN


def test_what_it_read_and_wrote_is_what_openai_harmony_renders(talk: Talk) -> None:
    """So the next prompt of a tool loop begins with the tokens that are in the engine's prefix cache."""
    final = ask(talk, IN_PARIS, tools=[WEATHER], include=["harmony.messages", "token_ids"]).shown
    messages = [Message.from_dict(message) for message in [*final["input_messages"], *final["output_messages"]]]
    assert [message.channel for message in messages][-2:] == ["analysis", "commentary"]
    config = RenderConversationConfig(auto_drop_analysis=False)
    following = library().render_conversation_for_completion(
        Conversation.from_messages(messages), Role.ASSISTANT, config=config
    )
    known = [*final["input_token_ids"], *final["output_token_ids"]]
    assert following[: len(known)] == known


# -- the events and items that become of them


def test_reasoning_and_an_answer(talk: Talk) -> None:
    answer = ask(talk, "ping", include=RAW)
    assert answer.kinds == ["reasoning", "message"]
    assert answer.final.output_text == "pong"
    assert answer.items("message")[0].phase == "final_answer"
    usage = answer.final.usage
    assert usage is not None
    assert 0 < usage.output_tokens_details.reasoning_tokens < usage.output_tokens


def test_a_call_and_what_comes_of_it(talk: Talk) -> None:
    first = ask(talk, IN_PARIS, tools=[WEATHER])
    (call,) = first.calls()
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    output = output_for(first, {"temperature": 18, "condition": "sunny"})
    second = ask(talk, [output], previous_response_id=first.id, tools=[WEATHER])
    assert second.final.output_text == "It is 18 degrees and sunny in Paris."


def test_a_preamble_is_commentary(talk: Talk) -> None:
    answer = ask(talk, "Tell me what you do, then check the weather in Paris.", tools=[WEATHER])
    assert answer.kinds[-2:] == ["message", "function_call"]
    (preamble,) = answer.items("message")
    assert preamble.phase == "commentary"
    assert preamble.content[0].text == "I will check the weather in Paris."


def test_a_call_in_the_analysis_is_a_call(talk: Talk) -> None:
    """Where the model writes freely: a tool that is held is called where calls belong."""
    tools = [{**WEATHER, "strict": False}]
    first = ask(talk, "Think aloud and check the weather in Paris.", tools=tools)
    (call,) = first.calls()
    assert call.to_dict()["channel"] == "analysis"
    output = output_for(first, {"temperature": 3, "condition": "rainy"})
    second = ask(talk, [output], previous_response_id=first.id, tools=tools)
    assert second.final.output_text == "It is 3 degrees and rainy in Paris."


def test_an_answer_without_reasoning(talk: Talk) -> None:
    assert ask(talk, "Say hi at once.").kinds == ["message"]


def test_a_history_goes_on_and_instructions_do_not(talk: Talk) -> None:
    first = ask(talk, "My name is Anna.", instructions="Be brief.")
    assert ask(talk, "What is my name?", previous_response_id=first.id).final.output_text == "Your name is Anna."
    assert ask(talk, "hello", instructions="Be brief.").final.output_text == "Hi."
    assert ask(talk, "hello", previous_response_id=first.id).final.output_text != "Hi."


def test_a_required_and_a_named_call(talk: Talk) -> None:
    for choice in ("required", {"type": "function", "name": "get_weather"}):
        (call,) = ask(talk, "hello", tools=[WEATHER, STEP], tool_choice=choice).calls()[:1]
        assert isinstance(json.loads(call.arguments), dict)
        assert choice == "required" or call.name == "get_weather"


def test_strict_arguments(talk: Talk) -> None:
    (call,) = ask(talk, IN_PARIS, tools=[STRICT]).calls()
    jsonschema.validate(json.loads(call.arguments), STRICT["parameters"])


def test_a_format_for_the_answer(talk: Talk) -> None:
    schema = {
        "type": "object",
        "properties": {"town": {"enum": ["Paris", "Rome"]}},
        "required": ["town"],
        "additionalProperties": False,
    }
    text = {"format": {"type": "json_schema", "name": "town", "schema": schema}}
    answer = ask(talk, "Give me Paris as JSON.", text=text)
    jsonschema.validate(json.loads(answer.final.output_text), schema)


def test_the_grammar_of_a_custom_tool(talk: Talk) -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": 'start: "BEGIN" /[0-9]{3}/ "\\n\\"END\\""'}
    answer = ask(talk, IN_PARIS, tools=[{"type": "custom", "name": "get_weather", "format": grammar}])
    assert re.fullmatch(r'BEGIN[0-9]{3}\n"END"', answer.calls()[0].input)


def test_the_models_own_messages_and_tokens(talk: Talk) -> None:
    answer = ask(talk, "ping", include=["harmony.messages", "token_ids"])
    final = answer.shown
    assert [message["channel"] for message in final["output_messages"]] == ["analysis", "final"]
    assert text_of(final["output_token_ids"]).endswith("<|channel|>final<|message|>pong<|return|>")
    held = [*final["input_messages"], *final["output_messages"]]
    again = ask(talk, "ping", previous_input_messages=held, include=["token_ids"])
    chained = ask(talk, "ping", previous_response_id=answer.id, include=["token_ids"])
    assert again.shown["input_token_ids"] == chained.shown["input_token_ids"]


@pytest.mark.parametrize("way", ["previous_response_id", "held messages", "all items"])
def test_a_loop_of_many_calls(talk: Talk, way: str) -> None:
    """Each prompt begins with the one before it and its answer, to the token, so nearly all of it is in the cache."""
    members: dict[str, Any] = {"tools": [STEP], "include": [*RAW, "harmony.messages", "token_ids"]}
    items: list[Any] = [{"role": "user", "content": f"Do {STEPS} steps."}]
    answer = ask(talk, items, **members)
    num_cached = num_input = 0
    for step in range(1, STEPS + 1):
        (call,) = answer.calls()
        assert json.loads(call.arguments) == {"step": step}
        new = [output_for(answer, {"done": step})]
        items = [*items, *answer.done_items(), *new]
        before = answer.shown
        match way:
            case "previous_response_id":
                answer = ask(talk, new, previous_response_id=answer.id, **members)
            case "held messages":
                held = [*before["input_messages"], *before["output_messages"]]
                answer = ask(talk, new, previous_input_messages=held, **members)
            case _:
                answer = ask(talk, items, **members)
        known = [*before["input_token_ids"], *before["output_token_ids"]]
        assert answer.shown["input_token_ids"][: len(known)] == known
        assert answer.final.usage is not None
        num_input += answer.final.usage.input_tokens
        num_cached += answer.final.usage.input_tokens_details.cached_tokens
    assert answer.final.output_text == f"All {STEPS} steps are done."
    print(f"{way}: {num_cached} of {num_input} input tokens were in the cache")
    assert num_cached / num_input > 0.5  # blocks of the cache are 32 to 128 tokens: their remainders are read again
