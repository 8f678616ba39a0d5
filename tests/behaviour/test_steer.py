"""Steering on real sockets: the cut at a safe point, the successor, the wait for tool outputs, every refusal."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Fail, ScriptedTokenizer, Step, say
from realtime.wire.errors import ErrorCode, WireError
from tests.support.calls import TAGGED, spoken_call
from tests.support.server import Client, Running, changed, running, sink_of
from tests.support.steps import begin, engine_holds, finish, until
from tests.support.transcript import check, text_of, types

LONG = say(*["word "] * 1000)
TOOLS = [
    {"type": "function", "name": "look", "parameters": {"type": "object"}},
    {"type": "custom", "name": "write"},
]
LOOK = spoken_call("look", '{"a":', " 1", "}")


class Recorder:
    """A script per request, in order, the last one for all further ones; `prompts` is what the model was given."""

    def __init__(self, *scripts: tuple[Step, ...]) -> None:
        self._scripts = scripts
        self.prompts: list[str] = []
        self.requests: list[EngineRequest] = []

    def __call__(self, request: EngineRequest) -> tuple[Step, ...]:
        script = self._scripts[min(len(self.prompts), len(self._scripts) - 1)]
        self.requests.append(request)
        self.prompts.append(ScriptedTokenizer().decode(request.prompt_token_ids))
        return script


async def steer(client: Client, response_id: str, input: Any = "turn left", **members: Any) -> dict[str, Any]:
    """Send a steer; the answer to it, whatever else comes before."""
    await client.send("response.steer", previous_response_id=response_id, input=input, **members)
    while not (event := await client.receive())["type"].startswith("response.steer."):
        pass
    return event


async def refused(client: Client, response_id: str, input: Any = "turn left") -> str:
    event = await steer(client, response_id, input)
    assert event["type"] == "response.steer.failed", event
    assert event["steer"]["input"] == input
    assert event["steer"]["previous_response_id"] == response_id
    assert event["error"]["type"] == "invalid_request_error"
    code: str = event["error"]["code"]
    return code


async def call_turn(server: Running, client: Client, **members: Any) -> tuple[str, list[dict[str, Any]]]:
    """Begin a response that makes a call, steer it in the middle of the arguments, and take it to its end."""
    response_id = await begin(client, tools=TOOLS, **members)
    server.engine.step(4)
    while (await client.receive())["type"] != "response.function_call_arguments.delta":
        pass
    accepted = await steer(client, response_id)
    assert accepted["type"] == "response.steer.accepted"
    await finish(server)
    events = await client.until_done(response_id)
    pending = await client.receive()
    assert pending["steer"] == accepted["steer"]
    return response_id, [*events, pending]


async def test_a_text_is_cut_and_the_successor_goes_on_from_it() -> None:
    recorder = Recorder(("one ", "two ", "three "), ("ok",))
    async with running(recorder, tick_seconds=None) as server, server.client() as client:
        response_id = await begin(
            client, stream_id="a", instructions="Be kind.", temperature=0.25, max_output_tokens=7, metadata={"k": "v"},
            store=False,
        )  # fmt: skip
        server.engine.step(2)
        events = [await client.receive() for _ in range(4)]
        accepted = await steer(client, response_id)
        assert accepted["steer"]["previous_response_id"] == response_id
        assert accepted["steer"]["id"].startswith("steer_")
        assert accepted["stream_id"] == "a"
        events += await client.until_done(response_id)
        final = events[-1]["response"]
        assert events[-1]["type"] == "response.incomplete"
        assert (final["status"], final["incomplete_details"]) == ("incomplete", {"reason": "steered"})
        assert [item["status"] for item in final["output"]] == ["incomplete"]
        assert text_of(events) == final["output"][0]["content"][0]["text"] == "one two "
        created = await client.receive()
        assert created["type"] == "response.created"
        successor = created["response"]
        assert successor["id"] != response_id
        assert successor["previous_response_id"] == response_id
        for member in ("instructions", "temperature", "max_output_tokens", "metadata", "store"):
            assert successor[member] == final[member] is not None
        assert created["stream_id"] == "a"
        await until(lambda: engine_holds(server) == 1)
        server.engine.run_until_idle()
        ended = check([created, *await client.until_done()])
        assert ended["status"] == "completed"
        assert recorder.prompts[1].index("one two ") < recorder.prompts[1].index("turn left")
        assert recorder.requests[1].sampling.max_tokens == 7, "budgets are counted anew"


async def test_a_successor_can_be_continued_and_so_can_the_one_that_was_steered() -> None:
    async with running(Recorder(("a", "b", "c")), tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client, store=False)
        server.engine.step()
        await steer(client, response_id)
        await client.until_done(response_id)
        successor = (await client.receive())["response_id"]
        await until(lambda: engine_holds(server) == 1)
        server.engine.run_until_idle()
        await client.until_done(successor)
        await client.send("response.create", input="and?", previous_response_id=successor, store=False)
        await until(lambda: engine_holds(server) == 1)
        server.engine.run_until_idle()
        assert (await client.until_done())[-1]["response"]["status"] == "completed"


async def test_steers_are_applied_in_their_order_and_one_successor_takes_them_all() -> None:
    recorder = Recorder(("one ",) * 9, ("ok",))
    async with running(recorder, tick_seconds=None, abort_ticks=3) as server, server.client() as client:
        response_id = await begin(client)
        server.engine.step()
        ids = [(await steer(client, response_id, text))["steer"]["id"] for text in ("first", "second", "third")]
        assert len(set(ids)) == 3
        server.engine.step(3)
        await client.until_done(response_id)
        assert (await client.receive())["response"]["previous_response_id"] == response_id
        await until(lambda: engine_holds(server) == 1)
        server.engine.run_until_idle()
        await client.until_done()
        prompt = recorder.prompts[1]
        assert prompt.index("first") < prompt.index("second") < prompt.index("third")


async def test_a_steer_of_what_a_successor_follows_goes_to_that() -> None:
    async with running(LONG, tick_seconds=None) as server, server.client() as client:
        first = await begin(client)
        server.engine.step()
        await steer(client, first)
        await client.until_done(first)
        second = (await client.receive())["response_id"]
        await until(lambda: engine_holds(server) == 1)
        accepted = await steer(client, first, "again")
        assert accepted["type"] == "response.steer.accepted"
        assert accepted["steer"]["previous_response_id"] == first
        assert (await client.until_done(second))[-1]["response"]["incomplete_details"] == {"reason": "steered"}
        third = await client.receive()
        assert third["response"]["previous_response_id"] == second


async def test_a_response_that_finishes_first_is_followed_by_its_successor_all_the_same() -> None:
    async with running(say("a"), tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client)
        [shell] = server.gateway.sockets.shells
        sink_of(shell).pause_writing()  # so that the end is in the log and the client does not know
        server.engine.run_until_idle()
        await until(lambda: not server.gateway.service.num_running)
        await client.send("response.steer", previous_response_id=response_id, input="more")
        await until(lambda: bool(shell._connection._control))
        sink_of(shell).resume_writing()
        assert (await client.receive())["type"] == "response.steer.accepted"
        assert (await client.until_done(response_id))[-1]["type"] == "response.completed"
        assert (await client.receive())["response"]["previous_response_id"] == response_id


async def test_a_response_that_waits_for_its_slot_can_be_steered() -> None:
    recorder = Recorder(("a",) * 50)
    settings = changed(max_running_responses=1)
    async with running(recorder, settings, tick_seconds=None) as server, server.client() as client:
        await begin(client, stream_id="a")
        await client.send("response.create", input="what I asked", stream_id="b")
        assert (await client.receive())["type"] == "response.created"
        queued = await client.receive()
        assert queued["type"] == "response.queued"
        await steer(client, queued["response_id"])
        final = (await client.until_done(queued["response_id"]))[-1]["response"]
        assert (final["output"], final["incomplete_details"]) == ([], {"reason": "steered"})
        successor = (await client.receive())["response_id"]
        assert (await client.receive())["type"] == "response.queued"
        server.engine.run_until_idle()
        await until(lambda: engine_holds(server) == 1)
        server.engine.run_until_idle()
        await client.until_done(successor)
        assert recorder.prompts[1].index("what I asked") < recorder.prompts[1].index("turn left")


async def test_the_successor_goes_before_what_waits_in_its_lane() -> None:
    async with running(LONG, tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client)
        await client.send("response.create", input="next", metadata={"is": "next"})
        await steer(client, response_id)
        await client.until_done(response_id)
        assert (await client.receive())["response"]["previous_response_id"] == response_id


# -- calls


async def test_a_call_is_not_cut_and_its_answer_gets_the_steer_before_it() -> None:
    recorder = Recorder(("text ", *LOOK), ("ok",))
    async with (
        running(recorder, tick_seconds=None, family=TAGGED) as server,
        server.client() as client,
    ):
        response_id, events = await call_turn(server, client, store=False, stream_id="a")
        *_, completed, pending = events
        assert completed["type"] == "response.completed"
        call = completed["response"]["output"][-1]
        assert (call["status"], call["arguments"]) == ("completed", '{"a": 1}')
        assert pending["type"] == "response.steer.pending"
        assert pending["reason"] == "waiting_for_required_input"
        stub = {"type": "function_call_output", "call_id": call["call_id"], "name": "look"}
        assert pending["required_input"] == [stub]
        assert pending["stream_id"] == "a"
        # A warm-up takes nothing.
        await client.send(
            "response.create", input=[{**stub, "output": "warm"}], previous_response_id=response_id, generate=False,
            store=False, stream_id="a",
        )  # fmt: skip
        await until(lambda: engine_holds(server) == 1)
        server.engine.run_until_idle()
        assert (await client.until_done())[-1]["response"]["status"] == "completed"
        assert "turn left" not in recorder.prompts[1]


async def test_the_next_create_gets_the_held_input_once() -> None:
    recorder = Recorder(LOOK, ("ok",))
    async with running(recorder, tick_seconds=None, family=TAGGED) as server, server.client() as client:
        response_id = await begin(client, tools=TOOLS)
        server.engine.step(3)
        await steer(client, response_id)
        await finish(server)
        final = (await client.until_done(response_id))[-1]["response"]
        (stub,) = (await client.receive())["required_input"]
        for _ in range(2):
            await client.send(
                "response.create", input=[{**stub, "output": "found it"}], previous_response_id=final["id"], tools=TOOLS
            )
            await until(lambda: engine_holds(server) == 1)
            server.engine.run_until_idle()
            await client.until_done()
        assert recorder.prompts[1].index("turn left") < recorder.prompts[1].index("found it")
        assert "turn left" not in recorder.prompts[2]


async def test_a_custom_call_is_waited_for_too() -> None:
    recorder = Recorder(spoken_call("write", '{"input": "some', ' text"}'))
    async with running(recorder, tick_seconds=None, family=TAGGED) as server, server.client() as client:
        response_id = await begin(client, tools=TOOLS)
        server.engine.step(3)
        await steer(client, response_id)
        await finish(server)
        call = (await client.until_done(response_id))[-1]["response"]["output"][0]
        assert (await client.receive())["required_input"] == [
            {"type": "custom_tool_call_output", "call_id": call["call_id"]}
        ]


async def test_input_that_waits_is_given_back_when_its_lane_goes_on_without_it() -> None:
    async with (
        running(Recorder(("x", *LOOK), ("ok",)), tick_seconds=None, family=TAGGED) as server,
        server.client() as client,
    ):
        response_id, events = await call_turn(server, client)
        await client.send("response.create", input="something else")
        failed = await client.receive()
        assert (failed["type"], failed["error"]["code"]) == ("response.steer.failed", "response_not_active")
        assert failed["steer"]["id"] == events[-1]["steer"]["id"]
        assert failed["steer"]["previous_response_id"] == response_id
        assert failed["steer"]["input"] == "turn left"


async def test_input_that_waits_is_given_back_when_the_create_that_was_to_take_it_is_refused() -> None:
    async with (
        running(Recorder(("x", *LOOK), ("ok",)), tick_seconds=None, family=TAGGED) as server,
        server.client() as client,
    ):
        response_id, _ = await call_turn(server, client)
        await client.send("response.create", input="x", previous_response_id=response_id, model="nobody")
        assert (await client.receive())["error"]["code"] == "model_not_found"
        failed = await client.receive()
        assert (failed["type"], failed["error"]["code"]) == ("response.steer.failed", "successor_creation_failed")


async def test_an_answered_call_can_be_steered_with_its_output() -> None:
    """Two calls; the first one's output comes while the second one is being made."""
    recorder = Recorder((*LOOK, *spoken_call("look", "{", "}")), ("ok",))
    async with running(recorder, tick_seconds=None, family=TAGGED) as server, server.client() as client:
        response_id = await begin(client, tools=TOOLS)
        server.engine.step(8)
        while (done := await client.receive())["type"] != "response.output_item.done":
            pass
        call_id = done["item"]["call_id"]
        accepted = await steer(
            client, response_id, [{"type": "function_call_output", "call_id": call_id, "output": "seen"}]
        )
        assert accepted["type"] == "response.steer.accepted"
        await finish(server)
        final = (await client.until_done(response_id))[-1]["response"]
        pending = await client.receive()
        assert [stub["call_id"] for stub in pending["required_input"]] == [final["output"][1]["call_id"]]


