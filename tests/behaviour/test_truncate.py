"""Truncation: what continues an answer holds what its user heard of it and nothing else, whoever asks, however late."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx2
import pytest

from realtime.engine.scripted import Fail, ScriptedTokenizer, say
from tests.behaviour.test_steer import Recorder
from tests.support.calls import TAGGED, spoken_call
from tests.support.http import assert_refused, http
from tests.support.patience import SECONDS
from tests.support.server import Client, Running, changed, running
from tests.support.steps import begin, finish, make_keys, resume, take_all, until
from tests.support.transcript import assert_error

PATH = "/v1/responses"
WORDS = (
    "one ",
    "zwei ",
    "tr\N{LATIN SMALL LETTER E WITH ACUTE}s ",
    "\N{SMILING FACE WITH SUNGLASSES}",
    " and ",
    "five",
)
ANSWER = "".join(WORDS)
FEW = ("a ", "zw\N{LATIN SMALL LETTER E WITH ACUTE} ", "\N{SMILING FACE WITH SUNGLASSES}", "b")
FIRST_DELTA = 4  # created, in_progress, item added, part added
TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]


def rendered(*said: str) -> str:
    """The prompt of a chat: the user's words and the model's by turns, where there are any."""
    roles = ["user" if index % 2 == 0 else "assistant" for index in range(len(said))]
    messages = [{"role": role, "content": text} for role, text in zip(roles, said, strict=True) if text]
    prompt = ScriptedTokenizer().apply_chat_template(messages)
    assert isinstance(prompt, str)
    return prompt


def heard_through(number: int, words: tuple[str, ...] = WORDS) -> str:
    return "".join(words[: max(0, number - FIRST_DELTA + 1)])


def every_place(words: tuple[str, ...]) -> list[tuple[dict[str, Any], str, int]]:
    """Each as the members that name it, the text that is left, and `truncated.through`."""
    by_number = [({"through": n}, heard_through(n, words), n) for n in range(-1, FIRST_DELTA + len(words))]
    by_characters = []
    for num in range(len("".join(words)) + 1):
        begun = sum(len("".join(words[:n])) < num for n in range(len(words)))
        through = FIRST_DELTA - 1 + begun if begun else FIRST_DELTA - 2
        by_characters.append(({"item_id": "$", "num_characters": num}, "".join(words)[:num], through))
    return [*by_number, *by_characters]


async def truncate(client: Client, response_id: str, **members: Any) -> list[dict[str, Any]]:
    """Everything up to the answer of a truncation."""
    await client.send("response.truncate", response_id=response_id, event_id="cut", **members)
    events = [await client.receive()]
    while events[-1].get("event_id") != "cut":
        events.append(await client.receive())
    return events


def said(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] for part in item.get("content", ()))


def at(members: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """The members with the id of this item, if they are to name one."""
    return {**members, "item_id": item["id"]} if "item_id" in members else members


async def check_next(client: Client, recorder: Recorder, left: str, **members: Any) -> None:
    """The next turn is given exactly the history with what is left."""
    number = len(recorder.prompts)
    events = await client.create("NEXT", **members)
    assert events[-1]["type"] == "response.completed", events[-1]
    assert recorder.prompts[number] == rendered("hi", left, "NEXT")


async def new_conversation(door: httpx2.AsyncClient) -> str:
    return str((await door.post("/v1/conversations", json={})).json()["id"])


def quick(server: Running) -> httpx2.AsyncClient:
    """A door whose answers are not checked, for tests that use it hundreds of times."""
    return httpx2.AsyncClient(base_url=server.http, trust_env=False, timeout=SECONDS)


# -- every place, in every way


@pytest.mark.parametrize(
    ("in_conversation", "over_http"), [(False, False), (True, True)], ids=["chain", "conversation"]
)
async def test_a_finished_answer_can_be_cut_at_every_place(in_conversation: bool, over_http: bool) -> None:
    recorder = Recorder(*[FEW, ("ok",)] * 60)
    async with running(recorder) as server, server.client() as client, quick(server) as door:
        for members, left, through in every_place(FEW):
            where = {"conversation": await new_conversation(door)} if in_conversation else {}
            final = (await client.create("hi", **where))[-1]["response"]
            log = (await door.get(f"{PATH}/{final['id']}", params={"stream": "true"})).text
            place = at(members, final["output"][0])
            if over_http:
                answered = await door.post(f"{PATH}/{final['id']}/truncate", json=place)
                assert answered.status_code == 200, answered.text
                cut = answered.json()
            else:
                [event] = await truncate(client, final["id"], **place)
                assert (event["type"], event["done"], "response_id" in event) == ("response.truncated", True, False)
                cut = event["response"]
            assert (said(cut), cut["truncated"]) == (left, {"through": through}), members
            assert [item["status"] for item in cut["output"]] == (
                [] if not left else ["completed" if left == "".join(FEW) else "incomplete"]
            )
            unchanged = {"output", "truncated"}
            assert {k: v for k, v in cut.items() if k not in unchanged} == {
                k: v for k, v in final.items() if k not in unchanged
            }
            assert (await door.get(f"{PATH}/{final['id']}")).json() == cut
            assert (await door.get(f"{PATH}/{final['id']}", params={"stream": "true"})).text == log, "byte for byte"
            following = where or {"previous_response_id": final["id"]}
            await client.create("NEXT", **following)
            assert recorder.prompts[-1] == rendered("hi", left, "NEXT")
            ids = list(recorder.requests[-1].prompt_token_ids)
            if left != "".join(FEW):  # of an answer that is whole, the very tokens that were generated
                assert ids == ScriptedTokenizer().encode(recorder.prompts[-1])
            if in_conversation:
                page = (await door.get(f"/v1/conversations/{where['conversation']}/items?order=asc")).json()
                texts = [item["content"][0]["text"] for item in page["data"]]
                assert texts == ["hi", *([left] if left else []), "NEXT", "ok"]


@pytest.mark.parametrize(("in_conversation", "follows"), [(False, True), (True, False)], ids=["chain", "conversation"])
async def test_a_running_answer_can_be_cut_at_every_place(in_conversation: bool, follows: bool) -> None:
    recorder = Recorder(*[(*FEW, " and what nobody heard"), ("ok",)] * 60)
    async with (
        running(recorder, tick_seconds=None) as server,
        server.client() as client,
        server.client() as other,
        quick(server) as door,
    ):
        for members, left, through in every_place(FEW):
            where = {"conversation": await new_conversation(door)} if in_conversation else {}
            response_id = await begin(client, "hi", **where)
            server.engine.step(len(FEW))
            events = [await client.receive() for _ in range(len(FEW) + 2)]
            asking = client if follows else other
            *before, answer = await truncate(
                asking, response_id, **at(members, next(event["item"] for event in events if "item" in event))
            )
            assert answer["type"] == "response.truncated", answer
            assert [event["done"] for event in before] == [False] * (len(before) - 1) + [True]
            terminal, cut = before[-1], answer["response"]
            assert (terminal["type"], terminal["response"]) == ("response.incomplete", cut)
            assert (said(cut), cut["truncated"], cut["status"]) == (left, {"through": through}, "cancelled"), members
            assert cut["cancel"]["tokens_generated"] == len(FEW)
            if not follows:
                await client.until_done(response_id)
            following = where or {"previous_response_id": response_id}
            await client.send("response.create", input="NEXT", **following)
            await finish_next(server, client)
            assert recorder.prompts[-1] == rendered("hi", left, "NEXT")


async def finish_next(server: Running, client: Client) -> None:
    await until(lambda: server.gateway.service.num_running == 1)
    await finish(server)
    await client.until_done()


# -- for good


async def test_nothing_comes_back_by_a_larger_place_and_a_smaller_one_cuts_more() -> None:
    recorder = Recorder(WORDS, ("ok",))
    async with running(recorder) as server, server.client() as client:
        final = (await client.create("hi"))[-1]["response"]
        item_id = final["output"][0]["id"]
        asked: list[tuple[dict[str, Any], str, int]] = [
            ({"through": 7}, heard_through(7), 7),
            ({"through": 9}, heard_through(7), 7),
            ({"item_id": item_id, "num_characters": len(ANSWER)}, heard_through(7), 7),
            ({"item_id": item_id, "num_characters": 7}, "one zwe", 5),
            ({"through": 5}, "one zwe", 5),
            ({"through": 4}, "one ", 4),
            ({"through": -1}, "", -1),
            ({"item_id": item_id, "num_characters": 3}, "", -1),
        ]
        for members, left, through in asked:
            [answer] = await truncate(client, final["id"], **members)
            assert (said(answer["response"]), answer["response"]["truncated"]["through"]) == (left, through), members
        assert (await resume(client, final["id"]))["resumed"]["truncated"] == {"through": -1}
        await take_all(client)
        await check_next(client, recorder, "", previous_response_id=final["id"])


async def test_children_that_exist_keep_what_they_had() -> None:
    recorder = Recorder(WORDS, ("child",), ("grandchild",))
    async with running(recorder) as server, server.client() as client:
        parent = (await client.create("hi"))[-1]["response_id"]
        child = (await client.create("NEXT", previous_response_id=parent))[-1]["response_id"]
        await truncate(client, parent, through=4)
        await client.create("more", previous_response_id=child)
        assert recorder.prompts[2] == rendered("hi", ANSWER, "NEXT", "child", "more")
        await check_next(client, recorder, "one ", previous_response_id=parent)


async def test_a_lane_that_holds_the_turn_itself_holds_it_no_more_as_it_was() -> None:
    """Of `store: false` the socket's own copy is all there is; and it is first asked for any turn that it has."""
    for store in (True, False):
        recorder = Recorder(WORDS, ("ok",))
        async with running(recorder) as server, server.client() as client, http(server) as door:
            final = (await client.create("hi", store=store))[-1]["response"]
            answer = await door.post(f"{PATH}/{final['id']}/truncate", json={"through": 5})
            assert answer.status_code == 200
            await check_next(client, recorder, heard_through(5), previous_response_id=final["id"], store=store)


