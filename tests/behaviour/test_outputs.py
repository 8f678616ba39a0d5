"""Outputs of tools over real sockets and HTTP: all of them, each once, and what is said of those that are missing."""

from __future__ import annotations

from typing import Any

from tests.behaviour.test_steer import TOOLS, Recorder
from tests.support.calls import TAGGED, spoken_call
from tests.support.http import assert_refused, http
from tests.support.server import Client, running
from tests.support.steps import begin, finish, resume, take_all, until
from tests.support.transcript import assert_error

PATH = "/v1/responses"
TWO = (*spoken_call("look", "{}"), *spoken_call("look", "{}"))


def outputs(*calls: dict[str, Any], text: str = "42") -> list[dict[str, Any]]:
    return [{"type": "function_call_output", "call_id": call["call_id"], "output": text} for call in calls]


async def called(client: Client, **members: Any) -> tuple[str, list[dict[str, Any]]]:
    """A response that ends with two calls."""
    final = (await client.create("hi", tools=TOOLS, **members))[-1]["response"]
    return final["id"], final["output"]


async def test_on_a_chain_every_call_is_answered_and_every_branch_answers_for_itself() -> None:
    recorder = Recorder(TWO, ("ok",))
    async with running(recorder, family=TAGGED) as server, server.client() as client, http(server) as door:
        response_id, (first, second) = await called(client)
        for given in ("hello", outputs(first), outputs(second)):
            body = {"input": given, "previous_response_id": response_id}
            await client.send("response.create", **body, event_id="e")
            error = await client.receive()
            assert_error(error, "missing_tool_output", 400, param="input")
            assert error["event_id"] == "e"
            refused = assert_refused(await door.post(PATH, json=body), "missing_tool_output", 400, "input")
            missing = [call["call_id"] for call in (first, second) if call["call_id"] not in str(given)]
            assert "No tool output found for function call" in refused["message"]
            assert [call["call_id"] in refused["message"] for call in (first, second)] == [
                call["call_id"] in missing for call in (first, second)
            ]
        assert len(recorder.prompts) == 1
        for text in ("<4711>", "<4712>"):
            given = outputs(first, second, text=text)
            assert (await client.create(given, previous_response_id=response_id))[-1]["type"] == "response.completed"
            assert recorder.prompts[-1].count(text) == 2


async def test_outputs_may_be_missing_where_that_is_allowed_and_where_nothing_is_answered() -> None:
    recorder = Recorder(TWO, ("ok",))
    async with running(recorder, family=TAGGED) as server, server.client() as client:
        response_id, (first, _) = await called(client)
        for members in ({"allow_missing_outputs": True}, {"generate": False}):
            events = await client.create(outputs(first), previous_response_id=response_id, **members)
            assert events[-1]["type"] == "response.completed", members
        child = events[-1]["response_id"]
        assert (await client.create("x", previous_response_id=child))[-1]["type"] == "response.completed"


async def test_a_call_that_was_cut_short_needs_no_output() -> None:
    recorder = Recorder((*spoken_call("look", "{}"), *spoken_call("look", "{", '"a"', ": 1}")), ("ok",))
    async with (
        running(recorder, family=TAGGED, tick_seconds=None) as server,
        server.client(native=True) as client,
    ):
        response_id = await begin(client, tools=TOOLS)
        server.engine.step(7)
        while (await client.receive())["type"] != "response.output_item.done":
            pass
        await client.send("response.cancel", response_id=response_id)
        final = (await client.until_done(response_id))[-1]["response"]
        done, cut = final["output"]
        assert (done["status"], cut["status"]) == ("completed", "incomplete")
        resumed = (await resume(client, response_id))["resumed"]
        assert resumed["pending_calls"] == [{"call_id": done["call_id"], "type": "function_call", "name": "look"}]
        await take_all(client, response_id)
        await client.send("response.create", input="x", previous_response_id=response_id)
        assert_error(await client.receive(), "missing_tool_output", 400)
        await client.send("response.create", input=outputs(done), previous_response_id=response_id)
        await until(lambda: server.gateway.service.num_running == 1)
        await finish(server)
        assert (await client.until_done())[-1]["type"] == "response.completed"


async def test_a_call_that_was_truncated_away_needs_no_output() -> None:
    recorder = Recorder(("text", *TWO), ("ok",))
    async with running(recorder, family=TAGGED) as server, server.client() as client:
        final = (await client.create("hi", tools=TOOLS))[-1]["response"]
        message = final["output"][0]
        await client.send("response.truncate", response_id=final["id"], item_id=message["id"], num_characters=4)
        assert (await client.receive())["response"]["output"] == [message]
        assert (await client.create("x", previous_response_id=final["id"]))[-1]["type"] == "response.completed"


