"""Compaction over real sockets: by threshold, by trigger, by request; foreign, changed; chains without end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import CompactedResponse

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Fail, Pause, ScriptedTokenizer, Step
from tests.support.patience import SECONDS
from tests.support.server import Running, changed, running
from tests.support.steps import begin, engine_holds, make_keys, until

SMALL: dict[str, Any] = {"max_model_len": 4096}  # bytes are tokens here


def sdk(server: Running, key: str = "unused") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{server.http}/v1", api_key=key, max_retries=0)


def prompt_of(request: EngineRequest) -> str:
    return ScriptedTokenizer().decode(request.prompt_token_ids)


def is_summary(request: EngineRequest) -> bool:
    return "Write the summary of all of this." in prompt_of(request)


class Model:
    """Writes summaries when it is asked for one, answers otherwise; keeps what it was given."""

    def __init__(self, summary: Iterable[Step] = ("SUM",), answer: Callable[[], Iterable[Step]] | None = None) -> None:
        self.summaries: list[str] = []
        self.prompts: list[str] = []
        self.num_tokens = 0  # of the longest prompt
        self._summary = summary
        self._answer = answer or (lambda: [f"answer {len(self.prompts)}"])

    def __call__(self, request: EngineRequest) -> Iterable[Step]:
        self.num_tokens = max(self.num_tokens, len(request.prompt_token_ids))
        if is_summary(request):
            self.summaries.append(prompt_of(request))
            return self._summary
        self.prompts.append(prompt_of(request))
        return self._answer()


def managed(threshold: int | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "compaction"}
    return {"context_management": [entry if threshold is None else {**entry, "compact_threshold": threshold}]}


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


async def test_above_the_threshold_the_history_is_compacted_before_the_answer() -> None:
    model = Model()
    async with running(model, **SMALL) as server, server.client() as socket:
        *_, last = await socket.create("first " + "x" * 300, **managed(550))
        assert [item["type"] for item in last["response"]["output"]] == ["message"]
        events = await socket.create("second " + "y" * 200, previous_response_id=last["response_id"], **managed(550))
        assert kinds(events)[:5] == [
            "created", "in_progress", "output_item.added", "compaction.compacting", "output_item.done",
        ]  # fmt: skip
        added, compacting, done = events[2:5]
        assert added["item"] == {"type": "compaction", "id": added["item"]["id"], "encrypted_content": ""}
        assert added["item"]["id"][:4] == "cmp_"
        assert (compacting["item_id"], compacting["output_index"]) == (added["item"]["id"], 0)
        assert done["item"]["encrypted_content"].startswith("rt1.")
        last = events[-1]
        assert [item["type"] for item in last["response"]["output"]] == ["compaction", "message"]
        (summary,) = model.summaries
        assert "first xxx" in summary
        assert "second" not in summary, "the newest message is kept as it was"
        assert "Summary of the conversation so far:\nSUM" in model.prompts[-1]
        assert "second yyy" in model.prompts[-1]
        assert "first xxx" not in model.prompts[-1]
        usage = last["response"]["usage"]
        read = [ScriptedTokenizer().encode(prompt) for prompt in (model.summaries[0], model.prompts[-1])]
        assert usage["input_tokens"] == sum(map(len, read))
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        assert usage["output_tokens"] == 2 + 2, "two tokens of summary, two of answer"
        # the chain goes on from what is left, and does not compact again at once
        events = await socket.create("third", previous_response_id=last["response_id"], **managed(900))
        assert [item["type"] for item in events[-1]["response"]["output"]] == ["message"]
        assert "SUM" in model.prompts[-1]
        assert "second yyy" in model.prompts[-1]
        assert len(model.summaries) == 1


async def test_a_trigger_asks_for_it_and_the_output_is_the_compaction() -> None:
    model = Model()
    async with running(model, **SMALL) as server, server.client() as socket:
        *_, first = await socket.create("my name is Ada")
        await socket.send(
            "response.create", input=[{"type": "compaction_trigger"}], previous_response_id=first["response_id"]
        )
        *_, last = await socket.until_done()
        assert last["type"] == "response.completed"
        (item,) = last["response"]["output"]
        assert item["type"] == "compaction"
        assert len(model.prompts) == 1, "nothing is answered"
        await socket.create("what is it?", previous_response_id=last["response_id"])
        assert "- my name is Ada" in model.prompts[-1]
        assert "SUM" in model.prompts[-1]
        assert "answer 1" not in model.prompts[-1]
        # the same by a client that keeps its history itself
        await socket.send("response.create", input=[item, user("what is it?")])
        await socket.until_done()
        assert model.prompts[-1] == model.prompts[-2]
        for items, param in (
            ([{"type": "compaction_trigger"}, user("x")], "input[0]"),
            ([{"type": "compaction_trigger"}] * 2, "input[0]"),
        ):
            await socket.send("response.create", input=items)
            (refused,) = await socket.until_done()
            assert (refused["error"]["code"], refused["error"]["param"]) == ("invalid_request", param)
        await socket.send("response.create", input=[{"type": "compaction_trigger"}])
        *_, failed = await socket.until_done()
        assert failed["response"]["error"]["code"] == "invalid_prompt"


async def test_a_compacted_history_begins_a_new_chain_over_either_door() -> None:
    """Tests 11, 16 and 17 of the Open Responses suite, and the SDK's own type."""
    model = Model()
    async with running(model, **SMALL) as server, sdk(server) as client:
        history: Any = [user("The code is 4711."), {"role": "assistant", "content": "Noted."}, user("Thanks.")]
        made = await client.responses.compact(
            model="starter", input=history, instructions="Be brief.", prompt_cache_key="key"
        )
        own = {**made.to_dict(warnings=False), "output": [made.output[-1].to_dict()]}
        CompactedResponse.model_validate(own, strict=True)  # users' messages are in no output by the SDK's types
        assert (made.object, made.id[:5]) == ("response.compaction", "resp_")
        assert [item.type for item in made.output] == ["message", "message", "compaction"]
        assert [item.content[0].text for item in made.output[:2]] == ["The code is 4711.", "Thanks."]  # type: ignore
        assert made.usage.total_tokens > 0
        output: Any = [item.to_dict(warnings=False) for item in made.output]
        asked: Any = [*output, user("Which code?")]
        async with server.client() as socket:
            await socket.send("response.create", input=asked)
            *_, last = await socket.until_done()
            assert last["type"] == "response.completed"
        over_http = await client.responses.create(model="starter", input=asked)
        assert over_http.status == "completed"
        assert model.prompts[-1] == model.prompts[-2]
        for said in ("SUM", "- The code is 4711.", "Thanks.", "Which code?"):
            assert said in model.prompts[-1]
        again = await client.responses.compact(model="starter", input=output)
        assert len(model.summaries) == 1, "there is nothing new to summarize"
        assert [item.type for item in again.output] == [item.type for item in made.output]
        by_id = await client.responses.compact(model="starter", previous_response_id=over_http.id)
        assert [item.type for item in by_id.output][-1] == "compaction"
        text = await client.responses.compact(model="starter", input="just this")
        assert [item.type for item in text.output] == ["message", "compaction"]
        async with httpx2.AsyncClient(base_url=server.http, timeout=SECONDS) as http:
            for path in ("/v1/responses/compact", "/responses/compact"):
                answer = await http.post(path, json={"input": "x"})
                assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
            for body, status, code in (
                ({"model": "other", "input": "x"}, 404, "model_not_found"),
                ({"model": "starter"}, 400, "invalid_prompt"),
                ({"model": "starter", "previous_response_id": "resp_x"}, 400, "previous_response_not_found"),
                ({"model": "starter", "input": [{"type": "nonsense"}]}, 400, "invalid_request"),
            ):
                answer = await http.post("/v1/responses/compact", json=body)
                assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("threshold", [None, 900, 100_000], ids=["default", "low", "beyond the window"])
