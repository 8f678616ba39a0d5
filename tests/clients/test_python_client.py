"""The asyncio shell against a server that cuts, refuses and stalls; then against the real server."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import pytest

import realtime_client
from clients.conformance.case import RECORDING, recorded
from realtime.engine.scripted import say
from realtime_client import (
    ClientClosed,
    ConnectionLost,
    Cursor,
    CursorAhead,
    Detached,
    EpochMismatch,
    IdempotencyConflict,
    Policy,
    ResponseNotFound,
    ServerError,
)
from tests.support.http import http
from tests.support.merged import merge
from tests.support.patience import SECONDS
from tests.support.server import running

from .fake_server import FakeServer

QUICK = Policy(initial_delay_seconds=0)  # reconnect at once


def connect(url: str, **options: Any) -> realtime_client.Client:
    return realtime_client.connect(url, **({"policy": QUICK, "proxy": None} | options))


async def numbers(response: realtime_client.Response) -> list[int]:
    return [event["sequence_number"] async for event in response]


ALL = list(range(len(RECORDING)))


@pytest.fixture(autouse=True)
async def _ends_and_leaves_nothing() -> AsyncIterator[None]:
    """A lost event would wait for ever: after a minute the test is cancelled. No task may outlive its client."""
    loop = asyncio.get_running_loop()
    deadline = loop.call_later(60, lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
    yield
    deadline.cancel()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("realtime_client")] == []


@pytest.mark.parametrize("cut", range(len(RECORDING) + 2))
@pytest.mark.parametrize("close_code", [None, 1001, 1011, 1012, 1013])
async def test_a_cut_at_any_message_does_not_show(cut: int, close_code: int | None) -> None:
    async with FakeServer([cut], close_code=close_code).run() as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        events = [event async for event in response]
        lane = server.frames[0]["stream_id"]
        assert events == [json.loads(recorded(number, "r0", lane)) for number in ALL]
        assert (await response.result()).output_text == "Hello, 日本."
        assert server.num_runs == 1


async def test_cuts_after_every_other_message() -> None:
    """The greeting and `response.resumed` go through, then one event: eleven connections for eleven events."""
    async with FakeServer([2] + [3] * 9).run() as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        assert "".join([text async for text in response.text()]) == "Hello, 日本."


async def test_a_lost_event_is_fetched() -> None:
    async with FakeServer(lose=5).run() as server, connect(server.url) as rt:
        assert await numbers(await rt.create(input="hi")) == ALL
        assert [frame["type"] for frame in server.frames] == ["response.create", "response.resume"]


async def test_many_responses_on_one_socket_that_is_cut() -> None:
    async with FakeServer([20, 30, 40, 50]).run() as server, connect(server.url) as rt:
        async with asyncio.TaskGroup() as group:
            finals = [group.create_task(_whole(rt, str(n))) for n in range(20)]
        assert {task.result() for task in finals} == {"Hello, 日本."}
        assert server.num_runs == 20


async def _whole(rt: realtime_client.Client, text: str) -> str:
    response = await rt.create(input=text)
    assert await numbers(response) == ALL
    return (await response.result()).output_text


async def test_a_close_code_that_forbids_it_is_not_reconnected() -> None:
    async with FakeServer([6], close_code=1008).run() as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        for number in ALL[:5]:
            assert (await anext(aiter(response)))["sequence_number"] == number
        with pytest.raises(ConnectionLost, match="1008"):
            await response.result()
        resumed = await rt.resume(*response.cursor)  # by hand it works
        assert await numbers(resumed) == ALL[5:]


async def test_cancel_returns_the_receipt_and_the_events_stay_readable() -> None:
    async with FakeServer(hold_at=5).run() as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        final = await response.cancel()
        assert final["status"] == "cancelled"
        assert final.receipt == {"tokens_generated": 5}
        assert await numbers(response) == [0, 1, 2, 3, 4, 5]
        assert await response.cancel() == final


async def test_breaking_out_loses_nothing() -> None:
    async with FakeServer().run() as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        async for event in response:
            if event["sequence_number"] == 4:
                break
        assert response.cursor == Cursor("r0", 4, "e1")
        assert await numbers(response) == ALL[5:]


async def test_a_cancelled_reader_leaves_the_rest_to_the_next() -> None:
    async with FakeServer(hold_at=5).run() as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):  # long enough for five events; fewer would do as well
                await numbers(response)
        final = await response.cancel()
        assert final["status"] == "cancelled"
        assert (await numbers(response))[-1] == 5


async def test_leaving_the_block_cancels() -> None:
    async with FakeServer(hold_at=5).run() as server, connect(server.url) as rt:
        async with await rt.create(input="hi") as response:
            await anext(aiter(response))
        await response.cancel()  # waits for the terminal of the cancel that is on its way
        assert [frame["type"] for frame in server.frames] == ["response.create", "response.cancel"]


async def test_detach_and_resume_elsewhere() -> None:
    async with FakeServer(hold_at=5).run() as server:
        async with connect(server.url) as rt:
            response = await rt.create(input="hi")
            assert [(await anext(aiter(response)))["sequence_number"] for _ in range(3)] == [0, 1, 2]
            cursor = await response.detach()
            with pytest.raises(Detached):
                await response.result()
        async with connect(server.url) as other:
            response = await other.resume(*cursor)
            await response.cancel()
            assert await numbers(response) == [3, 4, 5]


async def test_a_dropped_handle_is_let_go() -> None:
    async with FakeServer(hold_at=5).run() as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        del response
        gc.collect()
        await (await rt.create(input="again")).cancel()
        assert {"type": "response.detach", "event_id": "detach.0", "response_id": "r0"} in server.frames


async def test_an_unread_response_is_paused_and_costs_the_others_nothing() -> None:
    policy = Policy(initial_delay_seconds=0, max_buffer_bytes=20_000)
    async with FakeServer(padding=8_000).run() as server, connect(server.url, policy=policy) as rt:
        slow = await rt.create(input="slow")
        assert await numbers(await rt.create(input="quick")) == ALL
        assert "response.detach" in [frame["type"] for frame in server.frames]
        assert slow._track.num_bytes < 30_000
        assert await numbers(slow) == ALL


async def test_a_lane_that_becomes_free_is_used_though_nobody_reads() -> None:
    policy = Policy(initial_delay_seconds=0, num_lanes=1)
    async with FakeServer(hold_at=5).run() as server, connect(server.url, policy=policy) as rt:
        first = await rt.create(input="one")
        second = asyncio.create_task(rt.create(input="two"))
        await asyncio.sleep(0)  # let it ask
        server.cancel("r0")
        assert (await second).id == "r1"
        assert first.id == "r0"


async def test_a_create_that_nobody_waits_for_is_cancelled() -> None:
    async with FakeServer(hold_at=5).run() as server, connect(server.url) as rt:
        task = asyncio.create_task(rt.create(input="hi"))
        await asyncio.sleep(0)  # let it ask
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await (await rt.create(input="again")).cancel()
        types = [frame["type"] for frame in server.frames if frame.get("response_id", "r0") == "r0"]
        assert types in (
            ["response.create"],
            ["response.create", "response.create", "response.cancel", "response.detach"],
        )


async def test_refusals_are_typed() -> None:
    async with FakeServer().run() as server, connect(server.url) as rt:
        with pytest.raises(ServerError) as refused:
            await rt.create(input="refuse")
        assert (refused.value.code, refused.value.retry) == ("invalid_request", False)
        with pytest.raises(ResponseNotFound):
            await rt.resume("r7")


async def test_the_key_goes_into_the_header() -> None:
    async with FakeServer().run() as server, connect(server.url, api_key="secret"):
        assert server.keys == ["Bearer secret"]


async def test_the_first_connection_fails_at_once() -> None:
    async with FakeServer(refusals=[HTTPStatus.UNAUTHORIZED]).run() as server:
        with pytest.raises(ConnectionLost) as refused:
            async with connect(server.url):
                pass
        assert (refused.value.status, refused.value.retry) == (401, False)
    with pytest.raises(ConnectionLost):
        async with connect(server.url):
            pass


async def test_a_refused_handshake_later_is_tried_again_if_that_can_help() -> None:
    server = FakeServer([4])
    async with server.run(), connect(server.url) as rt:
        server._refusals = iter([HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY])
        assert await numbers(await rt.create(input="hi")) == ALL
        assert len(server.keys) == 4


async def test_giving_up_says_so_to_every_reader() -> None:
    policy = Policy(initial_delay_seconds=0.01, max_retry_seconds=0.02)
    server = FakeServer(hold_at=5)
    async with server.run(), connect(server.url, policy=policy) as rt:
        response = await rt.create(input="hi")
        server._refusals = iter([HTTPStatus.SERVICE_UNAVAILABLE] * 50)
        server._close_code = 1012
        for socket in list(server.sockets):
            await socket.close(1012)
        with pytest.raises(ConnectionLost) as lost:
            await response.result()
        assert lost.value.retry


async def test_closing_ends_what_is_open_and_is_clean() -> None:
    async with FakeServer(hold_at=5).run() as server:
        async with connect(server.url) as rt:
            response = await rt.create(input="hi")
        with pytest.raises(ClientClosed):
            await response.result()
        with pytest.raises(RuntimeError):
            await rt.create(input="hi")
        for late in (response.truncate(-1), response.steer("more")):
            with pytest.raises(ClientClosed):
                await asyncio.wait_for(late, SECONDS)


# -- the real server, on the scripted engine

STORY = say(*(f"word{number} " for number in range(8)))
ENDLESS = say(*("on and on " for _ in range(3000)))


def stands_for(events: list[dict[str, Any]]) -> list[int]:
    """The numbers of the events that these are, or stand for."""
    spans = ((e.get("first_sequence_number", e["sequence_number"]), e["sequence_number"]) for e in events)
    return [number for first, last in spans for number in range(first, last + 1)]


def abort(rt: realtime_client.Client) -> None:
    """Kill the client's socket, if it has one right now."""
    if rt._socket is not None:
        rt._socket.transport.abort()