# -- injection


async def test_outputs_that_are_injected_make_the_successor_when_they_answer_every_call() -> None:
    recorder = Recorder((*LOOK, *["more "] * 5), ("ok",))
    async with running(recorder, tick_seconds=None, family=TAGGED) as server, server.client() as client:
        response_id = await begin(client, tools=TOOLS)
        server.engine.step(7)
        while (done := await client.receive())["type"] != "response.output_item.done":
            pass
        output = {"type": "function_call_output", "call_id": done["item"]["call_id"], "output": "sunny"}
        await client.send("response.inject", response_id=response_id, input=[output])
        while (event := await client.receive())["type"] != "response.inject.created":
            assert event["type"] != "error", event
        assert event["response_id"] == response_id
        await finish(server)
        assert (await client.until_done(response_id))[-1]["type"] == "response.completed"
        assert (await client.receive())["response"]["previous_response_id"] == response_id
        await until(lambda: engine_holds(server) == 1)
        assert "sunny" in recorder.prompts[1]


async def test_what_can_not_be_injected_is_refused() -> None:
    async with running(say("a"), tick_seconds=None) as server, server.client() as client:
        output = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
        await client.send("response.inject", response_id="resp_unknown", input=[output])
        failed = await client.receive()
        assert (failed["type"], failed["error"]["code"]) == ("response.inject.failed", "response_not_found")
        assert failed["input"] == [output]
        response_id = await begin(client)
        for input, word in (([output], "call_1"), ("text", "tool outputs"), ([], "at least one")):
            await client.send("response.inject", response_id=response_id, input=input)
            error = await client.receive()
            assert error["error"]["code"] == "invalid_request"
            assert word in error["error"]["message"]
        server.engine.run_until_idle()
        await client.until_done()
        await client.send("response.inject", response_id=response_id, input=[output])
        assert (await client.receive())["error"]["code"] == "response_already_completed"