async def test_a_long_session_never_runs_into_the_end_of_the_window(threshold: int | None) -> None:
    model = Model(summary=["S" * 200], answer=lambda: ["word " * 20])
    async with running(model, max_model_len=2048) as server, server.client() as socket:
        previous, compactions = None, 0
        for turn in range(40):
            members: dict[str, Any] = {"previous_response_id": previous} if previous else {}
            *_, last = await socket.create(f"turn {turn}: " + "z" * (turn * 13 % 250), **members, **managed(threshold))
            assert last["type"] == "response.completed", last["response"]["error"]
            previous = last["response_id"]
            compactions += last["response"]["output"][0]["type"] == "compaction"
            assert f"turn {turn}:" in model.prompts[-1]
        assert 3 < compactions < 40
        assert model.num_tokens < 2048


async def test_a_long_tool_loop_never_runs_into_the_end_of_the_window() -> None:
    """One question, then call after call: everything happens in one exchange."""
    model = Model(summary=["S" * 100])
    async with running(model, max_model_len=4096) as server, server.client() as socket:
        items: list[dict[str, Any]] = [user("do it all")]
        for turn in range(30):
            await socket.send("response.create", input=items, **managed(2000))
            *_, last = await socket.until_done()
            assert last["type"] == "response.completed", last["response"]["error"]
            assert "do it all" in model.prompts[-1]
            # what a client does that keeps its history: everything since the last compaction
            items += last["response"]["output"]
            cuts = [index for index, item in enumerate(items) if item.get("type") == "compaction"]
            items = items[cuts[-1] :] if cuts else items
            call = {"type": "function_call", "call_id": f"call_{turn}", "name": "f", "arguments": "{}"}
            items += [call, {"type": "function_call_output", "call_id": f"call_{turn}", "output": "o" * 300}]
        assert len(model.summaries) > 2