async def test_a_create_right_behind_a_truncation_goes_on_after_what_is_left() -> None:
    recorder = Recorder(WORDS, ("ok",))
    async with running(recorder) as server, server.client() as client:
        final = (await client.create("hi"))[-1]["response"]
        await client.send("response.truncate", response_id=final["id"], through=4)
        await client.send("response.create", input="NEXT", previous_response_id=final["id"], stream_id="other")
        await client.send("response.create", input="free", stream_id="third")
        for _ in range(3):
            await client.until_done()
        assert rendered("hi", "one ", "NEXT") in recorder.prompts


async def test_items_after_the_cut_are_dropped_and_a_call_counts_when_its_end_was_seen() -> None:
    script = ("text ", *spoken_call("look", "{", "}"), *spoken_call("look", "{", "}"), "x")
    async with running(Recorder(script), family=TAGGED) as server, server.client() as client:
        for past_the_end in (False, True):
            events = await client.create("hi", tools=TOOLS)
            done = [e for e in events if e["type"] == "response.output_item.done" and e["output_index"] == 1]
            through = done[0]["sequence_number"] - (not past_the_end)
            [answer] = await truncate(client, events[-1]["response_id"], through=through)
            output = answer["response"]["output"]
            assert [item["type"] for item in output] == ["message", *["function_call"] * past_the_end]
            assert all(item["status"] == "completed" for item in output)