# -- refusals: one test for each code


async def test_a_response_that_this_connection_does_not_know_is_not_found() -> None:
    async with running(LONG, tick_seconds=None) as server, server.client() as client, server.client() as other:
        response_id = await begin(other)
        assert await refused(client, "resp_unknown") == "response_not_found"
        assert await refused(client, response_id) == "response_not_found"


@pytest.mark.parametrize(
    "input",
    [
        [], 5, None, {"role": "user"}, [{"role": "assistant", "content": "x"}], [{"role": "system", "content": "x"}],
        [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}],
        [{"type": "reasoning", "summary": []}], [{"type": "function_call_output", "call_id": "none", "output": "x"}],
        [{"type": "nonsense"}],
    ],
)  # fmt: skip
async def test_input_that_is_no_users_input_is_invalid(input: Any) -> None:
    async with running(LONG, tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client)
        assert await refused(client, response_id, input) == "invalid_input"
        assert server.gateway.service.registry.running[response_id].stopping.stop is None, "and nothing is cut"


async def test_a_warm_up_does_not_support_steering() -> None:
    async with running(LONG, tick_seconds=None) as server, server.client() as client:
        await client.send("response.create", input="hi", generate=False)
        created = await client.receive()
        assert await refused(client, created["response_id"]) == "steering_not_supported"


