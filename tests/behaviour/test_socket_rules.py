"""The socket's own rules: which parent a lane holds and when it loses it, each refusal, the life of a connection."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Fail, ScriptedTokenizer, Step, say
from tests.behaviour.test_steer import Recorder
from tests.support.raw import RawSocket
from tests.support.server import changed, dial, running
from tests.support.steps import begin, engine_holds, take, until
from tests.support.transcript import assert_error, types

OK = say("ok")
ORPHAN = [{"type": "function_call_output", "call_id": "call_missing", "output": "x"}]


# -- what a lane holds (docs/protocol.md, 5.3)


@pytest.mark.parametrize(
    "bad",
    [
        {"input": ORPHAN},
        {"input": "x", "model": "nobody"},
        {"input": "x", "background": True},
        {"input": "x", "top_p": 7},
        {"input": [{"type": "nonsense"}]},
    ],
    ids=["orphan", "model", "background", "member", "item"],
)
async def test_a_failed_continuation_in_its_lane_takes_the_parent_away_and_a_fork_does_not(bad: dict[str, Any]) -> None:
    async with running(OK) as server, server.client() as client:
        parent = (await client.create(store=False))[-1]["response_id"]
        again = {"previous_response_id": parent, "store": False}
        await client.send("response.create", **{**again, **bad, "stream_id": "other"})
        error = await client.receive()
        assert error["type"] == "error"
        assert 400 <= error["status"] < 500
        assert types(await client.create(**again))[-1] == "completed", "a fork that fails harms nobody"
        parent = (await client.create(store=False))[-1]["response_id"]
        again["previous_response_id"] = parent
        await client.send("response.create", **{**again, **bad})
        error = await client.receive()
        assert error["type"] == "error"
        (error,) = await client.create(**again)
        assert_error(error, "previous_response_not_found", 400, param="previous_response_id")
        assert error["error"]["message"].split(". ")[0] == f"Previous response with id '{parent}' not found"


async def test_a_continuation_that_fails_in_the_engine_takes_the_parent_away_too() -> None:
    recorder = Recorder(("ok",), (Fail(),), ("ok",))
    async with running(recorder) as server, server.client() as client:
        parent = (await client.create(store=False))[-1]["response_id"]
        assert (await client.create(previous_response_id=parent, store=False))[-1]["type"] == "response.failed"
        (error,) = await client.create(previous_response_id=parent, store=False)
        assert_error(error, "previous_response_not_found")


async def test_a_stored_parent_is_found_again_after_a_failed_continuation() -> None:
    async with running(OK) as server, server.client() as client:
        parent = (await client.create())[-1]["response_id"]
        assert (await client.create(previous_response_id=parent, model="nobody"))[-1]["type"] == "error"
        assert types(await client.create(previous_response_id=parent))[-1] == "completed"


async def test_forks_hold_their_parent_from_when_they_were_sent() -> None:
    """Everything at once: forks in other lanes, and the source lane goes on before they have their turn."""
    settings = changed(max_in_flight_per_connection=1)
    async with running(OK, settings, tick_seconds=None) as server, server.client() as client:
        parent = await begin(client, "ROOT", store=False)
        server.engine.run_until_idle()
        await client.until_done()
        for lane in (None, "a", "b", "a", None):
            names = {} if lane is None else {"stream_id": lane}
            await client.send("response.create", input="x", previous_response_id=parent, store=False, **names)
        [shell] = server.gateway.sockets.shells
        await until(lambda: shell._connection._creates.lanes.num_queued == 4)
        for _ in range(5):
            await until(lambda: engine_holds(server) == 1)
            server.engine.run_until_idle()
            assert (await client.until_done())[-1]["type"] == "response.completed"
        (error,) = await client.create(previous_response_id=parent, store=False)
        assert_error(error, "previous_response_not_found")


async def test_what_waits_for_a_running_parent_holds_it_from_its_end_on() -> None:
    """Two continuations of a response, sent while it runs: the first one's end does not lose it for the second."""
    prompts: list[str] = []

    def script(request: EngineRequest) -> tuple[Step, ...]:
        prompts.append(ScriptedTokenizer().decode(request.prompt_token_ids))
        return ("ok",)

    async with running(script, tick_seconds=None) as server, server.client() as client:
        parent = await begin(client, "ROOT", store=False)
        for text in ("one", "two"):
            await client.send("response.create", input=text, previous_response_id=parent, store=False)
        for _ in range(3):
            await until(lambda: engine_holds(server) == 1)
            server.engine.run_until_idle()
            assert (await client.until_done())[-1]["type"] == "response.completed"
        assert all("ROOT" in prompt for prompt in prompts)
        assert "one" not in prompts[2]