@pytest.mark.parametrize("catch_up", ["events", "merged"])
async def test_real_server_cut_anywhere(catch_up: str) -> None:
    async with running(STORY) as server, connect(server.url) as rt:
        whole = [event async for event in await rt.create(input="hi")]
        for cut in range(len(whole)):
            response = await rt.create(input="hi", catch_up=catch_up)
            events: list[Any] = []
            async for event in response:
                if len(events) == cut:
                    abort(rt)
                events.append(event)
            assert stands_for(events) == list(range(len(whole)))
            if catch_up == "events":
                assert [e.get("delta") for e in events] == [e.get("delta") for e in whole]
            assert [e for e in events if e["done"]] == events[-1:]
            assert (await response.result()).output_text == "".join(f"word{number} " for number in range(8))


async def test_real_server_cut_all_the_time_under_many_responses() -> None:
    async with running(STORY, max_num_seqs=16) as server, connect(server.url) as rt:
        async with asyncio.TaskGroup() as group:
            texts = [group.create_task(_text(rt, number)) for number in range(24)]
        assert {task.result() for task in texts} == {"".join(f"word{number} " for number in range(8))}


async def _text(rt: realtime_client.Client, number: int) -> str:
    response = await rt.create(input=str(number))
    words = []
    async for text in response.text():
        words.append(text)
        if len(words) == number % 8:
            abort(rt)
    return "".join(words)


