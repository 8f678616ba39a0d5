"""Cancel: the terminal event comes when the engine has let go, with a receipt; and the slot goes to the next."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from realtime.context.turns import Prompt
from realtime.dialects.chat import ChatDialect
from realtime.engine.scripted import Fail, RandomScript, say
from realtime.service.principal import LOCAL
from tests.support.http import http
from tests.support.server import changed, running, sink_of
from tests.support.steps import begin, cut, engine_holds, finish, resume, take, until
from tests.support.transcript import assert_error, check, types

LONG = say(*["word "] * 1000)
KEEP: dict[str, Any] = {"on_disconnect": {"policy": "continue"}}


async def settle() -> None:
    """Let everything happen that needs no tick of the engine."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("native", [False, True])
async def test_the_terminal_comes_after_the_engine_has_let_go(native: bool) -> None:
    async with running(LONG, tick_seconds=None, abort_ticks=3) as server, server.client(native=native) as client:
        response_id = await begin(client)
        server.engine.step(5)
        events = [await client.receive() for _ in range(7)]
        run = server.gateway.service.registry.running[response_id]
        await client.send("response.cancel", response_id=response_id)
        await until(lambda: run.stopping.stopped)
        for _ in range(3):
            await settle()
            assert not run.over, "the engine still holds the request"
            assert engine_holds(server) == 1
            server.engine.step()
        assert engine_holds(server) == 0
        events += await client.until_done()
        final = events[-1]["response"]
        assert events[-1]["type"] == "response.incomplete"
        assert final["status"] == "cancelled"
        assert final["incomplete_details"] == {"reason": "cancelled"}
        assert types(events)[-4:] == ["output_text.done", "content_part.done", "output_item.done", "incomplete"]
        assert final["output"][0]["status"] == "incomplete"
        assert final["cancel"]["tokens_generated"] == 5
        assert final["cancel"]["tokens_delivered"] == 5
        assert final["cancel"]["abort_ms"] >= 0
        assert final["usage"]["output_tokens"] == 5


async def test_the_receipt_counts_what_the_canceller_had_taken() -> None:
    async with (
        running(say("", "a", "", "", "b", *["c"] * 50), tick_seconds=None) as server,
        server.client() as client,
        server.client() as other,
    ):
        response_id = await begin(client, **KEEP)
        server.engine.step(2)  # a token without text of its own, then one with
        await take(client, 3)  # item, part, delta
        await client.send("response.cancel", response_id=response_id)
        await until(lambda: server.gateway.service.registry.running.get(response_id) is None)
        receipt = (await client.until_done())[-1]["response"]["cancel"]
        assert (receipt["tokens_generated"], receipt["tokens_delivered"]) == (2, 2)
        # who reads nothing has been delivered nothing
        response_id = await begin(client, **KEEP)
        server.engine.step(5)
        await other.send("response.cancel", response_id=response_id)
        receipt = (await other.until_done())[-1]["response"]["cancel"]
        assert (receipt["tokens_generated"], receipt["tokens_delivered"]) == (5, 0)


async def test_a_reader_that_is_behind_has_been_delivered_less_than_was_generated() -> None:
    async with running(say(*["word "] * 1000), tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client)
        [shell] = server.gateway.sockets.shells
        sink_of(shell).pause_writing()  # as when the peer does not read
        server.engine.step(50)
        await settle()
        await client.send("response.cancel", response_id=response_id)
        await until(lambda: response_id not in server.gateway.service.registry.running)
        sink_of(shell).resume_writing()
        events = await client.until_done()
        receipt = events[-1]["response"]["cancel"]
        assert (receipt["tokens_generated"], receipt["tokens_delivered"]) == (50, 0)
        assert len([event for event in events if event["type"] == "response.output_text.delta"]) == 50


async def test_the_slot_is_given_to_the_next_request() -> None:
    settings = changed(max_running_responses=1)
    async with (
        running(LONG, settings, tick_seconds=None, abort_ticks=2, max_num_seqs=1) as server,
        server.client() as client,
        server.client() as other,
    ):
        response_id = await begin(client)
        server.engine.step()
        await other.send("response.create", input="next")
        assert types([await other.receive(), await other.receive()]) == ["created", "queued"]
        await client.send("response.cancel", response_id=response_id)
        await until(lambda: server.gateway.service.registry.running[response_id].stopping.stopped)
        await settle()
        server.engine.step(2)
        assert (await client.until_done())[-1]["response"]["status"] == "cancelled"
        assert (await other.receive())["type"] == "response.in_progress"
        server.engine.step()
        assert (await other.receive())["type"] == "response.output_item.added"