async def test_the_history_of_store_false_is_gone_with_its_socket() -> None:
    async with running(OK) as server:
        async with server.client() as client:
            parent = (await client.create(store=False))[-1]["response_id"]
        async with server.client() as client:
            (error,) = await client.create(previous_response_id=parent, store=False)
            assert_error(error, "previous_response_not_found")
            assert types(await client.create(store=False))[-1] == "completed", "the same socket serves a fresh turn"


async def test_a_warm_up_is_prefilled_says_nothing_and_can_be_continued() -> None:
    recorder = Recorder(("ok",))
    async with running(recorder) as server, server.client() as client:
        events = await client.create("WARM", generate=False, store=False, instructions="Be kind.")
        assert types(events) == ["created", "completed"]
        final = events[-1]["response"]
        assert (final["output"], final["usage"]["output_tokens"]) == ([], 0)
        assert recorder.requests[0].sampling.max_tokens == 1, "the engine has read the prompt"
        events = await client.create("and now", previous_response_id=final["id"], store=False)
        assert types(events)[-1] == "completed"
        assert "WARM" in recorder.prompts[1]


async def test_a_request_id_is_told_back_and_only_when_there_is_one() -> None:
    async with running(OK) as server, server.client() as client:
        created = (await client.create(request_id="mine"))[0]
        assert created["response"]["request_id"] == "mine"
        assert "request_id" not in (await client.create())[0]["response"]


# -- refusals: one for each row of the errors that clients and suites compare


async def test_previous_response_not_found() -> None:
    async with running(OK) as server, server.client() as client:
        (error,) = await client.create(previous_response_id="resp_x", stream_id="a")
        assert_error(error, "previous_response_not_found", 400, type="invalid_request_error")
        assert error["error"]["message"] == (
            "Previous response with id 'resp_x' not found. Finished responses are kept for 30 days here, and with "
            "`store: false` only on their socket."
        )
        assert (error["error"]["param"], error["stream_id"]) == ("previous_response_id", "a")


@pytest.mark.parametrize("stream_id", ["", "a b", "é", "x" * 257, 5, ["a"]])
async def test_invalid_stream_id(stream_id: Any) -> None:
    async with running(OK) as server, server.client() as client:
        (error,) = await client.create(stream_id=stream_id)
        assert_error(error, "invalid_stream_id", 400, param="stream_id")
        assert "stream_id" not in error
        assert "256" in error["error"]["message"]


async def test_websocket_stream_limit_reached() -> None:
    async with running(OK) as server, server.client() as client:
        for index in range(32):
            await client.create(stream_id=f"lane-{index}")
        (error,) = await client.create(stream_id="lane-32")
        assert_error(error, "websocket_stream_limit_reached", 400, param="stream_id")
        assert error["stream_id"] == "lane-32"
        assert "32" in error["error"]["message"]
        assert types(await client.create(stream_id="lane-0"))[-1] == "completed"
        assert types(await client.create())[-1] == "completed", "the default lane does not count"


async def test_websocket_connection_limit_reached_and_no_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(OK, tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client, stream_id="a")
        [shell] = server.gateway.sockets.shells
        monkeypatch.setattr(shell._connection._closing, "_expires_at", 0.0)
        (error,) = await client.create(stream_id="b")
        assert_error(error, "websocket_connection_limit_reached", 400)
        assert error["error"]["message"] == (
            "Responses websocket connection limit reached (60 minutes). Create a new websocket connection to continue."
        )
        assert "stream_id" not in error
        server.engine.run_until_idle()
        assert (await client.until_done(response_id))[-1]["type"] == "response.completed"
        with pytest.raises(ConnectionClosed) as closed:
            await client.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012


