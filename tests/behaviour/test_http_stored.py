"""Responses that exist: follow again, retrieve, delete, cancel, list the input, count; in the background."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from realtime.engine.scripted import Fail, say
from tests.support.http import assert_refused, events_of, http, streaming
from tests.support.server import Running, changed, running
from tests.support.steps import begin, engine_holds, finish, make_keys, resume, until
from tests.support.transcript import check, types

PATH = "/v1/responses"
FOREVER = say(*["word "] * 100_000)


async def create(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    """A response, as JSON."""
    answer = await client.post(PATH, json={"input": "hi", **body})
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json()
    return response


async def in_background(server: Running, client: httpx2.AsyncClient, **body: Any) -> str:
    """A background response that the engine holds."""
    response = await create(client, background=True, **body)
    assert (response["status"], response["background"]) == ("queued", True)
    await until(lambda: engine_holds(server) == 1)
    response_id: str = response["id"]
    return response_id


# -- following again


async def test_a_finished_response_is_streamed_from_any_number() -> None:
    async with running(say("a", "b")) as server, http(server) as client:
        whole = events_of((await client.post(PATH, json={"input": "hi", "stream": True})).text)
        path = f"{PATH}/{whole[0]['response_id']}?stream=true"
        for after in range(-1, len(whole)):
            rest = await client.get(f"{path}&starting_after={after}&include_obfuscation=false")
            assert events_of(rest.text, start=after + 1) == whole[after + 1 :]
        by_header = await client.get(path, headers={"last-event-id": "3"})
        assert events_of(by_header.text, start=4) == whole[4:]
        both = await client.get(f"{path}&starting_after=0", headers={"last-event-id": "3"})
        assert events_of(both.text, start=4) == whole[4:]
        assert events_of((await client.get(path, headers={"last-event-id": ""})).text) == whole


async def test_a_finished_response_of_many_events_is_streamed_to_its_end() -> None:
    """Nothing happens in its log any more that would wake the stream for the next write."""
    async with running(say(*"a" * 300)) as server, http(server) as client:
        response_id = (await create(client))["id"]
        events = events_of((await client.get(f"{PATH}/{response_id}?stream=true")).text)
        assert len(check(events)["output"][0]["content"][0]["text"]) == 300


async def test_a_running_response_is_followed_by_two_readers_and_goes_on_while_one_is_there() -> None:
    async with (
        running(say(*"abcdef"), tick_seconds=None) as server,
        http(server) as client,
        streaming(client, json={"input": "hi"}) as first,
    ):
        events = await first.until("response.in_progress")
        await until(lambda: engine_holds(server) == 1)
        server.engine.step(2)
        events += await first.until("response.output_text.delta")
        response_id = events[0]["response_id"]
        path = f"{PATH}/{response_id}?stream=true&starting_after={events[-1]['sequence_number']}"
        async with streaming(client, "GET", path) as second:
            await until(lambda: server.gateway.admission.num_requests == 2)
            await first.response.aclose()
            await until(lambda: server.gateway.admission.num_requests == 1)
            await finish(server)
            events += [one.json for one in (await second.rest())[:-1]]
    assert check(events)["output"][0]["content"][0]["text"] == "abcdef"


@pytest.mark.parametrize(
    ("query", "code", "status", "param"),
    [
        ("starting_after=99", "cursor_ahead", 416, "starting_after"),
        ("starting_after=-2", "invalid_request", 400, "starting_after"),
        ("starting_after=x", "invalid_request", 400, "starting_after"),
        ("starting_after=1.5", "invalid_request", 400, "starting_after"),
        ("stream=maybe", "invalid_request", 400, "stream"),
    ],
)
async def test_what_can_not_be_followed_exactly_is_refused(query: str, code: str, status: int, param: str) -> None:
    async with running(say("a")) as server, http(server) as client:
        response_id = (await create(client))["id"]
        answer = await client.get(f"{PATH}/{response_id}?stream=true&{query}")
        assert_refused(answer, code, status, param)


async def test_other_refusals_of_a_resume() -> None:
    async with running(say(*"a" * 200), changed(max_log_events=50)) as server, http(server) as client:
        response_id = (await create(client))["id"]
        path = f"{PATH}/{response_id}?stream=true"
        assert_refused(await client.get(path), "cursor_too_old", 410, "starting_after")
        answer = await client.get(path, headers={"last-event-id": "x"})
        assert_refused(answer, "invalid_request", 400, "Last-Event-ID")
        assert_refused(await client.get(f"{PATH}/resp_x?stream=true"), "response_not_found", 404, "response_id")


async def test_store_false_can_be_followed_for_a_time_but_not_retrieved() -> None:
    async with running(say("a"), tick_seconds=None) as server, http(server) as client:
        async with streaming(client, json={"input": "hi", "store": False}) as reader:
            response_id = (await reader.until("response.in_progress"))[0]["response_id"]
            assert (await client.get(f"{PATH}/{response_id}")).json()["status"] == "in_progress"
            await finish(server)
            await reader.rest()
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
            answer = await client.request(method, f"{PATH}/{response_id}{path}")
            assert_refused(answer, "response_not_found", 404, "response_id")
        check(events_of((await client.get(f"{PATH}/{response_id}?stream=true")).text))
        async with server.client() as socket:
            assert (await resume(socket, response_id))["type"] == "response.resumed"
        answer = await client.post(PATH, json={"input": "x", "previous_response_id": response_id})
        assert_refused(answer, "previous_response_not_found", 400, "previous_response_id")


# -- background


async def test_a_background_response_is_answered_at_once_and_polled() -> None:
    async with running(say("a"), tick_seconds=None) as server, http(server) as client:
        response_id = await in_background(server, client)
        polled = (await client.get(f"{PATH}/{response_id}")).json()
        assert (polled["status"], polled["output"], polled["usage"]) == ("in_progress", [], None)
        await finish(server)
        polled = (await client.get(f"{PATH}/{response_id}")).json()
        assert (polled["status"], polled["background"]) == ("completed", True)
        assert polled["output"][0]["content"][0]["text"] == "a"
        assert (await create(client, previous_response_id=response_id, background=True))["status"] == "queued"
        await finish(server)


async def test_a_background_stream_may_be_dropped_and_taken_up_again() -> None:
    async with running(say(*"abc"), tick_seconds=None) as server, http(server) as client:
        async with streaming(client, json={"input": "hi", "background": True}) as reader:
            events = await reader.until("response.in_progress")
        assert [(event["type"], event["response"]["status"]) for event in events] == [
            ("response.created", "queued"), ("response.queued", "queued"), ("response.in_progress", "in_progress"),
        ]  # fmt: skip
        await until(lambda: server.gateway.admission.num_requests == 0)
        await finish(server)
        rest = await client.get(f"{PATH}/{events[0]['response_id']}?stream=true&starting_after=2")
        final = check(events + events_of(rest.text, start=3))
        assert (final["status"], final["background"]) == ("completed", True)


async def test_a_background_response_is_not_for_sockets() -> None:
    async with running(say("a")) as server, server.client() as client:
        [refusal] = await client.create(background=True)
        assert (refusal["error"]["code"], refusal["error"]["param"]) == ("unsupported_parameter", "background")


# -- cancel


async def test_a_cancel_is_answered_when_the_engine_has_let_go() -> None:
    async with running(FOREVER, tick_seconds=None, abort_ticks=2) as server, http(server) as client:
        response_id = await in_background(server, client)
        server.engine.step(3)
        cancelling = asyncio.create_task(client.post(f"{PATH}/{response_id}/cancel"))
        await until(lambda: server.gateway.service.registry.running[response_id].stopping.stopped)
        assert engine_holds(server) == 1
        assert not cancelling.done()
        await finish(server)
        answer = (await cancelling).json()
        assert answer["status"] == "cancelled"
        assert answer["cancel"]["tokens_generated"] >= 3
        assert engine_holds(server) == 0
        again = await client.post(f"{PATH}/{response_id}/cancel")
        assert again.json() == answer


async def test_a_foreground_response_can_be_cancelled_too_and_its_reader_is_told() -> None:
    async with running(FOREVER) as server, http(server) as client:
        async with streaming(client, json={"input": "hi"}) as reader:
            response_id = (await reader.until("response.output_text.delta"))[0]["response_id"]
            assert (await client.post(f"{PATH}/{response_id}/cancel")).json()["status"] == "cancelled"
            last = (await reader.rest())[-2].json
            assert (last["type"], last["response"]["status"]) == ("response.incomplete", "cancelled")
        waiting = asyncio.create_task(create(client))
        await until(lambda: engine_holds(server) == 1)
        response_id = next(iter(server.gateway.service.registry.running))
        await client.post(f"{PATH}/{response_id}/cancel")
        assert (await waiting)["status"] == "cancelled"


async def test_what_is_over_otherwise_can_not_be_cancelled() -> None:
    async with running(say("a")) as server, http(server) as client:
        response_id = (await create(client))["id"]
        answer = await client.post(f"{PATH}/{response_id}/cancel")
        assert_refused(answer, "response_already_completed", 409, "response_id")
        assert_refused(await client.post(f"{PATH}/resp_x/cancel"), "response_not_found", 404, "response_id")


# -- delete


async def test_what_is_deleted_is_nowhere() -> None:
    async with running(say("a")) as server, http(server) as client, server.client(native=True) as socket:
        events = await socket.create()
        response_id = events[0]["response_id"]
        answer = await client.delete(f"{PATH}/{response_id}")
        assert answer.json() == {"id": response_id, "object": "response", "deleted": True}
        for method, path in (
            ("GET", ""), ("GET", "?stream=true"), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items"),
        ):  # fmt: skip
            gone = await client.request(method, f"{PATH}/{response_id}{path}")
            assert_refused(gone, "response_not_found", 404, "response_id")
        body = {"input": "x", "previous_response_id": response_id}
        for path in ("", "/input_tokens"):
            gone = await client.post(f"{PATH}{path}", json=body)
            assert_refused(gone, "previous_response_not_found", 400, "previous_response_id")
        assert (await resume(socket, response_id))["error"]["code"] == "response_not_found"
        [refused] = await socket.create(previous_response_id=response_id)  # though the lane still holds it
        assert refused["error"]["code"] == "previous_response_not_found"


async def test_a_running_response_is_cancelled_and_deleted() -> None:
    async with running(FOREVER) as server, http(server) as client:
        async with streaming(client, json={"input": "hi"}) as reader:
            response_id = (await reader.until("response.output_text.delta"))[0]["response_id"]
            assert (await client.delete(f"{PATH}/{response_id}")).json()["deleted"]
            assert engine_holds(server) == 0
            assert (await reader.rest())[-2].json["response"]["status"] == "cancelled"
        assert_refused(await client.get(f"{PATH}/{response_id}"), "response_not_found", 404, "response_id")
        assert await server.gateway.service.registry.store.get(response_id, 0) is None


async def test_a_response_that_is_being_deleted_is_gone_already() -> None:
    async with (
        running(FOREVER, tick_seconds=None, abort_ticks=2) as server,
        http(server) as client,
        server.client() as socket,
    ):
        response_id = await in_background(server, client)
        server.engine.step()
        deleting = asyncio.create_task(client.delete(f"{PATH}/{response_id}"))
        await until(lambda: response_id in server.gateway.service.registry.deleted)
        assert server.gateway.service.num_running == 1
        assert_refused(await client.get(f"{PATH}/{response_id}"), "response_not_found", 404, "response_id")
        assert (await resume(socket, response_id))["error"]["code"] == "response_not_found"
        await finish(server)
        assert (await deleting).json()["deleted"]


# -- input items and tokens

ITEMS = [
    {"role": "user", "content": "one"},
    {"type": "message", "id": "mine", "role": "system", "content": [{"type": "input_text", "text": "two"}]},
    {"role": "assistant", "content": "three"},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "4"},
    {"type": "message", "id": "mine", "role": "user", "content": [{"type": "text", "text": "six"}]},
]


async def test_input_items_have_ids_and_come_in_pages() -> None:
    async with running(say("a")) as server, http(server) as client:
        path = f"{PATH}/{(await create(client, input=ITEMS))['id']}/input_items"
        whole = (await client.get(f"{path}?order=asc&include[]=message.input_image.image_url")).json()
        data = whole["data"]
        prefixes = [item["id"].rpartition("_")[0] for item in data]
        assert prefixes == ["msg", "", "msg", "fc", "function_call_output", "msg"]
        assert data[1]["id"] == "mine"
        assert len({item["id"] for item in data}) == 6
        assert {item["status"] for item in data} == {"completed"}
        texts = [part for item in data if item["type"] == "message" for part in item["content"]]
        assert [(part["type"], part["text"]) for part in texts] == [
            ("input_text", "one"), ("input_text", "two"), ("output_text", "three"), ("input_text", "six"),
        ]  # fmt: skip
        assert (whole["first_id"], whole["last_id"], whole["has_more"]) == (data[0]["id"], data[-1]["id"], False)
        newest_first = (await client.get(path)).json()["data"]
        assert newest_first == data[::-1]
        for order, expected in (("asc", data), ("desc", data[::-1])):
            found: list[Any] = []
            more = True
            while more:
                after = f"&after={found[-1]['id']}" if found else ""
                page = (await client.get(f"{path}?order={order}&limit=4{after}")).json()
                found += page["data"]
                more = page["has_more"]
            assert found == expected


async def test_input_items_of_running_and_failed_responses() -> None:
    async with running(say("a", Fail()), tick_seconds=None) as server, http(server) as client:
        response_id = await in_background(server, client)
        during = (await client.get(f"{PATH}/{response_id}/input_items")).json()
        assert len(during["data"]) == 1
        await finish(server)
        assert (await client.get(f"{PATH}/{response_id}/input_items")).json() == during
    async with running(say("a")) as server, http(server) as client:
        warm = await create(client, input=None, instructions="x", generate=False)
        empty = (await client.get(f"{PATH}/{warm['id']}/input_items")).json()
        assert empty == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "order=up", "after=nothing"])
async def test_a_page_that_does_not_exist(query: str) -> None:
    async with running(say("a")) as server, http(server) as client:
        path = f"{PATH}/{(await create(client))['id']}/input_items"
        assert_refused(await client.get(f"{path}?{query}"), "invalid_request", 400, query.partition("=")[0])


async def test_the_count_is_the_usage_that_follows() -> None:
    async with running(say("a"), max_model_len=100_000) as server, http(server) as client:
        first = await create(client)
        for body in (
            {"input": "hi"},
            {"input": ITEMS, "instructions": "be brief", "tools": [{"type": "function", "name": "f"}]},
            {"input": "word " * 3000},  # in a thread
            {"input": "on", "previous_response_id": first["id"]},
        ):
            counted = (await client.post(f"{PATH}/input_tokens", json=body)).json()
            assert counted["object"] == "response.input_tokens"
            used = await create(client, **body, generate=False)
            assert used["usage"]["input_tokens"] == counted["input_tokens"]
        assert_refused(await client.post(f"{PATH}/input_tokens", json={}), "invalid_request", 400, "input")


# -- others


async def test_other_tenants_find_nothing(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "anna", "bob")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with (
        running(say("a"), settings, tick_seconds=None) as server,
        http(server, keys["anna"]) as anna,
        http(server, keys["bob"]) as bob,
        http(server) as nobody,
    ):
        done = await create(anna, generate=False, background=True)
        await finish(server)
        response_id = await in_background(server, anna)
        for name in (response_id, done["id"]):
            for method, path in (
                ("GET", ""), ("GET", "?stream=true"), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items"),
            ):  # fmt: skip
                answer = await bob.request(method, f"{PATH}/{name}{path}")
                unknown = await bob.request(method, f"{PATH}/resp_x{path}")
                assert_refused(answer, "response_not_found", 404, "response_id")
                assert answer.text.replace(name, "resp_x") == unknown.text
                answer = await nobody.request(method, f"{PATH}/{name}{path}")
                assert_refused(answer, "missing_api_key", 401)
            for path in ("", "/input_tokens"):
                answer = await bob.post(f"{PATH}{path}", json={"input": "x", "previous_response_id": name})
                assert_refused(answer, "previous_response_not_found", 400, "previous_response_id")
        assert types(await _socket_resume(server, keys["bob"], response_id))[0] == "error"
        assert (await anna.get(f"{PATH}/{response_id}")).json()["status"] == "in_progress"
        await finish(server)


async def _socket_resume(server: Running, key: str, response_id: str) -> list[dict[str, Any]]:
    async with server.client(key=key) as socket:
        return [await resume(socket, response_id)]


async def test_a_response_of_a_socket_is_the_same_over_http() -> None:
    async with running(say("a"), tick_seconds=None) as server, http(server) as client, server.client() as socket:
        response_id = await begin(socket)
        async with streaming(client, "GET", f"{PATH}/{response_id}?stream=true") as reader:
            await until(lambda: server.gateway.admission.num_requests == 1)
            await finish(server)
            over_http = [one.json for one in (await reader.rest())[:-1]]
        rest = await socket.until_done()
        assert over_http[-len(rest) :] == rest
        assert (await client.get(f"{PATH}/{response_id}")).json() == rest[-1]["response"]
