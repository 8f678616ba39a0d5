"""Sessions about what is kept and read over HTTP, and what is refused there. Each public coroutine is one."""

from __future__ import annotations

from typing import Any

from tests.support.recorded_session import RESPONSES, playing
from tests.support.recording import Recording

CONVERSATIONS = "/v1/conversations"
ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "one"},
    {"type": "message", "id": "mine", "role": "system", "content": [{"type": "input_text", "text": "two"}]},
    {"role": "assistant", "content": "three"},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "4"},
    {"type": "message", "id": "mine", "role": "user", "content": [{"type": "text", "text": "six"}]},
]


async def conversation_items(recording: Recording) -> None:
    """A conversation and its items: made, listed in pages, read, deleted; and what is not there."""
    async with playing(recording) as stage, stage.http() as http:
        made = await http.ask("POST", CONVERSATIONS, {"items": ITEMS[:2], "metadata": {"topic": "x"}})
        path = f"{CONVERSATIONS}/{made['id']}"
        await http.ask("GET", path)
        await http.ask("POST", path, {"metadata": {"topic": "y"}})
        await http.ask("POST", f"{path}/items", {"items": ITEMS[3:5]})
        page = await http.ask("GET", f"{path}/items?order=asc&limit=3")
        await http.ask("GET", f"{path}/items?order=asc&limit=3&after={page['last_id']}")
        await http.ask("GET", f"{path}/items")
        item = f"{path}/items/{page['data'][0]['id']}"
        await http.ask("GET", item)
        await http.ask("DELETE", item)
        await http.ask("GET", item)
        await http.ask("DELETE", path)
        await http.ask("GET", path)
        await http.ask("POST", f"{path}/items", {"items": ITEMS[:1]})


async def conversation_refused(recording: Recording) -> None:
    """Malformed bodies and pages."""
    async with playing(recording) as stage, stage.http() as http:
        made = await http.ask("POST", CONVERSATIONS, text="")
        path = f"{CONVERSATIONS}/{made['id']}"
        for body in ({"items": [ITEMS[0], 7]}, {"items": ITEMS[:1] * 21}, {"metadata": {"a": 1}}):
            await http.ask("POST", CONVERSATIONS, body)
        await http.ask("POST", path, {})
        for query in ("limit=0", "order=random", "after=msg_x"):
            await http.ask("GET", f"{path}/items?{query}")


async def conversation_with_responses(recording: Recording) -> None:
    """Responses over both doors read it and are appended to it; items come in between."""
    async with playing(recording, ("a1",), ("a2",)) as stage, stage.http() as http, stage.socket() as ws:
        made = await http.ask("POST", CONVERSATIONS, {"items": ITEMS[:1]})
        await ws.create("second", conversation=made["id"])
        await http.ask("POST", f"{CONVERSATIONS}/{made['id']}/items", {"items": [{"role": "user", "content": "third"}]})
        response = await http.create("fourth", conversation={"id": made["id"]})
        await http.ask("GET", f"{CONVERSATIONS}/{made['id']}/items?order=asc")
        await ws.create("a fork", previous_response_id=response["id"])
        await ws.create("x", conversation="conv_x")
        await ws.create("x", conversation=made["id"], previous_response_id=response["id"])
        await ws.create([{"type": "function_call_output", "call_id": "c_9", "output": ""}], conversation=made["id"])


async def conversation_that_is_locked(recording: Recording) -> None:
    """Responses at once wait for each other, too many are refused, one that waits may see it deleted."""
    settings = {"max_waiting_per_conversation": 1}
    async with playing(recording, ("a",), settings=settings) as stage, stage.http() as http, stage.socket() as ws:
        made = await http.ask("POST", CONVERSATIONS, {})
        await ws.begin("a", conversation=made["id"], stream_id="a")
        await ws.send("response.create", input="b", conversation=made["id"], stream_id="b")
        await ws.until("response.queued")
        await ws.send("response.create", input="c", conversation=made["id"], stream_id="c")
        await ws.receive()
        await http.ask("DELETE", f"{CONVERSATIONS}/{made['id']}", ticks=False)
        await ws.answer(2)