async def test_server_is_overloaded() -> None:
    settings = changed(max_running_responses=1, max_waiting_responses=0)
    async with running(OK, settings, tick_seconds=None) as server, server.client() as client:
        await begin(client, stream_id="a")
        await client.send("response.create", input="hi", stream_id="b")
        error = await client.receive()
        assert_error(error, "server_is_overloaded", 503, type="server_error")
        assert error["stream_id"] == "b"


async def test_too_much_waits_on_the_connection() -> None:
    settings = changed(max_queued_per_connection=1)
    async with running(OK, settings, tick_seconds=None) as server, server.client() as client:
        await begin(client)
        await client.send("response.create", input="waits")
        await client.send("response.create", input="too many", stream_id="a")
        await client.send("response.create", input="too many")
        events = sorted([await client.receive() for _ in range(3)], key=lambda event: event["type"])  # of two lanes
        assert [event["type"] for event in events] == ["error", "response.created", "response.in_progress"]
        assert_error(events[0], "too_many_queued_requests", 429)


async def test_a_fault_of_ours_is_a_server_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(OK) as server, server.client() as client:

        def broken(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(server.gateway.service, "create", broken)
        (error,) = await client.create(stream_id="a")
        assert_error(error, "server_error", 500)
        assert error["stream_id"] == "a"
        monkeypatch.undo()
        assert types(await client.create(stream_id="a"))[-1] == "completed"
        caplog.clear()


async def test_a_context_that_is_too_long_is_a_response_that_fails() -> None:
    async with running(OK, max_model_len=64) as server, server.client() as client:
        events = await client.create("x" * 200)
        assert types(events) == ["created", "in_progress", "failed"]
        assert events[-1]["response"]["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    ("message", "code"),
    [("{", "invalid_json"), ("[]", "invalid_json"), ('{"type":"nonsense"}', "unsupported_event_type")],
)
async def test_what_is_no_event_is_refused_and_the_socket_stays(message: str, code: str) -> None:
    async with running(OK) as server, server.client() as client:
        await client.connection.send(message)
        assert_error(await client.receive(), code, 400)
        assert types(await client.create())[-1] == "completed"


async def test_a_binary_message_is_refused_and_the_socket_stays() -> None:
    async with running(OK) as server, server.client() as client:
        await client.connection.send(b'{"type":"response.create","input":"hi"}')
        assert_error(await client.receive(), "invalid_json", 400)
        assert types(await client.create())[-1] == "completed"


# -- sizes, forms, liveness


async def test_a_message_that_is_too_big_is_answered_before_the_close() -> None:
    async with running(OK, changed(max_message_bytes=2048)) as server, server.client() as client:
        await client.send("response.create", input="x" * 3000)
        error = await client.receive()
        assert_error(error, "message_too_big", 413)
        assert "2048" in error["error"]["message"]
        with pytest.raises(ConnectionClosed) as closed:
            await client.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_the_model_may_stand_in_the_address_and_the_request_in_a_member() -> None:
    async with running(OK) as server:
        async with server.client() as client:
            await client.send(
                "response.create", response={"input": "hi", "store": False, "metadata": {"k": "v"}}, stream_id="a"
            )
            events = await client.until_done()
            assert types(events)[-1] == "completed"
            assert events[0]["stream_id"] == "a"
            assert events[0]["response"]["metadata"] == {"k": "v"}
        async with dial(f"{server.url}?model=nobody") as client:
            assert_error((await client.create())[0], "model_not_found", 404, param="model")
            assert types(await client.create(model="starter"))[-1] == "completed"


async def test_a_ping_is_answered_while_everything_runs() -> None:
    script = say(*["word "] * 2000)
    async with running(script, max_num_seqs=16) as server, server.client() as client:
        for lane in range(8):
            await client.send("response.create", input="hi", stream_id=f"lane-{lane}")
        await take(client, 50)
        await (await client.connection.ping())
        assert engine_holds(server) > 0, "and it was answered in the middle of it"


async def test_a_raw_socket_reads_the_error_of_a_message_that_is_announced_too_big() -> None:
    async with running(OK, changed(max_message_bytes=2048)) as server:
        raw = await RawSocket.upgraded(server.port)
        await raw.send(b"\x81\xff" + (2**30).to_bytes(8, "big") + b"\0\0\0\0")
        assert await raw.close_code() == 1009
        raw.close()
