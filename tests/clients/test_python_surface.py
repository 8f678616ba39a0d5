"""The Python client beside the life of its socket: states, keys, errors, cancel scopes, HTTP, the blocking face."""

from __future__ import annotations

import asyncio
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import realtime_client
import realtime_client.sync
from realtime.engine.scripted import say
from realtime_client import (
    ConnectionLost,
    EventNotReceived,
    Policy,
    RealtimeError,
    ResponseNotFound,
    ServerError,
    SteerFailed,
)
from tests.support.patience import SECONDS
from tests.support.server import Running, changed, running
from tests.support.steps import engine_holds, make_keys, until

from .fake_server import FakeServer
from .test_python_client import ALL, connect, numbers

STORY = say("one ", "two ", "three ")
ENDLESS = say(*["on "] * 5000)


async def test_states_are_told_in_order() -> None:
    server = FakeServer([4], close_code=1012)
    seen: list[str] = []
    async with server.run(), connect(server.url) as rt:

        async def watch() -> None:
            async for state in rt.states():
                seen.append(state)

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        assert rt.state == "open"
        assert await numbers(await rt.create(input="hi")) == ALL
        await rt.close()
        await watching
    assert seen == ["open", "reconnecting", "open", "closed"]


async def test_a_key_may_be_a_function_which_is_asked_for_each_handshake() -> None:
    keys = iter(["first", "second"])

    async def key() -> str:
        return next(keys)

    server = FakeServer([4])
    async with server.run(), connect(server.url, api_key=key) as rt:
        await numbers(await rt.create(input="hi"))
    assert server.keys == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("url", ["ws://127.0.0.1:99999/v1/responses", "ws://[::1/v1", "ws://", "wss://exa mple/"])
async def test_every_url_that_is_none_is_an_error_of_ours(url: str) -> None:
    with pytest.raises(ConnectionLost):
        async with connect(url):
            pass


async def test_a_proxy_that_is_none_and_a_key_that_is_no_header_are_errors_of_ours() -> None:
    server = FakeServer()
    wrong: list[dict[str, Any]] = [{"proxy": "ftp://127.0.0.1:1"}, {"api_key": "two\r\nX-Lines: 1"}]
    async with server.run():
        for options in wrong:
            with pytest.raises(RealtimeError):
                async with connect(server.url, **options):
                    pass
    assert server.keys == []


async def test_a_handshake_that_is_never_answered_is_given_up() -> None:
    gone = asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    listening = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with listening:
        url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/responses"
        with pytest.raises(ConnectionLost, match="took too long") as caught:
            async with connect(url, policy=Policy(connect_timeout_seconds=0.05)):
                pass
        assert caught.value.retry
        await gone.wait()


def test_a_number_that_has_not_come_is_an_error_of_ours_too() -> None:
    assert issubclass(EventNotReceived, RealtimeError)
    assert issubclass(EventNotReceived, ValueError)


async def test_in_a_scope_that_cancels_every_await_the_response_is_stopped_and_nothing_hangs() -> None:
    """anyio's scopes cancel each `await` of `__aexit__` again."""
    async with running(ENDLESS, tick_seconds=0.001) as server:
        with anyio.move_on_after(0.2) as scope:
            async with (
                connect(server.url) as rt,
                await rt.create(input="hi", on_disconnect={"policy": "continue"}) as a,
            ):
                async for _ in a:
                    pass
        assert scope.cancelled_caught
        await until(lambda: engine_holds(server) == 0)
        assert rt.state == "closed"
        await until(lambda: not any(t.get_name().startswith("realtime_client") for t in asyncio.all_tasks()))


async def test_a_scope_around_create_cancels_the_response() -> None:
    async with running(ENDLESS, tick_seconds=0.001) as server, connect(server.url) as rt:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: rt.create(input="hi", on_disconnect={"policy": "continue"}))
                await anyio.lowlevel.checkpoint()
                scope.cancel()
        await until(lambda: engine_holds(server) == 0)
        assert (await (await rt.create(input="hi", max_output_tokens=2)).result()).output_text == "on on "


@pytest.mark.parametrize("read", ["in part", "whole"])
async def test_leaving_the_block_of_a_finished_answer_keeps_what_was_heard(read: str) -> None:
    """As of one that still runs: what was acknowledged, unless all was read, which is no barge-in."""
    async with running(STORY) as server, connect(server.url) as rt:
        async with await rt.create(input="hi") as response:
            await until(lambda: response._track.terminal is not None)
            async for event in response:
                if event["type"] == "response.output_text.delta" and event["delta"] == "two ":
                    response.ack()
                    if read == "in part":
                        break
        kept = "one two " if read == "in part" else "one two three "
        await until_kept(rt, response.id, kept)