async def test_real_server_cancel_and_the_next_one() -> None:
    async with running(ENDLESS) as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        async for _ in response.text():
            break
        final = await response.cancel()
        assert final["status"] == "cancelled"
        assert final.receipt is not None
        assert final.receipt["tokens_generated"] > 0
        assert server.engine.stats().num_running == 0


async def test_real_server_a_second_turn_that_is_not_stored() -> None:
    async with running(STORY) as server, connect(server.url) as rt:
        first = await (await rt.create(input="hi", store=False)).result()
        await (await rt.create(input="something else", store=False)).result()
        second = await rt.create(input="and?", store=False, previous_response_id=first["id"])
        assert (await second.result())["previous_response_id"] == first["id"]


async def test_real_server_the_same_request_from_two_clients_runs_once() -> None:
    async with running(STORY) as server, connect(server.url) as one, connect(server.url) as two:
        first = await one.create(input="hi", request_id="order-4711")
        second = await two.create(input="hi", request_id="order-4711", catch_up="events")
        assert first.id == second.id
        assert [event async for event in first] == [event async for event in second]
        with pytest.raises(IdempotencyConflict):
            await one.create(input="something else", request_id="order-4711")


async def test_real_server_a_second_viewer_from_the_start() -> None:
    async with running(STORY) as server, connect(server.url) as one, connect(server.url) as two:
        response = await one.create(input="hi")
        viewer = await two.resume(response.id)
        mine: list[Any] = [event async for event in response]
        seen: list[Any] = [event async for event in viewer]
        assert stands_for(seen) == stands_for(mine)
        assert merge(seen) == merge(mine)
        with pytest.raises(EpochMismatch):
            await two.resume(response.id, 3, "another")
        with pytest.raises(CursorAhead):
            await two.resume(response.id, 10_000)
        with pytest.raises(ResponseNotFound):
            await two.resume("resp_unknown")


async def test_real_server_an_unread_response_is_fetched_later() -> None:
    policy = Policy(initial_delay_seconds=0, max_buffer_bytes=20_000)
    async with running(ENDLESS) as server, connect(server.url, policy=policy) as rt:
        slow = await rt.create(input="slow")
        quick: list[Any] = [event async for event in await rt.create(input="quick")]
        late: list[Any] = [event async for event in slow]
        assert stands_for(late) == stands_for(quick)
        assert len(late) < 200 < len(stands_for(late)), "what it was behind with came merged"


async def test_real_server_a_viewer_with_a_ticket_follows_and_can_not_stop() -> None:
    async with running(ENDLESS) as server, connect(server.url) as rt, http(server) as client:
        response = await rt.create(input="hi")
        made = (await client.post(f"/v1/responses/{response.id}/tickets", json={"role": "viewer"})).json()
        async with connect(server.url, ticket=made["ticket"]) as page:
            seen = await page.resume(response.id)
            async for _ in seen.text():
                break
            for refused in (seen.cancel(), page.create(input="hi")):
                with pytest.raises(ServerError) as caught:
                    await refused
                assert caught.value.code == "not_permitted"
            final = await response.cancel()
            assert (await seen.result())["status"] == final["status"] == "cancelled"


async def test_real_server_a_queue_longer_than_the_lanes() -> None:
    async with running(STORY) as server, connect(server.url, policy=Policy(num_lanes=2)) as rt:
        async with asyncio.TaskGroup() as group:
            texts = [group.create_task(_text(rt, 9)) for _ in range(9)]
        assert len({task.result() for task in texts}) == 1