async def test_a_message_after_calls_is_cut_by_its_own_characters() -> None:
    script = ("before ", *spoken_call("look", "{}"), "after it")
    async with running(Recorder(script), family=TAGGED) as server, server.client() as client:
        final = (await client.create("hi", tools=TOOLS))[-1]["response"]
        first, call, last = final["output"]
        [answer] = await truncate(client, final["id"], item_id=last["id"], num_characters=5)
        assert said(answer["response"]) == "before after"
        [error] = await truncate(client, final["id"], item_id=call["id"], num_characters=1)
        assert_error(error, "item_not_found", 404, param="item_id", response_id=final["id"])
        [answer] = await truncate(client, final["id"], item_id=first["id"], num_characters=3)
        assert [item["type"] for item in answer["response"]["output"]] == ["message"]
        [answer] = await truncate(client, final["id"], item_id=last["id"], num_characters=5)
        assert said(answer["response"]) == "bef", "an item that was dropped is known still, and does not come back"


async def test_what_was_asked_to_be_included_of_the_answer_goes_with_it() -> None:
    async with running(Recorder(WORDS)) as server, server.client() as client:
        include = ["token_ids", "message.output_text.logprobs"]
        final = (await client.create("hi", include=include, top_logprobs=1))[-1]["response"]
        assert len(final["output_token_ids"]) > len(WORDS)  # and the end
        [answer] = await truncate(client, final["id"], through=FIRST_DELTA + 1)
        cut = answer["response"]
        assert "output_token_ids" not in cut
        assert cut["input_token_ids"] == final["input_token_ids"]
        assert cut["output"][0]["content"][0]["logprobs"] == final["output"][0]["content"][0]["logprobs"][:2]
        item_id = final["output"][0]["id"]
        [answer] = await truncate(client, final["id"], item_id=item_id, num_characters=5)
        assert len(answer["response"]["output"][0]["content"][0]["logprobs"]) == 1, "a delta that is cut has none"


