"""Conversations over real sockets: through OpenAI's SDK, under hundreds of requests at once, against foreigners."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItemList

from realtime.engine.base import EngineRequest, FinishReason
from realtime.engine.scripted import Fail, Finish, RandomScript, ScriptedTokenizer, say
from realtime.settings.fields import Settings
from realtime.store.memory.conversations import MemoryConversations
from realtime.store.sqlite.stores import bounds_of, open_at_once
from tests.support.http import http
from tests.support.long import effort
from tests.support.server import Running, changed, running
from tests.support.steps import begin, finish, make_keys, until


def sdk(server: Running, key: str = "unused") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{server.http}/v1", api_key=key, max_retries=0)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def text_of(item: Any) -> str:
    return str(item["content"][0]["text"])


async def everything(server: Running, conversation_id: str, **headers: str) -> list[dict[str, Any]]:
    """All items in order, by pages as a client reads them."""
    items: list[dict[str, Any]] = []
    async with httpx2.AsyncClient(base_url=server.http, headers=headers) as http:
        while True:
            query = {"order": "asc", "limit": "100", **({"after": items[-1]["id"]} if items else {})}
            answer = await http.get(f"/v1/conversations/{conversation_id}/items", params=query)
            assert answer.status_code == 200, answer.text
            items += answer.json()["data"]
            if not answer.json()["has_more"]:
                return items


async def test_the_sdk_can_do_all_that_it_offers() -> None:
    async with running(say("ok")) as server, sdk(server) as client:
        items: Any = [{"role": "system", "content": "be kind"}, {"type": "message", **user("hi")}]
        made = await client.conversations.create(items=items, metadata={"topic": "x"})
        Conversation.model_validate(made.to_dict(), strict=True)
        assert (made.id[:5], made.object, made.metadata) == ("conv_", "conversation", {"topic": "x"})
        assert await client.conversations.retrieve(made.id) == made
        updated = await client.conversations.update(made.id, metadata={"topic": "y"})
        assert (updated.metadata, updated.created_at) == ({"topic": "y"}, made.created_at)
        assert (await client.conversations.retrieve(made.id)).metadata == {"topic": "y"}

        calls: Any = [
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "42"},
        ]
        posted = await client.conversations.items.create(made.id, items=calls, include=["reasoning.encrypted_content"])
        ConversationItemList.model_validate(posted.to_dict(), strict=True)
        assert [item.type for item in posted.data] == ["function_call", "function_call_output"]
        listed = [item async for item in client.conversations.items.list(made.id, limit=1, order="asc")]
        assert [item.type for item in listed] == ["message", "message", "function_call", "function_call_output"]
        newest = [item.id async for item in client.conversations.items.list(made.id)]
        assert newest == [item.id for item in reversed(listed)]
        one = await client.conversations.items.retrieve(str(listed[1].id), conversation_id=made.id)
        assert one == listed[1]
        left = await client.conversations.items.delete(str(listed[1].id), conversation_id=made.id)
        assert left.id == made.id
        with pytest.raises(openai.NotFoundError) as missing:
            await client.conversations.items.retrieve(str(listed[1].id), conversation_id=made.id)
        assert missing.value.code == "item_not_found"

        gone = await client.conversations.delete(made.id)
        ConversationDeletedResource.model_validate(gone.to_dict(), strict=True)
        with pytest.raises(openai.NotFoundError) as missing:
            await client.conversations.retrieve(made.id)
        assert missing.value.code == "conversation_not_found"
        empty = await client.conversations.create()
        assert [item async for item in client.conversations.items.list(empty.id)] == []


async def test_a_response_reads_its_conversation_and_is_appended_to_it() -> None:
    seen: list[str] = []

    def script(request: EngineRequest) -> list[str]:
        seen.append(ScriptedTokenizer().decode(request.prompt_token_ids))
        return [f"answer {len(seen)}"]

    async with running(script) as server, sdk(server) as client, server.client() as socket:
        made = await client.conversations.create(items=[{"type": "message", "role": "user", "content": "first"}])
        events = await socket.create("second", conversation=made.id)
        assert {event["response"]["conversation"]["id"] for event in events if "response" in event} == {made.id}
        await client.conversations.items.create(
            made.id, items=[{"type": "message", "role": "user", "content": "third"}]
        )
        (_, *_, last) = await socket.create("fourth", conversation={"id": made.id})
        assert last["type"] == "response.completed"
        items = await everything(server, made.id)
        assert [text_of(item) for item in items] == ["first", "second", "answer 1", "third", "fourth", "answer 2"]
        assert items[2]["id"] == next(event["item"]["id"] for event in events if "item" in event)
        order = [seen[1].index(word) for word in ("first", "second", "answer 1", "third", "fourth")]
        assert order == sorted(order)
        # the chain that it makes can be continued from as well
        *_, forked = await socket.create("fork", previous_response_id=last["response_id"])
        assert "conversation" not in forked["response"]
        assert len(await everything(server, made.id)) == 6


async def test_what_fails_is_not_appended_what_is_cut_is() -> None:
    steps: Any = iter([["lost", Fail()], ["half", Finish(FinishReason.LENGTH)], ["ca", "nc", "el", "led"]])
    async with running(lambda _: next(steps), tick_seconds=None) as server, sdk(server) as client:
        made = await client.conversations.create()
        async with server.client(native=True) as socket:
            for ending in ("response.failed", "response.incomplete"):
                await begin(socket, ending, conversation=made.id)
                await finish(server)
                assert (await socket.until_done())[-1]["type"] == ending
            response_id = await begin(socket, "cancelled", conversation=made.id)
            server.engine.step(2)
            await socket.send("response.cancel", response_id=response_id)
            *_, last = await socket.until_done()
            assert last["response"]["status"] == "cancelled"
        items = await everything(server, made.id)
        assert [text_of(item) for item in items] == ["response.incomplete", "half", "cancelled", "canc"]


async def test_h12_hundreds_of_requests_on_one_conversation_lose_and_mix_nothing() -> None:
    """H12: whatever the order, each response's input and output are in the list once, beside each other."""
    rng = random.Random(20261121)
    settings = changed(max_waiting_per_conversation=1000)
    prompts: dict[str, str] = {}  # what each question was answered from

    def script(request: EngineRequest) -> Any:
        prompt = ScriptedTokenizer().decode(request.prompt_token_ids)
        prompts[prompt.rpartition("user\n")[2].partition("<|im_end|>")[0]] = prompt
        return RandomScript(seed=1, max_tokens=3)(request)

    async with running(script, settings, max_num_seqs=64, max_model_len=1 << 20) as server, sdk(server) as client:
        made = await client.conversations.create()

        async def talk(number: int) -> list[tuple[str, Any]]:
            said = []
            async with server.client() as socket:
                for turn in range(effort(17, 25)):
                    text = f"<{number}.{turn}>"
                    if rng.random() < 0.2:
                        await client.conversations.items.create(made.id, items=[user(text)])  # type: ignore[list-item]
                        said.append((text, None))
                        continue
                    *_, last = await socket.create(text, conversation=made.id, stream_id=f"lane{turn % 3}")
                    assert last["type"] == "response.completed", last
                    said.append((text, last["response"]["output"]))
                    # whoever has read the end finds it in the list
                    newest = await client.conversations.items.retrieve(
                        last["response"]["output"][0]["id"], conversation_id=made.id
                    )
                    assert newest.type == "message"
            return said

        said = [one for talked in await asyncio.gather(*(talk(number) for number in range(12))) for one in talked]
        items = await everything(server, made.id)
    texts = [text_of(item) for item in items]
    assert len(items) == sum(1 if output is None else 2 for _, output in said)
    assert len({item["id"] for item in items}) == len(items)
    questions = {text: texts.index(text) for text, output in said if output is not None}
    for text, output in said:
        if output is not None:
            question, answer = items[questions[text] : questions[text] + 2]
            origin = {"response_id": question["response_id"], "created_at": question["created_at"]}
            assert answer == output[0] | origin, "the answer follows its question, and both are of one response"
    for text, at in questions.items():
        unseen = [earlier for earlier, before in questions.items() if before < at and earlier not in prompts[text]]
        assert not unseen, "each one was answered with all in mind that was answered before it"


