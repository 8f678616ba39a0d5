"""Which creates are started, queued and refused; the same `request_id` twice."""

from __future__ import annotations

import contextlib

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import ScriptedTokenizer, say
from tests.support.patience import SECONDS
from tests.support.server import changed, running
from tests.support.steps import begin, engine_holds, finish
from tests.support.transcript import assert_error, check, types


class Prompts:
    """A script that remembers what it was asked and answers with a number."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, request: EngineRequest) -> list[str]:
        self.seen.append(ScriptedTokenizer().decode(request.prompt_token_ids))
        return [f"answer {len(self.seen)}"]


async def test_a_response_that_must_wait_says_queued() -> None:
    settings = changed(max_running_responses=1)
    async with (
        running(say("a"), settings, tick_seconds=None) as server,
        server.client() as client,
        server.client() as other,
    ):
        await begin(client)
        await other.send("response.create", input="hi")
        events = [await other.receive(), await other.receive()]
        assert types(events) == ["created", "queued"]
        assert events[1]["response"]["status"] == "queued"
        assert engine_holds(server) == 1
        server.engine.step(2)
        await client.until_done()
        events.append(await other.receive())
        assert types(events)[-1] == "in_progress"
        server.engine.step(2)
        assert check(events + await other.until_done())["status"] == "completed"


async def test_a_full_server_refuses_with_a_time_to_come_back() -> None:
    settings = changed(max_running_responses=1, max_waiting_responses=1)
    async with running(say("a"), settings, tick_seconds=None) as server, server.client() as client:
        await begin(client, stream_id="a")
        await client.send("response.create", input="hi", stream_id="b")
        assert types([await client.receive(), await client.receive()]) == ["created", "queued"]
        [refusal] = await client.create(stream_id="c", event_id="mine")
        assert_error(refusal, "server_is_overloaded", 503, retry=True)
        assert refusal["error"]["retry_after"] >= 1
        assert (refusal["stream_id"], refusal["event_id"]) == ("c", "mine")
        server.engine.step(2)
        await client.until_done()
        await finish(server)
        await client.until_done()
        await client.send("response.create", input="hi", stream_id="c")
        assert (await client.receive())["type"] == "response.created", "the lane is free again"


async def test_while_sockets_are_refused_a_load_balancer_is_told_so() -> None:
    """A node that was stopped and wakes up takes none for a moment: `/ready` must not have them sent here."""
    async with (
        running(say("a")) as server,
        httpx2.AsyncClient(base_url=server.http, trust_env=False, timeout=SECONDS) as http,
    ):
        for lag in (0.0, 2.1, 0.0):
            server.gateway.admission.lag = lambda lag=lag: lag  # type: ignore[misc]
            answer = await http.get("/ready")
            assert answer.status_code == (503 if lag else 200)
            assert (answer.json()["ready"], answer.json()["behind"]) == (not lag, bool(lag))
            with pytest.raises(InvalidStatus) if lag else contextlib.nullcontext():
                async with server.client():
                    pass


async def test_a_prompt_that_is_too_long_fails_after_created() -> None:
    async with running(say("a"), max_model_len=40) as server, server.client() as client:
        events = await client.create("x" * 100)
        assert types(events) == ["created", "in_progress", "failed"]
        assert check(events)["error"]["code"] == "context_length_exceeded"
        assert check(await client.create("x"))["status"] in ("completed", "incomplete")


async def test_nothing_to_answer_fails_after_created() -> None:
    async with running(say("a")) as server, server.client() as client:
        await client.send("response.create")
        assert check(await client.until_done())["error"]["code"] == "invalid_prompt"


async def test_an_engine_whose_queue_is_full_says_so() -> None:
    async with (
        running(say("a"), tick_seconds=None, max_num_seqs=1, max_num_waiting=1) as server,
        server.client() as client,
    ):
        await begin(client, stream_id="a")
        events = await client.create(stream_id="b")
        assert check(events)["error"]["code"] == "server_is_overloaded"


@pytest.mark.parametrize("name", ["unknown", "", "starter ", "Starter"])
async def test_an_unknown_model_is_named(name: str) -> None:
    async with running(say("a")) as server, server.client() as client:
        [refusal] = await client.create(model=name)
        assert_error(refusal, "model_not_found", 404, param="model")
        assert name in refusal["error"]["message"]
        assert check(await client.create(model="starter"))["model"] == "starter"


async def test_background_is_refused_on_a_socket() -> None:
    async with running(say("a")) as server, server.client() as client:
        [refusal] = await client.create(background=True)
        assert_error(refusal, "unsupported_parameter", 400, param="background")


# idempotent creates


async def test_the_same_request_attaches_to_the_response_that_runs_and_that_is_over() -> None:
    runs = Prompts()
    async with running(runs, tick_seconds=None) as server, server.client(native=True) as client:
        response_id = await begin(client, request_id="r1")
        async with server.client(native=True) as other:
            await other.send("response.create", input="hi", request_id="r1")
            attached = [await other.receive(), await other.receive()]
            assert {event["response_id"] for event in attached} == {response_id}
            server.engine.step(2)
            attached += await other.until_done()
            first = await client.until_done()
            assert attached[2:] == first
            again = await client.create(request_id="r1")
            assert again == attached
            check(again)
        async with server.client() as late:
            assert await late.create(request_id="r1", event_id="another name for the event") == attached
    assert len(runs.seen) == 1


async def test_another_body_under_the_same_request_id_is_a_conflict() -> None:
    async with running(say("a"), tick_seconds=None) as server, server.client() as client:
        await begin(client, request_id="r1", stream_id="a")
        [refusal] = await client.create("ho", request_id="r1", stream_id="b")
        assert_error(refusal, "idempotency_conflict", 409, param="request_id")
        [refusal] = await client.create(request_id="r1", stream_id="b", max_output_tokens=5)
        assert_error(refusal, "idempotency_conflict", 409)
        assert server.gateway.service.num_running == 1


async def test_a_request_that_was_refused_may_be_sent_again_under_its_id() -> None:
    settings = changed(max_running_responses=1, max_waiting_responses=0)
    async with running(say("a"), settings, tick_seconds=None) as server, server.client() as client:
        await begin(client)
        assert_error((await client.create(stream_id="b", request_id="r"))[0], "server_is_overloaded")
        await finish(server)
        await client.until_done()
        await begin(client, stream_id="b", request_id="r")