async def test_a_response_of_another_connection_does_not_support_steering_where_it_is_followed() -> None:
    async with running(LONG, tick_seconds=None) as server, server.client() as client, server.client() as other:
        response_id = await begin(other)
        await client.send("response.resume", response_id=response_id)
        assert await refused(client, response_id) == "steering_not_supported"


async def test_only_so_much_input_waits_for_a_response() -> None:
    async with running(Recorder(LOOK), tick_seconds=None, family=TAGGED) as server, server.client() as client:
        response_id = await begin(client, tools=TOOLS)
        server.engine.step(3)
        for _ in range(32):
            assert (await steer(client, response_id))["type"] == "response.steer.accepted"
        assert await refused(client, response_id) == "too_many_pending_steers"


async def test_a_completed_response_takes_nothing_more() -> None:
    async with running(say("a")) as server, server.client() as client:
        (*_, last) = await client.create()
        assert await refused(client, last["response_id"]) == "response_already_completed"


async def test_a_response_that_was_stopped_is_not_active_and_what_was_accepted_is_given_back() -> None:
    async with running(LONG, tick_seconds=None, abort_ticks=1) as server, server.client() as client:
        response_id = await begin(client)
        server.engine.step()
        accepted = await steer(client, response_id)
        await client.send("response.cancel", response_id=response_id)
        run = server.gateway.service.registry.running[response_id]
        await until(lambda: run.response.status == "in_progress" and type(run.stopping.stop).__name__ == "Cancelled")
        server.engine.step()
        assert (await client.until_done(response_id))[-1]["response"]["status"] == "cancelled"
        failed = await client.receive()
        assert (failed["error"]["code"], failed["steer"]["id"]) == ("response_not_active", accepted["steer"]["id"])
        assert await refused(client, response_id) == "response_not_active"