async def test_what_was_included_of_a_running_answer_goes_when_that_is_cut() -> None:
    async with running(Recorder(WORDS), tick_seconds=None) as server, server.client() as client:
        for members in ({"through": FIRST_DELTA}, {}):
            response_id = await begin(client, include=["token_ids"])
            server.engine.step(3)
            await until(lambda: server.gateway.service.registry.running[response_id].log.tip > FIRST_DELTA + 1)  # noqa: B023
            await client.send("response.cancel", response_id=response_id, **members)
            final = (await client.until_done(response_id))[-1]["response"]
            assert ("output_token_ids" in final, "input_token_ids" in final) == (not members, True)


# -- a cancel that says how far it was heard


@pytest.mark.parametrize("native", [False, True])
async def test_a_cancel_with_a_number_cuts_an_answer_that_is_over(native: bool) -> None:
    recorder = Recorder(WORDS, ("ok",))
    async with running(recorder) as server, server.client(native=native) as client:
        response_id = (await client.create("hi"))[-1]["response_id"]
        await client.send("response.cancel", response_id=response_id, through=5, event_id="e")
        answer = await client.receive()
        assert (answer["type"], answer["event_id"], answer["done"]) == ("response.truncated", "e", True)
        assert (said(answer["response"]), answer["response"]["status"]) == (heard_through(5), "completed")
        await check_next(client, recorder, heard_through(5), previous_response_id=response_id)


async def test_an_ack_after_the_end_is_what_a_later_cancel_cuts_at() -> None:
    recorder = Recorder(WORDS, ("ok",))
    async with running(recorder) as server, server.client(native=True) as client:
        response_id = (await client.create("hi"))[-1]["response_id"]
        for number in (4, 6, 5):
            await client.send("response.ack", response_id=response_id, through=number)
        await client.send("response.ack", response_id=response_id, through=99, event_id="e")
        assert_error(await client.receive(), "cursor_ahead", 416, param="through", response_id=response_id)
        await client.send("response.cancel", response_id=response_id)
        answer = await client.receive()
        assert answer["type"] == "response.truncated", answer
        assert (said(answer["response"]), answer["response"]["truncated"]) == (heard_through(6), {"through": 6})
        await check_next(client, recorder, heard_through(6), previous_response_id=response_id)


async def test_an_ack_before_the_end_counts_after_it() -> None:
    async with running(Recorder(WORDS), tick_seconds=None) as server, server.client(native=True) as client:
        response_id = await begin(client)
        server.engine.step(3)
        for _ in range(5):
            await client.receive()
        await client.send("response.ack", response_id=response_id, through=5)
        await client.send("response.detach", response_id="x")
        assert_error(await client.receive(), "response_not_found")
        server.engine.run_until_idle()
        await client.until_done()
        await client.send("response.cancel", response_id=response_id)
        assert said((await client.receive())["response"]) == heard_through(5)


async def test_on_a_plain_socket_an_ack_cuts_nothing_that_is_over() -> None:
    recorder = Recorder(WORDS, ("ok",))
    async with running(recorder) as server, server.client() as client:
        response_id = (await client.create("hi"))[-1]["response_id"]
        await client.send("response.ack", response_id=response_id, through=4)
        await client.send("response.cancel", response_id=response_id)
        await check_next(client, recorder, ANSWER, previous_response_id=response_id)


async def test_without_any_number_a_native_client_is_told_that_it_is_over() -> None:
    async with running(Recorder(WORDS)) as server, server.client(native=True) as client:
        response_id = (await client.create("hi"))[-1]["response_id"]
        await client.send("response.cancel", response_id=response_id)
        assert_error(await client.receive(), "response_already_completed", 409)