async def test_cancel_of_a_queued_response_never_reaches_the_engine() -> None:
    settings = changed(max_running_responses=1)
    async with running(LONG, settings, tick_seconds=None) as server, server.client() as client:
        await begin(client, stream_id="a")
        await client.send("response.create", input="hi", stream_id="b")
        events = [await client.receive(), await client.receive()]
        await client.send("response.cancel", response_id=events[0]["response_id"])
        events += await client.until_done()
        assert types(events) == ["created", "queued", "incomplete"]
        final = check(events)
        assert (final["status"], final["output"]) == ("cancelled", [])
        assert final["cancel"]["tokens_generated"] == 0
        assert engine_holds(server) == 1
        assert server.gateway.service.queue.scheduler.num_waiting == 0


async def test_cancel_while_the_prompt_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long prompt is rendered in a thread; a cancel is answered while it still is, and starts nothing in the engine.
    (`tests/runs/test_phases.py` has all phases.)
    """
    started, go = threading.Event(), threading.Event()
    render = ChatDialect.render

    def slow(self: ChatDialect, *arguments: Any) -> Prompt:
        started.set()
        assert go.wait(10)
        return render(self, *arguments)

    monkeypatch.setattr(ChatDialect, "render", slow)
    async with running(LONG, tick_seconds=None, max_model_len=20_000) as server, server.client() as client:
        response_id = await begin(client, "x" * 9000)
        await until(started.is_set)
        await client.send("response.cancel", response_id=response_id)
        final = (await client.until_done())[-1]["response"]
        assert (final["status"], final["cancel"]["tokens_generated"]) == ("cancelled", 0)
        go.set()
        assert server.engine.num_ticks == 0
        assert engine_holds(server) == 0


async def test_cancel_of_what_is_over_unknown_or_cancelled_already() -> None:
    async with running(LONG, tick_seconds=None, abort_ticks=2) as server, server.client(native=True) as client:
        response_id = await begin(client)
        server.engine.step()
        await client.send("response.cancel", response_id=response_id)
        await client.send("response.cancel", response_id=response_id, event_id="twice")
        await until(lambda: server.gateway.service.registry.running[response_id].stopping.stopped)
        await settle()
        server.engine.step(3)
        events = await client.until_done()
        assert events[-1]["response"]["status"] == "cancelled"
        refused: list[tuple[dict[str, Any], str, int]] = [
            ({"response_id": response_id}, "response_already_completed", 409),
            ({"response_id": "resp_unknown"}, "response_not_found", 404),
            ({}, "response_not_found", 404),
            ({"stream_id": "never"}, "response_not_found", 404),
            ({"response_id": 5}, "invalid_request", 400),
        ]
        for members, code, status in refused:
            await client.send("response.cancel", **members, event_id="e")
            answer = await client.receive()
            assert_error(answer, code, status, retry=False)
            assert answer["event_id"] == "e"


@pytest.mark.parametrize("gone", ["kept", "failed", "expired", "deleted"])
async def test_a_plain_client_gets_its_next_turn_after_a_cancel_that_came_too_late(gone: str) -> None:
    settings = changed(retention_seconds=0, linger_seconds=0) if gone == "expired" else None
    script = say(Fail("broken")) if gone == "failed" else say("a")
    async with running(script, settings) as server, server.client() as client, http(server) as door:
        response_id = (await client.create())[-1]["response_id"]
        if gone == "deleted":
            assert (await door.delete(f"/v1/responses/{response_id}")).status_code == 200
        for members in ({"response_id": response_id}, {}):
            await client.send("response.cancel", **members)
        check(await client.create())
        assert (await client.create())[0]["type"] == "response.created"


async def test_cancel_by_lane_stops_the_one_that_runs_and_leaves_what_is_queued() -> None:
    async with running(say("a", "b"), tick_seconds=None) as server, server.client() as client:
        first = await begin(client, stream_id="lane")
        other = await begin(client, stream_id="other")
        default = await begin(client)
        await client.send("response.create", input="next", stream_id="lane")
        await client.send("response.cancel", stream_id="lane")
        events = await client.until_done()
        assert (events[-1]["response_id"], events[-1]["response"]["status"]) == (first, "cancelled")
        await client.send("response.cancel")
        events = await client.until_done(default)
        assert events[-1]["response"]["status"] == "cancelled"
        await until(lambda: engine_holds(server) == 2)
        await finish(server)
        ended = [(await client.until_done())[-1] for _ in range(2)]
        assert {event["type"] for event in ended} == {"response.completed"}
        assert {event["stream_id"] for event in ended} == {"lane", "other"}
        assert other in {event["response_id"] for event in ended}


async def test_cancel_by_lane_of_requests_that_were_not_started_answers_each() -> None:
    settings = changed(max_in_flight_per_connection=1)
    async with running(LONG, settings, tick_seconds=None) as server, server.client() as client:
        await begin(client)
        for index in range(2):
            await client.send("response.create", input="hi", stream_id="lane", event_id=f"e{index}")
        await client.send("response.cancel", stream_id="lane")
        answers = [await client.receive(), await client.receive()]
        for index, answer in enumerate(answers):
            assert_error(answer, "request_cancelled", 409)
            assert (answer["stream_id"], answer["event_id"]) == ("lane", f"e{index}")
        assert server.gateway.service.num_running == 1


async def test_a_second_socket_cancels_and_both_get_the_terminal() -> None:
    async with (
        running(LONG, tick_seconds=None) as server,
        server.client() as author,
        server.client(native=True) as other,
        server.client() as reader,
    ):
        response_id = await begin(author)
        server.engine.step(3)
        await resume(reader, response_id)
        await other.send("response.cancel", response_id=response_id)
        ends = [(await client.until_done())[-1] for client in (author, other, reader)]
        assert ends[0] == ends[1] == ends[2]
        assert ends[0]["response"]["status"] == "cancelled"


async def test_the_next_turn_holds_what_was_said_until_the_cancel() -> None:
    async with running(LONG, tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client)
        server.engine.step(3)
        await client.send("response.cancel", response_id=response_id)
        await client.until_done()
        await begin(client, previous_response_id=response_id)
        [held] = server.engine._held.values()
        prompt = server.engine.tokenizer.decode(held.request.prompt_token_ids)
        assert "word word word " in prompt
        assert prompt.count("word ") == 3


@pytest.mark.parametrize("offset", range(-2, 3))
async def test_cancel_in_the_moment_of_the_natural_end(offset: int) -> None:
    """Whatever wins, there is one terminal, and it says who won."""
    async with running(RandomScript(min_tokens=5, max_tokens=5), tick_seconds=None) as server:
        for order in ("cancel first", "end first"):
            async with server.client() as client:
                response_id = await begin(client, ignore_eos=True)
                run = server.gateway.service.registry.running[response_id]
                ticks = 20 + offset  # more than it takes, or nearly so
                if order == "cancel first":
                    await server.gateway.service.stop(LOCAL, response_id, "cancel")
                    server.engine.step(ticks)
                else:
                    server.engine.step(ticks)
                    await server.gateway.service.stop(LOCAL, response_id, "cancel")
                events = await client.until_done()
                assert [event["done"] for event in events].count(True) == 1
                assert events[-1]["response"]["status"] == "cancelled", "it was accepted before the end was told"
                assert run.over
                assert engine_holds(server) == 0
                await client.send("response.cancel", response_id=response_id)
                await client.send("response.interrupt", response_id=response_id, event_id="next")
                answer = await client.receive()
                assert_error(answer, "response_already_completed")
                assert answer["event_id"] == "next", "the cancel itself is not answered"


async def test_a_cancel_and_a_lost_socket_at_once_are_one_cancel() -> None:
    async with running(LONG, tick_seconds=None, abort_ticks=2) as server:
        async with server.client() as client:
            response_id = await begin(client)
            server.engine.step()
            await client.send("response.cancel", response_id=response_id)
            await cut(client)
        await until(lambda: server.gateway.admission.num_connections == 0)
        await settle()
        server.engine.step(3)
        await until(lambda: server.gateway.service.num_running == 0)
        async with server.client() as client:
            await resume(client, response_id)
            assert (await client.until_done())[-1]["response"]["status"] == "cancelled"


async def test_cancel_when_the_engine_dies_meanwhile_ends_once() -> None:
    async with running(LONG, tick_seconds=None, abort_ticks=5) as server, server.client() as client:
        response_id = await begin(client)
        server.engine.step()
        await client.send("response.cancel", response_id=response_id)
        await until(lambda: server.gateway.service.registry.running[response_id].stopping.stopped)
        await settle()
        server.engine.kill()
        assert (await client.until_done())[-1]["response"]["status"] == "cancelled"
        await until(lambda: server.gateway.engine.status.num_restarts == 1)
