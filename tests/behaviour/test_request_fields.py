"""Every member of a create, over a real socket: what it changes, what the Response echoes, or that it is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from realtime.engine.base import EngineRequest, Sampling
from realtime.engine.scripted import ScriptedTokenizer, say
from tests.support.calls import TAGGED, called
from tests.support.server import running
from tests.support.transcript import assert_error

ANYTHING = {"a": [1, None]}
SCHEMA: dict[str, Any] = {"type": "json_schema", "name": "n", "schema": {}, "description": None, "strict": True}
F = {"type": "function", "name": "f", "description": None, "parameters": {"type": "object"}, "strict": True}

ECHOED: dict[str, list[Any]] = {
    "instructions": ["be brief"],
    "store": [False, True],
    "max_output_tokens": [5],
    "max_tool_calls": [3],
    "temperature": [0.5],
    "top_p": [0.5],
    "presence_penalty": [-1.0],
    "frequency_penalty": [1.0],
    "top_logprobs": [0, 20],
    "text": [{"format": {"type": "text"}, "verbosity": "low"}, {"format": SCHEMA}],
    "reasoning": [{"effort": "high", "summary": "auto"}],
    "tools": [[F, {"type": "web_search", "external_web_access": True}]],
    "tool_choice": ["none", "auto"],
    "parallel_tool_calls": [False, True],
    "truncation": ["auto", "disabled"],
    "metadata": [{"a": "b"}],
    "user": ["u"],
    "safety_identifier": ["s"],
    "prompt_cache_key": ["k"],
    "prompt_cache_retention": ["24h", "in_memory"],
    "background": [False],
    "model": ["starter"],
}
# Accepted, and not a word of it in the Response: there is nothing here that it could change.
ACCEPTED: dict[str, list[Any]] = {
    "stream": [True, False, None, "x"],
    "stream_options": [{"include_obfuscation": True}, {}, ANYTHING],
    "include": [
        ["file_search_call.results", "web_search_call.results", "web_search_call.action.sources"],
        ["message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs"],
        ["reasoning.encrypted_content", "message.output_text.logprobs", "something.new"],
    ],
    "prompt_cache_options": [{"mode": "explicit", "ttl": "12h", "comparison_response_id": "resp_1", "prewarm": False}],
    "access_programs": [{"cyber": "standard"}, ANYTHING],
    "image": [{"context_compression": "auto"}, ANYTHING],
    "client_metadata": [ANYTHING],
    "reasoning": [{"context": "all_turns", "mode": "pro"}],
    "cache_salt": ["s"],
    "priority": [5],
    "whatever": [ANYTHING],
}
TIERS = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast", "of tomorrow"]
REFUSED: dict[str, tuple[list[Any], str]] = {
    "prompt": ([{"id": "p"}], "unsupported_parameter"),
    "moderation": ([{"model": "m"}, {"model": "m", "policy": {"input": {"mode": "block"}}}], "unsupported_parameter"),
    "background": ([True], "unsupported_parameter"),
    "previous_response_id": (["resp_unknown"], "previous_response_not_found"),
    "model": (["another"], "model_not_found"),
    "prompt_cache_options": (["explicit"], "invalid_request"),
    "prompt_cache_retention": ([24], "invalid_request"),
    "stop_token_ids": ([5, list(range(65))], "invalid_request"),
    "logit_bias": ([[1], {str(n): 0 for n in range(1025)}], "invalid_request"),
    "service_tier": ([1], "invalid_request"),
}
INSIDE: dict[str, Any] = {
    "stop_token_ids[0]": {"stop_token_ids": [-1]},
    "stop_token_ids[1]": {"stop_token_ids": [0, 2**31]},
    "logit_bias[...]": {"logit_bias": {"5": 100.5}},
    "logit_bias": {"logit_bias": {"five": 1}},
    "prompt_cache_options.prewarm": {"prompt_cache_options": {"prewarm": "yes"}},
    "reasoning.mode": {"reasoning": {"mode": 1}},
}
ELSEWHERE = {"input", "conversation", "context_management", "service_tier"}  # with tests of their own


class Asked:
    """A script that remembers what the engine was asked, and says two words."""

    def __init__(self) -> None:
        self.requests: list[EngineRequest] = []

    def __call__(self, request: EngineRequest) -> list[str]:
        self.requests.append(request)
        return ["two ", "words"]

    @property
    def sampling(self) -> Sampling:
        return self.requests[-1].sampling


def rows(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), rows(ECHOED))
async def test_it_is_echoed_from_the_first_event_to_the_last(name: str, value: Any) -> None:
    async with running(Asked(), family=TAGGED, seeds_are_free=False) as server, server.client() as client:
        await client.send("response.create", input="x", **{name: value})
        events = await client.until_done()
        assert events[-1]["type"] == "response.completed"
        assert events[0]["response"][name] == events[-1]["response"][name] == value


@pytest.mark.parametrize(("name", "value"), rows(ACCEPTED))
async def test_it_is_accepted_and_changes_nothing(name: str, value: Any) -> None:
    script = Asked()
    async with running(script, seeds_are_free=False) as server, server.client() as client:
        plain = (await client.create("x"))[-1]["response"]
        response = (await client.create("x", **{name: value}))[-1]["response"]
        own = {"id", "created_at", "completed_at", "output"}
        assert {key: value for key, value in response.items() if key not in own} == {
            key: value for key, value in plain.items() if key not in own
        }
        assert response["output"][0]["content"][0]["text"] == plain["output"][0]["content"][0]["text"] == "two words"
    first, second = script.requests
    ours = {"request_id": "", "cache_salt": None}
    logprobs = msgspec.structs.replace(second.sampling, num_logprobs=None)
    assert msgspec.structs.replace(first, **ours) == msgspec.structs.replace(second, **ours, sampling=logprobs)


@pytest.mark.parametrize("tier", TIERS)
async def test_every_service_tier_is_the_default_one(tier: str) -> None:
    script = Asked()
    async with running(script, seeds_are_free=False) as server, server.client() as client:
        assert (await client.create("x", service_tier=tier))[-1]["response"]["service_tier"] == "default"
    assert script.requests[0].priority == 0


@pytest.mark.parametrize(("name", "value"), rows({name: values for name, (values, _) in REFUSED.items()}))
async def test_it_is_refused_by_name_and_the_socket_goes_on(name: str, value: Any) -> None:
    async with running(Asked(), seeds_are_free=False) as server, server.client() as client:
        await client.send("response.create", input="x", **{name: value})
        assert_error(await client.receive(), REFUSED[name][1], param=name)
        assert (await client.create("x"))[-1]["type"] == "response.completed"


@pytest.mark.parametrize(("path", "members"), INSIDE.items())
async def test_what_is_wrong_inside_of_it_is_named(path: str, members: dict[str, Any]) -> None:
    async with running(Asked(), seeds_are_free=False) as server, server.client() as client:
        await client.send("response.create", input="x", **members)
        assert_error(await client.receive(), "invalid_request", 400, param=path)


SAMPLED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"temperature": 0.25, "top_p": 0.75}, {"temperature": 0.25, "top_p": 0.75}),
    ({"presence_penalty": 1.0, "frequency_penalty": -1.0}, {"presence_penalty": 1.0, "frequency_penalty": -1.0}),
    ({"top_k": 3, "min_p": 0.5, "repetition_penalty": 1.5}, {"top_k": 3, "min_p": 0.5, "repetition_penalty": 1.5}),
    ({"seed": 7, "ignore_eos": True}, {"seed": 7, "ignore_eos": True}),
    ({"stop": "x"}, {"stop": ()}),  # they are looked for in the text of messages only, which the engine can't tell
    ({"stop_token_ids": [5, 7]}, {"stop_token_ids": (5, 7)}),
    ({"logit_bias": {"5": -100, "7": 0.5}}, {"logit_bias": {5: -100.0, 7: 0.5}}),
    ({"logit_bias": {}, "stop_token_ids": []}, {"logit_bias": None, "stop_token_ids": ()}),
    ({"max_output_tokens": 9}, {"max_tokens": 9}),
    ({"top_logprobs": 4}, {"num_logprobs": None}),
    ({"top_logprobs": 4, "include": ["message.output_text.logprobs"]}, {"num_logprobs": 4}),
    ({"include": ["message.output_text.logprobs"]}, {"num_logprobs": 0}),
    ({"generate": False}, {"max_tokens": 1}),
    ({"prompt_cache_options": {"prewarm": True}, "generate": True}, {"max_tokens": 1}),
]


@pytest.mark.parametrize(("members", "sampling"), SAMPLED)
async def test_the_engine_is_asked_for_it(members: dict[str, Any], sampling: dict[str, Any]) -> None:
    script = Asked()
    async with running(script, seeds_are_free=False) as server, server.client() as client:
        await client.create("x", **members)
    assert {name: getattr(script.sampling, name) for name in sampling} == sampling


async def test_prewarming_generates_nothing() -> None:
    async with running(Asked(), seeds_are_free=False) as server, server.client() as client:
        events = await client.create("x", prompt_cache_options={"prewarm": True})
        assert [event["type"] for event in events] == ["response.created", "response.completed"]
        assert events[-1]["response"]["output"] == []


async def test_a_stop_token_ends_the_answer_and_is_no_part_of_it() -> None:
    async with running(Asked(), seeds_are_free=False) as server, server.client() as client:
        events = await client.create("x", stop_token_ids=[ScriptedTokenizer().token_id("words")])
        (item,) = events[-1]["response"]["output"]
        assert events[-1]["response"]["usage"]["output_tokens"] == 2
        assert item["content"][0]["text"] == "two "
        assert item["status"] == "completed"


async def test_without_parallel_calls_there_is_one() -> None:
    twice = (*called("f", {}), *called("f", {"a": 1}))
    async with running(say(*twice), family=TAGGED) as server, server.client() as client:
        made = [(await client.create("x", tools=[F], parallel_tool_calls=value))[-1] for value in (False, True, None)]
    assert [len(last["response"]["output"]) for last in made] == [1, 2, 2]


def test_every_member_that_the_sdk_knows_has_a_row() -> None:
    from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming  # half a second

    known = set(ResponseCreateParamsNonStreaming.__annotations__)
    for base in ResponseCreateParamsNonStreaming.__orig_bases__:  # type: ignore[attr-defined]
        known |= set(getattr(base, "__annotations__", {}))
    assert known - ECHOED.keys() - ACCEPTED.keys() - REFUSED.keys() == ELSEWHERE - {"service_tier"}