# -- refusals


async def test_what_can_not_be_cut_there_is_refused_and_stays() -> None:
    async with running(Recorder(WORDS)) as server, server.client() as client, http(server) as door:
        final = (await client.create("hi"))[-1]["response"]
        item_id = final["output"][0]["id"]
        refused: list[tuple[dict[str, Any], str, int, str | None]] = [
            ({"through": 99}, "cursor_ahead", 416, "through"),
            ({"item_id": item_id, "num_characters": len(ANSWER) + 1}, "cursor_ahead", 416, "num_characters"),
            ({"item_id": "msg_x", "num_characters": 1}, "item_not_found", 404, "item_id"),
            ({"item_id": item_id, "num_characters": 1, "content_index": 1}, "item_not_found", 404, "content_index"),
            ({}, "invalid_request", 400, "through"),
            ({"item_id": item_id}, "invalid_request", 400, "num_characters"),
            ({"num_characters": 1}, "invalid_request", 400, "through"),
            ({"through": 1, "item_id": item_id, "num_characters": 1}, "invalid_request", 400, "item_id"),
            ({"through": -2}, "invalid_request", 400, "through"),
            ({"through": "4"}, "invalid_request", 400, "through"),
            ({"item_id": item_id, "num_characters": -1}, "invalid_request", 400, "num_characters"),
        ]
        for members, code, status, param in refused:
            await client.send("response.truncate", response_id=final["id"], event_id="e", **members)
            error = await client.receive()
            assert_error(error, code, status, param=param)
            assert error["event_id"] == "e"
            answer = await door.post(f"{PATH}/{final['id']}/truncate", json=members)
            assert_refused(answer, code, status, param=param)
        assert (await door.get(f"{PATH}/{final['id']}")).json() == final
        [error] = await truncate(client, "resp_none", through=1)
        assert_error(error, "response_not_found", 404)
        assert (await door.post(f"{PATH}/{final['id']}/truncate", content=b"{")).status_code == 400


async def test_what_is_gone_can_not_be_cut() -> None:
    async with running(Recorder(WORDS)) as server, server.client() as client, http(server) as door:
        response_id = (await client.create("hi"))[-1]["response_id"]
        assert (await door.delete(f"{PATH}/{response_id}")).status_code == 200
        [error] = await truncate(client, response_id, through=4)
        assert_error(error, "response_not_found", 404)
    settings = changed(retention_seconds=0, linger_seconds=0)
    async with running(Recorder(WORDS), settings) as server, server.client() as client:
        response_id = (await client.create("hi"))[-1]["response_id"]
        [error] = await truncate(client, response_id, through=4)
        assert_error(error, "response_not_found", 404)


async def test_an_answer_can_be_cut_where_its_events_have_left_the_log() -> None:
    settings = changed(max_log_events=16)
    words = tuple(f"w{n} " for n in range(40))
    async with running(Recorder(words), settings) as server, server.client(native=True) as client:
        events = await client.create("hi", catch_up="merged")
        final = events[-1]["response"]
        [answer] = await truncate(client, final["id"], through=FIRST_DELTA + 20)
        assert said(answer["response"]) == "".join(words[:21])
        [answer] = await truncate(client, final["id"], item_id=final["output"][0]["id"], num_characters=5)
        assert said(answer["response"]) == "w0 w1"
        assert answer["response"]["truncated"] == {"through": FIRST_DELTA + 1}


async def test_a_cancel_takes_an_ack_whose_event_has_left_the_log() -> None:
    words = tuple(f"w{n} " for n in range(100))
    settings = changed(max_log_events=16)
    async with (
        running(Recorder(words), settings, tick_seconds=None) as server,
        server.client(native=True) as client,
    ):
        response_id = await begin(client, catch_up="merged")
        log = server.gateway.service.registry.running[response_id].log
        taken = 0
        while taken < 60:
            server.engine.step()
            taken = (await client.receive())["sequence_number"]
        await client.send("response.ack", response_id=response_id, through=FIRST_DELTA + 2)
        assert log.floor > FIRST_DELTA + 2
        await client.send("response.cancel", response_id=response_id)
        final = (await client.until_done(response_id))[-1]["response"]
        assert (said(final), final["status"]) == ("w0 w1 w2 ", "cancelled")