async def test_requests_at_once_run_in_the_order_in_which_they_came_and_a_full_line_says_so() -> None:
    settings = changed(max_waiting_per_conversation=2)
    async with running(say("ok"), settings, tick_seconds=None) as server, sdk(server) as client:
        made = await client.conversations.create()
        other = await client.conversations.create()
        async with server.client(native=True) as socket:
            for name in "abcd":
                await socket.send("response.create", input=name, conversation=made.id, stream_id=name)
            refused = None
            while refused is None:
                event = await socket.receive()
                refused = event if event["type"] == "error" else None
            assert (refused["status"], refused["stream_id"]) == (429, "d")
            error = refused["error"]
            assert (error["code"], error["param"], error["retry"]) == ("conversation_locked", "conversation", True)
            assert error["retry_after"] >= 1
            await begin(socket, "x", conversation=other.id, stream_id="x")  # another one is not held up
            assert server.engine.stats().num_running + server.engine.stats().num_waiting == 2
            for _ in range(4):
                await finish(server)
            await until(lambda: not server.gateway.service.num_running)
        assert [text_of(item) for item in await everything(server, made.id)] == ["a", "ok", "b", "ok", "c", "ok"]


async def test_one_that_gives_up_waiting_leaves_nothing_and_holds_up_nobody() -> None:
    async with running(say("ok"), tick_seconds=None) as server, sdk(server) as client:
        made = await client.conversations.create()
        async with server.client(native=True) as socket:
            await begin(socket, "a", conversation=made.id, stream_id="a")
            for name in "bc":
                await socket.send("response.create", input=name, conversation=made.id, stream_id=name)
            await until(lambda: server.gateway.service.num_running == 3)
            await socket.send("response.cancel", stream_id="b")
            while (event := await socket.receive())["type"] != "response.incomplete":
                pass
            assert event["stream_id"] == "b"
            await finish(server)
        assert [text_of(item) for item in await everything(server, made.id)] == ["a", "ok", "c", "ok"]
        conversation = await server.gateway.service.conversations.store.get("local", made.id)
        assert conversation.num_users == 0