@pytest.mark.parametrize("length", [3_600, 40_000, 400_000])
async def test_what_is_longer_than_the_window_is_summarized_in_pieces(length: int) -> None:
    model = Model(summary=["PART"])
    async with running(model, max_model_len=4096) as server, sdk(server) as client:
        big = "begin " + "lorem ipsum " * (length // 12) + " end"
        history: Any = [user("remember"), {"role": "assistant", "content": big}, user("now what?")]
        answer = await client.responses.create(model="starter", input=history, extra_body=managed())
        assert (answer.status, [item.type for item in answer.output]) == ("completed", ["compaction", "message"])
        assert 1 <= len(model.summaries) <= 40
        assert model.num_tokens < 4096
        assert "begin lorem" in model.summaries[0]
        assert " end" in model.summaries[-1]
        assert all("PART" in summary for summary in model.summaries[1:]), "each with the summary of those before it"
        alone = await client.responses.create(model="starter", input=big, extra_body=managed())
        assert alone.status == "completed"
        assert "characters left out" in model.prompts[-1]


async def test_a_model_that_writes_no_summary_costs_detail_and_not_the_session() -> None:
    model = Model(summary=[])
    async with running(model, max_model_len=4096) as server, server.client() as socket:
        *_, last = await socket.create("first " + "x" * 400)
        *_, last = await socket.create("second", previous_response_id=last["response_id"], **managed(400))
        assert last["response"]["output"][0]["type"] == "compaction"
        assert "User: first xxx" in model.prompts[-1]


async def test_no_compaction_where_it_would_gain_nothing() -> None:
    model = Model()
    async with running(model, max_model_len=4096) as server, server.client() as socket:
        *_, last = await socket.create("hi", instructions="i" * 500, **managed(100))
        assert (last["type"], model.summaries) == ("response.completed", [])


async def test_an_engine_that_fails_while_summarizing_fails_the_response() -> None:
    model = Model(summary=["S", Fail()])
    async with running(model, max_model_len=4096) as server, server.client() as socket:
        *_, first = await socket.create("first " + "x" * 400)
        events = await socket.create("second", previous_response_id=first["response_id"], **managed(400), stream_id="x")
        assert kinds(events)[-3:] == ["compaction.compacting", "output_item.done", "failed"]
        assert events[-2]["item"]["encrypted_content"] == ""
        assert events[-1]["response"]["error"]["code"] == "server_error"


async def test_a_cancel_while_summarizing_lets_go_of_the_engine_and_changes_nothing() -> None:
    model = Model(summary=["S", Pause(1_000_000)])
    async with running(model, max_model_len=4096) as server, server.client(native=True) as socket:
        *_, first = await socket.create("first " + "x" * 400)
        response_id = await begin(socket, "second", previous_response_id=first["response_id"], **managed(400))
        await until(lambda: engine_holds(server) == 1 and len(model.summaries) == 1)
        await socket.send("response.cancel", response_id=response_id)
        events = await socket.until_done()
        assert events[-1]["response"]["status"] == "cancelled"
        assert engine_holds(server) == 0
        (item,) = events[-1]["response"]["output"]
        assert item["encrypted_content"] == ""
        # what was cut stands for nothing, in the chain and in the hands of the client
        *_, last = await socket.create("third", previous_response_id=response_id)
        assert "first xxx" in model.prompts[-1]
        await socket.send("response.create", input=[user("one"), item, user("two")])
        *_, last = await socket.until_done()
        assert last["type"] == "response.completed"
        assert "one" in model.prompts[-1]


async def test_a_conversation_is_compacted_and_goes_on() -> None:
    model = Model()
    async with running(model, **SMALL) as server, sdk(server) as client, server.client() as socket:
        made = await client.conversations.create()
        for turn in range(6):
            *_, last = await socket.create(f"{turn} " + "x" * 200, conversation=made.id, **managed(700))
            assert last["type"] == "response.completed"
        items = [item async for item in client.conversations.items.list(made.id, order="asc")]
        listed = [item.type for item in items]
        assert listed.count("message") == 12, "all of it stays in the list"
        assert 1 <= listed.count("compaction") < 6
        assert all(len(prompt.encode()) < 1000 for prompt in model.prompts)
        assert "SUM" in model.prompts[-1]
        assert 'summary":' not in repr(items)


async def test_a_foreign_a_changed_and_a_later_servers_compaction(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "alice", "bob")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    blob = ""

    async def refused(who: openai.AsyncOpenAI, content: str) -> Any:
        items: Any = [user("hi"), {"type": "compaction", "encrypted_content": content}, user("so?")]
        with pytest.raises(openai.BadRequestError) as caught:
            await who.responses.create(model="starter", input=items)
        return caught.value

    async with (
        running(Model(), settings, **SMALL) as server,
        sdk(server, keys["alice"]) as alice,
        sdk(server, keys["bob"]) as bob,
    ):
        history: Any = [user("secret"), {"role": "assistant", "content": "x"}]
        made: Any = await alice.responses.compact(model="starter", input=history)
        blob = made.output[-1].encrypted_content
        middle = len(blob) // 2
        flipped = blob[:middle] + ("A" if blob[middle] != "A" else "B") + blob[middle + 1 :]
        for who, content in ((bob, blob), (alice, flipped), (alice, blob[:-8]), (alice, "gAAAAA=="), (alice, " ")):
            error = await refused(who, content)
            assert (error.code, error.param) == ("invalid_encrypted_content", "input[1].encrypted_content")
            assert "secret" not in str(error)
        own: Any = [{"type": "compaction", "encrypted_content": blob}, user("so?")]
        assert (await alice.responses.create(model="starter", input=own)).status == "completed"
        conversation = await alice.conversations.create()
        bad: Any = [{"type": "compaction", "encrypted_content": flipped}]
        with pytest.raises(openai.BadRequestError) as caught:
            await alice.conversations.items.create(conversation.id, items=bad)
        assert caught.value.param == "items[0].encrypted_content"
    async with running(Model(), settings, **SMALL) as restarted, sdk(restarted, keys["alice"]) as alice:
        assert (await refused(alice, blob)).code == "invalid_encrypted_content"


async def test_many_compact_at_once_within_the_bounds_of_responses() -> None:
    model = Model()
    settings = changed(max_running_responses=2)
    async with running(model, settings, **SMALL) as server, sdk(server) as client:
        items: Any = [user("x"), {"role": "assistant", "content": "y"}]
        made = await asyncio.gather(*(client.responses.compact(model="starter", input=items) for _ in range(20)))
        assert len({one.id for one in made}) == 20
        assert server.gateway.service.num_running == 0


async def test_a_tool_that_came_with_an_item_is_still_there_after_a_compaction() -> None:
    model = Model()
    async with running(model, **SMALL) as server, server.client() as socket:
        tool = {"type": "function", "name": "look_up", "parameters": {"type": "object"}}
        await socket.send("response.create", input=[{"type": "additional_tools", "tools": [tool]}, user("x" * 300)])
        *_, first = await socket.until_done()
        assert "look_up" in model.prompts[-1]
        *_, last = await socket.create("second", previous_response_id=first["response_id"], **managed(400))
        assert [item["type"] for item in last["response"]["output"]] == ["compaction", "message"]
        assert "look_up" in model.prompts[-1]
        await socket.create("third", previous_response_id=last["response_id"])
        assert "look_up" in model.prompts[-1]
        # and for a client that sends everything that it has, what was before the compaction too
        held = [{"type": "additional_tools", "tools": [tool]}, user("x"), *last["response"]["output"], user("third")]
        await socket.send("response.create", input=held)
        *_, last = await socket.until_done()
        assert last["type"] == "response.completed"
        assert "look_up" in model.prompts[-1]
        assert model.prompts[-1] == model.prompts[-2]