async def test_another_tenants_answer_can_not_be_cut(tmp_path: Any) -> None:
    keys = make_keys(tmp_path / "keys", "anna", "ben")
    settings = changed(api_keys_file=tmp_path / "keys")
    async with running(Recorder(WORDS), settings) as server, server.client(key=keys["anna"]) as anna:
        final = (await anna.create("hi"))[-1]["response"]
        async with server.client(key=keys["ben"]) as ben, http(server, keys["ben"]) as door:
            for members in ({"through": 4}, {"item_id": final["output"][0]["id"], "num_characters": 1}):
                [error] = await truncate(ben, final["id"], **members)
                assert_error(error, "response_not_found", 404)
                answer = await door.post(f"{PATH}/{final['id']}/truncate", json=members)
                assert_refused(answer, "response_not_found", 404, "response_id")
            await ben.send("response.cancel", response_id=final["id"], through=4)
            assert_error(await ben.receive(), "response_not_found", 404)
        async with http(server, keys["anna"]) as door:
            assert (await door.get(f"{PATH}/{final['id']}")).json() == final


async def test_a_failed_answer_can_be_cut_and_continued_no_more_than_before() -> None:
    async with running(say("one ", "two ", Fail("broken"))) as server, server.client() as client:
        final = (await client.create("hi"))[-1]["response"]
        assert final["status"] == "failed"
        [answer] = await truncate(client, final["id"], through=4)
        assert (said(answer["response"]), answer["response"]["status"]) == ("one ", "failed")
        await client.send("response.create", input="x", previous_response_id=final["id"])
        assert_error(await client.receive(), "previous_response_not_found")


# -- in a conversation


async def test_a_conversation_that_has_gone_on_stays_as_it_is() -> None:
    async with running(Recorder(WORDS)) as server, server.client() as client, http(server) as door:
        for how in ("posted", "answered", "not cut"):
            name = await new_conversation(door)
            first = (await client.create("hi", conversation=name))[-1]["response"]
            if how == "posted":
                items = [{"role": "user", "content": "x"}]
                assert (await door.post(f"/v1/conversations/{name}/items", json={"items": items})).status_code == 200
            elif how == "answered":
                await client.create("more", conversation=name)
            else:
                await truncate(client, first["id"], through=6)
                await client.create("more", conversation=name)
                [again] = await truncate(client, first["id"], through=7)  # a retry that comes late changes nothing
                assert again["type"] == "response.truncated"
            before = (await door.get(f"/v1/conversations/{name}/items")).json()
            [error] = await truncate(client, first["id"], through=5)
            assert_error(error, "conversation_moved_on", 409, param="response_id", response_id=first["id"])
            answer = await door.post(f"{PATH}/{first['id']}/truncate", json={"through": 5})
            assert_refused(answer, "conversation_moved_on", 409, "response_id")
            assert (await door.get(f"/v1/conversations/{name}/items")).json() == before
            assert len(said((await door.get(f"{PATH}/{first['id']}")).json())) > len(heard_through(5))


async def test_what_is_being_answered_already_is_not_cut() -> None:
    recorder = Recorder(WORDS, ("a", "b"), ("c",))
    async with running(recorder, tick_seconds=None) as server, server.client() as client, quick(server) as door:
        name = await new_conversation(door)
        response_id = await begin(client, "hi", conversation=name)
        await finish(server)
        await client.until_done()
        await begin(client, "more", conversation=name)
        [error] = await truncate(client, response_id, through=5)
        assert_error(error, "conversation_moved_on", 409)
        await finish(server)
        await client.until_done()


async def test_what_waits_for_its_turn_goes_on_after_what_is_left() -> None:
    recorder = Recorder(WORDS, ("b",))
    async with (
        running(recorder, tick_seconds=None) as server,
        server.client() as client,
        server.client() as other,
        quick(server) as door,
    ):
        name = await new_conversation(door)
        response_id = await begin(client, "hi", conversation=name)
        server.engine.step(3)
        await other.send("response.create", input="more", conversation=name)
        await until(lambda: server.gateway.service.num_running == 2)
        *_, answer = await truncate(client, response_id, through=4)
        assert answer["type"] == "response.truncated", answer
        await finish(server)
        await other.until_done()
        assert recorder.prompts[1] == rendered("hi", "one ", "more")