async def until_kept(rt: realtime_client.Client, response_id: str, text: str) -> None:
    async with asyncio.timeout(120):
        while (await rt.responses.retrieve(response_id)).output_text != text:
            pass


async def test_what_the_server_keeps_over_http(tmp_path: Path) -> None:
    make = make_keys(tmp_path / "keys.json", "anna")
    with_keys = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with running(STORY, with_keys) as server, connect(server.url, api_key=make["anna"]) as rt:
        conversation = await rt.conversations.create(metadata={"name": "mine"})
        first = await rt.create(input="hi", conversation=conversation["id"])
        final = await first.result()
        assert (await rt.responses.retrieve(first.id)).output_text == final.output_text
        assert [one["id"] async for one in rt.responses.all(limit=1)] == [first.id]
        assert (await rt.responses.list(status="failed"))["data"] == []
        assert (await rt.responses.input_items(first.id))["data"][0]["type"] == "message"
        assert await rt.responses.count_input_tokens(input="hi") > 0
        assert (await rt.responses.truncate(first.id, through=-1)).output_text == ""
        assert [one["id"] async for one in rt.conversations.all()] == [conversation["id"]]
        items = await rt.conversations.items(conversation["id"], order="asc")
        assert items["data"][0]["type"] == "message"
        assert (await rt.conversations.update(conversation["id"], metadata={"name": "x"}))["metadata"] == {"name": "x"}
        assert (await rt.conversations.fork(conversation["id"]))["id"] != conversation["id"]
        assert (await rt.responses.delete(first.id))["deleted"] is True
        assert (await rt.conversations.delete(conversation["id"]))["deleted"] is True
        with pytest.raises(ResponseNotFound) as gone:
            await rt.responses.retrieve(first.id)
        assert gone.value.status == 404
        over = await rt.create(input="hi")
        await over.result()
        with pytest.raises(ServerError, match="response_already_completed"):
            await rt.responses.cancel(over.id)


async def test_http_says_whose_fault_it_is() -> None:
    async with running(STORY) as server:
        rt = connect(server.url, policy=Policy(max_retry_seconds=0))
        assert rt.state == "idle"
        with pytest.raises(ServerError, match="invalid"):
            await rt.responses.count_input_tokens(input=7)
    with pytest.raises(ConnectionLost) as lost:
        await rt.responses.retrieve("resp_x")
    assert lost.value.retry
    with pytest.raises(ConnectionLost, match="looks like ws://"):
        await connect("http://127.0.0.1/").responses.retrieve("resp_x")


async def test_the_end_of_an_answer_whose_events_are_gone_is_fetched() -> None:
    small = changed(max_log_bytes=2000)
    async with running(say(*["word "] * 200), small) as server, connect(server.url) as rt:
        first = await rt.create(input="hi", catch_up="events")
        whole = await first.result()
        late = await connect_and_follow(rt, server, first.id)
        assert late.output_text == whole.output_text


async def connect_and_follow(rt: realtime_client.Client, server: Running, response_id: str) -> Any:
    async with connect(server.url) as other:
        response = await other.resume(response_id)
        return await response.result()


def test_the_blocking_face() -> None:
    """One server in a loop of its own, as it would be in another process."""
    ready, done = threading.Event(), threading.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with running(STORY) as server:
            urls.append(server.url)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(SECONDS)
        _use_blocking(urls[0])
    finally:
        done.set()
        thread.join()


def _use_blocking(url: str) -> None:
    with realtime_client.sync.connect(url, proxy=None) as rt:
        assert rt.state == "open"
        response = rt.create(input="hi")
        assert list(response.text()) == ["one ", "two ", "three "]
        assert response.result().output_text == "one two three "
        assert [event["type"] for event in rt.resume(response.id)][-1] == "response.completed"
        with rt.create(input="hi") as left:
            for event in left:
                assert left.cursor.starting_after == event["sequence_number"]
                left.ack()
                break
        assert response.truncate(num_characters=0).output_text == ""
        assert response.successor() is None
        assert rt.responses.retrieve(response.id)["id"] == response.id
        assert response.id in [one["id"] for one in rt.responses.all()]
        with pytest.raises(SteerFailed):
            response.steer("late")
        with pytest.raises(ResponseNotFound):
            rt.resume("resp_unknown")
    assert str(rt.state) == "closed"
    with pytest.raises(RuntimeError, match="not open"):
        rt.create(input="hi")


def test_a_blocking_client_that_can_not_connect_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(ConnectionLost), realtime_client.sync.connect("ws://127.0.0.1:1/v1/responses", proxy=None):
        pass
    assert threading.active_count() == before


async def test_a_refusal_that_is_no_json_is_told_by_its_status() -> None:
    server = FakeServer(refusals=[HTTPStatus.FORBIDDEN])
    async with server.run():
        with pytest.raises(ConnectionLost, match="HTTP 403"):
            async with connect(server.url):
                pass