async def test_a_conversation_that_is_deleted_under_its_responses() -> None:
    async with running(say("ok"), tick_seconds=None) as server, sdk(server) as client:
        made = await client.conversations.create()
        async with server.client(native=True) as socket:
            first = await begin(socket, "a", conversation=made.id, stream_id="a")
            await socket.send("response.create", input="b", conversation=made.id, stream_id="b")
            await until(lambda: server.gateway.service.num_running == 2)
            await client.conversations.delete(made.id)
            await finish(server)
            ends: dict[str, Any] = {}
            while len(ends) < 2:
                event = await socket.receive()
                if event["done"]:
                    ends[event["stream_id"]] = event
        assert (ends["a"]["type"], ends["a"]["response_id"]) == ("response.completed", first)
        assert ends["b"]["response"]["error"]["code"] == "conversation_not_found"


REFUSED: dict[str, tuple[str, str, Any, int, str, str | None]] = {
    "too many items": ("POST", "", {"items": [user("x")] * 21}, 400, "message_too_complex", "items"),
    "items that are none": ("POST", "", {"items": [user("x"), 7]}, 400, "invalid_request", "items[1]"),
    "no list": ("POST", "", {"items": {}}, 400, "invalid_request", "items"),
    "a foreign type": ("POST", "", {"items": [{"type": "program"}]}, 400, "invalid_request", "items[0].type"),
    "a reference": (
        "POST", "", {"items": [{"type": "item_reference", "id": "msg_1"}]}, 400, "invalid_request", "items[0].type",
    ),
    "a trigger": ("POST", "", {"items": [{"type": "compaction_trigger"}]}, 400, "invalid_request", "items[0].type"),
    "metadata of numbers": ("POST", "", {"metadata": {"a": 1}}, 400, "invalid_request", "metadata[...]"),
    "no JSON": ("POST", "", b"{", 400, "invalid_json", None),
    "deep": ("POST", "", b'{"metadata":' + b"[" * 10_000, 400, "message_too_complex", None),
    "too large": ("POST", "", b" " * 70_000, 413, "request_too_large", None),
    "an update of nothing": ("POST", "/{id}", {}, 400, "invalid_request", "metadata"),
    "items missing": ("POST", "/{id}/items", {}, 400, "invalid_request", "items"),
    "a limit of 0": ("GET", "/{id}/items?limit=0", None, 400, "invalid_request", "limit"),
    "a limit of 101": ("GET", "/{id}/items?limit=101", None, 400, "invalid_request", "limit"),
    "a limit of x": ("GET", "/{id}/items?limit=x", None, 400, "invalid_request", "limit"),
    "an order": ("GET", "/{id}/items?order=random", None, 400, "invalid_request", "order"),
    "after nothing": ("GET", "/{id}/items?after=msg_x", None, 400, "invalid_request", "after"),
    "an unknown item": ("DELETE", "/{id}/items/msg_x", None, 404, "item_not_found", "item_id"),
    "an unknown one": ("GET", "/conv_x", None, 404, "conversation_not_found", "conversation"),
    "an unknown one's items": (
        "POST", "/conv_x/items", {"items": [user("x")]}, 404, "conversation_not_found", "conversation",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status", "code", "param"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused(method: str, path: str, body: Any, status: int, code: str, param: str | None) -> None:
    async with running(say("ok"), changed(max_message_bytes=65_536)) as server, sdk(server) as client:
        made = await client.conversations.create()
        async with httpx2.AsyncClient(base_url=server.http) as http:
            content: Any = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
            for prefix in ("/v1", ""):
                url = f"{prefix}/conversations{path.format(id=made.id)}"
                answer = await http.request(method, url, **content)
                error = answer.json()["error"]
                assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error
        assert await everything(server, made.id) == []
        store = server.gateway.service.conversations.store
        assert isinstance(store, MemoryConversations)
        assert len(store) == 1, "nothing half made"


async def test_a_create_that_names_it_wrongly_is_refused() -> None:
    async with running(say("ok")) as server, server.client() as socket, sdk(server) as client:
        made = await client.conversations.create()
        (_, *_, last) = await socket.create("hi", conversation=made.id)
        for members, status, code, param in (
            ({"conversation": "conv_x"}, 404, "conversation_not_found", "conversation"),
            ({"conversation": {}}, 400, "invalid_request", "conversation.id"),
            ({"conversation": 7}, 400, "invalid_request", "conversation"),
            (
                {"conversation": made.id, "previous_response_id": last["response_id"]},
                400, "invalid_request", "conversation",
            ),
        ):  # fmt: skip
            (answer,) = await socket.create("hi", **members)
            assert (answer["status"], answer["error"]["code"], answer["error"]["param"]) == (status, code, param)
        # an output that answers no call is known only when the conversation is read
        await socket.send(
            "response.create",
            conversation=made.id,
            input=[{"type": "function_call_output", "call_id": "call_x", "output": ""}],
        )
        *_, failed = await socket.until_done()
        assert (failed["type"], failed["response"]["error"]["code"]) == ("response.failed", "invalid_prompt")
        assert "call_x" in failed["response"]["error"]["message"]
        assert len(await everything(server, made.id)) == 2


async def test_a_foreign_tenant_finds_nothing_and_nobody_gets_in_without_a_key(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "alice", "bob")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with running(say("ok"), settings) as server:
        async with sdk(server, keys["alice"]) as alice, sdk(server, keys["bob"]) as bob:
            made = await alice.conversations.create(items=[user("secret")])  # type: ignore[list-item]
            item = (await alice.conversations.items.list(made.id)).data[0]
            mine: Any = [user("x")]
            for forbidden in (
                bob.conversations.retrieve(made.id),
                bob.conversations.update(made.id, metadata={}),
                bob.conversations.delete(made.id),
                bob.conversations.items.list(made.id),
                bob.conversations.items.create(made.id, items=mine),
                bob.conversations.items.retrieve(str(item.id), conversation_id=made.id),
                bob.conversations.items.delete(str(item.id), conversation_id=made.id),
            ):
                with pytest.raises(openai.NotFoundError) as caught:
                    await forbidden
                assert caught.value.code == "conversation_not_found"
            async with server.client(key=keys["bob"]) as socket:
                (refused,) = await socket.create("hi", conversation=made.id)
                assert refused["error"]["code"] == "conversation_not_found"
            assert len((await alice.conversations.items.list(made.id)).data) == 1
        async with sdk(server, "rt-wrong") as stranger:
            with pytest.raises(openai.AuthenticationError):
                await stranger.conversations.create()


async def test_a_change_is_confirmed_when_it_is_stored(tmp_path: Path) -> None:
    opened = open_at_once(tmp_path / "store.db", bounds_of(Settings().responses), waits=True)
    async with running(say("yes"), stores=opened.stores) as server, http(server) as client:

        async def change(method: str, path: str, **members: Any) -> Any:
            asked = asyncio.create_task(client.request(method, f"/v1/conversations{path}", **members))
            await until(lambda: not opened.commits.settled, "it is made")
            for _ in range(50):
                await asyncio.sleep(0)
            assert not asked.done(), "a crash could lose it still"
            opened.commits.flush()
            answer = await asked
            assert answer.status_code == 200, answer.text
            return answer.json()

        path = "/" + (await change("POST", "", json={}))["id"]
        items = [{"type": "message", "role": "user", "content": "a"}]
        [item] = (await change("POST", f"{path}/items", json={"items": items}))["data"]
        await change("POST", f"{path}/fork")
        await change("POST", path, json={"metadata": {"a": "b"}})
        await change("DELETE", f"{path}/items/{item['id']}")
        await change("DELETE", path)
        await server.gateway.service.shutdown()
    opened.stores.close()