async def input_items(recording: Recording) -> None:
    """What a request brought, in pages, with ids that stay."""
    async with playing(recording) as stage, stage.http() as http:
        response = await http.create(ITEMS)
        path = f"{RESPONSES}/{response['id']}/input_items"
        await http.ask("GET", path)
        page = await http.ask("GET", f"{path}?order=asc&limit=4")
        await http.ask("GET", f"{path}?order=asc&limit=4&after={page['last_id']}")
        await http.ask("GET", f"{path}?limit=101")
        await http.ask("GET", f"{path}?after=nothing")


async def input_tokens(recording: Recording) -> None:
    """The length of prompts."""
    path = f"{RESPONSES}/input_tokens"
    async with playing(recording) as stage, stage.http() as http:
        response = await http.create()
        await http.ask("POST", path, {"input": ITEMS, "instructions": "be brief"})
        await http.ask("POST", path, {"input": "on", "previous_response_id": response["id"]})
        await http.ask("POST", path, {})
        await http.ask("POST", path, {"input": "on", "previous_response_id": "resp_unknown"})


async def background(recording: Recording) -> None:
    """Answered at once, polled, read as a stream afterwards; as a stream from the beginning; refused."""
    async with playing(recording, ("a",), ("b",)) as stage, stage.http() as http, stage.socket() as ws:
        async with http.stream(body={"input": "hi", "background": True, "stream": True}) as stream:
            response_id = (await stream.until("response.in_progress"))["response_id"]
        await stage.alone(1)
        await stage.step(2)
        await stage.idle()
        await http.ask("GET", f"{RESPONSES}/{response_id}")
        await http.ask("GET", f"{RESPONSES}/{response_id}?stream=true&starting_after=6")
        await http.create(background=True, store=False)
        await ws.create(background=True)


async def delete(recording: Recording) -> None:
    """What is deleted is nowhere, for any door."""
    async with playing(recording) as stage, stage.http() as http, stage.socket() as ws:
        last = await ws.create()
        path = f"{RESPONSES}/{last['response_id']}"
        await http.ask("DELETE", path)
        for method, rest in (("GET", ""), ("GET", "?stream=true"), ("DELETE", ""), ("GET", "/input_items")):
            await http.ask(method, path + rest)
        await ws.follow(last, "more")
        await ws.send("response.resume", response_id=last["response_id"])
        await ws.receive()


async def not_stored_over_http(recording: Recording) -> None:
    """Followed for a time, and not retrieved."""
    async with playing(recording) as stage, stage.http() as http:
        response = await http.create(store=False)
        path = f"{RESPONSES}/{response['id']}"
        await http.ask("GET", path)
        await http.ask("GET", f"{path}?stream=true&starting_after=4")
        await http.create("more", previous_response_id=response["id"])


async def http_refused(recording: Recording) -> None:
    """Bodies, members, media types, paths and methods."""
    async with playing(recording, settings={"max_message_bytes": 4096}) as stage, stage.http() as http:
        for text in ("", "[]", '{"input":', '{"input":5}', '{"input":"x","type":"response.cancel"}'):
            await http.ask("POST", RESPONSES, text=text)
        for members in (
            {"temperature": 9}, {"stream": "yes"}, {"prompt": {"id": "p"}}, {"moderation": {"model": "m"}},
            {"model": "gpt"}, {"previous_response_id": "resp_unknown"}, {"stream": True, "model": "gpt"},
            {"input": "x" * 5000},
        ):  # fmt: skip
            await http.create(**{"input": "x", **members})
        await http.ask("POST", RESPONSES, text="{}", headers={"content-type": "multipart/form-data"})
        await http.ask("POST", RESPONSES, text="{}", headers={"content-encoding": "gzip"})
        await http.ask("POST", RESPONSES, text="{}")
        for method, path in (
            ("GET", RESPONSES), ("PUT", RESPONSES), ("GET", "/v1/nothing"), ("GET", f"{RESPONSES}/resp_unknown"),
            ("DELETE", f"{RESPONSES}/resp_unknown"), ("GET", f"{RESPONSES}/resp_unknown/input_items"),
        ):  # fmt: skip
            await http.ask(method, path)


async def models_and_health(recording: Recording) -> None:
    """What is served, and how it is."""
    async with playing(recording) as stage, stage.http() as http:
        for path in ("/v1/models", "/models/starter", "/v1/models/other", "/health", "/ready"):
            await http.ask("GET", path)