async def test_in_a_conversation_an_output_is_final() -> None:
    recorder = Recorder(TWO, ("ok",))
    async with running(recorder, family=TAGGED) as server, server.client() as client, http(server) as door:
        name = (await door.post("/v1/conversations", json={})).json()["id"]
        response_id, (first, second) = await called(client, conversation=name)
        await client.send("response.create", input=outputs(first), conversation=name)
        assert_error(await client.receive(), "missing_tool_output", 400, param="input")
        resumed = (await resume(client, response_id))["resumed"]
        assert [one["call_id"] for one in resumed["pending_calls"]] == [first["call_id"], second["call_id"]]
        await take_all(client, response_id)
        items = f"/v1/conversations/{name}/items"
        posted = (await door.post(items, json={"items": outputs(first)})).json()["data"][0]
        refused = assert_refused(
            await door.post(items, json={"items": outputs(first, text="43")}),
            "tool_output_already_accepted",
            409,
            "input",
        )
        kept = {name: value for name, value in posted.items() if name not in ("created_at", "response_id")}
        assert refused["item"] == kept
        body = {"input": outputs(first, second), "conversation": name}
        await client.send("response.create", **body)
        error = await client.receive()
        assert_error(error, "tool_output_already_accepted", 409, param="input")
        assert error["error"]["item"] == kept
        assert_refused(await door.post(PATH, json=body), "tool_output_already_accepted", 409, "input")
        request = {"conversation": name, "request_id": "r"}
        answered = (await client.create(outputs(second), **request))[-1]
        assert answered["type"] == "response.completed"
        again = await client.create(outputs(second), **request)
        assert again[-1]["response_id"] == answered["response_id"], "only the same request attaches"
        assert (await resume(client, response_id))["resumed"]["pending_calls"] == []


async def test_what_waits_in_a_conversation_is_told_when_its_turn_comes() -> None:
    recorder = Recorder(TWO, ("ok",))
    async with (
        running(recorder, family=TAGGED, tick_seconds=None) as server,
        server.client() as client,
        server.client() as other,
        http(server) as door,
    ):
        name = (await door.post("/v1/conversations", json={})).json()["id"]
        await begin(client, "hi", conversation=name, tools=TOOLS)
        await other.send("response.create", input="meanwhile", conversation=name)
        await until(lambda: server.gateway.service.num_running == 2)
        await finish(server)
        made = (await client.until_done())[-1]["response"]["output"]
        failed = (await other.until_done())[-1]["response"]
        assert failed["error"]["code"] == "missing_tool_output"
        assert made[0]["call_id"] in failed["error"]["message"]
        both = {"input": outputs(*made), "conversation": name}
        await client.send("response.create", **both)
        await until(lambda: server.gateway.service.num_running == 1)
        await other.send("response.create", **both)
        await until(lambda: server.gateway.service.num_running == 2)
        await finish(server)
        assert (await client.until_done())[-1]["type"] == "response.completed"
        assert (await other.until_done())[-1]["response"]["error"]["code"] == "tool_output_already_accepted"


async def test_an_output_that_a_running_response_has_brought_can_not_be_posted_beside_it() -> None:
    recorder = Recorder(TWO, ("ok",))
    async with (
        running(recorder, family=TAGGED, tick_seconds=None) as server,
        server.client() as client,
        http(server) as door,
    ):
        name = (await door.post("/v1/conversations", json={})).json()["id"]
        await begin(client, "hi", conversation=name, tools=TOOLS)
        await finish(server)
        made = (await client.until_done())[-1]["response"]["output"]
        await client.send("response.create", input=outputs(*made), conversation=name)
        await until(lambda: len(recorder.prompts) == 2)
        items = f"/v1/conversations/{name}/items"
        for call in made:
            answer = await door.post(items, json={"items": outputs(call, text="43")})
            assert_refused(answer, "tool_output_already_accepted", 409, "input")
        assert (await door.post(items, json={"items": [{"role": "user", "content": "x"}]})).status_code == 200
        await finish(server)
        assert (await client.until_done())[-1]["type"] == "response.completed"
        listed = (await door.get(items, params={"limit": 100})).json()["data"]
        assert sorted(item["output"] for item in listed if item["type"] == "function_call_output") == ["42", "42"]
