"""What runs and what there is: found by who knows little of it, in pages, and never by anybody else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from realtime.engine.scripted import say
from tests.support.calls import TAGGED, spoken_call
from tests.support.http import http
from tests.support.server import changed, running
from tests.support.slow_store import slow_stores
from tests.support.steps import begin, engine_holds, finish, make_keys, until

KEEP: dict[str, Any] = {"on_disconnect": {"policy": "continue"}}
WORDS = [f"word{n} " for n in range(8)]


async def ids(client: httpx2.AsyncClient, path: str = "/v1/responses", **query: Any) -> list[str]:
    """The ids on one page."""
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    page = answer.json()
    found = [one["id"] for one in page["data"]]
    assert (page["first_id"], page["last_id"]) == ((found[0], found[-1]) if found else (None, None))
    return found


async def pages(client: httpx2.AsyncClient, path: str = "/v1/responses", **query: Any) -> list[str]:
    """The ids on all pages, as the SDKs turn them."""
    found: list[str] = []
    while True:
        page = (await client.get(path, params=query)).json()
        found += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            return found
        query["after"] = page["last_id"]


# -- a response that runs


async def test_a_running_response_shows_what_it_has_said_so_far() -> None:
    async with (
        running(say(*WORDS), tick_seconds=None) as server,
        server.client(native=True) as socket,
        http(server) as client,
    ):
        response_id = await begin(socket)
        for num_words in range(1, 6):
            server.engine.step()
            await until(lambda: True)
            shown = (await client.get(f"/v1/responses/{response_id}")).json()
            assert shown["status"] == "in_progress"
            (message,) = shown["output"]
            assert (message["status"], message["content"][0]["text"]) == ("in_progress", "".join(WORDS[:num_words]))
            async with server.client(native=True) as other:  # from here on it can be followed
                await other.send(
                    "response.resume", response_id=response_id, starting_after=shown["tip"] - 1, epoch=shown["epoch"]
                )
                resumed = (await other.receive())["resumed"]
                assert (resumed["tip"], resumed["epoch"]) == (shown["tip"], shown["epoch"])
        await finish(server)
        await socket.until_done(response_id)
        over = (await client.get(f"/v1/responses/{response_id}")).json()
        assert over["output"][0]["content"][0]["text"] == "".join(WORDS)
        assert not {"epoch", "tip"} & over.keys()


async def test_calls_and_reasoning_that_are_being_written_are_shown_as_they_are_sent() -> None:
    tools = [{"type": "function", "name": "look"}]
    script = say(*spoken_call("look", '{"a": ', '"b"', "}"))
    async with (
        running(script, tick_seconds=None, family=TAGGED) as server,
        server.client() as socket,
        http(server) as client,
    ):
        response_id = await begin(socket, tools=tools, **KEEP)
        seen = []
        while engine_holds(server):
            server.engine.step()
            await until(lambda: True)
            for item in (await client.get(f"/v1/responses/{response_id}")).json()["output"]:
                seen.append((item["status"], item["arguments"]))
        assert ("in_progress", '{"a": "b"') in seen
        assert seen[-1] == ("completed", '{"a": "b"}')


# -- lists


async def test_a_second_device_that_knows_only_the_conversation_finds_shows_follows_and_stops_what_runs() -> None:
    async with running(say(*WORDS * 20), tick_seconds=None) as server, http(server) as client:
        conversation = (await client.post("/v1/conversations", json={"metadata": {"title": "Tea"}})).json()["id"]
        async with server.client(native=True) as first:
            response_id = await begin(first, "How is tea made?", conversation=conversation)
            server.engine.step(5)
            (found,) = (await client.get(f"/v1/conversations/{conversation}")).json()["running_responses"]
            assert found == response_id
            (listed,) = (
                await client.get("/v1/responses", params={"conversation": conversation, "status": "in_progress"})
            ).json()["data"]
            assert listed["id"] == response_id
            assert not {"output", "instructions", "tools", "epoch", "tip"} & listed.keys()
            (question,) = (await client.get(f"/v1/responses/{response_id}/input_items")).json()["data"]
            assert question["content"][0]["text"] == "How is tea made?"
            shown = (await client.get(f"/v1/responses/{response_id}")).json()
            text = shown["output"][0]["content"][0]["text"]
            assert text == "".join(WORDS[:5])
            async with server.client(native=True) as second:
                await second.send(
                    "response.resume", response_id=response_id, starting_after=shown["tip"] - 1, epoch=shown["epoch"],
                    catch_up="merged",
                )  # fmt: skip
                assert (await second.receive())["type"] == "response.resumed"
                server.engine.step(3)
                text += "".join([(await second.receive())["delta"] for _ in range(3)])
                await second.send("response.cancel", response_id=response_id)
                await until(lambda: engine_holds(server) == 0)
                last = (await second.until_done(response_id))[-1]
                assert last["response"]["status"] == "cancelled"
                assert last["response"]["output"][0]["content"][0]["text"] == text == "".join(WORDS)
        over = (await client.get(f"/v1/conversations/{conversation}")).json()
        assert over["running_responses"] == []
        items = (await client.get(f"/v1/conversations/{conversation}/items", params={"order": "asc"})).json()["data"]
        assert [item["response_id"] for item in items] == [response_id] * 2
        assert all(item["created_at"] >= over["created_at"] for item in items)


async def test_a_chain_is_found_by_its_metadata() -> None:
    async with (
        running(say("a", "b"), tick_seconds=None) as server,
        server.client(native=True) as socket,
        http(server) as client,
    ):
        chain: list[str] = []
        for number in range(3):
            more = {"previous_response_id": chain[-1]} if chain else {}
            chain.append(await begin(socket, f"turn {number}", metadata={"chat": "tea", "n": str(number)}, **more))
            if number < 2:
                await finish(server)
                await socket.until_done(chain[-1])
        other = await begin(socket, metadata={"chat": "coffee"}, stream_id="other")
        assert await ids(client, **{"metadata.chat": "tea"}) == chain[::-1]
        assert await ids(client, **{"metadata[chat]": "tea"}, order="asc") == chain
        assert await ids(client, **{"metadata.chat": "tea", "status": "in_progress"}) == chain[2:]
        assert await ids(client, **{"metadata.chat": "tea", "metadata.n": "1"}) == chain[1:2]
        assert await ids(client, **{"metadata.chat": "juice"}) == []
        assert await ids(client, limit=1) == [other]
        assert await ids(client, after=other, limit=2) == [chain[2], chain[1]]
        for order in ("asc", "desc"):
            whole = [*chain, other] if order == "asc" else [other, *chain[::-1]]
            for limit in (1, 2, 3, 100):
                assert await pages(client, order=order, limit=limit) == whole
        await finish(server)


async def test_pages_stay_right_while_responses_begin_and_end() -> None:
    async with (
        running(say("a"), tick_seconds=None) as server,
        server.client(native=True) as socket,
        http(server) as client,
    ):
        made = [await begin(socket, stream_id=f"lane{n}", **KEEP) for n in range(6)]
        first = await ids(client, limit=2)
        assert first == made[:3:-1]
        await finish(server)  # all of them end, in whatever order
        await until(lambda: not server.gateway.service.registry.running)
        newest = await begin(socket, stream_id="another", **KEEP)
        assert await pages(client, limit=2, after=first[-1]) == made[3::-1]
        assert await ids(client, order="asc", after=made[-1]) == [newest]
        await client.delete(f"/v1/responses/{made[2]}")
        assert await pages(client, limit=2, after=first[-1]) == [made[3], made[1], made[0]]
        gone = await client.get("/v1/responses", params={"after": made[2]})
        assert (gone.status_code, gone.json()["error"]["param"]) == (400, "after")
        await finish(server)


async def test_what_ends_while_a_slow_store_is_asked_is_in_the_list_once() -> None:
    for asks_first in (True, False):
        stores, gate = slow_stores()
        gate.asks_first = asks_first
        async with (
            running(say("a"), tick_seconds=None, stores=stores) as server,
            server.client() as socket,
            http(server) as client,
        ):
            response_id = await begin(socket, **KEEP)
            gate.hold("responses.list")
            asked = asyncio.create_task(client.get("/v1/responses", params={"limit": 5}))
            await gate.reached("responses.list")
            await finish(server)
            await until(lambda: not server.gateway.service.registry.running)
            gate.open()
            (listed,) = (await asked).json()["data"]
            assert (listed["id"], listed["status"]) == (response_id, "completed")


async def test_what_was_not_to_be_stored_is_listed_as_long_as_it_runs() -> None:
    async with running(say("a"), tick_seconds=None) as server, server.client() as socket, http(server) as client:
        response_id = await begin(socket, store=False)
        assert await ids(client, order="desc") == [response_id]
        await finish(server)
        await socket.until_done(response_id)
        assert await ids(client, order="desc") == []


async def test_lists_are_the_tenants_own(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "anna", "bob")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with (
        running(say("a"), settings) as server,
        http(server, keys["anna"]) as anna,
        http(server, keys["bob"]) as bob,
    ):
        mine = (await anna.post("/v1/responses", json={"input": "hi", "metadata": {"chat": "x"}})).json()["id"]
        conversation = (await anna.post("/v1/conversations", json={"metadata": {"a": "b"}})).json()["id"]
        assert await ids(anna, limit=3) == [mine]
        assert await ids(anna, "/v1/conversations") == [conversation]
        for query in ({"limit": 3}, {"metadata.chat": "x"}, {"conversation": conversation}):
            assert await ids(bob, **query) == []
        assert await ids(bob, "/v1/conversations") == []
        for path, after in (("/v1/responses", mine), ("/v1/conversations", conversation)):
            foreign = await bob.get(path, params={"after": after})
            unknown = await bob.get(path, params={"after": after[:-4] + "0000"})
            assert foreign.status_code == unknown.status_code == 400
            assert foreign.text.replace(after, "") == unknown.text.replace(after[:-4] + "0000", "")
        async with http(server) as nobody:
            assert (await nobody.get("/v1/responses", params={"limit": 3})).status_code == 401
            assert (await nobody.get("/v1/conversations")).status_code == 401
            assert (await nobody.get("/v1/responses")).status_code == 426, "needs no key, as ever"


@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {}),
        ("?model=x", {}),
        ("?", {}),
        ("?limit=5", {"upgrade": "websocket"}),
        ("?limit=5", {"sec-websocket-version": "13"}),
        ("?limit=5", {"sec-websocket-key": "AAAA"}),
        ("?limit=5", {"upgrade": "h2c", "connection": "upgrade"}),
    ],
)
async def test_who_may_mean_the_socket_is_told_to_upgrade(path: str, query: str, headers: dict[str, str]) -> None:
    async with running(say("a")) as server, http(server) as client:
        answer = await client.get(path + query, headers=headers)
        if headers.get("upgrade") == "websocket":
            assert answer.status_code in (400, 426), "never a list"
        else:
            assert (answer.status_code, answer.json()["error"]["code"]) == (426, "upgrade_required")


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "101"}, {"order": "up"}, {"status": "odd"}, {f"metadata.{'k' * 65}": "v"}]
)
async def test_a_query_that_makes_no_sense_is_refused(query: dict[str, str]) -> None:
    async with running(say("a")) as server, http(server) as client:
        answer = await client.get("/v1/responses", params=query)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
        assert answer.json()["error"]["param"] in next(iter(query))


async def test_without_keys_lists_are_for_this_machine_unless_they_are_open() -> None:
    elsewhere = {"x-forwarded-for": "203.0.113.9"}  # as from a proxy on this machine
    for listing, status in (("local", 403), ("open", 200)):
        async with running(say("a"), changed(listing=listing)) as server, http(server) as client:
            for path in ("/v1/responses?limit=2", "/v1/conversations"):
                assert (await client.get(path)).status_code == 200
                far = await client.get(path, headers=elsewhere)
                assert far.status_code == status
                assert status == 200 or far.json()["error"]["code"] == "not_permitted"
            conversation = (await client.post("/v1/conversations")).json()["id"]
            assert (await client.get(f"/v1/conversations/{conversation}", headers=elsewhere)).status_code == 200


async def test_a_page_is_bounded_in_bytes() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["x" * 50_000]}}}
    text = {"format": {"type": "json_schema", "name": "a", "schema": schema}}
    async with running(say("{}")) as server, http(server) as client:
        for _ in range(30):
            assert (await client.post("/v1/responses", json={"input": "hi", "text": text})).status_code == 200
        page = await client.get("/v1/responses", params={"limit": 100})
        assert len(page.content) < 1_200_000
        assert page.json()["has_more"]
        assert len(await pages(client, limit=100)) == 30


# -- conversations


async def test_conversations_are_listed_in_the_order_in_which_they_began() -> None:
    async with running(say("a")) as server, http(server) as client:
        made = [
            (await client.post("/v1/conversations", json={"metadata": {"n": str(n % 2)}})).json()["id"]
            for n in range(5)
        ]
        await client.get(f"/v1/conversations/{made[0]}")  # to use one does not move it
        path = "/v1/conversations"
        assert await ids(client, path) == made[::-1]
        assert await ids(client, path, **{"metadata.n": "1"}) == [made[3], made[1]]
        for order in ("asc", "desc"):
            assert await pages(client, path, order=order, limit=2) == (made if order == "asc" else made[::-1])
        await client.delete(f"{path}/{made[2]}")
        assert await ids(client, path, after=made[3]) == [made[1], made[0]]
        assert (await client.get(path, params={"after": made[2]})).status_code == 400


async def test_a_fork_has_the_items_up_to_one_and_goes_its_own_way() -> None:
    async with running(say("answer")) as server, http(server) as client:
        made = (await client.post("/v1/conversations", json={"metadata": {"title": "Tea"}})).json()
        path = f"/v1/conversations/{made['id']}"
        for text in ("one", "two"):
            await client.post("/v1/responses", json={"input": text, "conversation": made["id"]})
        await client.post(f"{path}/items", json={"items": [{"role": "user", "content": "posted"}]})
        items = (await client.get(f"{path}/items", params={"order": "asc"})).json()["data"]
        assert [item["response_id"] is None for item in items] == [False] * 4 + [True]
        for index, item in enumerate(items):
            fork = (await client.post(f"{path}/fork", json={"item_id": item["id"]})).json()
            assert (fork["metadata"], fork["id"] != made["id"]) == (made["metadata"], True)
            listed = (await client.get(f"/v1/conversations/{fork['id']}/items", params={"order": "asc"})).json()["data"]
            assert listed == items[: index + 1]
        whole = (await client.post(f"{path}/fork")).json()["id"]
        answered = (
            await client.post("/v1/responses", json={"input": "three", "conversation": whole, "include": ["token_ids"]})
        ).json()
        same = (
            await client.post(
                "/v1/responses", json={"input": "three", "conversation": made["id"], "include": ["token_ids"]}
            )
        ).json()
        assert answered["input_token_ids"] == same["input_token_ids"]
        assert len((await client.get(f"/v1/conversations/{whole}/items")).json()["data"]) == 7
        refused = await client.post(f"{path}/fork", json={"item_id": "msg_x"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "item_not_found")
        assert (await client.post("/v1/conversations/conv_x/fork")).status_code == 404


async def test_nobody_can_say_where_an_item_comes_from() -> None:
    spoofed = {"role": "user", "content": "hi", "response_id": "resp_of_somebody", "created_at": "yesterday"}
    async with running(say("a")) as server, http(server) as client:
        made = (await client.post("/v1/conversations", json={"items": [spoofed]})).json()["id"]
        (item,) = (await client.get(f"/v1/conversations/{made}/items")).json()["data"]
        assert item["response_id"] is None
        assert isinstance(item["created_at"], int)
        one = (await client.get(f"/v1/conversations/{made}/items/{item['id']}")).json()
        assert one == item
        assert (await client.post("/v1/responses", json={"input": [one]})).status_code == 200, "and it may be sent back"