async def test_items_that_were_taken_out_stay_out_and_a_deleted_conversation_hinders_nothing() -> None:
    recorder = Recorder(WORDS, ("ok",))
    async with running(recorder) as server, server.client() as client, http(server) as door:
        name = await new_conversation(door)
        final = (await client.create("hi", conversation=name))[-1]["response"]
        path = f"/v1/conversations/{name}/items"
        assert (await door.delete(f"{path}/{final['output'][0]['id']}")).status_code == 200
        [answer] = await truncate(client, final["id"], through=5)
        assert said(answer["response"]) == heard_through(5)
        assert [item["role"] for item in (await door.get(path)).json()["data"]] == ["user"]
        assert (await door.delete(f"/v1/conversations/{name}")).status_code == 200
        [answer] = await truncate(client, final["id"], through=4)
        assert said(answer["response"]) == heard_through(4)
        await check_next(client, recorder, heard_through(4), previous_response_id=final["id"])


# -- at the same time


async def test_many_truncations_at_once_leave_the_shortest() -> None:
    rng = random.Random(7)
    recorder = Recorder(*[WORDS, ("ok",)] * 60)
    async with running(recorder) as server, server.client() as client, quick(server) as door:
        for _ in range(6):
            name = await new_conversation(door)
            final = (await client.create("hi", conversation=name))[-1]["response"]
            numbers = [rng.randint(-1, 12) for _ in range(6)]
            path = f"{PATH}/{final['id']}"
            cuts = [door.post(f"{path}/truncate", json={"through": through}) for through in numbers]
            kept = [answer.json()["truncated"]["through"] for answer in await asyncio.gather(*cuts)]
            assert min(kept) == min(numbers)
            assert all(left <= asked for left, asked in zip(kept, numbers, strict=True))
            assert said((await door.get(path)).json()) == heard_through(min(numbers))
            await check_next(client, recorder, heard_through(min(numbers)), conversation=name)


async def test_a_second_truncation_of_what_is_ending_is_obeyed_too() -> None:
    async with running(Recorder(WORDS), tick_seconds=None, abort_ticks=3) as server, server.client() as client:
        response_id = await begin(client)
        server.engine.step(5)
        for through in (8, 5, 7):
            await client.send("response.truncate", response_id=response_id, through=through, event_id=str(through))
        await client.send("response.cancel", response_id=response_id)
        await until(lambda: server.gateway.service.num_running == 1)
        await finish(server)
        *events, _ = await client.until_done(), None
        answers = [await client.receive() for _ in range(3)]
        assert [answer["type"] for answer in answers] == ["response.truncated"] * 3
        assert {answer["event_id"] for answer in answers} == {"8", "5", "7"}
        assert said(answers[-1]["response"]) == heard_through(5)
        assert events[0][-1]["done"]


async def test_who_leaves_has_asked_all_the_same() -> None:
    recorder = Recorder(WORDS, ("ok",))
    async with running(recorder, tick_seconds=None) as server, server.client() as client:
        async with server.client() as other:
            response_id = await begin(client)
            server.engine.step(4)
            await until(lambda: server.gateway.service.registry.running[response_id].log.tip == 8)
            await other.send("response.truncate", response_id=response_id, through=4)
            await until(lambda: not server.gateway.service.registry.running)
        assert said((await client.until_done(response_id))[-1]["response"]) == "one "


async def test_those_who_do_not_ask_see_the_events_that_there_always_were() -> None:
    """Another plain socket that follows, and one that resumes after the cut, are sent the log and nothing else."""
    async with (
        running(Recorder(WORDS), tick_seconds=None) as server,
        server.client() as client,
        server.client() as follower,
        server.client() as late,
        quick(server) as door,
    ):
        response_id = await begin(client)
        assert (await resume(follower, response_id))["type"] == "response.resumed"
        server.engine.step(len(WORDS))
        answer = await door.post(f"{PATH}/{response_id}/truncate", json={"through": 5})
        assert answer.status_code == 200
        seen = [await take_all(follower), (await client.until_done(response_id))[-1]["type"]]
        assert seen[1] == "response.incomplete"
        await resume(late, response_id)
        assert await take_all(late) == seen[0]
        await follower.send("response.detach", response_id="x")
        assert_error(await follower.receive(), "response_not_found")  # the next thing that it hears