async def test_a_failed_response_gives_back_what_was_accepted() -> None:
    recorder = Recorder((*LOOK[:3], Fail()))
    async with running(recorder, tick_seconds=None, family=TAGGED) as server, server.client() as client:
        response_id = await begin(client, tools=TOOLS)
        server.engine.step(3)
        await steer(client, response_id)
        await finish(server)
        assert (await client.until_done(response_id))[-1]["type"] == "response.failed"
        assert (await client.receive())["error"]["code"] == "response_not_active"


async def test_a_successor_that_is_refused_gives_its_input_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(LONG, tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client, store=False)
        server.engine.step()

        def full(*_: Any, **__: Any) -> None:
            raise WireError(ErrorCode.SERVER_IS_OVERLOADED, "full")

        monkeypatch.setattr(server.gateway.service, "create", full)
        accepted = await steer(client, response_id)
        await client.until_done(response_id)
        failed = await client.receive()
        assert (failed["error"]["code"], failed["error"]["message"]) == ("successor_creation_failed", "full")
        assert failed["steer"] == {**accepted["steer"], "input": "turn left"}
        monkeypatch.undo()
        # and the parent is still there to be continued by hand
        await client.send("response.create", input="turn left", previous_response_id=response_id, store=False)
        assert types([await client.receive()]) == ["created"]


async def test_a_draining_server_takes_no_steer_and_cuts_nothing_for_it() -> None:
    async with running(LONG, tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client)
        for shell in server.gateway.sockets.shells:
            shell.drain(5)
        assert await refused(client, response_id) == "successor_creation_failed"
        assert server.gateway.service.registry.running[response_id].stopping.stop is None


async def test_steers_vanish_with_their_connection() -> None:
    recorder = Recorder(LOOK, ("ok",))
    async with running(recorder, tick_seconds=None, family=TAGGED) as server, server.client() as other:
        async with server.client() as client:
            response_id, events = await call_turn(server, client)
        (stub,) = events[-1]["required_input"]
        await other.send(
            "response.create", input=[{**stub, "output": "x"}], previous_response_id=response_id, tools=TOOLS
        )
        await until(lambda: engine_holds(server) == 1)
        assert "turn left" not in recorder.prompts[1]
